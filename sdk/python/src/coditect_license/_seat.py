"""The seat of a program with threads."""

from __future__ import annotations

import contextlib
import math
import warnings
import weakref
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING

from ._checks import number_of
from ._seat_thread import SeatThread
from ._seat_view import Callbacks, SeatView

if TYPE_CHECKING:
    from ._seat_core import SeatCore
    from ._signals import SignalRelease

RELEASE_SECONDS = 5.0


class Seat(SeatView):
    """A seat that is held until it is released. Made by :meth:`LicenseClient.seat`; a context manager.

    One daemon thread sends a heartbeat when the server wants one. It never raises into the program and never ends it.
    It reports through :attr:`state`, :attr:`problem` and ``on_event``, which another thread calls, so that a callback
    may block, raise, or use the seat and the client. A seat that nobody refers to any more is given back, with a
    :class:`ResourceWarning`.
    """

    def __init__(self, keeper: SeatThread, callbacks: Callbacks) -> None:
        super().__init__(keeper.core, callbacks)
        self._keeper = keeper
        weakref.finalize(self, forget_seat, keeper.core, keeper.forget).atexit = False

    def __enter__(self) -> Seat:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def release(self, timeout: float | None = RELEASE_SECONDS) -> bool:
        """Give the seat back. A second call changes nothing. It never raises, and waits at most ``timeout`` seconds.

        True if the server knows. If the server does not know, the lease runs out and the seat is free all the same.
        """
        self._keeper.parting = self._callbacks
        self._keeper._begin_release()
        known = self._keeper._end_release(wait_of_release(timeout))
        self._keeper.leave_signals()
        return known

    def retry_now(self) -> None:
        """Ask the server now instead of when it is due, for example because the network is back. Returns at once."""
        self._keeper.retry_now()

    def _open(
        self,
        wait: float | None,
        signals: SignalRelease | None,
    ) -> None:
        try:
            # Before the server is asked: a signal that comes while it answers gives back what it grants.
            if signals is not None:
                self._keeper.signals = signals
                signals.install()
            self._keeper.open(wait)
        except BaseException:
            self._keeper.leave_signals()
            raise


def forget_seat(core: SeatCore, forget: Callable[[], None]) -> None:
    """Give a seat back that the program has forgotten. It never raises and never waits."""
    if core.over:
        return
    with contextlib.suppress(Exception):
        warnings.warn(
            "A seat was forgotten without being released, so it is given back. "
            "Keep it as long as it is used, in a with block or a variable, and then call release().",
            ResourceWarning,
            stacklevel=2,
        )
    with contextlib.suppress(Exception):
        forget()


def wait_of_release(timeout: object) -> float:
    """How long a release waits: for ever with ``None``, and as usual with what is no number, since it never raises."""
    if timeout is None:
        return math.inf
    number = number_of(timeout)
    return RELEASE_SECONDS if number is None else max(number, 0.0)
