"""``run``: hold a seat around any command. The command gets the signals, and its exit code is returned."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from types import FrameType

from .._errors import NoSeats
from .._seat_state import SeatEvent, SeatState
from . import profile
from .output import holders_lines, span

PASSED_ON = ("SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGQUIT", "SIGINT", "SIGWINCH", "SIGCONT")
FROM_THE_TERMINAL = ("SIGINT", "SIGQUIT", "SIGWINCH")
"""Signals that the terminal sends to every process in its foreground. Passing them on would deliver them twice."""


class ChildCommand:
    """The command as a child process, and the handling of signals before and while it runs."""

    def __init__(self, words: list[str]) -> None:
        self.words = words
        self.process: subprocess.Popen[bytes] | None = None
        self._starting = False
        self._early: list[int] = []
        for name in PASSED_ON:
            if hasattr(signal, name) and signal.getsignal(getattr(signal, name)) != signal.SIG_IGN:
                signal.signal(getattr(signal, name), self._on_signal)

    def run(self) -> int:
        """Run the command to its end. Returns its exit code as a shell reports it."""
        self._starting = True
        try:
            self.process = subprocess.Popen(self.words)  # noqa: S603 - the person's own command, without a shell
        except FileNotFoundError:
            print(f"coditect-license: {self.words[0]} was not found", file=sys.stderr)
            return 127
        except OSError as error:
            print(f"coditect-license: {self.words[0]} cannot be started: {error.strerror}", file=sys.stderr)
            return 126
        for number in self._early:
            self._on_signal(number, None)
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
            sys.exit(128 + number)  # still waiting for a seat; one that was granted meanwhile is given back at exit


def run(options: argparse.Namespace) -> int:
    """Take a seat, run the command, give the seat back."""
    words = options.words[1:] if options.words[:1] == ["--"] else options.words
    if not words:
        print("coditect-license: run what? coditect-license run -- COMMAND…", file=sys.stderr)
        return 2

    def say(text: str) -> None:
        if not options.quiet:
            print(f"coditect-license: {text}", file=sys.stderr, flush=True)

    def on_wait(refusal: NoSeats, pause: float) -> None:
        say(f"no seat is free ({refusal.seats_used} of {refusal.seats_total} in use); looking again in {span(pause)}")
        for line in holders_lines(refusal.holders):
            say(line.strip())

    def on_event(event: SeatEvent) -> None:
        if event.kind == "grace_ending":
            say(f"{span(event.grace_left or 0)} are left before the license server must be reached")
        elif event.state is not SeatState.GONE or (
            event.problem is not None and getattr(event.problem, "reason", "") != "released"
        ):
            say(f"the seat is {event.state.value}{f': {event.problem}' if event.problem else ''}")

    command = ChildCommand(words)
    with profile.open_client(options) as client, client.seat(wait=options.wait, on_wait=on_wait, on_event=on_event):
        return command.run()


def _in_foreground() -> bool:
    try:
        return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except (OSError, ValueError, AttributeError):
        return False
