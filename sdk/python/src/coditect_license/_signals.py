"""Signals on which seats are given back, also those that do not interrupt what the main thread waits for.

Python runs handlers in its main thread, between two instructions. A signal that comes just before a system call of that
thread begins, or that another thread receives, does not interrupt the call: its handler runs when the call is over,
which may be never. A worker of a pool of multiprocessing is such a case. Its parent sends it SIGTERM while the worker
waits for a lock that the parent has, and waits for its end: without a handler the system ends it, with one both would
wait for ever. So a thread looks after the handlers of this package: each signal is also written into a pipe at once
(``signal.set_wakeup_fd``), the handler empties the pipe, and where none has after a while the signal is sent to the
main thread again, which interrupts its call.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any

from ._aside import NOTICE_SECONDS, start_thread
from ._errors import ConfigurationError
from ._process import register_for_forks, release_all

Handler = Callable[[int, FrameType | None], Any] | int | None
MOST_SIGNALS = 4096
"""How many bytes are read from the pipe at once: one for each signal."""


def _may_set_handlers() -> bool:
    return threading.current_thread() is threading.main_thread()


def _checked_signals(wanted: Iterable[int]) -> list[int]:
    """Signals that a program can handle. Raises :class:`ConfigurationError`."""
    try:
        numbers = [signal.Signals(number) for number in wanted]
    except (TypeError, ValueError) as error:
        raise ConfigurationError(
            f"release_on_signals must be True, False or a list of signals, such as [signal.SIGTERM]: {error}."
        ) from error
    for number in numbers:
        if number.name in ("SIGKILL", "SIGSTOP"):
            raise ConfigurationError(f"release_on_signals names {number.name}, which no program can handle.")
    return list(numbers)


class SignalRelease:
    """Gives seats back on signals, then hands each on to the program's former handler or the system's default."""

    def __init__(self, wanted: Iterable[int] | None) -> None:
        """``wanted`` are signals.

        ``None`` means those that ask a program to stop: SIGTERM, SIGHUP, and SIGBREAK on Windows.
        """
        usual = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name)]
        self._wanted = _checked_signals(wanted) if wanted is not None else usual
        if not _may_set_handlers():
            warnings.warn(
                "release_on_signals has no effect here: Python lets only the main thread of a program handle signals. "
                "Take the seat there, or call seat.release() from a handler of your own.",
                RuntimeWarning,
                stacklevel=4,
            )
        self._former: dict[int, Handler] = {}
        self._pid = os.getpid()

    def install(self) -> None:
        """Put this handler in front. Python lets only the main thread do this; in another thread nothing happens."""
        if not _may_set_handlers():
            return
        installed = False
        for number in self._wanted:
            before = signal.getsignal(number)
            # A signal that the program ignores does not stop it. None is a handler of C code, to which nothing could be
            # handed on.
            if before is signal.SIG_IGN or before is None or before == self._handle:
                continue
            with contextlib.suppress(ValueError, OSError):  # another interpreter than the main one
                self._former[number] = before
                signal.signal(number, self._handle)
                installed = True
        if installed:
            _notice.begin(self)

    def uninstall(self) -> None:
        """Put the former handlers back where this one is still in place. A handler that was set since then stays."""
        if not _may_set_handlers():
            return
        for number, before in self._former.items():
            with contextlib.suppress(ValueError, OSError):
                if signal.getsignal(number) == self._handle:
                    signal.signal(number, before)
        # The former handlers stay known, since a handler that was set since then may still hand on to this one.
        _notice.end(self)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        _notice.empty()
        before = self._former.get(number, signal.SIG_DFL)
        if os.getpid() == self._pid:
            release_all()
        if callable(before):
            before(number, frame)
        elif before is not signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)


def _is_ours(number: int) -> bool:
    """Whether a handler of this package, and none that the program put in its place, gets this signal now."""
    try:
        return getattr(signal.getsignal(number), "__func__", None) is SignalRelease._handle
    except ValueError:  # no such signal
        return False


class _Notice:
    """Sees to it that the main thread runs the handlers of this package soon, as long as some are in place.

    It needs the one place in which Python notes a file for signals. Where the program, or its event loop, has one of
    its own there, signals interrupt that loop already.
    """

    def __init__(self) -> None:
        self._users: set[SignalRelease] = set()
        self._pipe: tuple[int, int] | None = None

    def begin(self, user: SignalRelease) -> None:
        """A handler was put in place."""
        self._users.add(user)
        # Trio warns of whoever has something in that place.
        if sys.platform == "win32" or "trio" in sys.modules:
            return
        with contextlib.suppress(ValueError, OSError, RuntimeError):  # no file or no thread can be had
            self._pipe = self._pipe or self._open()
            # A full pipe tells as much as one byte does.
            hosts = signal.set_wakeup_fd(self._pipe[1], warn_on_full_buffer=False)
            if hosts not in (-1, self._pipe[1]):
                signal.set_wakeup_fd(hosts, warn_on_full_buffer=False)

    def end(self, user: SignalRelease) -> None:
        """Its handler was taken away. After the last one the pipe goes, and its thread ends by that."""
        self._users.discard(user)
        if not self._users:
            self._leave()

    def empty(self) -> None:
        """The main thread runs a handler."""
        if self._pipe is not None:
            with contextlib.suppress(OSError):
                os.read(self._pipe[0], MOST_SIGNALS)

    def _open(self) -> tuple[int, int]:
        register_for_forks(self)
        reading, written = os.pipe()
        try:
            os.set_blocking(reading, False)
            os.set_blocking(written, False)
            start_thread(lambda: self._watch(reading), "coditect-license-signals")
        except BaseException:
            os.close(reading)
            os.close(written)
            raise
        return reading, written

    def _leave(self) -> None:
        """Take the pipe out of Python's place, unless the program has put another file there, and close its end."""
        if self._pipe is not None:
            (_, written), self._pipe = self._pipe, None
            with contextlib.suppress(ValueError, OSError):
                there = signal.set_wakeup_fd(-1)
                if there not in (-1, written):
                    signal.set_wakeup_fd(there, warn_on_full_buffer=False)
            os.close(written)

    def _after_fork(self) -> None:
        """What the child's signals write must not reach its parent's thread."""
        if self._pipe is not None:
            reading = self._pipe[0]
            self._leave()
            os.close(reading)

    def _watch(self, reading: int) -> None:
        """In a thread of its own, until the pipe is closed at its other end."""
        main, numbers = threading.main_thread().ident, b"."
        filled = select.poll()  # a program may have more files than select knows
        filled.register(reading, select.POLLIN)
        while numbers and main is not None:
            filled.poll()
            # The handler runs at once, unless the main thread is in a system call that was not interrupted.
            time.sleep(NOTICE_SECONDS)
            try:
                numbers = os.read(reading, MOST_SIGNALS)
            except BlockingIOError:  # it ran
                continue
            for number in set(numbers):
                if _is_ours(number):
                    with contextlib.suppress(OSError):  # the main thread has ended
                        signal.pthread_kill(main, number)
        os.close(reading)


_notice = _Notice()
