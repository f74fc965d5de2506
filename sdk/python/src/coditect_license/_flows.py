"""The four operations of docs/API.md as flows: what is asked, how often and when, without any I/O.

A flow yields :class:`SendRequest` and is resumed with the reply, or yields :class:`Pause` and is resumed later, or
yields :class:`DoAside` for what a disk may hold up. The client for threads and the client for asyncio differ only in
how they carry these out (:func:`drive`, and its counterpart in ``_aio_seat``).
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from . import _wire
from ._context import Context
from ._errors import (
    InvalidRequest,
    LicenseError,
    NoSeats,
    ServerUnreachable,
    TooManyProcesses,
    VerificationFailed,
)
from ._exchange import DoAside, EffectResult, Flow, Pause, Reply, Request, SendRequest
from ._types import Lease, Validation

T = TypeVar("T")

TRY_SECONDS = 6.0
"""How long one request may take: the server answers within 5 s or not at all (docs/API.md)."""
DISK_SECONDS = 1.0
"""How long a flow waits for a disk. What it wanted written is written later, if the disk takes longer."""


class Grants:
    """What was granted to one attempt and is not taken over yet, verified or not.

    Whoever does not take it over gives it back: the handle of a session is enough for that.
    """

    def __init__(self) -> None:
        self.pending: dict[str, str | None] = {}
        """The handles, each with the address that granted it."""
        self.asked = False
        """Whether a request was sent whose answer has not come, so that a seat may have been granted."""
        self.given_back = False
        """Whether something was given back, so that the attempt must not be repeated (docs/PROTOCOL.md)."""

    def take(self, lease: Lease) -> None:
        """Note that a lease has an owner from now on."""
        self.pending.pop(lease.session, None)


def drive(
    flow: Flow[T],
    send: Callable[[SendRequest], EffectResult],
    wait: Callable[[float], None],
    aside: Callable[[DoAside], object] = lambda effect: effect.work(),
) -> T:
    """Carry a flow out with blocking calls."""
    result: EffectResult = None
    while True:
        try:
            effect = flow.send(result)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        result = None
        if isinstance(effect, SendRequest):
            result = send(effect)
        elif isinstance(effect, DoAside):
            aside(effect)
        else:
            wait(effect.seconds)


def prepare(context: Context, deadline: float) -> Flow[None]:
    """Find out what depends on the machine. Raises :class:`ConfigurationError`, at the latest at ``deadline``."""
    if not context.is_found_out:
        yield DoAside(context.find_out, context.aside, max(deadline - context.clock.monotonic(), 0.0))
        context.found_facts()


def ask(
    context: Context,
    build: Callable[[], Request],
    read: Callable[[Reply, Request], T],
    deadline: float,
    retries: float,
    *,
    first: str | None = None,
) -> Flow[T]:
    """One question, repeated while no answer comes, until ``deadline`` on the monotonic clock.

    Each try is a request of its own, with a nonce of its own. Where the server has several addresses, each is asked in
    turn, the ``first`` before the others, until one gives a trusted answer. Raises what the last round raised; an
    answer that was not trusted is worth more than none.
    """
    tries = 0
    while True:
        servers = context.servers
        if first is not None:
            servers = (first, *(other for other in servers if other != first))
        untrusted: VerificationFailed | None = None
        unreachable: ServerUnreachable | None = None
        for at, server in enumerate(servers):
            request = build()
            left = (deadline - context.clock.monotonic()) / (len(servers) - at)
            result = yield SendRequest(request, max(min(TRY_SECONDS, left), 0.05), server)
            try:
                answer = context.read(result, lambda reply, asked=request: read(reply, asked), server)  # type: ignore[misc]
            except ServerUnreachable as error:
                unreachable = error
            except VerificationFailed as error:
                untrusted = untrusted or error
            else:
                context.prefer_server(server)
                return answer
        if untrusted is not None:
            raise untrusted
        if unreachable is None:
            raise AssertionError("a client has at least one address")
        tries += 1
        pause = context.retry_pause(tries, unreachable.retry_after)
        if tries > retries or context.clock.monotonic() + pause >= deadline:
            raise unreachable
        yield Pause(pause)


def acquire(
    context: Context, attempt: str, deadline: float, retries: float, grants: Grants, *, reusable: bool = True
) -> Flow[Lease]:
    """Take a seat. The lease is one of ``grants`` until its owner takes it over.

    Every retry repeats the attempt, so that the server finds the session whose answer was lost instead of making a
    second one. Where nothing comes of it, what was granted is given back before the error is raised. ``reusable`` says
    whether the attempt of an unknown outcome may be repeated by another start of this client.
    """
    yield from prepare(context, deadline)
    try:
        return (yield from _acquire(context, attempt, deadline, retries, grants))
    except Exception as error:
        yield from give_back(context, grants, context.clock.monotonic() + TRY_SECONDS)
        unknown = isinstance(error, (ServerUnreachable, VerificationFailed))
        if reusable and unknown and not grants.given_back:
            context.unsettled.append(attempt)
        raise


def _acquire(context: Context, attempt: str, deadline: float, retries: float, grants: Grants) -> Flow[Lease]:
    def build() -> Request:
        grants.asked = True
        return _wire.acquire_request(context.identity, attempt, context.instance_id)

    def read(reply: Reply, request: Request) -> Lease:
        grants.asked = False
        session = _wire.granted_session(reply)
        if session is not None:
            grants.pending[session] = reply.server
        lease = _wire.read_acquire(reply, request, context.expected, attempt, context.clock.wall())
        return reject_late_lease(context, lease)

    while True:
        try:
            lease = yield from ask(context, build, read, deadline, retries)
        except InvalidRequest as error:
            # Only a license that counts processes needs to tell one from another, and its server says so.
            if any(field == "instance_id" for field, _ in error.errors) and context.require_instance_id():
                continue
            raise
        # Another deployment behind one of several addresses may have granted a seat of its own.
        strangers = {held: server for held, server in grants.pending.items() if held != lease.session}
        if strangers:
            foreign = Grants()
            foreign.pending = strangers
            yield from give_back(context, foreign, context.clock.monotonic() + TRY_SECONDS)
            grants.pending = {lease.session: grants.pending[lease.session]}
        return lease


def give_back(context: Context, grants: Grants, deadline: float) -> Flow[None]:
    """Give back what was granted and has no owner. What cannot be given back is free when its lease is over."""
    for session, server in list(grants.pending.items()):
        grants.given_back = True
        with contextlib.suppress(LicenseError):
            yield from release(context, session, deadline, 1, server)
        grants.pending.pop(session, None)


def settle(context: Context, attempt: str, grants: Grants, deadline: float) -> Flow[None]:
    """Give back whatever an attempt was granted, also where its request was interrupted before the answer came.

    The same attempt is then asked once more, which gives the same session again.
    """
    if grants.asked:
        grants.asked = False
        try:
            yield from acquire(context, attempt, deadline, 0, grants, reusable=False)
        except LicenseError:
            return
    yield from give_back(context, grants, deadline)


OnWait = Callable[[NoSeats | TooManyProcesses, float], None]
"""Told why there is no place on a seat yet, and after how many seconds the next look is."""


def wait_for_seat(
    context: Context,
    attempt: str,
    deadline: float,
    on_wait: OnWait | None,
    is_over: Callable[[], bool],
    *,
    grants: Grants,
) -> Flow[Lease]:
    """Take a seat, and look again until ``deadline`` at a pool without a free seat or at a seat without a free place.

    Each look may take the client's timeout. The client that waits longest has no right to be first.
    """
    while True:
        try:
            end = context.clock.monotonic() + context.timeout
            lease = yield from acquire(context, attempt, end, context.max_retries, grants)
        except (NoSeats, TooManyProcesses) as error:
            pause = context.poll_pause(error.next_seat_in if isinstance(error, NoSeats) else error.next_process_in)
            if is_over() or context.clock.monotonic() + pause >= deadline:
                raise
            if on_wait is not None:
                on_wait(error, pause)
            yield Pause(pause)
            if is_over():
                raise
        else:
            return lease


def heartbeat(context: Context, lease: Lease, deadline: float, retries: float) -> Flow[Lease]:
    """Show that a session is alive, and get its extended lease."""

    def build() -> Request:
        return _wire.heartbeat_request(lease)

    def read(reply: Reply, request: Request) -> Lease:
        extended = _wire.read_heartbeat(reply, request, context.expected, lease, context.clock.wall())
        return reject_late_lease(context, extended)

    yield from prepare(context, deadline)
    return (yield from ask(context, build, read, deadline, retries))


def release(
    context: Context, session: str, deadline: float, retries: float, server: str | None = None
) -> Flow[datetime]:
    """Give a session back. However often it is given back, the answer is the time when it ended.

    The ``server`` that granted it is asked first; any address of the deployment may answer.
    """

    def build() -> Request:
        return _wire.release_request(session)

    def read(reply: Reply, request: Request) -> datetime:
        return _wire.read_release(reply, request, context.expected, context.clock.wall())

    yield from prepare(context, deadline)
    return (yield from ask(context, build, read, deadline, retries, first=server))


def release_lease(context: Context, lease: Lease, deadline: float, retries: float) -> Flow[datetime]:
    """Give a session back, and its grace with it: the kept token of it is removed once the server knows."""
    when = yield from release(context, lease.session, deadline, retries)
    if context.offline:
        store, sessions = context.store, {lease.claims.session_id}
        yield DoAside(lambda: store.forget_sessions(sessions), store.aside, DISK_SECONDS)
    return when


def validate(context: Context, deadline: float, retries: float) -> Flow[Validation]:
    """Ask what an acquire would answer now."""

    def build() -> Request:
        return _wire.validate_request(context.identity)

    def read(reply: Reply, request: Request) -> Validation:
        return _wire.read_validation(reply, request, context.expected, context.clock.wall())

    yield from prepare(context, deadline)
    return (yield from ask(context, build, read, deadline, retries))


def reject_late_lease(context: Context, lease: Lease) -> Lease:
    """The lease.

    Raises :class:`ServerUnreachable` if it was over before its reply came; the same attempt then gets a new one.
    """
    if lease.ends_at <= context.clock.monotonic():
        raise ServerUnreachable("The license server's answer came after the lease it granted was over. Try again.")
    return lease


def seconds_in_words(seconds: float) -> str:
    """A time limit in a message."""
    return "in time" if math.isinf(seconds) else f"within {seconds:.0f} s"
