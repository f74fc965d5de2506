"""The client for programs with threads."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from . import _flows as flows, _process as process
from ._aside import Latch, start_thread
from ._client_base import ClientBase, checked_seat_options, ending_here
from ._errors import ConfigurationError, LicenseError, NoSeats, TooManyProcesses
from ._exchange import EffectResult, Flow, SendRequest
from ._flows import Grants
from ._http import SyncHttp, checked_way
from ._seat import Seat
from ._seat_state import SeatEvent
from ._seat_thread import Remainder, SeatThread, do_aside
from ._seat_view import Callbacks
from ._signals import SignalRelease
from ._types import Lease, Validation

if TYPE_CHECKING:
    import httpx

    from ._settings import Settings

T = TypeVar("T")
U = TypeVar("U")

RELEASE_SECONDS = 5.0
"""How long closing a client waits for its seats to be given back, all together."""


class LicenseClient(ClientBase["httpx.BaseTransport", "httpx.Client"]):
    """Takes seats of one license and gives them back. Safe to share between threads; a context manager.

    The keyword arguments are the settings that :class:`Settings` describes; what is not given is taken from the
    environment, so ``LicenseClient()`` alone does where ``CODITECT_LICENSE_SERVER``, ``…_KEY`` and ``…_PRODUCT`` are
    set. ``transport`` and ``http_client`` are those of httpx, for another way to the server. An ``http_client`` that
    was given is never closed here.

    Raises:
        ConfigurationError: A setting is wrong or missing. No request was sent.
        InvalidKey: The license key is mistyped. No request was sent.
        TypeError: An argument is no setting.
    """

    def _open_way(self, transport: httpx.BaseTransport | None, http_client: httpx.Client | None) -> None:
        checked_way(type(self).__name__, transport, http_client, is_async=False)
        self._http = SyncHttp(self._context, transport, http_client)
        self._keepers: list[SeatThread] = []
        self._calls: set[_Call[Any]] = set()
        self._remainder = Remainder(self._context, lambda: self._http)
        self._context.on_unsettled = self._remainder.note
        self._lock = threading.Lock()

    @classmethod
    def from_settings(
        cls,
        settings: Settings,
        *,
        transport: httpx.BaseTransport | None = None,
        http_client: httpx.Client | None = None,
    ) -> LicenseClient:
        """A client by settings that are kept as one object. It raises what the class raises."""
        return cls(transport=transport, http_client=http_client, **settings.keywords())

    def seat(
        self,
        *,
        wait: float | None = None,
        on_wait: Callable[[NoSeats | TooManyProcesses, float], None] | None = None,
        on_event: Callable[[SeatEvent], None] | None = None,
        reacquire: bool = True,
        release_on_signals: bool | Iterable[int] = False,
    ) -> Seat:
        """Take a seat and hold it until its ``with`` block ends, ``release()`` is called, or the process ends.

        Where the server cannot be reached, the kept token starts the seat ``offline`` within its signed grace.

        Args:
            wait: The seconds to go on looking while no seat is free, or while this machine's seat has as many processes
                as it may; infinity looks for ever. ``None``, the default, means not at all. No order is promised. The
                call takes no longer than this and the client's timeout together.
            on_wait: Called with the refusal and the seconds until the next look, as ``on_event`` is.
            on_event: Called with each change, from a thread of its own: it may block, raise (which is logged), and use
                the seat and the client, and it stops no heartbeat and no release. The changes come in their order.
            reacquire: Whether to ask for a new seat after this one expired, for example in a long sleep. After a kick
                none is asked for.
            release_on_signals: Whether to give the seat back on SIGTERM and SIGHUP, or on which signals. They are
                handed on to the program's own handlers afterwards. A thread sees to it that one which does not
                interrupt what the main thread waits for is noticed within a second. It needs the main thread: elsewhere
                there is a :class:`RuntimeWarning`, and nothing else happens. After a signal during this call whose own
                handler returns, the call returns a seat whose state is ``gone``: look at it before you go on.

        Raises:
            ConfigurationError: An argument is wrong, or this machine's identity cannot be found out.
            NoSeats: No seat is free, also after ``wait``.
            Refusal: One of its other classes: the license gives no seat.
            ServerUnreachable: The server did not answer in time, and there is no grace.
            VerificationFailed: An answer came from somebody else, and there is no grace.
        """
        try:
            return self._take_seat(wait, on_wait, on_event, reacquire, release_on_signals)
        except LicenseError as error:
            raise error.with_traceback(None)  # noqa: B904 - the same error, with a short traceback

    @ending_here
    def acquire(self) -> Lease:
        """Take a seat and do nothing in the background: the caller sends heartbeats and releases it.

        Raises as :meth:`seat` does.
        """
        attempt, grants, context = self._context.draw_attempt(), Grants(), self._context
        acquire = lambda over: flows.acquire(context, attempt, over, context.max_retries, grants)  # noqa: E731
        return self._call(acquire, grants, attempt)

    @ending_here
    def heartbeat(self, lease: Lease) -> Lease:
        """Show that a session is alive, and get its extended lease.

        Raises :class:`SessionGone` when the session is over, another :class:`Refusal` when the license gives no seat
        now (the lease stands until it ends), :class:`ServerUnreachable` or :class:`VerificationFailed` when no trusted
        answer came (likewise).
        """
        return self._call(lambda over: flows.heartbeat(self._context, lease, over, self._context.max_retries))

    @ending_here
    def release(self, lease: Lease) -> datetime:
        """Give a session back. However often it is given back, the answer is the time when it ended.

        Raises :class:`ServerUnreachable`.
        """
        return self._call(lambda over: flows.release_lease(self._context, lease, over, self._context.max_retries))

    @ending_here
    def validate(self) -> Validation:
        """Look at the license and at the holders of its seats, without taking one. The answer is not signed.

        Raises :class:`InvalidKey` or :class:`ServerUnreachable`.
        """
        return self._call(lambda over: flows.validate(self._context, over, self._context.max_retries))

    def close(self) -> None:
        """Give every seat of this client back and close its connections."""
        with self._lock:
            keepers, self._keepers = self._keepers, []
        for keeper in keepers:
            keeper._begin_release()
        over = time.monotonic() + RELEASE_SECONDS
        for keeper in keepers:
            keeper._end_release(max(over - time.monotonic(), 0.0))
            keeper.leave_signals()
        for call in list(self._calls):
            call._end_release(max(over - time.monotonic(), 0.0))
        left = max(over - time.monotonic(), 0.0)
        self._remainder._begin_release(left)
        self._remainder._end_release(left)
        self._http.close()

    def __enter__(self) -> LicenseClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _take_seat(
        self,
        wait: float | None,
        on_wait: Callable[[NoSeats | TooManyProcesses, float], None] | None,
        on_event: Callable[[SeatEvent], None] | None,
        reacquire: bool,
        release_on_signals: bool | Iterable[int],
    ) -> Seat:
        seconds = checked_seat_options(wait, on_wait, on_event, reacquire)
        if release_on_signals is None:
            raise ConfigurationError("release_on_signals must be True, False or a list of signals.")
        signals = None
        if release_on_signals is not False:
            signals = SignalRelease(None if release_on_signals is True else release_on_signals)
        process.register_for_forks(self)
        callbacks = Callbacks(on_event, on_wait)
        keeper = SeatThread(self._context, self._http, reacquire=reacquire, callbacks=callbacks)
        seat = Seat(keeper, callbacks)
        with self._lock:
            # The keeper and not the seat, so that a seat that the program has forgotten is noticed.
            self._keepers = [*(held for held in self._keepers if not held.core.over), keeper]
        seat._open(seconds, signals)
        return seat

    def _call(self, build: Callable[[float], Flow[T]], grants: Grants | None = None, attempt: str = "") -> T:
        """Run a flow in a thread of its own, so that the caller waits no longer than its timeout.

        Sockets have timeouts; a resolver, and a server that sends a header byte by byte, have none.
        """
        process.register_for_forks(self)
        flow = build(self._context.clock.monotonic() + self._context.timeout)
        call = _Call(self, flow, grants, attempt)
        if grants is not None:
            process.register_seat(call)
            self._calls.add(call)
        try:
            start_thread(call.work, "coditect-license-call")
        except RuntimeError:  # the interpreter is ending and starts no threads any more
            call.work()
        return call.result()

    def _after_fork(self) -> None:
        self._lock = threading.Lock()
        self._keepers, self._calls = [], set()
        self._context.after_fork()
        self._http.after_fork()


class _Call(Generic[T]):
    """One call and its thread. What it was granted is given back if its caller does not take it over."""

    def __init__(self, client: LicenseClient, flow: Flow[T], grants: Grants | None, attempt: str) -> None:
        self._client, self._context, self._flow, self._grants = client, client._context, flow, grants
        self._attempt, self._release_seconds = attempt, flows.TRY_SECONDS
        self._results: list[T] = []
        self._error: BaseException | None = None
        self._last_request_id: str | None = None
        # Whoever has this lock decides: the caller that goes away, or the thread that comes with an answer.
        self._decision = threading.Lock()
        self._answered, self._finished = Latch(), Latch()

    def work(self) -> None:
        """Carry the flow out."""
        try:
            try:
                self._results.append(self._drive(self._flow))
            except BaseException as error:  # noqa: BLE001 - raised again by the caller
                self._error = error
            came_in_time = self._decision.acquire(blocking=False)
            self._answered.set()
            # The caller waits no longer, whatever is left to be given back.
            is_taken = came_in_time and self._error is None
            self._give_back(kept=self._results[0] if is_taken else None)
        finally:
            self._finished.set()
            self._client._calls.discard(self)
            if not self._grants or not self._grants.pending:
                process.unregister_seat(self)

    def result(self) -> T:
        """What came of it. Raises :class:`ServerUnreachable` at the latest after the timeout and half a second."""
        try:
            self._answered.wait(self._context.timeout + 0.5)
            if self._decision.acquire(blocking=False):
                raise flows.no_answer(self._context, self._context.timeout, self._last_request_id)
            if self._error is not None:
                process.note_own_places(self._error, self._context)
                raise self._error.with_traceback(None)
            value = self._results[0]
            self._take(value)
            return value
        except BaseException:
            # Interrupted, perhaps with an answer at hand.
            taken = self._error is None and not self._decision.acquire(blocking=False)
            if taken and self._grants is not None and self._grants.pending:
                with contextlib.suppress(RuntimeError):
                    start_thread(self._give_back, "coditect-license-call")
            raise

    def _take(self, value: object) -> None:
        if self._grants is not None and isinstance(value, Lease):
            self._grants.take(value)
            process.unregister_seat(self)

    def _drive(self, flow: Flow[U]) -> U:
        return flows.drive(flow, self._send, time.sleep, do_aside)

    def _send(self, effect: SendRequest) -> EffectResult:
        self._last_request_id = effect.request.request_id
        return self._client._http.send(effect)

    def _give_back(self, kept: object = None) -> None:
        """Give back what it was granted, but for the lease that its caller has or is about to get."""
        grants, context = self._grants, self._context
        if grants is None:
            return
        deadline = context.clock.monotonic() + self._release_seconds
        if isinstance(kept, Lease):
            self._drive(flows.give_back(context, grants, deadline, kept=kept.session))
            return
        self._drive(flows.settle(context, self._attempt, grants, deadline))
        self._drive(flows.settle_rest(context, deadline))
        process.unregister_seat(self)

    def _begin_release(self, seconds: float = flows.TRY_SECONDS) -> None:
        self._release_seconds = seconds
        self._decision.acquire(blocking=False)

    def _end_release(self, timeout: float) -> bool:
        self._finished.wait(timeout)
        return True

    def _after_fork(self) -> None:
        self._grants = None
