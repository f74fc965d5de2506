"""Conversations with the server as generators: what is asked, how often and when, without any I/O.

A flow yields :class:`Send` and is sent the answer, or yields :class:`Wait` and is resumed later. The sync and the asyncio face differ only in
how they carry the two out (:func:`drive`, and its sister in ``_aio``).
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from . import _wire
from ._context import Context
from ._errors import InvalidRequest, NoSeats, ServerUnreachable, TooManyProcesses, VerificationFailed
from ._types import Lease, Validation
from ._wire import Fault, Reply, Request

T = TypeVar("T")

TRY_SECONDS = 6.0
"""How long one request may take: the server answers within 5 s or not at all (docs/API.md)."""
POLL_SECONDS = 15.0
"""The longest pause between two looks at a full pool."""


@dataclass(frozen=True)
class Send:
    """Send this; resume with the answer."""

    request: Request
    timeout: float


@dataclass(frozen=True)
class Wait:
    """Resume after so many seconds, or earlier."""

    seconds: float


Effect = Send | Wait
Answer = Reply | Fault | None
Flow = Generator[Effect, Answer, T]


def drive(flow: Flow[T], send: Callable[[Send], Answer], wait: Callable[[float], None]) -> T:
    """Carry a flow out with blocking calls."""
    answer: Answer = None
    while True:
        try:
            effect = flow.send(answer)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        if isinstance(effect, Send):
            answer = send(effect)
        else:
            wait(effect.seconds)
            answer = None


def ask(context: Context, build: Callable[[], Request], read: Callable[[Reply, Request], T], deadline: float, retries: int) -> Flow[T]:
    """One question, repeated where nobody answered, until ``deadline`` on the monotonic clock.

    Each try is a request of its own, with a nonce of its own. Raises what the last try raised.
    """
    tries = 0
    while True:
        request = build()
        left = deadline - context.clock.monotonic()
        answer = yield Send(request, max(min(TRY_SECONDS, left), 0.05))
        try:
            return context.read(answer, lambda reply, asked=request: read(reply, asked))  # type: ignore[misc]
        except ServerUnreachable as error:
            tries += 1
            pause = backoff(context, tries, error.retry_after)
            if tries > retries or context.clock.monotonic() + pause >= deadline:
                raise
            yield Wait(pause)


def backoff(context: Context, tries: int, retry_after: float | None) -> float:
    """Half a second, doubling, at most 8 s, spread over half to all of it; never sooner than the server wishes."""
    pause: float = min(0.5 * 2.0 ** (tries - 1), 8.0) * context.rng.uniform(0.5, 1.0)
    return max(pause, retry_after or 0.0)


def acquire(context: Context, attempt: str, deadline: float, retries: int) -> Flow[Lease]:
    """Take a seat. Every retry repeats the attempt, so that an answer that was lost is found again and no second session is made."""
    while True:
        try:
            return (
                yield from ask(
                    context,
                    lambda: _wire.acquire_request(context.identity, attempt, context.instance_id),
                    lambda reply, request: timely(context, _wire.read_acquire(reply, request, context.expected, attempt, context.clock.wall())),
                    deadline,
                    retries,
                )
            )
        except InvalidRequest as error:
            # Only a license that counts processes needs to be told one from another, and it says so.
            if any(field == "instance_id" for field, _ in error.errors) and context.need_instance():
                continue
            raise


def acquire_or_note(context: Context, attempt: str, deadline: float, retries: int) -> Flow[Lease]:
    """Acquire, and remember the attempt where nobody knows how it ended."""
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
    tell: Callable[[NoSeats, float], None] | None,
    stopped: Callable[[], bool],
) -> Flow[Lease]:
    """Acquire, looking again at a full pool, or a seat full of this machine's processes, until ``deadline``.

    Each look may take the client's timeout. Who waits longest has no right to be first.
    """
    while True:
        try:
            over = context.clock.monotonic() + context.timeout
            lease = yield from acquire_or_note(context, attempt, over, context.max_retries)
        except (NoSeats, TooManyProcesses) as error:
            pause = poll_pause(context, error.next_seat_in if isinstance(error, NoSeats) else error.next_process_in)
            if stopped() or context.clock.monotonic() + pause >= deadline:
                raise
            if tell is not None and isinstance(error, NoSeats):
                tell(error, pause)
            yield Wait(pause)
            if stopped():
                raise
        else:
            return lease


def poll_pause(context: Context, next_in: int | None) -> float:
    """The smaller of ``next_in`` and 15 s, and up to a quarter more: never before the lease ends, and not all at once."""
    base = POLL_SECONDS if next_in is None else min(float(next_in), POLL_SECONDS)
    return max(base, 0.5) * context.rng.uniform(1.0, 1.25)


def heartbeat(context: Context, lease: Lease, deadline: float, retries: int) -> Flow[Lease]:
    """Show that a session is alive; the extended lease."""
    return (
        yield from ask(
            context,
            lambda: _wire.heartbeat_request(lease),
            lambda reply, request: timely(context, _wire.read_heartbeat(reply, request, context.expected, lease, context.clock.wall())),
            deadline,
            retries,
        )
    )


def release(context: Context, session: str, deadline: float, retries: int) -> Flow[datetime]:
    """Give a session back; again and again the same answer."""
    return (
        yield from ask(
            context,
            lambda: _wire.release_request(session),
            lambda reply, request: _wire.read_release(reply, request, context.expected, context.clock.wall()),
            deadline,
            retries,
        )
    )


def release_lease(context: Context, lease: Lease, deadline: float, retries: int) -> Flow[datetime]:
    """Give a session back, and its grace with it: a token of it that was kept is thrown away once the server knows."""
    when = yield from release(context, lease.session, deadline, retries)
    if context.offline:
        context.store.forget_sessions({lease.claims.session_id})
    return when


def validate(context: Context, deadline: float, retries: int) -> Flow[Validation]:
    """Ask what an acquire would say."""
    return (
        yield from ask(
            context,
            lambda: _wire.validate_request(context.identity),
            lambda reply, request: _wire.read_validation(reply, request, context.expected, context.clock.wall()),
            deadline,
            retries,
        )
    )


def timely(context: Context, lease: Lease) -> Lease:
    """``lease``, unless it was over before its answer came: that is no lease, and asking again with the same attempt gives one."""
    if lease.ends_at <= context.clock.monotonic():
        raise ServerUnreachable("The license server's answer came after the lease it granted was over. Try again.")
    return lease
