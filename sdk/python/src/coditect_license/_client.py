"""The client for programs with threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar

from . import _flows as flows, _process as process
from ._client_base import ClientBase
from ._errors import NoSeats, ServerUnreachable
from ._exchange import Flow
from ._http import SyncHttp
from ._seat import Latch, Seat
from ._seat_state import SeatEvent
from ._settings import settings_from_keywords
from ._types import Lease, Validation

if TYPE_CHECKING:
    import httpx
    from typing_extensions import Unpack

    from ._settings import Settings, SettingsKeywords

T = TypeVar("T")


class LicenseClient(ClientBase):
    """Takes seats of one license and gives them back. Safe to share between threads; a context manager.

    The keyword arguments are the settings that :class:`Settings` describes, and ``transport`` or ``http_client`` as
    httpx knows them, for another way to the server, a proxy or a certificate authority of your own. An ``http_client``
    that was given is never closed here.

    Raises:
        ConfigurationError: A setting is wrong. No request was sent.
        InvalidKey: The license key is mistyped. No request was sent.
        TypeError: An argument is no setting, or a required one is missing.
    """

    def __init__(
        self,
        server: str,
        *,
        transport: httpx.BaseTransport | None = None,
        http_client: httpx.Client | None = None,
        **settings: Unpack[SettingsKeywords],
    ) -> None:
        super().__init__(settings_from_keywords(type(self).__name__, server, settings))
        self._http = SyncHttp(self._context, transport, http_client)
        self._seats: list[Seat] = []
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
        on_wait: Callable[[NoSeats, float], None] | None = None,
        on_event: Callable[[SeatEvent], None] | None = None,
        reacquire: bool = True,
        release_on_signals: bool | Iterable[int] = False,
    ) -> Seat:
        """Take a seat and hold it until its ``with`` block ends, ``release()`` is called, or the process ends.

        Where the server cannot be reached, the kept token starts the seat ``offline`` within its signed grace.

        Args:
            wait: The seconds to go on looking while no seat is free. Default: not at all. No order is promised. The
                call takes no longer than this and the client's timeout together.
            on_wait: Called with the refusal and the seconds until the next look.
            on_event: Called with each change, from the seat's thread. What it raises is logged.
            reacquire: Whether to ask for a new seat after this one expired, for example in a long sleep. After a kick
                none is asked for.
            release_on_signals: Whether to give the seat back on SIGTERM and SIGHUP, or on which signals. They are
                handed on to the program's own handlers afterwards.

        Raises:
            NoSeats: No seat is free, also after ``wait``.
            Refusal: One of its other classes: the license gives no seat.
            ServerUnreachable: The server did not answer in time, and there is no grace.
            VerificationFailed: An answer came from somebody else, and there is no grace.
        """
        seat = Seat(self._context, self._http, reacquire=reacquire, on_event=on_event)
        process.register_for_forks(self)
        signals = None
        if release_on_signals is not False:
            signals = process.SignalRelease(None if release_on_signals is True else release_on_signals)
        seat._open(wait, on_wait, signals)
        with self._lock:
            self._seats = [*(held for held in self._seats if held.state.value != "gone"), seat]
        return seat

    def acquire(self) -> Lease:
        """Take a seat and do nothing in the background: the caller sends heartbeats and releases it.

        Raises as :meth:`seat` does.
        """
        attempt = self._context.draw_attempt()
        return self._call(lambda over: flows.acquire_or_note(self._context, attempt, over, self._context.max_retries))

    def heartbeat(self, lease: Lease) -> Lease:
        """Show that a session is alive, and get its extended lease.

        Raises :class:`SessionGone` when the session is over, another :class:`Refusal` when the license gives no seat
        now (the lease stands until it ends), :class:`ServerUnreachable` or :class:`VerificationFailed` when no trusted
        answer came (likewise).
        """
        return self._call(lambda over: flows.heartbeat(self._context, lease, over, self._context.max_retries))

    def release(self, lease: Lease) -> datetime:
        """Give a session back. However often it is given back, the answer is the time when it ended.

        Raises :class:`ServerUnreachable`.
        """
        return self._call(lambda over: flows.release_lease(self._context, lease, over, self._context.max_retries))

    def validate(self) -> Validation:
        """Look at the license and at the holders of its seats, without taking one. The answer is not signed.

        Raises :class:`InvalidKey` or :class:`ServerUnreachable`.
        """
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

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _call(self, build: Callable[[float], Flow[T]]) -> T:
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
            raise ServerUnreachable(
                f"The license server at {self._context.server} gave no answer "
                f"within {self._context.timeout:.0f} s. Try again."
            )
        if errors:
            raise errors[0]
        return results[0]

    def _after_fork(self) -> None:
        self._lock = threading.Lock()
        self._seats = []
        self._context.after_fork()
        self._http.after_fork()
