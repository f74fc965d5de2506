"""The seat of a program with threads. One thread asks the server now and then, and does nothing else."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Mapping
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import TYPE_CHECKING, Any

from . import _flows as flows, _process as process, _seat_flows as seat_flows
from ._errors import LicenseError, NoSeats, ServerUnreachable
from ._exchange import Flow
from ._seat_core import SeatCore
from ._seat_state import SeatEvent, SeatState
from ._types import License, TokenClaims

if TYPE_CHECKING:
    from ._context import Context
    from ._http import SyncHttp

_log = logging.getLogger("coditect_license")


class SeatView:
    """What can be read of a seat, with threads and with asyncio. Reading never asks the server and never blocks."""

    def __init__(self, core: SeatCore) -> None:
        self._core = core

    @property
    def state(self) -> SeatState:
        """Where the seat stands now: online, offline (within the signed grace), degraded or gone."""
        return self._core.state

    @property
    def problem(self) -> LicenseError | None:
        """Why the seat is not simply online: the last refusal or fault; ``None`` when all is well."""
        return self._core.problem

    @property
    def number(self) -> int | None:
        """The number of the seat within its pool, from 0."""
        claims = self._core.claims
        return None if claims is None else claims.seat

    @property
    def session_id(self) -> str | None:
        """The session's name in the server's logs; gives no power."""
        claims = self._core.claims
        return None if claims is None else claims.session_id

    @property
    def claims(self) -> TokenClaims | None:
        """The last verified license token."""
        return self._core.claims

    @property
    def license(self) -> License | None:
        """The license as the last acquire described it; ``None`` for a seat that started offline. For display."""
        lease = self._core.lease
        return None if lease is None else lease.license

    @property
    def lease_left(self) -> float:
        """Seconds of lease left; 0 when it is over."""
        return self._core.lease_left

    @property
    def grace_left(self) -> float:
        """Seconds of signed grace left for going on without contact; 0 where there is none."""
        return self._core.grace_left

    def has(self, feature: str) -> bool:
        """Whether the license includes ``feature`` and the seat may be used now, online or offline."""
        return bool(self.feature(feature))

    def feature(self, name: str, default: Any = None) -> Any:  # noqa: ANN401 - whatever the plan says
        """The value of a feature, signed; ``default`` if the license lacks it or the seat may not be used now."""
        claims = self._core.claims
        if claims is None or self.state not in (SeatState.ONLINE, SeatState.OFFLINE):
            return default
        features: Mapping[str, Any] = claims.features
        return features.get(name, default)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.number} {self.state.value}>"


class Latch:
    """An event that happens once and that can be awaited, also by a signal handler that interrupts a wait for it.

    ``threading.Event`` may deadlock there: its lock is not reentrant, and a handler runs inside whatever the main
    thread does.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()

    def set(self) -> None:
        """Note that it happened. To be called once."""
        self._lock.release()

    def wait(self, timeout: float) -> bool:
        """Whether it happened, after at most ``timeout`` seconds."""
        happened = self._lock.acquire(timeout=max(timeout, 0.0))
        if happened:
            self._lock.release()
        return happened


class Seat(SeatView):
    """A seat that is held until it is released. Made by :meth:`LicenseClient.seat`; a context manager.

    One daemon thread sends a heartbeat when the server wants one. It never raises into the program and never ends it.
    It reports through :attr:`state`, :attr:`problem` and ``on_event``, which it calls.
    """

    def __init__(
        self, context: Context, http: SyncHttp, *, reacquire: bool, on_event: Callable[[SeatEvent], None] | None
    ) -> None:
        super().__init__(SeatCore(context, reacquire=reacquire, on_event=on_event))
        self._http = http
        self._wake: SimpleQueue[None] = SimpleQueue()
        self._opened, self._done = Latch(), Latch()
        self._open_lock = threading.Lock()
        self._opened_without_reply = False
        self._open_error: BaseException | None = None
        self._session: str | None = None
        self._release_confirmed = False
        self._signals: process.SignalRelease | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Seat:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def release(self, timeout: float = 5.0) -> bool:
        """Give the seat back. A second call changes nothing. It never raises, and waits at most ``timeout`` seconds.

        True if the server knows. If the server does not know, the lease runs out and the seat is free all the same.
        """
        self._begin_release()
        known = self._end_release(timeout)
        if self._signals is not None:
            self._signals.uninstall()
        return known

    def retry_now(self) -> None:
        """Ask the server now instead of when it is due, for example because the network is back. Returns at once."""
        self._core.retry_requested = True
        self._wake.put(None)

    def _open(
        self,
        wait: float | None,
        on_wait: Callable[[NoSeats, float], None] | None,
        signals: process.SignalRelease | None,
    ) -> None:
        """Start the thread and wait for the first lease.

        Raises what refused it, at the latest when the time for it is over.
        """
        context = self._core.context
        budget = context.timeout + (wait or 0.0)
        now = context.clock.monotonic()
        first = seat_flows.open_seat(self._core, now + context.timeout, None if wait is None else now + wait, on_wait)
        process.register_seat(self)
        self._thread = threading.Thread(target=self._run, args=(first,), name="coditect-license-seat", daemon=True)
        try:
            self._thread.start()
        except RuntimeError as error:
            process.unregister_seat(self)
            self._thread = None
            raise ServerUnreachable(
                f"The license server was not asked: {error}. This process has no thread left for it."
            ) from error
        try:
            # The thread may be stuck where no timeout reaches, for example in a resolver. This wait has one.
            opened = self._opened.wait(budget + 0.5)
        except BaseException:
            self._begin_release()
            raise
        with self._open_lock:
            self._opened_without_reply = not opened and self._open_error is None and self._core.lease is None
        if self._opened_without_reply:
            self._open_without_reply(budget)
        elif self._open_error is not None:
            process.unregister_seat(self)
            raise self._open_error
        self._signals = signals
        if signals is not None:
            signals.install()

    def _open_without_reply(self, budget: float) -> None:
        core = self._core
        error = ServerUnreachable(
            f"The license server at {core.context.server} gave no answer within {budget:.0f} s. Try again."
        )
        why_not = core.start_offline(error)
        if why_not is not None:
            self._begin_release()
            raise ServerUnreachable(str(error), None, why_not)

    def _run(self, first: Flow[None]) -> None:
        try:
            try:
                flows.drive(first, self._http.send, self._wait)
            except BaseException as error:  # noqa: BLE001 - raised again by _open
                with self._open_lock:
                    # The caller may have gone on with the signed grace meanwhile; then this is one more missed
                    # heartbeat.
                    if not self._opened_without_reply:
                        self._open_error = error
                        return
            finally:
                self._opened.set()
            self._keep()
            deadline = self._core.context.clock.monotonic() + flows.TRY_SECONDS
            self._release_confirmed = flows.drive(
                seat_flows.give_seat_back(self._core, self._session, deadline), self._http.send, time.sleep
            )
        except Exception:  # noqa: BLE001 - never into the host from this thread
            _log.exception("giving a seat back failed; its lease runs out by itself")
        finally:
            self._done.set()

    def _keep(self) -> None:
        while not self._core.over:
            try:
                flows.drive(seat_flows.keep_seat(self._core), self._http.send, self._wait)
            except Exception as error:  # noqa: BLE001 - as above
                # A mistake of ours must not cost the program its seat: the lease stands, and the next heartbeat may
                # succeed.
                _log.exception("a heartbeat failed in an unexpected way")
                self._core.on_fault(
                    LicenseError(f"A heartbeat failed in an unexpected way: {error!r}. Report it."),
                    self._core.generation,
                )
                self._wait(self._core.next_pause())

    def _wait(self, seconds: float) -> None:
        with contextlib.suppress(Empty):
            self._wake.get(timeout=seconds)

    def _begin_release(self) -> None:
        lease = self._core.close()
        if lease is not None:
            self._session = lease.session
        self._wake.put(None)

    def _end_release(self, timeout: float) -> bool:
        if self._thread is threading.current_thread():  # released by its own callback: the thread goes on to do it
            return False
        if self._thread is not None:
            self._done.wait(timeout)
        process.unregister_seat(self)
        return self._release_confirmed

    def _after_fork(self) -> None:
        self._core.on_fork()
        self._wake, self._open_lock, self._thread = SimpleQueue(), threading.Lock(), None
        if self._signals is not None:
            self._signals.uninstall()
        self._session = None
        self._release_confirmed = False
