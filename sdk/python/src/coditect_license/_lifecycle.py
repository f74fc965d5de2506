"""What happens to seats when a process ends, forks or is told to stop.

Nothing here is set up before the first seat: importing and making clients leaves the process as it was.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import threading
import time
import weakref
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any, Protocol

EXIT_SECONDS = 3.0
"""How long an ending process waits for its seats to be given back, all together; what is not by then runs out with its lease."""


class Live(Protocol):
    """Something that holds what must be given back."""

    def _begin_release(self) -> None: ...
    def _end_release(self, timeout: float) -> bool: ...
    def _after_fork(self) -> None: ...


_live: weakref.WeakSet[Any] = weakref.WeakSet()
_forkable: weakref.WeakSet[Any] = weakref.WeakSet()
_set_up = False


def adopt(seat: Live) -> None:
    """Give this seat back when the process ends."""
    _live.add(seat)
    _forget_in_children(seat)
    _once()


def dismiss(seat: Live) -> None:
    """It was given back."""
    _live.discard(seat)


def _forget_in_children(thing: Any) -> None:  # noqa: ANN401 - whatever has an _after_fork
    _forkable.add(thing)


def watch_forks(thing: Any) -> None:  # noqa: ANN401 - whatever has an _after_fork
    """Call its ``_after_fork`` in every child."""
    _forget_in_children(thing)
    _once()


def release_all(timeout: float = EXIT_SECONDS) -> None:
    """Give every seat of this process back, all at once, and wait no longer than ``timeout`` seconds for all together."""
    seats = list(_live)
    for seat in seats:
        seat._begin_release()
    over = time.monotonic() + timeout
    for seat in seats:
        seat._end_release(max(over - time.monotonic(), 0.0))


def _once() -> None:
    global _set_up  # noqa: PLW0603 - one process, one set of hooks
    if _set_up:
        return
    _set_up = True
    atexit.register(release_all)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_in_child)


def _in_child() -> None:
    for thing in list(_forkable):
        with contextlib.suppress(Exception):
            thing._after_fork()
    _live.clear()


class SignalRelease:
    """Gives seats back on signals, then hands each on to whoever had it before: the host's handler, or the system's default."""

    def __init__(self, wanted: Iterable[int] | None) -> None:
        """``wanted`` are signals; ``None`` means those that ask a program to stop: SIGTERM, SIGHUP, and SIGBREAK on Windows."""
        usual = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name)]
        self._wanted = list(wanted) if wanted is not None else usual
        self._before: dict[int, Callable[[int, FrameType | None], Any] | int | None] = {}
        self._pid = os.getpid()

    def install(self) -> None:
        """Put our handler in front. Python lets only the main thread do this; elsewhere nothing happens."""
        if threading.current_thread() is not threading.main_thread():
            return
        for number in self._wanted:
            before = signal.getsignal(number)
            # A signal the host ignores does not stop it; None is a handler that C code put there, which we could not hand on to.
            if before is signal.SIG_IGN or before is None or before == self._handle:
                continue
            self._before[number] = before
            signal.signal(number, self._handle)

    def uninstall(self) -> None:
        """Put back what was there, where ours is still in place; a handler set since then stays."""
        if threading.current_thread() is not threading.main_thread():
            return
        for number, before in self._before.items():
            with contextlib.suppress(ValueError, OSError):
                if signal.getsignal(number) == self._handle:
                    signal.signal(number, before)
        # What was before stays known: a handler set since then may still hand on to ours.

    def _handle(self, number: int, frame: FrameType | None) -> None:
        before = self._before.get(number, signal.SIG_DFL)
        if os.getpid() == self._pid:
            release_all()
        if callable(before):
            before(number, frame)
        elif before is not signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
