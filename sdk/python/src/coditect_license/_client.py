"""The client of programs with threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar

from . import _flows as flows
from . import _lifecycle as lifecycle
from ._client_base import ClientBase
from ._errors import NoSeats, ServerUnreachable
from ._http import SyncHttp
from ._seat import Latch, Seat
from ._types import Lease, SeatEvent, Validation

if TYPE_CHECKING:
    import httpx
    from typing_extensions import Unpack

    from ._client_base import Settings

T = TypeVar("T")


class LicenseClient(ClientBase):
    """Takes seats of one license and gives them back. Safe to share between threads; a context manager.

    The settings are those of :class:`ClientBase`, and ``transport`` or ``http_client``, as httpx knows them: another way to the server, a
    proxy, a certificate authority of your own. An ``http_client`` given is never closed here.
    """

    def __init__(
        self,
        server: str,
        *,
        transport: httpx.BaseTransport | None = None,
        http_client: httpx.Client | None = None,
        **settings: Unpack[Settings],
    ) -> None:
        super().__init__(server, **settings)
        self._http = SyncHttp(self._context, transport, http_client)
        self._seats: list[Seat] = []
        self._lock = threading.Lock()

    def seat(
        self,
        *,
        wait: float | None = None,
        on_wait: Callable[[NoSeats, float], None] | None = None,
        on_event: Callable[[SeatEvent], None] | None = None,
        reacquire: bool = True,
        release_on_signals: bool | Iterable[int] = False,
    ) -> Seat:
        """Take a seat and hold it until it is released: leave its ``with`` block, call ``release()``, or end the process.

        Where the server cannot be reached, a token of an earlier run starts the seat ``offline`` within its signed grace.

        Args:
            wait: Seconds to go on looking while no seat is free; not at all unless given. No order is promised. The call takes no
                longer than this and the client's timeout together.
            on_wait: Called with the refusal and the seconds until the next look.
            on_event: Called with each change, from the seat's thread. What it raises is logged.
            reacquire: Whether to ask for a new seat after this one was lost in silence, say to a long sleep. Never after a kick.
            release_on_signals: Give the seat back on SIGTERM and SIGHUP, or on the signals named, then hand them on to whoever had them.

        Raises:
            NoSeats: No seat is free, also after ``wait``.
            Refused: One of its other classes: the license gives no seat.
            ServerUnreachable: Nobody answered in time, and there is no grace.
            VerificationFailed: An answer came from somebody else, and there is no grace.
        """
        seat = Seat(self._context, self._http, reacquire=reacquire, on_event=on_event)
        lifecycle.watch_forks(self)
        signals = None
        if release_on_signals is not False:
            signals = lifecycle.SignalRelease(None if release_on_signals is True else release_on_signals)
        seat._open(wait, on_wait, signals)
        with self._lock:
            self._seats = [*(held for held in self._seats if held.state.value != "gone"), seat]
        return seat

    def acquire(self) -> Lease:
        """Take a seat without anything in the background: heartbeats and release are the caller's. Raises as :meth:`seat` does."""
        attempt = self._context.draw_attempt()
        return self._call(lambda over: flows.acquire_or_note(self._context, attempt, over, self._context.max_retries))

    def heartbeat(self, lease: Lease) -> Lease:
        """Show that a session is alive; the extended lease.

        Raises :class:`Gone` when the session is over, another :class:`Refused` when the license gives no seat now (the lease stands until it
        ends), :class:`ServerUnreachable` or :class:`VerificationFailed` when nobody we trust answered (likewise).
        """
        return self._call(lambda over: flows.heartbeat(self._context, lease, over, self._context.max_retries))

    def release(self, lease: Lease) -> datetime:
        """Give a session back; again and again the same answer: when it ended. Raises :class:`ServerUnreachable`."""
        return self._call(lambda over: flows.release_lease(self._context, lease, over, self._context.max_retries))

    def validate(self) -> Validation:
        """Look at the license and who holds its seats, taking none. Not signed. Raises :class:`InvalidKey`, :class:`ServerUnreachable`."""
        return self._call(lambda over: flows.validate(self._context, over, self._context.max_retries))

    def close(self) -> None:
        """Give every seat of this client back and close its connections."""
        with self._lock:
            seats, self._seats = self._seats, []
        for seat in seats:
            seat._begin_release()
        for seat in seats:
            seat.release()
        self._http.close()

    def __enter__(self) -> LicenseClient:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _call(self, build: Callable[[float], flows.Flow[T]]) -> T:
        """Run a flow in a thread of its own, so that the caller waits no longer than its timeout.

        Sockets have timeouts; a resolver, and a server that sends a header byte by byte, have none.
        """
        flow = build(self._context.clock.monotonic() + self._context.timeout)
        results: list[T] = []
        errors: list[BaseException] = []
        done = Latch()

        def work() -> None:
            try:
                results.append(flows.drive(flow, self._http.send, time.sleep))
            except BaseException as error:  # noqa: BLE001 - raised again below
                errors.append(error)
            finally:
                done.set()

        try:
            threading.Thread(target=work, name="coditect-license-call", daemon=True).start()
        except RuntimeError:  # the interpreter is ending and starts no threads any more
            work()
        if not done.wait(self._context.timeout + 0.5):
            raise ServerUnreachable(f"The license server at {self._context.server} gave no answer within {self._context.timeout:.0f} s. Try again.")
        if errors:
            raise errors[0]
        return results[0]

    def _after_fork(self) -> None:
        self._lock = threading.Lock()
        self._seats = []
        self._context.after_fork()
        self._http.after_fork()
