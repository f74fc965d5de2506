"""The two clocks a lease and a grace are counted on, and nothing else reads."""

from __future__ import annotations

import sys
import time


class Clock:
    """The machine's clocks. Tests put a subclass in its place."""

    def monotonic(self) -> float:
        """Seconds that never go back and *go on while the machine sleeps*.

        ``time.monotonic`` stands still in suspend on Linux and macOS: a laptop would wake up believing in a lease that
        ended long ago. On Linux ``CLOCK_BOOTTIME`` (clock_gettime(2)) counts sleep, on macOS ``CLOCK_MONOTONIC``, on
        Windows ``time.monotonic``.
        """
        if sys.platform == "linux":
            return time.clock_gettime(time.CLOCK_BOOTTIME)
        if sys.platform == "darwin":
            return time.clock_gettime(time.CLOCK_MONOTONIC)
        return time.monotonic()

    def wall(self) -> float:
        """Unix seconds, as far as the machine's clock is right."""
        return time.time()
