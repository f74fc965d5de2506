"""The four operations of docs/API.md as flows: what is asked, how often and when, without any I/O.

A flow yields :class:`SendRequest` and is resumed with the reply, or yields :class:`Pause` and is resumed later. The
client for threads and the client for asyncio differ only in how they carry the two out (:func:`drive`, and its
counterpart in ``_aio``).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from . import _wire
from ._context import Context
from ._errors import InvalidRequest, NoSeats, ServerUnreachable, TooManyProcesses, VerificationFailed
from ._exchange import EffectResult, Flow, Pause, Reply, Request, SendRequest
from ._types import Lease, Validation

T = TypeVar("T")

TRY_SECONDS = 6.0
"""How long one request may take: the server answers within 5 s or not at all (docs/API.md)."""


def drive(flow: Flow[T], send: Callable[[SendRequest], EffectResult], wait: Callable[[float], None]) -> T:
    """Carry a flow out with blocking calls."""
    result: EffectResult = None
    while True:
        try:
            effect = flow.send(result)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        if isinstance(effect, SendRequest):
            result = send(effect)
        else:
            wait(effect.seconds)
            result = None


def ask(
    context: Context,
    build: Callable[[], Request],
    read: Callable[[Reply, Request], T],
    deadline: float,
    retries: int,
) -> Flow[T]:
    """One question, repeated while no answer comes, until ``deadline`` on the monotonic clock.

    Each try is a request of its own, with a nonce of its own. Raises what the last try raised.
    """
    tries = 0
    while True:
        request = build()
        left = deadline - context.clock.monotonic()
        result = yield SendRequest(request, max(min(TRY_SECONDS, left), 0.05))
        try:
            return context.read(result, lambda reply, asked=request: read(reply, asked))  # type: ignore[misc]
        except ServerUnreachable as error:
            tries += 1
            pause = context.retry_pause(tries, error.retry_after)
            if tries > retries or context.clock.monotonic() + pause >= deadline:
                raise
            yield Pause(pause)


def acquire(context: Context, attempt: str, deadline: float, retries: int) -> Flow[Lease]:
    """Take a seat.

    Every retry repeats the attempt, so that the server finds the session whose answer was lost instead of making a
    second one.
    """

    def build() -> Request:
        return _wire.acquire_request(context.identity, attempt, context.instance_id)

    def read(reply: Reply, request: Request) -> Lease:
        lease = _wire.read_acquire(reply, request, context.expected, attempt, context.clock.wall())
        return reject_late_lease(context, lease)

    while True:
        try:
            return (yield from ask(context, build, read, deadline, retries))
        except InvalidRequest as error:
            # Only a license that counts processes needs to tell one from another, and its server says so.
            if any(field == "instance_id" for field, _ in error.errors) and context.require_instance_id():
                continue
            raise


def acquire_or_note(context: Context, attempt: str, deadline: float, retries: int) -> Flow[Lease]:
    """Take a seat, and remember the attempt where its outcome is not known."""
    try:
        lease = yield from acquire(context, attempt, deadline, retries)
    except (ServerUnreachable, VerificationFailed):
        context.unsettled.append(attempt)
        raise
    return lease


def wait_for_seat(
    context: Context,
    attempt: str,
    deadline: float,
    on_wait: Callable[[NoSeats, float], None] | None,
    is_over: Callable[[], bool],
) -> Flow[Lease]:
    """Take a seat, and look again until ``deadline`` at a pool without a free seat or at a seat without a free place.

    Each look may take the client's timeout. The client that waits longest has no right to be first.
    """
    while True:
        try:
            end = context.clock.monotonic() + context.timeout
            lease = yield from acquire_or_note(context, attempt, end, context.max_retries)
        except (NoSeats, TooManyProcesses) as error:
            pause = context.poll_pause(error.next_seat_in if isinstance(error, NoSeats) else error.next_process_in)
            if is_over() or context.clock.monotonic() + pause >= deadline:
                raise
            if on_wait is not None and isinstance(error, NoSeats):
                on_wait(error, pause)
            yield Pause(pause)
            if is_over():
                raise
        else:
            return lease


def heartbeat(context: Context, lease: Lease, deadline: float, retries: int) -> Flow[Lease]:
    """Show that a session is alive, and get its extended lease."""

    def build() -> Request:
        return _wire.heartbeat_request(lease)

    def read(reply: Reply, request: Request) -> Lease:
        extended = _wire.read_heartbeat(reply, request, context.expected, lease, context.clock.wall())
        return reject_late_lease(context, extended)

    return (yield from ask(context, build, read, deadline, retries))


def release(context: Context, session: str, deadline: float, retries: int) -> Flow[datetime]:
    """Give a session back. However often it is given back, the answer is the time when it ended."""

    def build() -> Request:
        return _wire.release_request(session)

    def read(reply: Reply, request: Request) -> datetime:
        return _wire.read_release(reply, request, context.expected, context.clock.wall())

    return (yield from ask(context, build, read, deadline, retries))


def release_lease(context: Context, lease: Lease, deadline: float, retries: int) -> Flow[datetime]:
    """Give a session back, and its grace with it: the kept token of it is removed once the server knows."""
    when = yield from release(context, lease.session, deadline, retries)
    if context.offline:
        context.store.forget_sessions({lease.claims.session_id})
    return when


def validate(context: Context, deadline: float, retries: int) -> Flow[Validation]:
    """Ask what an acquire would answer now."""

    def build() -> Request:
        return _wire.validate_request(context.identity)

    def read(reply: Reply, request: Request) -> Validation:
        return _wire.read_validation(reply, request, context.expected, context.clock.wall())

    return (yield from ask(context, build, read, deadline, retries))


def reject_late_lease(context: Context, lease: Lease) -> Lease:
    """The lease.

    Raises :class:`ServerUnreachable` if it was over before its reply came; the same attempt then gets a new one.
    """
    if lease.ends_at <= context.clock.monotonic():
        raise ServerUnreachable("The license server's answer came after the lease it granted was over. Try again.")
    return lease
