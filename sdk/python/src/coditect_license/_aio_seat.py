"""The task that keeps a seat in an event loop. It carries out the same flows as the thread of a program with threads.

It holds no reference to the :class:`AsyncSeat` that the program has, so that a seat nobody refers to can be given back.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import time
import weakref
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from typing import Any, TypeVar

from . import _flows as flows, _log as log, _process as process, _seat_flows as seat_flows
from ._aio_aside import run_aside, running_loop, wait_for_future
from ._aside import Aside
from ._context import Context
from ._errors import LicenseError, NoSeats, ServerUnreachable, TooManyProcesses
from ._exchange import DoAside, EffectResult, Flow, SendRequest
from ._faults import late_fault
from ._http import AsyncHttp
from ._seat_core import SeatCore
from ._seat_state import SeatEvent
from ._seat_thread import do_aside
from ._seat_view import Callbacks

T = TypeVar("T")

INTERRUPTIONS = 3
"""How often what gives a seat back may be cancelled and still goes on. Afterwards the end of the process does it."""


LATER_SECONDS = 0.05
"""How long after an error it is asked what became of the request."""
ENDING_SECONDS = 0.5
"""How long the end of a loop may be held up by such a question."""


async def drive(
    flow: Flow[T],
    http: AsyncHttp,
    wait: Callable[[float], Awaitable[None]],
    note_sent: Callable[[str], object] = lambda _: None,
) -> T:
    """Carry a flow out with awaitable calls; the counterpart of :func:`coditect_license._flows.drive`.

    ``note_sent`` is told the id of each request.
    """
    result: EffectResult = None
    while True:
        try:
            effect = flow.send(result)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        result = None
        if isinstance(effect, SendRequest):
            note_sent(effect.request.request_id)
            result = await _send(http, effect)
        elif isinstance(effect, DoAside):
            await run_aside(effect.aside, effect.work, effect.seconds)
        else:
            await wait(effect.seconds)


async def _send(http: AsyncHttp, effect: SendRequest) -> EffectResult:
    if not http.is_ready:
        began = time.monotonic()
        wrong = await run_aside(http.aside, http.make_ready, effect.timeout)
        if wrong is not None:
            raise wrong.with_traceback(None)
        # What this took is not there for the request any more. One that is begun when its caller is gone already would
        # be cut off by the end of the loop in the middle of its connection.
        left = effect.timeout - (time.monotonic() - began)
        if left <= 0 or not (http.is_ready or http.trust.is_tried):
            return http.trust.unread(effect.request.request_id)
        effect = replace(effect, timeout=left)
    # The time limit ends what has none of its own, such as a resolver.
    way = http.way_of(effect)
    sending = asyncio.ensure_future(http.send(effect, way))
    try:
        if await wait_for_future(sending, effect.timeout + 0.5) and not sending.cancelled():
            return sending.result()
    finally:
        sending.cancel()
    return late_fault(effect, way)


async def persist(make: Callable[[], Coroutine[Any, Any, None]]) -> bool:
    """Do what gives something back, also while the loop ends and cancels everything. False if it was cancelled."""
    for interruptions in range(INTERRUPTIONS):
        try:
            await make()
        except asyncio.CancelledError:
            continue
        return interruptions == 0
    return False


class SeatTask:
    """Opens a seat, keeps it and gives it back."""

    def __init__(
        self,
        context: Context,
        http: AsyncHttp,
        *,
        wait: float | None,
        reacquire: bool,
        callbacks: Callbacks,
    ) -> None:
        self._callbacks = weakref.ref(callbacks)
        # Handlers of the program's logging may block, and the loop must not.
        self._log = Aside("coditect-license-log")
        self._parting: Callbacks | None = None
        self.core: SeatCore = SeatCore(
            context, reacquire=reacquire, find_on_event=self._on_event, tell=self._tell, write_log=self._log.put
        )
        self._http, self._wait_for = http, wait
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._opened: asyncio.Future[None] | None = None
        self._woken: asyncio.Future[None] | None = None
        self._opened_without_reply = False
        self._open_error: BaseException | None = None
        self._called_tasks: set[asyncio.Future[Any]] = set()

    @property
    def is_new(self) -> bool:
        """Whether it was not opened yet."""
        return self._task is None

    async def open(self) -> None:
        """Start the task and wait for the first lease. Raises what refused it, at the latest when its time is over."""
        context = self.core.context
        budget = context.timeout + (self._wait_for or 0.0)
        if self._task is None:
            try:
                self._loop = running_loop()
                process.register_seat(self)
            except LicenseError:
                self.core.close()
                raise
            self._opened = self._loop.create_future()
            now = context.clock.monotonic()
            until = None if self._wait_for is None else now + self._wait_for
            first = seat_flows.open_seat(self.core, now + context.timeout, until, self._tell_wait)
            self._task = self._loop.create_task(self._run(first), name="coditect-license-seat")
        opened = self._opened
        if opened is None:
            return
        try:
            done = await wait_for_future(opened, budget + 0.5)
        except BaseException:
            # The task reads the answer that may be on its way, and gives the seat back.
            self.begin_release()
            raise
        if not done and self.core.lease is None:
            self._open_without_reply(budget)
        elif self._open_error is not None:
            process.note_own_places(self._open_error, context)
            raise self._open_error.with_traceback(None)

    async def release(self, timeout: float, callbacks: Callbacks | None = None) -> bool:
        """Give the seat back, and wait for it at most so many seconds. The callbacks are kept until it is done."""
        self._parting = callbacks
        self.begin_release()
        task = self._task
        if task is not None and task is not asyncio.current_task() and self._loop is asyncio.get_running_loop():
            await wait_for_future(task, timeout)
        return self.core.release_confirmed

    def retry_now(self) -> None:
        """Ask the server now instead of when it is due."""
        self.core.retry_requested = True
        self._wake()

    def begin_release(self) -> None:
        """End the seat. The task gives it back."""
        self.core.close()
        self._wake()

    def forget(self) -> None:
        """Give the seat back soon. It takes no lock, so that the garbage collector may call it in any thread."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self.begin_release)

    def _open_without_reply(self, budget: float) -> None:
        try:
            seat_flows.start_without_reply(self.core, budget)
        except ServerUnreachable:
            self.begin_release()
            raise
        self._opened_without_reply = True

    async def _run(self, first: Flow[None]) -> None:
        try:
            await self._live(first)
            await self._give_back()
        except asyncio.CancelledError:
            # Somebody ends the loop, or this task. No answer may be lost, and no seat.
            self.core.close()
            await persist(lambda: self._give_back(interrupted=True))
            raise
        except Exception as error:  # noqa: BLE001 - never into the host from this task
            self.core.report_mistake("giving a seat back failed; its lease runs out by itself", error)
        finally:
            self._parting = None
            self._note_opened()
            if self._is_settled:
                process.unregister_seat(self)

    async def _live(self, first: Flow[None]) -> None:
        try:
            await drive(first, self._http, self._wait, self.core.note_sent)
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - raised again by open
            if not self._opened_without_reply:
                self._open_error = error
                seat_flows.give_up(self.core)
        self._note_opened()
        while not self.core.over:
            try:
                await drive(seat_flows.keep_seat(self.core), self._http, self._wait, self.core.note_sent)
            except Exception as error:  # noqa: BLE001 - a mistake of ours must not cost the program its seat
                self.core.report_mistake("a heartbeat failed in an unexpected way", error)
                self.core.on_fault(
                    LicenseError(f"A heartbeat failed in an unexpected way: {error!r}. Report it."),
                    self.core.generation,
                )
                await self._wait(max(self.core.next_pause(), 0.1))

    async def _give_back(self, *, interrupted: bool = False) -> None:
        context = self.core.context
        deadline = context.clock.monotonic() + (process.EXIT_SECONDS if interrupted else flows.TRY_SECONDS)
        await drive(seat_flows.give_seat_back(self.core, deadline, interrupted=interrupted), self._http, asyncio.sleep)
        if self._open_error is None:
            self.core.report_changes()
        elif not interrupted:
            # Nobody waits for it any more, and the next answer may come.
            await drive(flows.settle_rest(context, deadline), self._http, asyncio.sleep)

    @property
    def _is_settled(self) -> bool:
        grants = self.core.grants
        return self.core.release_confirmed and not grants.pending and not grants.asked

    async def _wait(self, seconds: float) -> None:
        if self._woken is None:
            self._woken = asyncio.get_running_loop().create_future()
        woken = self._woken
        if await wait_for_future(woken, seconds):
            self._woken = None

    def _wake(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed
            if self._woken is None and self._loop is not None and not self._loop.is_closed():
                self._woken = self._loop.create_future()
            if self._woken is not None and not self._woken.done():
                self._woken.set_result(None)

    def _note_opened(self) -> None:
        if self._opened is not None and not self._opened.done():
            with contextlib.suppress(RuntimeError):
                self._opened.set_result(None)

    def _tell(self, say: Callable[[], None]) -> None:
        """Have something said by the loop itself and not by this task, which it could otherwise stop."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon(say)

    def _tell_wait(self, refusal: NoSeats | TooManyProcesses, pause: float) -> None:
        callbacks = self._callbacks()
        on_wait = None if callbacks is None else callbacks.on_wait
        if on_wait is not None:
            self._tell(lambda: self._call("on_wait", lambda: on_wait(refusal, pause)))

    def _on_event(self) -> Callable[[SeatEvent], None] | None:
        callbacks = self._callbacks()
        on_event = None if callbacks is None else callbacks.on_event
        return None if on_event is None else lambda event: self._call("on_event", lambda: on_event(event))

    def _call(self, name: str, call: Callable[[], object]) -> None:
        """Call a function of the program, or start a coroutine function of it as a task."""
        try:
            made = call()
            if inspect.isawaitable(made):
                task = asyncio.ensure_future(made)
                self._called_tasks.add(task)
                task.add_done_callback(lambda done: self._called(name, done))
        except Exception as error:  # noqa: BLE001 - the program's own code
            self._log_raised(name, error)

    def _called(self, name: str, done: asyncio.Future[Any]) -> None:
        self._called_tasks.discard(done)
        error = None if done.cancelled() else done.exception()
        if error is not None:
            self._log_raised(name, error)

    def _log_raised(self, name: str, error: BaseException) -> None:
        self._log.put(
            lambda: log.write("seat", logging.ERROR, "%s raised; the seat is not affected", name, error=error)
        )

    def _begin_release(self, seconds: float = process.EXIT_SECONDS) -> None:
        del seconds  # the end of the process gives it back by itself
        self.core.close()
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._wake)

    def _end_release(self, timeout: float) -> bool:
        """Give the seat back when the process ends. The event loop is over then, so the request is sent without it."""
        if not self._is_settled:
            deadline = self.core.context.clock.monotonic() + timeout
            flow = seat_flows.give_seat_back(self.core, deadline, interrupted=True)
            flows.drive(flow, self._http.without_loop().send, time.sleep, do_aside)
        return self.core.release_confirmed

    def _after_fork(self) -> None:
        self.core.on_fork()
        self._log.after_fork()
        self._task = self._opened = self._loop = self._woken = None
