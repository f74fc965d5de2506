"""The state of one seat: what is believed of it, until when, and why.

It is guarded by one lock and knows no thread, no network and no disk: what is to be written stands in ``writes``.

A lease counts from the time when its request was *sent*, on a monotonic clock that goes on while the machine sleeps.
The grace counts on the later of two times, so that a clock that is set back extends nothing: the wall clock, and the
last time that the server signed plus what the monotonic clock has run since. Replies to requests of an older generation
are dropped; the generation rises when the seat is released, when its session is gone, and in a forked child.
"""

from __future__ import annotations

import logging
import math
import threading
import uuid
from collections import deque
from collections.abc import Callable
from typing import Any

from . import _errors as errors, _log as log
from ._context import Context
from ._errors import LicenseError
from ._flows import Grants
from ._seat_state import HOUR, SeatEvent, SeatState, log_line
from ._store import KeptToken
from ._types import Lease, TokenClaims
from ._verify import verify_token

Teller = Callable[[Callable[[], None]], None]
"""Has something said where it holds nobody up: it calls the program's callbacks and its handlers of log lines."""

WARN_SECONDS = 2 * 24 * 3600
"""The grace left, in seconds, at which the program is warned."""
MARK_SECONDS = 600.0
"""How often, in seconds, the high-water mark is saved while the seat is offline."""

_FINAL = (errors.LicenseRevoked, errors.InvalidKey, errors.UnknownPool, errors.WrongProduct)
"""Refusals that asking again does not change. The seat is gone with them."""
_TAKES_TOKEN = (*_FINAL, errors.LicenseSuspended, errors.LicenseExpired, errors.LicenseNotStarted)
"""Refusals that remove the kept token, since it would say otherwise."""


class SeatCore:
    """The time of one process on a seat, from the first lease until the seat is given back."""

    def __init__(
        self,
        context: Context,
        *,
        reacquire: bool,
        on_event: Callable[[SeatEvent], None] | None = None,
        find_on_event: Callable[[], Callable[[SeatEvent], Any] | None] = lambda: None,
        tell: Teller = lambda say: say(),
        write_log: Teller | None = None,
    ) -> None:
        self.context: Context = context
        self.grants: Grants = Grants()
        self.writes: deque[Callable[[], None]] = deque()
        """What the disk is to be told, in this order. It may take long, so flows have it done aside."""
        self.kept: KeptToken | None = None
        """The token that was kept on disk when it was last looked for."""
        self.kept_is_known: bool = False
        """Whether the disk has answered."""
        self.lock: threading.RLock = threading.RLock()
        self.attempt: str = context.draw_attempt()
        self.generation: int = 0
        self.lease: Lease | None = None
        self.claims: TokenClaims | None = None
        self._grace_claims: TokenClaims | None = None
        self.problem: LicenseError | None = None
        self.over: bool = False
        self.to_release: str | None = None
        """The handle of the session that is to be given back, once the seat was released."""
        self.release_confirmed: bool = False
        """Whether the server knows that the seat was given back."""
        self.session_lost: bool = False
        self.retry_requested: bool = False
        self.last_request_id: str | None = None
        self.last_span: float = 355.0
        self._reacquire = reacquire
        self._on_event, self._find_on_event = on_event, find_on_event
        self._tell, self._write_log = tell, write_log or tell
        self._lease_end = -math.inf
        self._clock_anchor: tuple[float, float] | None = None
        self._grace_barred = False
        self._pause = 0.0
        self._misses = 0
        self._reported_state = SeatState.ONLINE
        self._reported_problem: type[LicenseError] | None = None
        self._grace_warned = False
        self._mark_saved_at = -math.inf

    @property
    def state(self) -> SeatState:
        """Where the seat stands now, by the clocks."""
        with self.lock:
            if self.over:
                return SeatState.GONE
            if self.lease_left > 0:
                return SeatState.ONLINE
            return SeatState.OFFLINE if self.grace_left > 0 else SeatState.DEGRADED

    @property
    def lease_left(self) -> float:
        """Seconds of lease left; 0 when it is over."""
        with self.lock:
            return max(self._lease_end - self.context.clock.monotonic(), 0.0) if not self.over else 0.0

    @property
    def grace_left(self) -> float:
        """Seconds of signed grace left; 0 where there is none, or where the server itself refused."""
        with self.lock:
            if self.over or self._grace_barred or self._grace_claims is None:
                return 0.0
            until = self._grace_claims.offline_until
            if self._grace_claims.license_exp is not None:
                until = min(until, self._grace_claims.license_exp)
            return max(until - self.now(), 0.0)

    def now(self) -> float:
        """The time in Unix seconds.

        A wall clock that is set back does not set it back; a time that the server signs replaces it.
        """
        wall, at = self.context.clock.wall(), self.context.clock.monotonic()
        if self._clock_anchor is None or wall > self._clock_anchor[0] + at - self._clock_anchor[1]:
            self._clock_anchor = (wall, at)
        return self._clock_anchor[0] + at - self._clock_anchor[1]

    def note_sent(self, request_id: str) -> None:
        """Note the request that was sent last."""
        self.last_request_id = request_id

    def on_lease(self, lease: Lease, generation: int) -> bool:
        """Take over a verified lease. False if it belongs to an older generation and was dropped."""
        with self.lock:
            if generation != self.generation or self.over:
                return False
            self.lease, self.claims, self.attempt = lease, lease.claims, lease.attempt
            # Answers may overtake each other; a lease is only ever raised.
            self._lease_end = max(self._lease_end, lease.ends_at)
            self._clock_anchor = (float(lease.claims.iat), lease.sent_at)
            self.last_span = max(lease.expires_in, 0.1)
            self._pause = lease.heartbeat_in * self.context.rng.uniform(0.93, 1.0)
            self.problem, self._misses = None, 0
            self._grace_barred = self.session_lost = self._grace_warned = False
            seen = self._clock_anchor[0] + self.context.clock.monotonic() - lease.sent_at
            newer = self._update_grace(lease.claims, seen)
            self.grants.take(lease)
            if self.context.offline:
                self.writes.append(self._kept_write(lease, seen) if newer else self._mark_write(seen))
        return True

    def _kept_write(self, lease: Lease, seen: float) -> Callable[[], None]:
        store = self.context.store
        return lambda: store.save(lease.token, lease.certificate, seen)

    def _mark_write(self, seen: float) -> Callable[[], None]:
        store = self.context.store
        return lambda: store.raise_seen(seen)

    def read_kept(self) -> None:
        """Look for the kept token. It takes as long as the disk does."""
        self.kept = self.context.store.load()
        self.kept_is_known = True

    def needs_kept(self, lease: Lease) -> bool:
        """Whether an earlier session may have left a grace on disk that this lease must not take away."""
        earns_none = lease.claims.offline_until <= lease.claims.exp
        return self.context.offline and self._grace_claims is None and earns_none

    def _update_grace(self, claims: TokenClaims, now: float) -> bool:
        """Count the grace by this token from now on, and return true, unless an earlier token still grants more.

        Grace is earned by holding a seat for a while. The first tokens of a new session carry none, and do not take
        away the grace that an earlier session earned and still has, as long as the facts of the license are the same.
        """
        earlier = self._grace_claims
        if earlier is None and self.context.offline and claims.offline_until <= claims.exp:
            if not self.kept_is_known:
                # The disk has not answered. A token without grace must not replace one that may have some.
                self._grace_claims = None
                return False
            earlier = self._grace_on_disk(now)
        if (
            earlier is not None
            and earlier.facts_version == claims.facts_version
            and earlier.offline_until > max(claims.offline_until, now)
        ):
            self._grace_claims = earlier
            return False
        self._grace_claims = claims
        return True

    def _grace_on_disk(self, now: float) -> TokenClaims | None:
        kept = self.kept
        if kept is None:
            return None
        try:
            return verify_token(kept.token, kept.certificate, self.context.expected, None, max(now, kept.seen))
        except errors.VerificationFailed:
            return None

    def on_release_confirmed(self) -> None:
        """End the grace too, since the server knows that the session is over.

        A release that reached nobody ends no grace.
        """
        with self.lock:
            sessions = {claims.session_id for claims in (self.claims, self._grace_claims) if claims is not None}
            self._grace_claims = None
            if self.context.offline:
                store = self.context.store
                self.writes.append(lambda: store.forget_sessions(sessions))

    def start_offline(self, error: LicenseError) -> str | None:
        """Start from the kept token if its signed grace is not over. Returns ``None``, else why not, for people."""
        if not self.context.offline:
            return "it was not asked for (offline=False)."
        if not self.kept_is_known:
            return "the token saved on this machine could not be read in time; perhaps the disk hangs."
        kept = self.kept
        if kept is None:
            return f"{self.context.store.problem or 'no token was kept on this machine yet'}."
        now = max(self.context.clock.wall(), kept.seen)
        try:
            claims = verify_token(kept.token, kept.certificate, self.context.expected, None, now)
        except errors.VerificationFailed as failure:
            return str(failure)
        if claims.offline_until <= claims.exp:
            # An earlier run gave its lease back, and its grace with it.
            return (
                "the token saved on this machine allows no use without contact: "
                "the license has none, or the last run was too short to earn it."
            )
        with self.lock:
            self.claims, self._grace_claims, self.problem = claims, claims, error
            self._clock_anchor = (now, self.context.clock.monotonic())
            self.on_fault(error, self.generation)
        return None

    def on_fault(self, error: LicenseError, generation: int) -> None:
        """Note that no trusted answer came. The lease stands until it ends."""
        with self.lock:
            if generation != self.generation or self.over:
                return
            self.problem = error
            self.session_lost = self.session_lost or isinstance(error, errors.UnknownSession)
            # 10 to 20 s for the usual lease of 355 s, in proportion for shorter ones.
            draw = min(max(self.last_span / 35, 0.25), 10.0) * self.context.rng.uniform(1.0, 2.0)
            # At most an hour, since the wish may not be the server's.
            wish = min(error.retry_after or 0.0, HOUR) if isinstance(error, errors.ServerUnreachable) else 0.0
            left = self.lease_left
            if left > 0:
                self._misses = 0
                # The pause that the server wishes, unless it would end after the lease.
                self._pause = wish if draw < wish < left else draw
            else:
                self._misses += 1
                slower = min(draw * 2 ** min(self._misses - 1, 12), HOUR * self.context.rng.uniform(0.9, 1.1))
                self._pause = max(slower, wish)

    def on_refusal(self, error: errors.Refusal, generation: int) -> None:
        """Note that the server refused and signed it. The lease stands until it ends.

        There is no grace any more: grace is for a time without contact, and this was contact.
        """
        with self.lock:
            if generation != self.generation or self.over:
                return
            self.problem, self._grace_barred = error, True
            if isinstance(error, _FINAL):
                self._end(error)
            elif isinstance(error, errors.NoSeats):
                self._pause = self.context.poll_pause(error.next_seat_in)
            elif isinstance(error, errors.TooManyProcesses):
                self._pause = self.context.poll_pause(error.next_process_in)
            else:
                self._pause = self.last_span * 0.3 * self.context.rng.uniform(0.93, 1.07)
            if isinstance(error, _TAKES_TOKEN):
                self._grace_claims = None
                self.writes.append(self.context.store.forget)

    def on_session_gone(self, error: errors.SessionGone, generation: int) -> bool:
        """Note that the session is over.

        True if a new one is wanted at once; after a kick a person decides, so never then.
        """
        with self.lock:
            if generation != self.generation or self.over:
                return False
            self.generation += 1
            # With the old attempt, a late message about the old session would end the new one.
            self.attempt = str(uuid.uuid4())
            self.lease, self._lease_end, self.problem = None, -math.inf, error
            again = self._reacquire and error.reason != "kicked"
            if not again:
                self._end(error)
            if error.reason == "kicked":
                self._grace_claims = None
                self.writes.append(self.context.store.forget)
        return again

    def renew_attempt(self, generation: int) -> None:
        """Draw a new attempt, since what the old one was granted was given back."""
        with self.lock:
            if generation == self.generation:
                if self.grants.asked:
                    self.context.leave_unsettled(self.attempt, repeatable=False)
                self.attempt = str(uuid.uuid4())
                self.grants = Grants()

    def close(self) -> None:
        """End the seat for a release. What is to be given back is ``to_release`` from now on. It never blocks."""
        with self.lock:
            if self.lease is not None:
                self.to_release, self.lease = self.lease.session, None
            self.generation += 1
            self._save_mark(at_once=True)
            if not self.over:
                self._end(errors.SessionGone("The seat was released. Ask for a new one to go on.", reason="released"))

    def on_fork(self) -> None:
        """End the seat in a forked child: its lock and its lease belong to the parent."""
        self.lock = threading.RLock()
        self.generation += 1
        self.lease = None
        self._on_event, self._find_on_event = None, lambda: None
        self.grants, self.to_release = Grants(), None
        self.writes.clear()
        text = "This seat belongs to the parent process. Ask for one in this process: client.seat()."
        self._end(errors.SessionGone(text, reason="forked"))

    def _end(self, why: LicenseError) -> None:
        self.over, self.problem, self._lease_end = True, why, -math.inf

    def next_pause(self) -> float:
        """Seconds until the server is asked again."""
        with self.lock:
            return self._pause

    def next_change(self) -> float:
        """Seconds until the state changes by itself; infinity if it does not."""
        with self.lock:
            return self.lease_left or self.grace_left or math.inf

    def report_changes(self) -> None:
        """Have the program told what has changed since the last report.

        What its callback raises is logged and goes no further.
        """
        with self.lock:
            state, previous, problem = self.state, self._reported_state, self.problem
            left = self.grace_left if state is SeatState.OFFLINE else None
            kinds = []
            if state is not previous:
                kinds.append("state")
            elif (None if problem is None else type(problem)) is not self._reported_problem:
                kinds.append("problem")
            if left is not None and left <= WARN_SECONDS and not self._grace_warned:
                self._grace_warned = True
                kinds.append("grace_ending")
            self._reported_state, self._reported_problem = state, type(problem) if problem is not None else None
            if state is SeatState.OFFLINE:
                self._save_mark()
            tell = self._on_event or self._find_on_event()
        for kind in kinds:
            event = SeatEvent(kind, state, previous, problem, left)
            self._write_log(lambda event=event: log.write("seat", *log_line(event)))  # type: ignore[misc]
            if tell is not None:
                self._tell(lambda event=event: _say(event, tell))  # type: ignore[misc]

    def report_mistake(self, what: str, error: BaseException) -> None:
        """Have it logged that something failed that is a mistake of this package."""
        self._write_log(lambda: log.write("seat", logging.ERROR, "%s", what, error=error))

    def _save_mark(self, *, at_once: bool = False) -> None:
        """Save the high-water mark now and then while the seat is offline.

        While it is online, every heartbeat saves it.
        """
        now = self.context.clock.monotonic()
        due = at_once or now - self._mark_saved_at >= MARK_SECONDS
        if due and self.context.offline and self.claims is not None and self.lease_left == 0 and not self.over:
            self._mark_saved_at = now
            self.writes.append(self._mark_write(self.now()))


def _say(event: SeatEvent, on_event: Callable[[SeatEvent], Any]) -> None:
    try:
        on_event(event)
    except BaseException as error:  # noqa: BLE001 - the program's own code, also where it calls sys.exit
        log.write("seat", logging.ERROR, "on_event raised; the seat is not affected", error=error)
