"""Clocks that a test moves by hand."""

from __future__ import annotations

from collections.abc import Callable

from .._clock import Clock

# As they are outside of every block of a server, which puts its own clock in their place.
_MACHINE, _MONOTONIC, _WALL = Clock(), Clock.monotonic, Clock.wall


class ManualClock(Clock):
    """Two clocks that go on as the machine's do, and jump when a test says so.

    With ``frozen=True`` they stand still between the jumps, and the wall clock begins at ``wall``.
    """

    def __init__(self, *, frozen: bool = False, wall: float | None = None) -> None:
        self._frozen = _machine_time() if frozen else None
        self._monotonic_ahead = 0.0
        self._wall_ahead = 0.0 if wall is None else wall - self._read()[1]
        self._wrong_by = 0.0
        self._watchers: list[Callable[[], None]] = []

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return self._read()[0] + self._monotonic_ahead

    def wall(self) -> float:
        """Unix seconds, as the client's machine shows them."""
        return self.true_wall() + self._wrong_by

    def true_wall(self) -> float:
        """Unix seconds without the error of :meth:`set_wrong`: what the server's clock shows."""
        return self._read()[1] + self._wall_ahead

    def advance(self, seconds: float) -> None:
        """Let time pass, for the server and for the client, as in a machine that slept.

        Seats of this process notice at once: when this returns, a heartbeat that is due by now was sent from the
        seat's own thread. In asyncio, await :meth:`InMemoryServer.advance_async` instead.
        Raises :class:`ValueError` for a negative time, since monotonic clocks never go back.
        """
        # Once before, so that whoever is about to look at the clock has looked when it jumps.
        self._tell()
        self.jump(seconds)
        self._tell()

    def jump(self, seconds: float) -> None:
        """Let time pass and tell nobody."""
        if seconds < 0:
            raise ValueError("Time does not go back. Use set_wrong(seconds=-…) for a clock that is behind.")
        self._monotonic_ahead += seconds
        self._wall_ahead += seconds

    def set_wrong(self, *, seconds: float) -> None:
        """Put the client's wall clock wrong by so many seconds, ahead or (negative) behind. 0 puts it right."""
        self._wrong_by = seconds

    def on_advance(self, watcher: Callable[[], None]) -> None:
        """Have ``watcher`` called before and after each jump."""
        self._watchers.append(watcher)

    def _tell(self) -> None:
        for watcher in self._watchers:
            watcher()

    def _read(self) -> tuple[float, float]:
        return self._frozen or _machine_time()


def _machine_time() -> tuple[float, float]:
    return _MONOTONIC(_MACHINE), _WALL(_MACHINE)
