"""The life of a seat as flows: start, keep, give back. What a thread runs in one face and a task in the other."""

from __future__ import annotations

from collections.abc import Callable

from . import _errors as errors
from . import _flows as flows
from ._flows import TRY_SECONDS, Flow, Send, Wait
from ._seat_core import SeatCore
from ._wire import heartbeat_request, read_heartbeat

SLICE_SECONDS = 15.0
"""The longest wait in one piece: waits stand still while a machine sleeps, and its waking should not go unnoticed for a whole heartbeat."""
WOKE_SECONDS = 5.0
"""A wait that took so much longer than it should means that the machine slept."""


def start(core: SeatCore, deadline: float, wait_until: float | None, on_wait: Callable[[errors.NoSeats, float], None] | None) -> Flow[None]:
    """The first lease, or the signed grace of the last one. Raises what refused both."""
    context, generation = core.context, core.generation
    try:
        if wait_until is None:
            lease = yield from flows.acquire_or_note(context, core.attempt, deadline, context.max_retries)
        else:
            lease = yield from flows.wait_for_seat(context, core.attempt, wait_until, on_wait, lambda: core.over)
    except (errors.ServerUnreachable, errors.VerificationFailed, errors.InvalidRequest) as error:
        why_not = core.start_offline(error)
        if why_not is None:
            core.observe()
            return
        if isinstance(error, errors.ServerUnreachable):
            raise errors.ServerUnreachable(str(error), error.retry_after, why_not) from error
        raise
    except errors.Refused as error:
        core.refused(error, generation)
        raise
    if not core.accept(lease, generation):
        yield from _give_back(core, lease.session, context.clock.monotonic() + TRY_SECONDS)


def keep(core: SeatCore) -> Flow[None]:
    """From the first lease until the seat is over."""
    while not core.over:
        core.observe()
        yield from _pause(core, core.next_pause())
        if not core.over:
            yield from _beat(core)
    core.observe()


def give_back(core: SeatCore, session: str | None, deadline: float) -> Flow[bool]:
    """Tell the server that the session is over. True if it knows."""
    if session is None:
        return True
    return (yield from _give_back(core, session, deadline))


def _pause(core: SeatCore, seconds: float) -> Flow[None]:
    clock = core.context.clock
    end = clock.monotonic() + seconds
    while not core.over and not core.nudged:
        core.observe()
        before = clock.monotonic()
        step = min(end - before, SLICE_SECONDS, core.next_change())
        if step <= 0:
            break
        yield Wait(step)
        if clock.monotonic() - before > step + WOKE_SECONDS:
            break
    core.nudged = False


def _beat(core: SeatCore) -> Flow[None]:
    context, generation, lease = core.context, core.generation, core.lease
    if lease is None or core.session_lost:
        yield from _acquire_again(core)
        return
    request = heartbeat_request(lease)
    answer = yield Send(request, TRY_SECONDS)
    try:
        extended = context.read(answer, lambda reply: read_heartbeat(reply, request, context.expected, lease, context.clock.wall()))
        core.accept(flows.timely(context, extended), generation)
    except errors.Gone as error:
        if core.gone(error, generation):
            yield from _acquire_again(core)
    except errors.Refused as error:
        core.refused(error, generation)
    except errors.LicenseError as error:
        core.fault(error, generation)


def _acquire_again(core: SeatCore) -> Flow[None]:
    context, generation = core.context, core.generation
    try:
        lease = yield from flows.acquire(context, core.attempt, context.clock.monotonic() + TRY_SECONDS, 0)
    except errors.Refused as error:
        core.refused(error, generation)
    except errors.LicenseError as error:
        core.fault(error, generation)
    else:
        if not core.accept(lease, generation):
            # Released meanwhile: what was granted after that is nobody's.
            yield from _give_back(core, lease.session, context.clock.monotonic() + TRY_SECONDS)


def _give_back(core: SeatCore, session: str, deadline: float) -> Flow[bool]:
    try:
        yield from flows.release(core.context, session, deadline, 1)
    except errors.LicenseError:
        # Then its lease runs out: a seat is back within one, whatever happens here.
        return False
    core.given_back()
    return True
