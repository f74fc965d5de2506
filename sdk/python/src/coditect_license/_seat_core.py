"""A seat without any I/O: what is believed, until when, and why. Guarded by one lock; told apart from threads, clocks and networks.

The lease counts from the time its request was *sent*, on a monotonic clock that goes on in sleep. The grace counts on the later of the wall
clock and of the last time the server signed plus what the monotonic clock has run since, so that a clock set back extends nothing. Answers to
requests of an older generation are dropped: it rises on release, on gone and in a forked child.
"""

from __future__ import annotations

import logging
import math
import threading
import uuid
from collections.abc import Callable

from . import _errors as errors
from ._context import Context
from ._errors import LicenseError
from ._flows import poll_pause
from ._refusals import UnknownSession
from ._types import Claims, Lease, SeatEvent, State
from ._verify import verify_token

_log = logging.getLogger("coditect_license")

WARN_SECONDS = 2 * 24 * 3600
"""Grace left at which the program is warned."""
HOUR = 3600.0
MARK_SECONDS = 600.0
"""How often the high-water mark is written down while offline."""

_FINAL = (errors.Revoked, errors.InvalidKey, errors.UnknownPool, errors.WrongProduct)
"""Refusals that asking again does not change: the seat is gone with them."""
_TAKES_TOKEN = (*_FINAL, errors.Suspended, errors.LicenseExpired, errors.NotStarted)
"""Refusals after which the kept token must not say otherwise."""


class SeatCore:
    """One process's time on a seat, from the first lease until it is given back."""

    def __init__(self, context: Context, *, reacquire: bool, on_event: Callable[[SeatEvent], None] | None) -> None:
        self.context = context
        self.lock = threading.RLock()
        self.attempt = context.draw_attempt()
        self.generation = 0
        self.lease: Lease | None = None
        self.claims: Claims | None = None
        self._graced: Claims | None = None
        self.problem: LicenseError | None = None
        self.over = False
        self.session_lost = False
        self.nudged = False
        self.last_span = 355.0
        self._reacquire = reacquire
        self._on_event = on_event
        self._lease_end = -math.inf
        self._anchor: tuple[float, float] | None = None
        self._barred = False
        self._pause = 0.0
        self._misses = 0
        self._told = State.ONLINE
        self._told_problem: type[LicenseError] | None = None
        self._warned = False
        self._marked = -math.inf

    # --- what is believed ----------------------------------------------------------------------------------------------------------

    @property
    def state(self) -> State:
        """Where the seat stands now, by the clocks."""
        with self.lock:
            if self.over:
                return State.GONE
            if self.lease_left > 0:
                return State.ONLINE
            return State.OFFLINE if self.grace_left > 0 else State.DEGRADED

    @property
    def lease_left(self) -> float:
        """Seconds of lease left; 0 when it is over."""
        with self.lock:
            return max(self._lease_end - self.context.clock.monotonic(), 0.0) if not self.over else 0.0

    @property
    def grace_left(self) -> float:
        """Seconds of signed grace left; 0 where there is none, or where the server itself said no."""
        with self.lock:
            if self.over or self._barred or self._graced is None:
                return 0.0
            until = self._graced.offline_until
            if self._graced.license_exp is not None:
                until = min(until, self._graced.license_exp)
            return max(until - self.now(), 0.0)

    def now(self) -> float:
        """Unix seconds, as late as they were ever seen here: a clock set back does not set them back. The server's word begins anew."""
        wall, at = self.context.clock.wall(), self.context.clock.monotonic()
        if self._anchor is None or wall > self._anchor[0] + at - self._anchor[1]:
            self._anchor = (wall, at)
        return self._anchor[0] + at - self._anchor[1]

    # --- what happened -------------------------------------------------------------------------------------------------------------

    def accept(self, lease: Lease, generation: int) -> bool:
        """A verified answer. False if it belongs to an older generation and was dropped."""
        with self.lock:
            if generation != self.generation or self.over:
                return False
            self.lease, self.claims, self.attempt = lease, lease.claims, lease.attempt
            # Answers may overtake each other; a lease is only ever raised.
            self._lease_end = max(self._lease_end, lease.ends_at)
            self._anchor = (float(lease.claims.iat), lease.sent_at)
            self.last_span = max(lease.expires_in, 0.1)
            self._pause = lease.heartbeat_in * self.context.rng.uniform(0.93, 1.0)
            self.problem, self._barred, self.session_lost, self._misses, self._warned = None, False, False, 0, False
            seen = self._anchor[0] + self.context.clock.monotonic() - lease.sent_at
            newer = self._takes_grace_of(lease.claims, seen)
        if self.context.offline and newer:
            self.context.store.save(lease.token, lease.certificate, seen)
        elif self.context.offline:
            self.context.store.saw(seen)
        return True

    def _takes_grace_of(self, claims: Claims, now: float) -> bool:
        """Whether this token's word on the grace is the latest.

        Grace is earned by holding a seat for a while: the first tokens of a new session carry none, and do not take away what an earlier one
        was given and still has, as long as the license says the same.
        """
        earlier = self._graced
        if earlier is None and self.context.offline and claims.offline_until <= claims.exp:
            earlier = self._kept_grace(now)
        if earlier is not None and earlier.facts_version == claims.facts_version and earlier.offline_until > max(claims.offline_until, now):
            self._graced = earlier
            return False
        self._graced = claims
        return True

    def _kept_grace(self, now: float) -> Claims | None:
        kept = self.context.store.load()
        if kept is None:
            return None
        try:
            return verify_token(kept.token, kept.certificate, self.context.expected, None, max(now, kept.seen))
        except errors.VerificationFailed:
            return None

    def given_back(self) -> None:
        """The server knows that the session is over: its grace is too. A release that reached nobody ends none: that seat is lost in silence."""
        with self.lock:
            sessions = {claims.session_id for claims in (self.claims, self._graced) if claims is not None}
            self._graced = None
        if self.context.offline:
            self.context.store.forget_sessions(sessions)

    def start_offline(self, error: LicenseError) -> str | None:
        """Start from the kept token, if its signed grace is not over. Else why not, for people."""
        if not self.context.offline:
            return "it was not asked for (offline=False)."
        kept = self.context.store.load()
        if kept is None:
            return f"{self.context.store.problem or 'no token was kept on this machine yet'}."
        now = max(self.context.clock.wall(), kept.seen)
        try:
            claims = verify_token(kept.token, kept.certificate, self.context.expected, None, now)
        except errors.VerificationFailed as failure:
            return str(failure)
        if claims.offline_until <= claims.exp:
            # The lease of an earlier run was given back with it.
            return "the kept token allows no use without contact: the license has none, or the last run was too short to earn it."
        with self.lock:
            self.claims, self._graced, self.problem = claims, claims, error
            self._anchor = (now, self.context.clock.monotonic())
            self.fault(error, self.generation)
            # The attempt goes on being this seat's; another start must not repeat it.
            if self.attempt in self.context.unsettled:
                self.context.unsettled.remove(self.attempt)
        return None

    def fault(self, error: LicenseError, generation: int) -> None:
        """Nobody we trust answered. The lease stands until it ends."""
        with self.lock:
            if generation != self.generation or self.over:
                return
            self.problem = error
            self.session_lost = self.session_lost or isinstance(error, UnknownSession)
            # 10 to 20 s for the usual lease of 355 s, in proportion for shorter ones.
            draw = min(max(self.last_span / 35, 0.25), 10.0) * self.context.rng.uniform(1.0, 2.0)
            # At most an hour: whoever says so may not be the server.
            wish = min(error.retry_after or 0.0, HOUR) if isinstance(error, errors.ServerUnreachable) else 0.0
            left = self.lease_left
            if left > 0:
                self._misses = 0
                # What the server wishes, unless that would be after the lease.
                self._pause = wish if draw < wish < left else draw
            else:
                self._misses += 1
                slower = min(draw * 2 ** min(self._misses - 1, 12), HOUR * self.context.rng.uniform(0.9, 1.1))
                self._pause = max(slower, wish)

    def refused(self, error: errors.Refused, generation: int) -> None:
        """The server said no, and signed it. The lease stands until it ends; grace is for being without contact, and this is contact."""
        with self.lock:
            if generation != self.generation or self.over:
                return
            self.problem, self._barred = error, True
            if isinstance(error, _FINAL):
                self._end(error)
            elif isinstance(error, errors.NoSeats):
                self._pause = poll_pause(self.context, error.next_seat_in)
            elif isinstance(error, errors.TooManyProcesses):
                self._pause = poll_pause(self.context, error.next_process_in)
            else:
                self._pause = self.last_span * 0.3 * self.context.rng.uniform(0.93, 1.07)
        if isinstance(error, _TAKES_TOKEN):
            self._graced = None
            self.context.store.forget()

    def gone(self, error: errors.Gone, generation: int) -> bool:
        """The session is over. True if a new one is wanted at once: never after a kick, which is for a person to decide."""
        with self.lock:
            if generation != self.generation or self.over:
                return False
            self.generation += 1
            # Else a message about the old session that comes late would end the new one.
            self.attempt = str(uuid.uuid4())
            self.lease, self._lease_end, self.problem = None, -math.inf, error
            again = self._reacquire and error.reason != "kicked"
            if not again:
                self._end(error)
        if error.reason == "kicked":
            self._graced = None
            self.context.store.forget()
        return again

    def close(self) -> Lease | None:
        """Stop believing, for a release. The lease to give back, once: who comes second gets nothing."""
        with self.lock:
            lease, self.lease = self.lease, None
            self.generation += 1
            self._mark(now_or_never=True)
            if not self.over:
                self._end(errors.Gone("The seat was released. Ask for a new one to go on.", reason="released"))
            return lease

    def forked(self) -> None:
        """In a child: the seat is the parent's. Neither its lock nor its lease are ours."""
        self.lock = threading.RLock()
        self.generation += 1
        self.lease = None
        self._on_event = None
        text = "This seat belongs to the parent process. Ask for one in this process: client.seat()."
        self._end(errors.Gone(text, reason="forked"))

    def _end(self, why: LicenseError) -> None:
        self.over, self.problem, self._lease_end = True, why, -math.inf

    # --- what to do next -----------------------------------------------------------------------------------------------------------

    def next_pause(self) -> float:
        """Seconds until the server is to be asked again."""
        with self.lock:
            return self._pause

    def next_change(self) -> float:
        """Seconds until the state changes by itself; infinity if it does not."""
        with self.lock:
            return self.lease_left or self.grace_left or math.inf

    def observe(self) -> None:
        """Tell the program what has changed since the last look. What its callback raises is logged and goes no further."""
        with self.lock:
            state, previous, problem = self.state, self._told, self.problem
            left = self.grace_left if state is State.OFFLINE else None
            kinds = []
            if state is not previous:
                kinds.append("state")
            elif (None if problem is None else type(problem)) is not self._told_problem:
                kinds.append("problem")
            if left is not None and left <= WARN_SECONDS and not self._warned:
                self._warned = True
                kinds.append("grace_ending")
            self._told, self._told_problem = state, type(problem) if problem is not None else None
            if state is State.OFFLINE:
                self._mark()
            tell = self._on_event
        for kind in kinds:
            event = SeatEvent(kind, state, previous, problem, left)
            _log.log(*_line(event))
            if tell is None:
                continue
            try:
                tell(event)
            except Exception:  # noqa: BLE001 - the program's own code, in our thread
                _log.exception("on_event raised; the seat is not affected")

    def _mark(self, *, now_or_never: bool = False) -> None:
        """Write the high-water mark down, now and then; while online every heartbeat does."""
        now = self.context.clock.monotonic()
        due = now_or_never or now - self._marked >= MARK_SECONDS
        if due and self.context.offline and self.claims is not None and self.lease_left == 0 and not self.over:
            self._marked = now
            self.context.store.saw(self.now())


def _line(event: SeatEvent) -> tuple[int, str, object, object]:
    if event.kind == "grace_ending":
        hours = (event.grace_left or 0) / HOUR
        return logging.WARNING, "%s hours are left before the license server must be reached%s", f"{hours:.1f}", ""
    level = logging.WARNING if event.state in (State.OFFLINE, State.DEGRADED) else logging.INFO
    return level, "seat is %s%s", event.state.value, f": {event.problem}" if event.problem else ""
