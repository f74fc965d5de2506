"""What may take long, awaited by an event loop while a thread of its own does it."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Callable
from typing import TypeVar

from ._aside import Aside, Job
from ._errors import ConfigurationError

T = TypeVar("T")


def running_loop() -> asyncio.AbstractEventLoop:
    """The event loop that runs this. Raises :class:`ConfigurationError` where it is not one of asyncio, as in trio."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError as error:
        raise ConfigurationError(
            "AsyncLicenseClient works in an event loop of asyncio, and none runs here. In a program of trio, call a "
            "LicenseClient with trio.to_thread.run_sync()."
        ) from error


async def run_aside(aside: Aside, work: Callable[[], T], seconds: float) -> T | None:
    """What ``work`` returns, or ``None`` if it takes longer than so many seconds; it then goes on."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()

    def note() -> None:
        if not done.done():
            done.set_result(None)

    job = Job(work)
    job.then = lambda: _in_loop(loop, note)
    aside.begin(job)
    patience = aside.patience(seconds)
    if patience > 0 and not await wait_for_future(done, patience):
        aside.note_slow(job)
    return job.value


async def wait_for_future(future: asyncio.Future[T], seconds: float) -> bool:
    """Whether the future is done after at most so many seconds. It is not cancelled, and a cancellation is not lost.

    ``asyncio.wait_for`` may swallow a cancellation before Python 3.12.
    """
    done, _ = await asyncio.wait({future}, timeout=None if math.isinf(seconds) else max(seconds, 0.0))
    return bool(done)


def _in_loop(loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
    with contextlib.suppress(RuntimeError):  # the loop is closed, so nobody waits any more
        loop.call_soon_threadsafe(call)
