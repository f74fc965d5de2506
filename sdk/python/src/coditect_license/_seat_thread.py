"""The thread that keeps a seat. It asks the server now and then, and does nothing else.

It holds no reference to the :class:`Seat` that the program has, so that a seat nobody refers to can be given back.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable

from . import _flows as flows, _process as process, _seat_flows as seat_flows
from ._aside import Aside, Latch, Wake, is_ending, start_thread
from ._context import Context
from ._errors import LicenseError, NoSeats, ServerUnreachable, TooManyProcesses
from ._exchange import DoAside, EffectResult, Flow, SendRequest
from ._http import SyncHttp
from ._seat_core import SeatCore
from ._seat_view import Callbacks
from ._signals import SignalRelease

SLICE_SECONDS = 0.25
"""How often a thread that is no daemon looks whether the interpreter ends."""


class SeatThread:
    """Opens a seat, keeps it and gives it back."""

    def __init__(
        self,
        context: Context,
        http: SyncHttp,
        *,
        reacquire: bool,
        callbacks: Callbacks,
    ) -> None:
        # The program's callbacks have a thread of their own, so that one that blocks stops no heartbeat.
        self._events = Aside("coditect-license-events")
        self._callbacks = find = weakref.ref(callbacks)
        self.parting: Callbacks | None = None
        """Keeps the callbacks while a seat that may be forgotten by then is released."""
        found = lambda: None if (there := find()) is None else there.on_event  # noqa: E731 - it must not hold the seat
        self.core: SeatCore = SeatCore(context, reacquire=reacquire, find_on_event=found, tell=self._events.put)
        self.forgotten: bool = False
        self._release_seconds = flows.TRY_SECONDS
        self.signals: SignalRelease | None = None
        self._http = http
        self._wake = Wake()
        self._opened, self._done = Latch(), Latch()
        self._open_lock = threading.Lock()
        self._opened_without_reply = False
        self._open_error: BaseException | None = None
        self._thread: threading.Thread | None = None

    def open(self, wait: float | None) -> None:
        """Start the thread and wait for the first lease.

        Raises what refused it, at the latest when the time for it is over.
        """
        context = self.core.context
        budget = context.timeout + (wait or 0.0)
        now = context.clock.monotonic()
        until = None if wait is None else now + wait
        first = seat_flows.open_seat(self.core, now + context.timeout, until, self._tell_wait)
        try:
            process.register_seat(self)
        except ServerUnreachable:
            self.core.close()
            raise
        try:
            self._thread = start_thread(lambda: self._run(first), "coditect-license-seat")
        except RuntimeError as error:
            process.unregister_seat(self)
            self.core.close()
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
            self._opened_without_reply = not opened and self._open_error is None and self.core.lease is None
        if self._opened_without_reply:
            self._open_without_reply(budget)
        elif self._open_error is not None:
            process.note_own_places(self._open_error, context)
            raise self._open_error.with_traceback(None)

    def retry_now(self) -> None:
        """Ask the server now instead of when it is due."""
        self.core.retry_requested = True
        self._wake.wake()

    def leave_signals(self) -> None:
        """Put the program's own handlers back."""
        if self.signals is not None:
            self.signals.uninstall()

    def forget(self) -> None:
        """Give the seat back soon. It takes no lock, so that the garbage collector may call it anywhere."""
        self.forgotten = True
        self._wake.wake()

    def _open_without_reply(self, budget: float) -> None:
        try:
            seat_flows.start_without_reply(self.core, budget)
        except ServerUnreachable:
            self._begin_release()
            raise

    def _run(self, first: Flow[None]) -> None:
        try:
            try:
                self._drive(first)
            except BaseException as error:  # noqa: BLE001 - raised again by open
                with self._open_lock:
                    # The caller may have gone on with the signed grace meanwhile; then this is one more missed
                    # heartbeat.
                    if not self._opened_without_reply:
                        self._open_error = error
                if self._open_error is not None:
                    seat_flows.give_up(self.core)
            finally:
                self._opened.set()
            self._keep()
            self._give_back()
        except Exception as error:  # noqa: BLE001 - never into the host from this thread
            self.core.report_mistake("giving a seat back failed; its lease runs out by itself", error)
        finally:
            self.parting = None
            self._done.set()
            process.unregister_seat(self)

    def _keep(self) -> None:
        while not self.core.over:
            try:
                self._drive(seat_flows.keep_seat(self.core))
            except Exception as error:  # noqa: BLE001 - as above
                # A mistake of ours must not cost the program its seat: the lease stands, and the next heartbeat may
                # succeed.
                self.core.report_mistake("a heartbeat failed in an unexpected way", error)
                self.core.on_fault(
                    LicenseError(f"A heartbeat failed in an unexpected way: {error!r}. Report it."),
                    self.core.generation,
                )
                self._wait(max(self.core.next_pause(), 0.1))

    def _give_back(self) -> None:
        told = self._open_error is None
        context = self.core.context
        deadline = context.clock.monotonic() + self._release_seconds
        flows.drive(seat_flows.give_seat_back(self.core, deadline), self._http.send, time.sleep, do_aside)
        if told:
            self.core.report_changes()
        else:
            # Nobody waits for it any more, and the next answer may come.
            flows.drive(flows.settle_rest(context, deadline), self._http.send, time.sleep, do_aside)

    def _tell_wait(self, refusal: NoSeats | TooManyProcesses, pause: float) -> None:
        callbacks = self._callbacks()
        on_wait = None if callbacks is None else callbacks.on_wait
        if on_wait is not None:
            self._events.put(lambda: on_wait(refusal, pause))

    def _drive(self, flow: Flow[None]) -> None:
        flows.drive(flow, self._send, self._wait, do_aside)

    def _send(self, effect: SendRequest) -> EffectResult:
        self.core.note_sent(effect.request.request_id)
        return self._http.send(effect)

    def _wait(self, seconds: float) -> None:
        if threading.current_thread().daemon:
            self._wake.wait(seconds)
        else:
            end = time.monotonic() + seconds
            while (left := end - time.monotonic()) > 0 and not self.forgotten and not self.core.over:
                self._wake.wait(min(left, SLICE_SECONDS))
                if self.core.retry_requested:
                    break
                if is_ending():
                    self.core.close()
        if self.forgotten:
            self.core.close()

    def _begin_release(self, seconds: float = flows.TRY_SECONDS) -> None:
        self._release_seconds = seconds
        self.core.close()
        self._wake.wake()

    def _end_release(self, timeout: float) -> bool:
        if self._thread is threading.current_thread():  # it goes on to do it
            return False
        if self._thread is not None:
            self._done.wait(timeout)
        return self.core.release_confirmed

    def _after_fork(self) -> None:
        self.core.on_fork()
        self._wake, self._open_lock, self._thread = Wake(), threading.Lock(), None
        self._events.after_fork()
        self.leave_signals()
        self.core.release_confirmed = False


class Remainder:
    """What one client does not know of its starts. The server is asked once more before the process ends."""

    def __init__(self, context: Context, make_http: Callable[[], SyncHttp]) -> None:
        self._context, self._make_http = context, make_http
        self._seconds = process.EXIT_SECONDS
        self._done: Latch | None = None

    def note(self) -> None:
        """Have it asked at the end if there is something to be asked by now."""
        process.note_remainder(self, is_left=bool(self._context.unsettled))

    def _begin_release(self, seconds: float = process.EXIT_SECONDS) -> None:
        if self._context.unsettled:
            self._seconds, self._done = seconds, Latch()
            try:
                start_thread(self._settle, "coditect-license-rest")
            except RuntimeError:  # the interpreter is ending and starts no threads any more
                self._settle()

    def _end_release(self, timeout: float) -> bool:
        return self._done is None or self._done.wait(timeout)

    def _settle(self) -> None:
        try:
            deadline = self._context.clock.monotonic() + self._seconds
            flow = flows.settle_rest(self._context, deadline, last=True)
            flows.drive(flow, self._make_http().send, time.sleep, do_aside)
        finally:
            if self._done is not None:
                self._done.set()

    def _after_fork(self) -> None:
        self._done = None


def do_aside(effect: DoAside) -> None:
    """Have something done by another thread, and wait for it as long as the flow wishes."""
    effect.aside.run(effect.work, effect.seconds)
