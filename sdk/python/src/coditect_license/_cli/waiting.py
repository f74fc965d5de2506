"""What ``run`` says on standard error while it waits for a seat and while it holds one."""

from __future__ import annotations

import contextlib
import math
import sys
import threading
import time

from .._errors import NoSeats, TooManyProcesses
from .._seat_state import SeatEvent, SeatState
from .output import holders_lines, is_terminal, span
from .words import in_words

REDRAW_SECONDS = 1.0


class RunVoice:
    """It says each thing once, and nothing at all where it is quiet. It never raises: a command must not die of it."""

    def __init__(self, *, quiet: bool, wait: float | None) -> None:
        self._quiet, self._wait = quiet, wait
        self._told: object = None
        self._problem: str | None = None
        self._lock = threading.Lock()
        self._line: _ProgressLine | None = None
        self._waited = False

    def on_wait(self, refusal: NoSeats | TooManyProcesses, pause: float) -> None:
        """There is no place yet: one line that is kept up to date on a terminal, else a line when something changed."""
        if self._quiet:
            return
        if is_terminal(sys.stderr):
            with self._lock:
                if self._waited:
                    return  # told late, by the thread of the callbacks
                if self._line is None:
                    self._line = _ProgressLine(self._wait)
                self._line.show(refusal, pause)
            return
        holders = refusal.holders if isinstance(refusal, NoSeats) else ()
        told = (_why(refusal), *(holder.label for holder in holders))
        if told == self._told:
            return
        self._told = told
        what = "no seat is free" if isinstance(refusal, NoSeats) else "this machine's seat is full"
        self._say(f"{what} ({_why(refusal)}); looking again in {span(pause)}")
        for line in holders_lines(holders):
            self._say(line.strip())

    def on_event(self, event: SeatEvent) -> None:
        """A change of the seat."""
        self.stop_waiting()
        problem = None if event.problem is None else in_words(event.problem)
        if event.kind == "grace_ending":
            self._say(f"{span(event.grace_left or 0)} are left before the license server must be reached")
            return
        is_news = problem is not None and problem != self._problem
        self._problem = problem
        if event.state is SeatState.GONE and (problem is None or getattr(event.problem, "reason", "") == "released"):
            return
        if event.kind == "state":
            self._say(f"the seat is {event.state.value}{f': {problem}' if is_news else ''}")
        elif is_news:
            self._say(str(problem))

    def stop_waiting(self) -> None:
        """Remove the line about waiting."""
        with self._lock:
            line, self._line, self._waited = self._line, None, True
        if line is not None:
            line.close()

    def _say(self, text: str) -> None:
        if not self._quiet:
            with contextlib.suppress(OSError, ValueError):  # nobody can be told
                print(f"coditect-license: {text}", file=sys.stderr, flush=True)


class _ProgressLine:
    """One line of a terminal that counts the seconds."""

    def __init__(self, wait: float | None) -> None:
        self._began = time.monotonic()
        self._until = math.inf if wait is None else self._began + wait
        self._refusal: NoSeats | TooManyProcesses | None = None
        self._look_at = self._began
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._redraw, name="coditect-license-progress", daemon=True)
        self._thread.start()

    def show(self, refusal: NoSeats | TooManyProcesses, pause: float) -> None:
        self._refusal, self._look_at = refusal, time.monotonic() + pause
        self._draw()

    def close(self) -> None:
        self._over.set()
        self._thread.join(2)
        self._write("\r\x1b[K")

    def _redraw(self) -> None:
        while not self._over.wait(REDRAW_SECONDS):
            self._draw()

    def _draw(self) -> None:
        refusal, now = self._refusal, time.monotonic()
        if refusal is None or self._over.is_set():
            return
        text = (
            f"waiting {span(now - self._began)} for a seat ({_why(refusal)}), "
            f"looking again in {span(self._look_at - now)}"
        )
        if not math.isinf(self._until):
            text += f", giving up in {span(self._until - now)}"
        self._write(f"\r\x1b[K{_fitting(text)}")

    @staticmethod
    def _write(text: str) -> None:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(text)
            sys.stderr.flush()


def _why(refusal: NoSeats | TooManyProcesses) -> str:
    if isinstance(refusal, NoSeats):
        return f"{refusal.seats_used} of {refusal.seats_total} in use"
    return f"{refusal.processes} of its processes have it"


def _fitting(text: str) -> str:
    """As much of a line as the terminal has room for: a line that wraps cannot be drawn again."""
    import os

    try:
        columns = os.get_terminal_size(sys.stderr.fileno()).columns
    except (OSError, ValueError):
        columns = 80
    return text if len(text) < columns or not columns else text[: max(columns - 4, 1)] + "..."
