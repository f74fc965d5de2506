"""``run``: hold a seat around any command. The command gets the signals, and its exit code is returned."""

from __future__ import annotations

import argparse
import contextlib
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from types import FrameType
from typing import TYPE_CHECKING

from .._aside import start_thread
from . import profile
from .waiting import RunVoice

if TYPE_CHECKING:
    from .._seat import Seat

KEY_VARIABLE = "CODITECT_LICENSE_KEY_OF_RUN"
"""How the key reaches this program when it starts again. It is removed at once, so no command inherits it."""

PASSED_ON = ("SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGQUIT", "SIGINT", "SIGWINCH", "SIGCONT")
FROM_THE_TERMINAL = ("SIGINT", "SIGQUIT", "SIGWINCH")
"""Signals that the terminal sends to every process in its foreground. Passing them on would deliver them twice."""
LOOK_SECONDS = 0.25
"""How often it is looked whether a signal ended the wait for a seat."""


class ChildCommand:
    """The command as a child process, and the handling of signals before and while it runs."""

    def __init__(self, words: list[str]) -> None:
        self.words = words
        self.process: subprocess.Popen[bytes] | None = None
        self._ended_by: int | None = None
        self._may_raise = True
        self._starting = False
        self._early: list[int] = []
        for name in PASSED_ON:
            if hasattr(signal, name) and signal.getsignal(getattr(signal, name)) != signal.SIG_IGN:
                signal.signal(getattr(signal, name), self._on_signal)

    def await_seat(self, take: Callable[[], Seat]) -> Seat:
        """What ``take`` returns or raises; :class:`SystemExit` after a signal.

        ``take`` is called by another thread, and this one looks for signals. Their handler only notes them from now on:
        Python drops what a handler raises inside a finalizer, and the wait for a seat would go on.
        """
        from concurrent.futures import Future, wait

        self._may_raise = False
        taken: Future[Seat] = Future()

        def work() -> None:
            try:
                taken.set_result(take())
            except BaseException as error:  # noqa: BLE001 - raised again by the other thread
                taken.set_exception(error)

        self._look_for_a_signal()
        try:
            start_thread(work, "coditect-license-run")
        except RuntimeError:  # no thread can be had; the seat, which needs one too, says so
            work()
        while not wait([taken], LOOK_SECONDS).done:
            self._look_for_a_signal()
        return taken.result()

    def _look_for_a_signal(self) -> None:
        if self._ended_by is not None:
            sys.exit(128 + self._ended_by)  # a seat that was granted meanwhile is given back at exit

    def run(self) -> int:
        """Run the command to its end. Returns its exit code as a shell reports it."""
        self._starting = True
        self._look_for_a_signal()
        with _signals_noticed() as until_a_signal:
            try:
                environment = commands_environment()
                self.process = subprocess.Popen(self.words, env=environment)  # noqa: S603 - the person's own, no shell
            except FileNotFoundError:
                _complain(f"{self.words[0]} was not found")
                return 127
            except (OSError, ValueError) as error:
                reason = getattr(error, "strerror", None) or error
                _complain(f"{self.words[0]} cannot be started: {reason}")
                return 126
            for number in self._early:
                self._on_signal(number, None)
            while until_a_signal is not None and self.process.poll() is None:
                until_a_signal()
            status = self.process.wait()
        return status if status >= 0 else 128 - status

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        name = signal.Signals(number).name
        if self.process is not None:
            if self.process.poll() is None and not (name in FROM_THE_TERMINAL and _in_foreground()):
                self.process.send_signal(number)
        elif self._starting:
            self._early.append(number)
        elif name not in ("SIGWINCH", "SIGCONT"):
            self._ended_by = self._ended_by or number
            if self._may_raise:
                sys.exit(128 + number)


@contextlib.contextmanager
def _signals_noticed() -> Iterator[Callable[[], None] | None]:
    """Within it, no signal and no end of the command goes unnoticed. Gives a function that waits for the next one.

    Python runs handlers in its main thread, between two instructions. A signal that arrives after it looked for one and
    before a system call begins, or that another thread receives, does not interrupt that call: ``Popen.wait`` would go
    on until the command ends, and the command would never get the signal. So the main thread waits for a pipe instead,
    into which each signal is written at once (``signal.set_wakeup_fd``), SIGCHLD among them. ``None`` on Windows, which
    passes no signals on.
    """
    if sys.platform == "win32":
        yield None
        return
    noticed, written = os.pipe()
    os.set_blocking(noticed, False)
    os.set_blocking(written, False)

    def until_a_signal() -> None:
        select.select([noticed], [], [])
        with contextlib.suppress(BlockingIOError):
            os.read(noticed, 4096)

    fd_before = signal.set_wakeup_fd(written, warn_on_full_buffer=False)  # a full pipe wakes as well as one byte does
    handler_before = signal.signal(signal.SIGCHLD, lambda *_: None)
    try:
        yield until_a_signal
    finally:
        signal.signal(signal.SIGCHLD, handler_before)
        signal.set_wakeup_fd(fd_before)
        os.close(noticed)
        os.close(written)


def run(options: argparse.Namespace) -> int:
    """Take a seat, run the command, give the seat back."""
    words = options.words[1:] if options.words[:1] == ["--"] else options.words
    if not words:
        _complain("run what? coditect-license run -- COMMAND…")
        return 2

    voice = RunVoice(quiet=options.quiet, wait=options.wait)
    command = ChildCommand(words)
    with profile.open_client(options) as client:
        try:
            seat = command.await_seat(
                lambda: client.seat(wait=options.wait, on_wait=voice.on_wait, on_event=voice.on_event)
            )
        finally:
            voice.stop_waiting()
        with seat:
            return command.run()


def commands_environment() -> dict[str, str] | None:
    """The environment that this program was started in, for the command; ``None`` means the present one.

    PyInstaller has a packed program find the libraries that were packed with it, and keeps what the variable was before
    under another name. Programs of the system must not find these libraries, since they were made for others.
    """
    if not hasattr(sys, "_MEIPASS"):
        return None
    environment = dict(os.environ)
    for name in ("LD_LIBRARY_PATH", "LIBPATH"):
        before = environment.pop(f"{name}_ORIG", None)
        if before is None:
            environment.pop(name, None)
        else:
            environment[name] = before
    return environment


def hide_key(options: argparse.Namespace) -> None:
    """Start this program again with the key in its environment where it was given as an argument.

    Everybody on a machine sees the arguments of its programs, and this one runs as long as its command does. Only the
    same user and root see an environment, and the command gets an environment without the key.
    """
    given = sys.orig_argv
    if sys.platform == "win32" or options.key is None or KEY_VARIABLE in os.environ or not sys.executable:
        return
    own = len(given) - len(options.words)
    kept, skip = [], False
    for at, word in enumerate(given):
        if skip or (at < own and word.startswith("--key=")):
            skip = False
            continue
        if at < own and word == "--key":
            skip = True
            continue
        kept.append(word)
    if len(kept) == len(given):
        return  # it did not come from this command line
    with contextlib.suppress(OSError):
        os.execve(sys.executable, kept, {**os.environ, KEY_VARIABLE: options.key})  # noqa: S606 - this very program


def _complain(text: str) -> None:
    with contextlib.suppress(OSError, ValueError):
        print(f"coditect-license: {text}", file=sys.stderr)


def _in_foreground() -> bool:
    """Whether the terminal sends its signals to this process and to the command, wherever their input comes from."""
    try:
        terminal = os.open(os.ctermid(), os.O_RDONLY | os.O_NOCTTY)
    except (OSError, AttributeError):
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)
