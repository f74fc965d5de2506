"""Cancelling a coroutine at the n-th place at which anything of its event loop waits.

Nothing here goes by time: every coroutine that becomes a task is stepped by :class:`Counted`, which counts each
suspension and calls ``at_nth`` at the one that was asked for, while that coroutine is suspended there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from typing import Any


class Counter:
    """Counts the suspensions of all tasks of one loop."""

    def __init__(self, nth: int, at_nth: Callable[[], None]) -> None:
        self.nth, self.at_nth, self.count = nth, at_nth, 0
        self.on = False

    def suspended(self) -> None:
        if self.on:
            self.count += 1
            if self.count == self.nth:
                self.at_nth()


class Counted(Coroutine[Any, Any, Any]):
    """A coroutine whose suspensions are counted."""

    def __init__(self, inner: Coroutine[Any, Any, Any], counter: Counter) -> None:
        self._inner, self._counter = inner, counter
        self.__name__ = getattr(inner, "__name__", "counted")
        self.__qualname__ = getattr(inner, "__qualname__", "counted")

    def send(self, value: Any) -> Any:
        waited_for = self._inner.send(value)
        self._counter.suspended()
        return waited_for

    def throw(self, *error: Any) -> Any:
        waited_for = self._inner.throw(*error)
        self._counter.suspended()
        return waited_for

    def close(self) -> None:
        self._inner.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        return (yield from self._inner.__await__())

    # asyncio asks whether it is a coroutine of Python's own.
    @property
    def cr_frame(self) -> Any:
        return getattr(self._inner, "cr_frame", None)

    @property
    def cr_running(self) -> bool:
        return getattr(self._inner, "cr_running", False)

    @property
    def cr_code(self) -> Any:
        return getattr(self._inner, "cr_code", None)

    @property
    def cr_await(self) -> Any:
        return getattr(self._inner, "cr_await", None)


def count_in(loop: asyncio.AbstractEventLoop, counter: Counter) -> None:
    """Have every task that this loop makes from now on counted."""

    def make(loop: asyncio.AbstractEventLoop, coro: Any, **more: Any) -> asyncio.Task[Any]:
        return asyncio.Task(Counted(coro, counter), loop=loop, **more)

    loop.set_task_factory(make)
