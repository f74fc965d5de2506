"""Seats of this process, woken when a test moves the clock, and awaited until they have done what was due."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Collection
from typing import Any

from .. import _process
from .._seat_core import SeatCore

PATIENCE = 5.0
"""The most real seconds that a seat is waited for. It is longer where a test holds the server's answers back."""


class PauseCounter:
    """Counts how often a seat came to pause: then it has done what was due, and has looked at the clock."""

    def __init__(self, core: SeatCore) -> None:
        self._next_change = core.next_change
        self.pauses = 0

    def __call__(self) -> float:
        """What the core says, which a seat asks right before each pause."""
        self.pauses += 1
        return self._next_change()


def own_seats(addresses: Collection[str]) -> list[Any]:
    """What keeps the seats that this process holds of the server at one of these addresses."""
    keepers: list[Any] = list(_process._held_seats)
    return [keeper for keeper in keepers if (core := core_of(keeper)) is not None and core.context.server in addresses]


def core_of(keeper: Any) -> Any:  # noqa: ANN401 - as above
    """The state of a seat; ``None`` for what is no seat."""
    return getattr(keeper, "core", None)


def wake_seats(addresses: Collection[str]) -> None:
    """Have the seats of a server look at their clocks now, as after a sleep of the machine.

    Seats of threads have done what was due by then when this returns. Those of asyncio do it when their loop runs,
    and :func:`wake_tasks` waits for them.
    """
    over = time.monotonic() + PATIENCE
    for keeper, counter, before in [_woken(keeper) for keeper in own_seats(addresses)]:
        thread = getattr(keeper, "_thread", None)
        # Its own callback may move the clock; it cannot wait for itself.
        while thread is not None and thread.is_alive() and thread is not threading.current_thread():
            if _has_paused(keeper, counter, before) or time.monotonic() > over:
                break
            time.sleep(0.0005)


async def wake_tasks(addresses: Collection[str]) -> None:
    """The same for the seats of asyncio in the loop that runs, awaited in it."""
    over, loop = time.monotonic() + PATIENCE, asyncio.get_running_loop()
    for keeper, counter, before in [_woken(keeper) for keeper in own_seats(addresses)]:
        task = getattr(keeper, "_task", None)
        while task is not None and task.get_loop() is loop and not task.done():
            if _has_paused(keeper, counter, before) or time.monotonic() > over:
                break
            await asyncio.sleep(0)


def _woken(keeper: Any) -> tuple[Any, PauseCounter, int]:  # noqa: ANN401 - as above
    core = core_of(keeper)
    if not isinstance(core.next_change, PauseCounter):
        core.next_change = PauseCounter(core)
    counter: PauseCounter = core.next_change
    before = counter.pauses
    task = getattr(keeper, "_task", None)
    if task is not None:
        with contextlib.suppress(RuntimeError):  # its loop is closed
            task.get_loop().call_soon_threadsafe(keeper._wake)
    elif hasattr(keeper._wake, "wake"):
        keeper._wake.wake()
    return keeper, counter, before


def _has_paused(keeper: Any, counter: PauseCounter, before: int) -> bool:  # noqa: ANN401 - as above
    """Whether there is nothing to wait for any more. Who still waits for its first lease is not waited for."""
    core = core_of(keeper)
    return counter.pauses > before or core.over or core.claims is None
