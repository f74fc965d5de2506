"""Seats of this process, woken when a test moves the clock, and awaited until they have done what was due."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Collection
from queue import SimpleQueue
from typing import Any, Literal

from .. import _process

PATIENCE = 5.0
"""The most real seconds that a seat is waited for. It is longer where a test holds the server's answers back."""


class CountingQueue(SimpleQueue[None]):
    """What a seat's thread waits on. It counts how often the thread came to wait."""

    def __init__(self) -> None:
        super().__init__()
        self.waits = 0

    def get(self, block: bool = True, timeout: float | None = None) -> None:
        """Wait, as a queue does."""
        self.waits += 1
        return super().get(block, timeout)


class CountingEvent(asyncio.Event):
    """The same for a seat's task."""

    def __init__(self) -> None:
        super().__init__()
        self.waits = 0

    async def wait(self) -> Literal[True]:
        """Wait, as an event does."""
        self.waits += 1
        return await super().wait()


def own_seats(addresses: Collection[str]) -> list[Any]:
    """The seats that this process holds of the server at one of these addresses."""
    seats: list[Any] = list(_process._held_seats)
    return [seat for seat in seats if seat._core.context.server in addresses]


def wake_seats(addresses: Collection[str]) -> None:
    """Have the seats of a server look at their clocks now, as after a sleep of the machine.

    Seats of threads have done what was due by then when this returns. Those of asyncio do it when their loop runs,
    and :func:`wake_tasks` waits for them.
    """
    waited_for = []
    for seat in own_seats(addresses):
        if getattr(seat, "_thread", None) is not None:
            waited_for.append((seat, _wake(seat)))
        elif getattr(seat, "_task", None) is not None:
            seat._task.get_loop().call_soon_threadsafe(seat._wake.set)
    over = time.monotonic() + PATIENCE
    for seat, before in waited_for:
        # Its own callback may move the clock; it cannot wait for itself.
        while seat._thread.is_alive() and seat._thread is not threading.current_thread():
            if seat._wake.waits > before or time.monotonic() > over:
                break
            time.sleep(0.0005)


async def wake_tasks(addresses: Collection[str]) -> None:
    """The same for the seats of asyncio, awaited in their loop."""
    waited_for = []
    for seat in own_seats(addresses):
        if getattr(seat, "_task", None) is not None:
            event = seat._wake
            if not isinstance(event, CountingEvent):
                seat._wake = CountingEvent()
            waited_for.append((seat, getattr(event, "waits", 0)))
            event.set()
    over = time.monotonic() + PATIENCE
    for seat, before in waited_for:
        while seat._task is not None and not seat._task.done():
            if seat._wake.waits > before or time.monotonic() > over:
                break
            await asyncio.sleep(0)


def _wake(seat: Any) -> int:  # noqa: ANN401 - a seat, whose insides are nobody else's business
    queue = seat._wake
    if isinstance(queue, CountingQueue):
        before = queue.waits
    else:
        before, seat._wake = 0, CountingQueue()
    queue.put(None)
    return before
