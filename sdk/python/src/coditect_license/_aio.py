"""The client for asyncio programs. Tasks carry out the same flows."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Generator
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from . import _flows as flows, _process as process, _seat_flows as seat_flows
from ._client_base import ClientBase
from ._errors import LicenseError, NoSeats
from ._exchange import EffectResult, Flow, SendRequest, TransportFault
from ._http import AsyncHttp, SyncHttp
from ._seat import SeatView
from ._seat_core import SeatCore
from ._seat_state import SeatEvent
from ._settings import settings_from_keywords
from ._types import Lease, Validation

if TYPE_CHECKING:
    import httpx
    from typing_extensions import Unpack

    from ._context import Context
    from ._settings import Settings, SettingsKeywords

T = TypeVar("T")
_log = logging.getLogger("coditect_license")


async def drive(
    flow: Flow[T], send: Callable[[SendRequest], Awaitable[EffectResult]], wait: Callable[[float], Awaitable[None]]
) -> T:
    """Carry a flow out with awaitable calls; the counterpart of :func:`coditect_license._flows.drive`."""
    result: EffectResult = None
    while True:
        try:
            effect = flow.send(result)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        if isinstance(effect, SendRequest):
            try:
                # This ends what has no timeout of its own, such as a resolver.
                result = await asyncio.wait_for(send(effect), effect.timeout + 0.5)
            except asyncio.TimeoutError:
                result = TransportFault(f"no answer within {effect.timeout:.1f} s")
        else:
            await wait(effect.seconds)
            result = None


class AsyncSeat(SeatView):
    """A seat that is held until it is released.

    Made by :meth:`AsyncLicenseClient.seat`; ``async with`` it, or ``await`` it.

    One task sends a heartbeat when the server wants one. It never raises into the program; ``on_event`` is called in
    the event loop.
    """

    def __init__(
        self,
        context: Context,
        http: AsyncHttp,
        *,
        wait: float | None,
        on_wait: Callable[[NoSeats, float], None] | None,
        reacquire: bool,
        on_event: Callable[[SeatEvent], None] | None,
    ) -> None:
        super().__init__(SeatCore(context, reacquire=reacquire, on_event=on_event))
        self._http, self._wait_for, self._on_wait = http, wait, on_wait
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._session: str | None = None
        self._release_confirmed = False

    def __await__(self) -> Generator[Any, None, AsyncSeat]:
        return self._open().__await__()

    async def __aenter__(self) -> AsyncSeat:
        return await self._open()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.release()

    async def release(self, timeout: float = 5.0) -> bool:
        """Give the seat back. A second call changes nothing. It never raises, and waits at most ``timeout`` seconds.

        True if the server knows. If the server does not know, the lease runs out and the seat is free all the same.
        """
        self._begin_release()
        self._wake.set()
        if self._task is not None and self._task is not asyncio.current_task():
            # Shielded, so that a release that takes longer goes on after this wait.
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(asyncio.shield(self._task), timeout)
        process.unregister_seat(self)
        return self._release_confirmed

    def retry_now(self) -> None:
        """Ask the server now instead of when it is due. To be called in the event loop."""
        self._core.retry_requested = True
        self._wake.set()

    async def _open(self) -> AsyncSeat:
        if self._task is not None:
            return self
        context = self._core.context
        now = context.clock.monotonic()
        until = None if self._wait_for is None else now + self._wait_for
        first = seat_flows.open_seat(self._core, now + context.timeout, until, self._on_wait)
        process.register_seat(self)
        try:
            await drive(first, self._http.send, self._wait)
        except BaseException:
            self._begin_release()
            process.unregister_seat(self)
            raise
        self._task = asyncio.create_task(self._run(), name="coditect-license-seat")
        return self

    async def _run(self) -> None:
        while not self._core.over:
            try:
                await drive(seat_flows.keep_seat(self._core), self._http.send, self._wait)
            except Exception as error:  # noqa: BLE001 - a mistake of ours must not cost the program its seat
                _log.exception("a heartbeat failed in an unexpected way")
                self._core.on_fault(
                    LicenseError(f"A heartbeat failed in an unexpected way: {error!r}. Report it."),
                    self._core.generation,
                )
                await self._wait(self._core.next_pause())
        deadline = self._core.context.clock.monotonic() + flows.TRY_SECONDS
        try:
            self._release_confirmed = await drive(
                seat_flows.give_seat_back(self._core, self._session, deadline), self._http.send, asyncio.sleep
            )
        except Exception:  # noqa: BLE001 - as above
            _log.exception("giving a seat back failed; its lease runs out by itself")

    async def _wait(self, seconds: float) -> None:
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._wake.wait(), seconds)
        self._wake.clear()

    def _begin_release(self) -> None:
        lease = self._core.close()
        if lease is not None:
            self._session = lease.session

    def _end_release(self, timeout: float) -> bool:
        """Give the seat back when the process ends. The event loop is over then, so the request is sent without it."""
        if self._session is not None and not self._release_confirmed:
            http = SyncHttp(self._core.context, None, None)
            deadline = self._core.context.clock.monotonic() + timeout
            self._release_confirmed = flows.drive(
                seat_flows.give_seat_back(self._core, self._session, deadline), http.send, time.sleep
            )
        return self._release_confirmed

    def _after_fork(self) -> None:
        self._core.on_fork()
        self._task = self._session = None


class AsyncLicenseClient(ClientBase):
    """:class:`LicenseClient` for asyncio, with the same settings and the same answers; an async context manager."""

    def __init__(
        self,
        server: str,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        http_client: httpx.AsyncClient | None = None,
        **settings: Unpack[SettingsKeywords],
    ) -> None:
        super().__init__(settings_from_keywords(type(self).__name__, server, settings))
        self._http = AsyncHttp(self._context, transport, http_client)
        self._seats: list[AsyncSeat] = []

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

    def seat(
        self,
        *,
        wait: float | None = None,
        on_wait: Callable[[NoSeats, float], None] | None = None,
        on_event: Callable[[SeatEvent], None] | None = None,
        reacquire: bool = True,
    ) -> AsyncSeat:
        """A seat that is taken when it is entered (``async with``) or awaited.

        Arguments and exceptions are those of :meth:`LicenseClient.seat`.

        Signals are the event loop's business here: call ``await seat.release()`` from a handler set with
        ``loop.add_signal_handler``.
        """
        seat = AsyncSeat(self._context, self._http, wait=wait, on_wait=on_wait, reacquire=reacquire, on_event=on_event)
        process.register_for_forks(self)
        self._seats = [*(held for held in self._seats if held.state.value != "gone"), seat]
        return seat

    async def acquire(self) -> Lease:
        """The same as :meth:`LicenseClient.acquire`."""
        attempt = self._context.draw_attempt()
        return await self._call(
            lambda over: flows.acquire_or_note(self._context, attempt, over, self._context.max_retries)
        )

    async def heartbeat(self, lease: Lease) -> Lease:
        """The same as :meth:`LicenseClient.heartbeat`."""
        return await self._call(lambda over: flows.heartbeat(self._context, lease, over, self._context.max_retries))

    async def release(self, lease: Lease) -> datetime:
        """The same as :meth:`LicenseClient.release`."""
        return await self._call(lambda over: flows.release_lease(self._context, lease, over, self._context.max_retries))

    async def validate(self) -> Validation:
        """The same as :meth:`LicenseClient.validate`."""
        return await self._call(lambda over: flows.validate(self._context, over, self._context.max_retries))

    async def close(self) -> None:
        """Give every seat of this client back and close its connections."""
        seats, self._seats = self._seats, []
        for seat in seats:
            await seat.release()
        await self._http.close()

    async def __aenter__(self) -> AsyncLicenseClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _call(self, build: Callable[[float], Flow[T]]) -> T:
        return await drive(
            build(self._context.clock.monotonic() + self._context.timeout), self._http.send, asyncio.sleep
        )

    def _after_fork(self) -> None:
        self._seats = []
        self._context.after_fork()
        self._http.after_fork()
