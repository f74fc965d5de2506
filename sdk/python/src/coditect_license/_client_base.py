"""What both clients share: one license on one machine, and what can be read of it without asking the server."""

from __future__ import annotations

from ._context import Context
from ._settings import Settings


class ClientBase:
    """One license on one machine. Making a client checks its settings and starts nothing: no thread, no connection."""

    def __init__(self, settings: Settings) -> None:
        self._context = Context(settings)

    @property
    def license_number(self) -> str:
        """The license's public number: the first 13 symbols of the key."""
        return self._context.key.number

    @property
    def hardware_id(self) -> str:
        """The text that is sent to tell this machine from others."""
        return self._context.hardware_id

    @property
    def hw(self) -> str:
        """The machine's public hash under this license: what tokens say, and what the owner of the license sees."""
        return self._context.hw

    @property
    def deployment(self) -> str:
        """``desktop``, ``container`` or ``ci``, or the word that was given."""
        return self._context.identity.client["deployment"]

    @property
    def store_problem(self) -> str | None:
        """Why the last token could not be kept or read, for people; ``None`` if all went well.

        Such a problem costs the start without contact, and nothing else.
        """
        return self._context.store.problem

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._context.server} license {self.license_number}>"
