"""The settings of a client, the same for both faces."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ._clock import Clock
from ._context import Context
from ._identity import System
from ._roots import RootsLike

if TYPE_CHECKING:
    from typing_extensions import Required, TypedDict

    class Settings(TypedDict, total=False):
        """The keyword arguments of :class:`ClientBase`, for those who pass them on."""

        key: Required[str]
        product: Required[str]
        version: str | None
        roots: RootsLike | None
        issuer: str | None
        pool: str | None
        hardware_id: str | None
        instance_id: str | None
        installation: str | os.PathLike[str] | None
        project_root: str | os.PathLike[str] | None
        hostname: str | None
        deployment: str | None
        project: str | None
        user: str | None
        timeout: float
        max_retries: int
        offline: bool
        cache_dir: str | os.PathLike[str] | None
        allow_http: bool
        clock: Clock | None
        system: System | None


class ClientBase:
    """One license on one machine. Making a client checks its settings and starts nothing: no thread, no connection."""

    def __init__(
        self,
        server: str,
        *,
        key: str,
        product: str,
        version: str | None = None,
        roots: RootsLike | None = None,
        issuer: str | None = None,
        pool: str | None = None,
        hardware_id: str | None = None,
        instance_id: str | None = None,
        installation: str | os.PathLike[str] | None = None,
        project_root: str | os.PathLike[str] | None = None,
        hostname: str | None = None,
        deployment: str | None = None,
        project: str | None = None,
        user: str | None = None,
        timeout: float = 10.0,
        max_retries: int = 2,
        offline: bool = True,
        cache_dir: str | os.PathLike[str] | None = None,
        allow_http: bool = False,
        clock: Clock | None = None,
        system: System | None = None,
    ) -> None:
        """Settle who asks, whom, and whom to believe.

        Args:
            server: The address of the license server. ``https``, except for this machine or with ``allow_http``.
            key: The license key, as printed, typed or pasted.
            product: The product this program is; the license must be for it. Also the salt of the machine's id.
            version: The program's version, shown to the license's owner.
            roots: The server's root keys: a JWK set (mapping or text), PEM, or a file's path. Those built into the package unless given.
            issuer: What tokens name as their issuer, where it is not ``server``.
            pool: The pool of seats, ``default`` unless given.
            hardware_id: What tells this machine from others, 8 to 128 printable ASCII characters, sent as it is. Unless given: the
                container's or CI job's own id, else the operating system's machine id, hashed with the product.
            instance_id: What tells this process from others, for licenses that count processes. Unless given, the platform's or one drawn
                for this process, sent only to a license that asks for it.
            installation: A path of the installed program. Several links to one installation are one machine then, and cost one seat.
            project_root: With ``installation``: the project it is used for, part of the same identity.
            hostname: What others see of a holder. The host's name unless given; ``""`` for a piece of the machine's hash.
            deployment: ``desktop``, ``container`` or ``ci``, or a word of your own; recognized unless given.
            project: A name shown to the license's owner.
            user: The address of who works here, if the program knows it: shown to the license's owner, and by it members find their own
                sessions. Not sent unless given.
            timeout: Seconds that one call may take, its retries included.
            max_retries: How often a call that nobody answered is repeated within its timeout.
            offline: Whether tokens are kept, and a kept one may start a seat within its signed grace.
            cache_dir: Where tokens are kept; the platform's cache directory unless given.
            allow_http: Send the license key unencrypted to another machine.
            clock: The clocks, for tests.
            system: What the machine's identity is read from, for tests.

        Raises:
            ConfigurationError: One of these is wrong. No request was sent.
            InvalidKey: The key is mistyped. No request was sent.
        """
        self._context = Context(
            server,
            key=key,
            product=product,
            version=version,
            roots=roots,
            issuer=issuer,
            pool=pool,
            hardware_id=hardware_id,
            instance_id=instance_id,
            installation=installation,
            project_root=project_root,
            hostname=hostname,
            deployment=deployment,
            project=project,
            user=user,
            timeout=timeout,
            max_retries=max_retries,
            offline=offline,
            cache_dir=cache_dir,
            allow_http=allow_http,
            clock=clock,
            system=system,
        )
        # Here and not at the first answer: a program without a pinned key should hear of it on its first day.
        _ = self._context.expected

    @property
    def license_number(self) -> str:
        """The license's public number: the first 13 symbols of the key."""
        return self._context.key.number

    @property
    def hardware_id(self) -> str:
        """What is sent to tell this machine from others."""
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
        """Why the last token could not be kept or read, for people; ``None`` if all went well. It costs the offline start, nothing else."""
        return self._context.store.problem

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._context.server} license {self.license_number}>"
