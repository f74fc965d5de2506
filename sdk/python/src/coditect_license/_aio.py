"""The client for asyncio programs. Tasks carry out the same flows."""

from __future__ import annotations

import asyncio
import time
import weakref
from collections.abc import Callable, Coroutine, Generator
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from . import _flows as flows, _process as process
from ._aio_aside import running_loop, wait_for_future
from ._aio_seat import ENDING_SECONDS, LATER_SECONDS, SeatTask, drive, persist
from ._client_base import ClientBase, checked_seat_options, ending_here, ending_here_later
from ._context import Context
from ._errors import LicenseError, NoSeats, ServerUnreachable, TooManyProcesses
from ._exchange import Flow
from ._flows import Grants
from ._http import AsyncHttp, checked_way
from ._seat import RELEASE_SECONDS, forget_seat, wait_of_release
from ._seat_state import SeatEvent
from ._seat_thread import Remainder, do_aside
from ._seat_view import Callbacks, SeatView
from ._types import Lease, Validation

if TYPE_CHECKING:
    import httpx

    from ._settings import Settings

T = TypeVar("T")


class AsyncSeat(SeatView):
    """A seat that is held until it is released.

    Made by :meth:`AsyncLicenseClient.seat`; ``async with`` it, or ``await`` it.

    One task sends a heartbeat when the server wants one. It never raises into the program. Where the program is
    cancelled, whatever was granted is given back, also while the loop ends. A seat that nobody refers to any more is
    given back, with a :class:`ResourceWarning`.
    """

    def __init__(self, keeper: SeatTask, callbacks: Callbacks) -> None:
        super().__init__(keeper.core, callbacks)
        self._keeper = keeper

    def __await__(self) -> Generator[Any, None, AsyncSeat]:
        return self._open().__await__()

    def __aenter__(self) -> Coroutine[Any, Any, AsyncSeat]:
        return self._open()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.release()

    async def release(self, timeout: float | None = RELEASE_SECONDS) -> bool:
        """Give the seat back. A second call changes nothing. It never raises, and waits at most ``timeout`` seconds.

        True if the server knows. If the server does not know, the lease runs out and the seat is free all the same.
        Cancelling it ends the wait and not the release.
        """
        return await self._keeper.release(wait_of_release(timeout), self._callbacks)

    def retry_now(self) -> None:
        """Ask the server now instead of when it is due. To be called in the event loop."""
        self._keeper.retry_now()

    @ending_here_later
    async def _open(self) -> AsyncSeat:
        if not self._core.over and self._keeper.is_new:
            weakref.finalize(self, forget_seat, self._core, self._keeper.forget).atexit = False
        await self._keeper.open()
        return self


class AsyncLicenseClient(ClientBase["httpx.AsyncBaseTransport", "httpx.AsyncClient"]):
    """:class:`LicenseClient` for asyncio, with the same settings and the same answers; an async context manager.

    What is still held when the process ends is given back without an event loop. An ``http_client`` that was given, and
    a ``transport`` for asyncio alone, cannot go on without one: that last request goes the usual way, without their
    proxy, certificates and headers. Where it must not, close the client before the loop ends.
    """

    _in_loops = True

    def _open_way(self, transport: httpx.AsyncBaseTransport | None, http_client: httpx.AsyncClient | None) -> None:
        checked_way(type(self).__name__, transport, http_client, is_async=True)
        self._http = AsyncHttp(self._context, transport, http_client)
        self._keepers: list[SeatTask] = []
        self._calls: set[_AsyncCall] = set()
        self._releases: set[asyncio.Future[bool]] = set()
        self._context.on_unsettled = Remainder(self._context, self._http.without_loop).note

    @classmethod
    def from_settings(
        cls,
        settings: Settings,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        http_client: httpx.AsyncClient | None = None,
    ) -> AsyncLicenseClient:
        """A client by settings that are kept as one object. It raises what the class raises."""
        return cls(transport=transport, http_client=http_client, **settings.keywords())

    @ending_here
    def seat(
        self,
        *,
        wait: float | None = None,
        on_wait: Callable[[NoSeats | TooManyProcesses, float], object] | None = None,
        on_event: Callable[[SeatEvent], object] | None = None,
        reacquire: bool = True,
    ) -> AsyncSeat:
        """A seat that is taken when it is entered (``async with``) or awaited.

        Arguments and exceptions are those of :meth:`LicenseClient.seat`. The callbacks are called by the event loop
        itself, or started as tasks where they are coroutine functions; like everything in an event loop they must not
        block.

        Signals are the event loop's business here: call ``await seat.release()`` from a handler set with
        ``loop.add_signal_handler``.
        """
        seconds = checked_seat_options(wait, on_wait, on_event, reacquire)
        process.register_for_forks(self)
        callbacks = Callbacks(on_event, on_wait)
        keeper = SeatTask(self._context, self._http, wait=seconds, reacquire=reacquire, callbacks=callbacks)
        self._keepers = [*(held for held in self._keepers if not held.core.over), keeper]
        return AsyncSeat(keeper, callbacks)

    @ending_here_later
    async def acquire(self) -> Lease:
        """The same as :meth:`LicenseClient.acquire`."""
        call = _AsyncCall(self)
        self._calls.add(call)
        try:
            return await call.acquire()
        finally:
            if call.is_over:
                self._calls.discard(call)

    @ending_here_later
    async def heartbeat(self, lease: Lease) -> Lease:
        """The same as :meth:`LicenseClient.heartbeat`."""
        return await self._call(lambda over: flows.heartbeat(self._context, lease, over, self._context.max_retries))

    @ending_here_later
    async def release(self, lease: Lease) -> datetime:
        """The same as :meth:`LicenseClient.release`. Cancelling it ends the wait and not the release."""
        context = self._context
        over = context.clock.monotonic() + context.timeout
        ended: list[datetime] = []
        sent: list[str] = []

        async def give_back() -> None:
            flow = flows.release_lease(context, lease, over, context.max_retries)
            ended.append(await drive(flow, self._http, asyncio.sleep, sent.append))

        task: asyncio.Task[bool] = running_loop().create_task(persist(give_back))
        self._releases.add(task)
        task.add_done_callback(self._releases.discard)
        task.add_done_callback(_note_seen)
        if not await wait_for_future(task, context.timeout + 0.5):
            raise _too_late(context, sent)
        task.result()
        if not ended:
            raise _too_late(context, sent)
        return ended[0]

    @ending_here_later
    async def validate(self) -> Validation:
        """The same as :meth:`LicenseClient.validate`."""
        return await self._call(lambda over: flows.validate(self._context, over, self._context.max_retries))

    async def close(self) -> None:
        """Give every seat of this client back and close its connections."""
        keepers, self._keepers = self._keepers, []
        for keeper in keepers:
            keeper.begin_release()
        for keeper in keepers:
            await keeper.release(RELEASE_SECONDS)
        for call in list(self._calls):
            await call.finish(RELEASE_SECONDS)
        for release in list(self._releases):
            await finish_task(release, RELEASE_SECONDS)
        if self._context.unsettled:
            over = self._context.clock.monotonic() + RELEASE_SECONDS
            flow = flows.settle_rest(self._context, over, last=True)
            await finish_task(asyncio.ensure_future(drive(flow, self._http, asyncio.sleep)), RELEASE_SECONDS)
        await self._http.close()

    async def __aenter__(self) -> AsyncLicenseClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _call(self, build: Callable[[float], Flow[T]]) -> T:
        context = self._context
        over = context.clock.monotonic() + context.timeout
        sent: list[str] = []
        task = running_loop().create_task(drive(build(over), self._http, asyncio.sleep, sent.append))
        task.add_done_callback(_note_seen)
        try:
            if not await wait_for_future(task, context.timeout + 0.5):
                raise _too_late(context, sent)
            return task.result()
        finally:
            task.cancel()

    def _after_fork(self) -> None:
        self._keepers, self._calls, self._releases = [], set(), set()
        self._context.after_fork()
        self._http.after_fork()


class _AsyncCall:
    """One acquire and its task. What it was granted is given back if its caller does not take it over."""

    def __init__(self, client: AsyncLicenseClient) -> None:
        self._client, self._context, self._http = client, client._context, client._http
        self._attempt, self._grants = self._context.draw_attempt(), Grants()
        self._task: asyncio.Task[Lease | None] | None = None
        self._cleaning: asyncio.Task[None] | None = None
        self._abandoned = False
        self._sent: list[str] = []

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to be given back."""
        cleaned = self._cleaning is None or self._cleaning.done()
        nothing_left = cleaned and not self._grants.pending and not self._grants.asked
        return self._task is None or (self._task.done() and nothing_left)

    async def acquire(self) -> Lease:
        """The lease. Raises what refused it, at the latest after the timeout and half a second."""
        loop = running_loop()
        process.register_seat(self)
        self._task = loop.create_task(self._run(), name="coditect-license-call")
        self._task.add_done_callback(self._note_end)
        try:
            if not await wait_for_future(self._task, self._context.timeout + 0.5):
                raise _too_late(self._context, self._sent)
            lease = self._task.result()
            if lease is None:
                raise _too_late(self._context, self._sent)
        except BaseException as error:
            self._abandon()
            process.note_own_places(error, self._context)
            raise
        self._grants.take(lease)
        if self._grants.pending:  # another deployment's
            self._cleaning = loop.create_task(self._clean())
        else:
            process.unregister_seat(self)
        return lease

    async def finish(self, timeout: float) -> None:
        """Wait until everything is given back that nobody takes over."""
        for task in (self._task, self._cleaning):
            if task is not None:
                await finish_task(task, timeout)

    async def _run(self) -> Lease | None:
        context, grants = self._context, self._grants
        over = context.clock.monotonic() + context.timeout
        try:
            flow = flows.acquire(context, self._attempt, over, context.max_retries, grants)
            lease = await drive(flow, self._http, asyncio.sleep, self._sent.append)
            if not self._abandoned:
                return lease
            await self._give_back()
        except LicenseError:
            self._cleaning = asyncio.get_running_loop().create_task(self._clean())
            raise
        except asyncio.CancelledError:
            # The loop ends.
            await persist(self._give_back)
            raise
        return None

    def _note_end(self, task: asyncio.Task[Lease | None]) -> None:
        # An error that nobody waits for any more has been seen; asyncio would print it.
        _note_seen(task)
        if not self._grants.pending and not self._grants.asked:
            process.unregister_seat(self)
        if self._abandoned:
            self._client._calls.discard(self)

    def _abandon(self) -> None:
        self._abandoned = True
        task = self._task
        if task is None or not task.done():
            return  # it reads the answer that may be on its way, and gives the seat back
        if self._cleaning is not None:
            return
        if self._grants.pending:
            self._cleaning = asyncio.get_running_loop().create_task(self._clean())
        else:
            process.unregister_seat(self)

    async def _give_back(self, seconds: float = process.EXIT_SECONDS) -> None:
        deadline = self._context.clock.monotonic() + seconds
        await drive(flows.settle(self._context, self._attempt, self._grants, deadline), self._http, asyncio.sleep)
        process.unregister_seat(self)

    async def _clean(self) -> None:
        """Give back what is left after the call, and ask what became of it where no answer came."""
        seconds, is_ending = process.EXIT_SECONDS, False
        try:
            # Many programs end their loop right after the error, which would cut a connection off before it began.
            await asyncio.sleep(LATER_SECONDS)
        except asyncio.CancelledError:
            is_ending = True
            if not self._grants.pending:
                seconds = ENDING_SECONDS  # what is not known by then is asked once more when the process ends
        try:
            if await persist(lambda: self._give_back(seconds)) and not is_ending:
                deadline = self._context.clock.monotonic() + flows.TRY_SECONDS
                await drive(flows.settle_rest(self._context, deadline), self._http, asyncio.sleep)
        finally:
            self._client._calls.discard(self)

    def _begin_release(self, seconds: float = process.EXIT_SECONDS) -> None:
        del seconds
        self._abandoned = True

    def _end_release(self, timeout: float) -> bool:
        """Give back what nobody took over when the process ends; the event loop is over then."""
        deadline = self._context.clock.monotonic() + timeout
        flow = flows.settle(self._context, self._attempt, self._grants, deadline)
        flows.drive(flow, self._http.without_loop().send, time.sleep, do_aside)
        return True

    def _after_fork(self) -> None:
        self._grants = Grants()


async def finish_task(task: asyncio.Future[Any], timeout: float) -> None:
    """Wait until a task is done, unless it is of another loop, which may be over."""
    if task.get_loop() is asyncio.get_running_loop():
        await wait_for_future(task, timeout)


def _note_seen(done: asyncio.Future[Any]) -> None:
    """Note that an error was seen that nobody waits for any more. asyncio would print it."""
    _ = done.cancelled() or done.exception()


def _too_late(context: Context, sent: list[str]) -> ServerUnreachable:
    return flows.no_answer(context, context.timeout, sent[-1] if sent else None)
