"""How long something took, less the time for which the whole process was not run.

A machine with much to do lets a process stand still for seconds. Then a bare thread stands still too, which does
nothing but wake up every 10 ms. What it misses is not the program's fault, unless the process has computed meanwhile:
a call that keeps Python's lock stops the bare thread as well.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import TypeVar

T = TypeVar("T")

BEAT_SECONDS = 0.01


class Pulse:
    """The bare thread. What it missed is known once it has ended."""

    def __init__(self) -> None:
        self._missed: list[tuple[float, float]] = []
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="pulse", daemon=True)

    def __enter__(self) -> Pulse:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over.set()
        self._thread.join()

    def _beat(self) -> None:
        while not self._is_over.is_set():
            due, used = time.monotonic() + BEAT_SECONDS, time.process_time()
            time.sleep(BEAT_SECONDS)
            self._missed.append((due + time.process_time() - used, time.monotonic()))

    def missed(self, began: float, ended: float) -> float:
        """For how many seconds of this span the process was not run."""
        return sum(max(min(to, ended) - max(since, began), 0.0) for since, to in self._missed)


def within(seconds: float, call: Callable[[], T]) -> T:
    """What a call returns or raises. It fails if that took longer, by the time in which this process was run."""
    pulse = Pulse()
    try:
        with pulse:
            began = time.monotonic()
            try:
                return call()
            finally:
                ended = time.monotonic()
    finally:
        took = ended - began - pulse.missed(began, ended)
        assert took < seconds, f"it took {took:.2f} s of the time in which it was run"
