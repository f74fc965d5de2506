"""The life of a seat as flows: it is opened, kept and given back.

A thread drives them in one client, a task in the other.
"""

from __future__ import annotations

from . import _errors as errors, _flows as flows
from ._exchange import DoAside, Flow, Pause
from ._flows import TRY_SECONDS
from ._seat_core import SeatCore
from ._types import Lease

SLICE_SECONDS = 15.0
"""The longest pause in one piece. A pause stands still while a machine sleeps, and waking must be noticed before the
next heartbeat is due."""
WOKE_SECONDS = 5.0
"""A pause that took so many seconds longer than it should means that the machine slept."""

OnWait = flows.OnWait | None


def open_seat(core: SeatCore, deadline: float, wait_until: float | None, on_wait: OnWait) -> Flow[None]:
    """Get the first lease, or start within the signed grace of the last one. Raises what refused both.

    Whoever gives the seat up then has others repeat its attempt (:func:`give_up`).
    """
    context, generation = core.context, core.generation
    yield from flows.prepare(context, deadline)
    if context.offline:
        # Begun now, so that it is known when the server does not answer. Nobody waits for it here.
        yield DoAside(core.read_kept, context.store.aside, 0.0)
    try:
        if wait_until is None:
            lease = yield from flows.acquire(
                context, core.attempt, deadline, context.max_retries, core.grants, reusable=False
            )
        else:
            over = lambda: core.over  # noqa: E731 - a name for the line below
            lease = yield from flows.wait_for_seat(context, core.attempt, wait_until, on_wait, over, grants=core.grants)
    except (errors.ServerUnreachable, errors.VerificationFailed, errors.InvalidRequest) as error:
        yield from _read_kept(core)
        why_not = core.start_offline(error)
        if why_not is None:
            core.report_changes()
            return
        if isinstance(error, errors.ServerUnreachable):
            raise errors.with_offline(error, why_not) from error.__cause__
        raise
    except errors.Refusal as error:
        core.on_refusal(error, generation)
        yield from write_down(core)
        raise
    yield from take_over(core, lease, generation)


def give_up(core: SeatCore) -> None:
    """End a seat that was never opened. If it is not known what it was granted, another start may ask."""
    core.close()
    flows.leave_to_others(core.context, core.attempt, core.grants)


def take_over(core: SeatCore, lease: Lease, generation: int) -> Flow[bool]:
    """Make a lease that of this seat. One that the seat does not take, since it is over meanwhile, is given back."""
    try:
        if core.needs_kept(lease):
            yield from _read_kept(core)
        taken = core.on_lease(lease, generation)
    except Exception:
        # A mistake of ours: nobody else would give it back.
        yield from _give_back(core, lease.session, core.context.clock.monotonic() + TRY_SECONDS)
        raise
    if not taken:
        yield from _give_back(core, lease.session, core.context.clock.monotonic() + TRY_SECONDS)
    yield from write_down(core)
    return taken


def write_down(core: SeatCore) -> Flow[None]:
    """Have everything written that the disk is to be told."""
    while core.writes:
        write = core.writes.popleft()
        yield DoAside(write, core.context.store.aside, flows.DISK_SECONDS)


def _read_kept(core: SeatCore) -> Flow[None]:
    if core.context.offline:
        core.kept_is_known = False
        yield DoAside(core.read_kept, core.context.store.aside, flows.DISK_SECONDS)


def keep_seat(core: SeatCore) -> Flow[None]:
    """Send heartbeats from the first lease until the seat is over."""
    yield from _give_back_pending(core)
    while not core.over:
        core.report_changes()
        yield from write_down(core)
        yield from _pause(core, core.next_pause())
        if not core.over:
            yield from _beat(core)
    yield from write_down(core)
    if core.problem is None or getattr(core.problem, "reason", None) != "released":
        core.report_changes()  # a release is told when it is done


def give_seat_back(core: SeatCore, deadline: float, *, interrupted: bool = False) -> Flow[None]:
    """Give back the session of a closed seat, and whatever it was granted and has not taken over.

    Where an answer was lost, the server is asked what it granted. ``interrupted`` means that nobody waits any more for
    an answer that was under way. ``core.release_confirmed`` says afterwards whether the server knows.
    """
    if core.to_release is not None and (yield from _give_back(core, core.to_release, deadline)):
        core.to_release = None
    if core.grants.under_way and not interrupted:
        settled = True
        yield from flows.give_back(core.context, core.grants, deadline)
    else:
        settled = yield from flows.settle(core.context, core.attempt, core.grants, deadline)
        if not settled:
            # Nobody repeats it while a release of a session of it may still arrive.
            flows.leave_to_others(core.context, core.attempt, core.grants, repeatable=core.to_release is None)
    core.release_confirmed = core.to_release is None and settled
    yield from write_down(core)


def _give_back_pending(core: SeatCore) -> Flow[None]:
    """Give back what was granted and is not the seat's: what was refused here, or what another deployment granted."""
    generation, grants = core.generation, core.grants
    if grants.pending and not core.over:
        core.report_changes()
        kept = None if core.lease is None else core.lease.session
        yield from flows.give_back(core.context, grants, core.context.clock.monotonic() + TRY_SECONDS, kept=kept)
        if grants.given_back:
            core.renew_attempt(generation)


def _pause(core: SeatCore, seconds: float) -> Flow[None]:
    clock = core.context.clock
    end = clock.monotonic() + seconds
    while not core.over and not core.retry_requested:
        core.report_changes()
        yield from write_down(core)
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
    end = context.clock.monotonic() + TRY_SECONDS * len(context.servers)
    try:
        core.on_lease((yield from flows.heartbeat(context, lease, end, 0)), generation)
    except errors.SessionGone as error:
        if core.on_session_gone(error, generation):
            yield from _acquire_again(core)
    except errors.Refusal as error:
        core.on_refusal(error, generation)
    except errors.LicenseError as error:
        core.on_fault(error, generation)


def _acquire_again(core: SeatCore) -> Flow[None]:
    context, generation = core.context, core.generation
    end = context.clock.monotonic() + TRY_SECONDS * len(context.servers)
    try:
        lease = yield from flows.acquire(context, core.attempt, end, 0, core.grants, reusable=False)
    except errors.Refusal as error:
        core.on_refusal(error, generation)
    except errors.LicenseError as error:
        core.on_fault(error, generation)
    else:
        yield from take_over(core, lease, generation)
    yield from _give_back_pending(core)


def _give_back(core: SeatCore, session: str, deadline: float) -> Flow[bool]:
    try:
        yield from flows.release(core.context, session, deadline, 1)
    except errors.LicenseError:
        # Its lease then runs out by itself, so the seat is free within one lease.
        return False
    finally:
        core.grants.pending.pop(session, None)
    core.on_release_confirmed()
    return True


def start_without_reply(core: SeatCore, budget: float) -> None:
    """Start although no answer came within so many seconds. Raises :class:`ServerUnreachable` where it may not."""
    error = flows.no_answer(core.context, budget, core.last_request_id)
    why_not = "the disk has not answered either." if not core.context.is_found_out else core.start_offline(error)
    if why_not is not None:
        raise errors.with_offline(error, why_not)
