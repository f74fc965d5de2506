"""The life of a seat as flows: it is opened, kept and given back.

A thread drives them in one client, a task in the other.
"""

from __future__ import annotations

from collections.abc import Callable

from . import _errors as errors, _flows as flows
from ._exchange import Flow, Pause, Reply, SendRequest
from ._flows import TRY_SECONDS
from ._seat_core import SeatCore
from ._types import Lease
from ._wire import heartbeat_request, read_heartbeat

SLICE_SECONDS = 15.0
"""The longest pause in one piece. A pause stands still while a machine sleeps, and waking must be noticed before the
next heartbeat is due."""
WOKE_SECONDS = 5.0
"""A pause that took so many seconds longer than it should means that the machine slept."""

OnWait = Callable[[errors.NoSeats, float], None] | None


def open_seat(core: SeatCore, deadline: float, wait_until: float | None, on_wait: OnWait) -> Flow[None]:
    """Get the first lease, or start within the signed grace of the last one. Raises what refused both."""
    context, generation = core.context, core.generation
    try:
        if wait_until is None:
            lease = yield from flows.acquire_or_note(context, core.attempt, deadline, context.max_retries)
        else:
            lease = yield from flows.wait_for_seat(context, core.attempt, wait_until, on_wait, lambda: core.over)
    except (errors.ServerUnreachable, errors.VerificationFailed, errors.InvalidRequest) as error:
        why_not = core.start_offline(error)
        if why_not is None:
            core.report_changes()
            return
        if isinstance(error, errors.ServerUnreachable):
            raise errors.ServerUnreachable(str(error), error.retry_after, why_not) from error
        raise
    except errors.Refusal as error:
        core.on_refusal(error, generation)
        raise
    if not core.on_lease(lease, generation):
        yield from _give_back(core, lease.session, context.clock.monotonic() + TRY_SECONDS)


def keep_seat(core: SeatCore) -> Flow[None]:
    """Send heartbeats from the first lease until the seat is over."""
    while not core.over:
        core.report_changes()
        yield from _pause(core, core.next_pause())
        if not core.over:
            yield from _beat(core)
    core.report_changes()


def give_seat_back(core: SeatCore, session: str | None, deadline: float) -> Flow[bool]:
    """Tell the server that the session is over. True if the server knows, or if there is no session."""
    if session is None:
        return True
    return (yield from _give_back(core, session, deadline))


def _pause(core: SeatCore, seconds: float) -> Flow[None]:
    clock = core.context.clock
    end = clock.monotonic() + seconds
    while not core.over and not core.retry_requested:
        core.report_changes()
        before = clock.monotonic()
        step = min(end - before, SLICE_SECONDS, core.next_change())
        if step <= 0:
            break
        yield Pause(step)
        if clock.monotonic() - before > step + WOKE_SECONDS:
            break
    core.retry_requested = False


def _beat(core: SeatCore) -> Flow[None]:
    context, generation, lease = core.context, core.generation, core.lease
    if lease is None or core.session_lost:
        yield from _acquire_again(core)
        return
    request = heartbeat_request(lease)
    result = yield SendRequest(request, TRY_SECONDS)

    def read(reply: Reply) -> Lease:
        return read_heartbeat(reply, request, context.expected, lease, context.clock.wall())

    try:
        core.on_lease(flows.reject_late_lease(context, context.read(result, read)), generation)
    except errors.SessionGone as error:
        if core.on_session_gone(error, generation):
            yield from _acquire_again(core)
    except errors.Refusal as error:
        core.on_refusal(error, generation)
    except errors.LicenseError as error:
        core.on_fault(error, generation)


def _acquire_again(core: SeatCore) -> Flow[None]:
    context, generation = core.context, core.generation
    try:
        lease = yield from flows.acquire(context, core.attempt, context.clock.monotonic() + TRY_SECONDS, 0)
    except errors.Refusal as error:
        core.on_refusal(error, generation)
    except errors.LicenseError as error:
        core.on_fault(error, generation)
    else:
        if not core.on_lease(lease, generation):
            # The seat was released meanwhile, so what was granted afterwards has no owner.
            yield from _give_back(core, lease.session, context.clock.monotonic() + TRY_SECONDS)


def _give_back(core: SeatCore, session: str, deadline: float) -> Flow[bool]:
    try:
        yield from flows.release(core.context, session, deadline, 1)
    except errors.LicenseError:
        # Its lease then runs out by itself, so the seat is free within one lease.
        return False
    core.on_release_confirmed()
    return True
