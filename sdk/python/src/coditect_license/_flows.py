"""The four operations of docs/API.md as flows: what is asked, how often and when, without any I/O.

A flow yields :class:`SendRequest` and is resumed with the reply, or yields :class:`Pause` and is resumed later, or
yields :class:`DoAside` for what a disk may hold up. The client for threads and the client for asyncio differ only in
how they carry these out (:func:`drive`, and its counterpart in ``_aio_seat``).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from . import _wire
from ._context import Context
from ._errors import (
    InvalidRequest,
    LicenseError,
    NoSeats,
    Refusal,
    ServerUnreachable,
    TooManyProcesses,
    VerificationFailed,
)
from ._exchange import DoAside, EffectResult, Flow, Pause, Reply, Request, SendRequest, TransportFault, seconds_in_words
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
        """Whether a request was sent to which no trusted answer has come, so that a seat may have been granted."""
        self.under_way = False
        """Whether somebody waits for such an answer now. Whoever does gives back what it grants."""
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
    note: Callable[[EffectResult], None] = lambda _: None,
) -> Flow[T]:
    """One question, repeated while no answer comes, until ``deadline`` on the monotonic clock.

    Each try is a request of its own, with a nonce of its own. Where the server has several addresses, each is asked in
    turn, the ``first`` before the others, until one gives a trusted answer. It is asked first from now on if it signed
    that. ``note`` is told what came of each try.
    Raises what the last round raised; an answer that was not trusted is worth more than none.
    """
    tries = 0
    while True:
        servers = context.servers
        if first is not None:
            servers = (first, *(other for other in servers if other != first))
        untrusted: VerificationFailed | Refusal | None = None
        unreachable: ServerUnreachable | None = None
        for at, server in enumerate(servers):
            request = build()
            left = (deadline - context.clock.monotonic()) / (len(servers) - at)
            result = yield SendRequest(request, max(min(TRY_SECONDS, left), 0.05), server)
            note(result)
            try:
                answer = context.read(result, lambda reply, asked=request: read(reply, asked), server)  # type: ignore[misc]
            except ServerUnreachable as error:
                unreachable = error
            except (VerificationFailed, Refusal) as error:
                if isinstance(error, Refusal) and request.nonce is not None:
                    raise
                # Nobody signed it: another deployment may be behind this address, which does not know the session.
                untrusted = untrusted or error
            else:
                if request.nonce is not None:
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
    second one. Where nothing comes of it, the error is raised at once; its owner gives back what ``grants`` hold, which
    may take long. ``reusable`` says whether the attempt of an unknown outcome may be repeated by another start of this
    client from then on; a seat may go on with its own.
    """
    yield from prepare(context, deadline)
    try:
        while True:
            try:
                return (yield from _acquire(context, attempt, deadline, retries, grants))
            except (NoSeats, TooManyProcesses):
                # Perhaps it is full of what this client is giving back, or does not know that it was granted.
                if not (yield from _until_settled(context, deadline)):
                    raise
    except (ServerUnreachable, VerificationFailed):
        if reusable:
            leave_to_others(context, attempt, grants)
        raise


def leave_to_others(context: Context, attempt: str, grants: Grants, *, repeatable: bool = True) -> None:
    """Have this client ask for an attempt that its owner gives up, if its outcome is not known.

    Another start repeats it if it is ``repeatable`` and nothing that it was granted was given back.
    """
    if grants.asked and not grants.pending:
        grants.asked = False
        context.leave_unsettled(attempt, repeatable=repeatable and not grants.given_back)


def _until_settled(context: Context, deadline: float) -> Flow[bool]:
    """Whether something was being given back and is not any more, or is given back now that nobody asked for yet."""
    if not context.settling:
        before = len(context.unsettled)
        yield from settle_rest(context, deadline)
        return len(context.unsettled) < before
    over = min(deadline, context.clock.monotonic() + TRY_SECONDS)
    while context.settling:
        if context.clock.monotonic() >= over:
            return False
        yield Pause(0.05)
    return True


def _acquire(context: Context, attempt: str, deadline: float, retries: float, grants: Grants) -> Flow[Lease]:
    before = False

    def build() -> Request:
        nonlocal before
        before, grants.asked, grants.under_way = grants.asked, True, True
        return _wire.acquire_request(context.identity, attempt, context.instance_id)

    def note(result: EffectResult) -> None:
        grants.under_way = False
        if isinstance(result, TransportFault) and not result.may_have_arrived:
            grants.asked = before
        reply = result.reply if isinstance(result, TransportFault) else result
        session = None if reply is None else _wire.granted_session(reply)
        if reply is not None and session is not None:
            grants.asked, grants.pending[session] = False, reply.server

    def read(reply: Reply, request: Request) -> Lease:
        try:
            lease = _wire.read_acquire(reply, request, context.expected, attempt, context.clock.wall())
        except (Refusal, InvalidRequest):
            grants.asked = False
            raise
        return reject_late_lease(context, lease)

    while True:
        try:
            return (yield from ask(context, build, read, deadline, retries, note=note))
        except InvalidRequest as error:
            # Only a license that counts processes needs to tell one from another, and its server says so.
            if not any(field == "instance_id" for field, _ in error.errors) or not context.require_instance_id():
                raise


def give_back(context: Context, grants: Grants, deadline: float, *, kept: str | None = None) -> Flow[None]:
    """Give back what was granted and has no owner. What cannot be given back is free when its lease is over.

    The session ``kept`` stays: where it has come to a lease, another deployment behind one of several addresses may
    have granted a seat of its own.
    """
    for session, server in list(grants.pending.items()):
        if session == kept:
            continue
        grants.given_back = grants.given_back or kept is None
        with contextlib.suppress(LicenseError):
            yield from release(context, session, deadline, 1, server)
        grants.pending.pop(session, None)


def settle(context: Context, attempt: str, grants: Grants, deadline: float) -> Flow[bool]:
    """Give back whatever an attempt was granted, also where no answer came. False if the outcome is still not known.

    The same attempt is then asked once more, which gives the same session again.
    """
    context.settling.add(grants)
    try:
        if grants.asked:
            with contextlib.suppress(LicenseError):
                yield from prepare(context, deadline)
                yield from _acquire(context, attempt, deadline, 0, grants)
        yield from give_back(context, grants, deadline)
    finally:
        context.settling.discard(grants)
    return not grants.asked


def settle_rest(context: Context, deadline: float, *, last: bool = False) -> Flow[None]:
    """Ask what became of every attempt whose outcome is not known, and give back what they were granted.

    What is still not known afterwards is kept for the next start, unless this was the ``last`` time.
    """
    for attempt, repeatable in list(context.unsettled.items()):
        if context.claim_unsettled(attempt):
            grants = Grants()
            grants.asked = True
            settled = False
            try:
                settled = yield from settle(context, attempt, grants, deadline)
            finally:
                if not settled and not last:
                    context.leave_unsettled(attempt, repeatable=repeatable)


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

    Each look may take the client's timeout. The client that waits longest has no right to be first. The attempt is not
    left to others.
    """
    while True:
        try:
            end = context.clock.monotonic() + context.timeout
            lease = yield from acquire(context, attempt, end, context.max_retries, grants, reusable=False)
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


def no_answer(context: Context, seconds: float, request_id: str | None) -> ServerUnreachable:
    """The exception for a call whose time is over. ``request_id`` is that of its last request."""
    through, advice, way = "", "Try again.", context.last_way
    if way is not None and way.proxy is not None:
        through, advice = f" through {way.proxy}", way.advice
    error = ServerUnreachable(
        f"The license server at {context.server} gave no answer {seconds_in_words(seconds)}{through}. {advice}"
    )
    error.request_id = request_id
    return error
