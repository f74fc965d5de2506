//! What this instance saw of the absences of Redis, and the clock by which it takes seats away.
//!
//! A Redis that was paused, cut off or unable to write comes back under its own stamp, and every lease looks lapsed.
//! Clients that wait for a seat would then compete with the holders, who could not renew their leases. Two clocks must
//! agree before a seat is taken away: that of Redis and the held clock of the service. An instance that saw Redis away
//! therefore lets its held clock stand still from the beginning of the absence until every holder has had the time of
//! one heartbeat. Leases that ended before the absence are not spared, and an instance that saw nothing of the absence
//! does not wait.
//!
//! Each absence counts by itself. It stops counting when Redis has answered for the time of a heartbeat after it, and
//! one lease after its end at the latest. So a chain of short absences never holds the clock back further than its
//! latest members do, and one long absence spares every lease that ended since it began, however long it was.
//!
//! A call that waits for its answer carries the clock of when the wait began, because Redis may begin to run the script
//! only when it resumes.
//!
//! On one machine Redis and the service read the same system clock, so there are not two clocks that could agree. If
//! that clock is set ahead, this counts as an absence that began and ended at the time the old clock showed. For the
//! same reason only the monotonic clock measures how long something lasts.

use crate::{Clock, domain::lease::LeaseTiming};
use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// The absences of Redis as this instance saw them. Clones share them.
#[derive(Clone)]
pub(super) struct StoreContact {
    clock: Clock,
    ttl_ms: i64,
    /// The longest time between two heartbeats.
    grace_ms: i64,
    state: Arc<Mutex<ContactState>>,
    connects: Arc<AtomicU64>,
}

/// How long an answer may take before the wait counts as the possible beginning of an absence.
const ANSWER_PATIENCE_MS: i64 = 250;
/// How far the system clock may run ahead of the monotonic clock before it counts as set ahead.
const CLOCK_STEP_MS: i64 = 1000;
/// Absences that began within a 64th of a lease of each other are merged into one.
const LEASE_PARTS: i64 = 64;
/// The most absences that are kept. More than a few can only come from a clock that is set back and forth.
const MOST_ABSENCES: usize = 256;

/// A call that waits for its answer. Dropped when it is answered, or when its caller has given up.
pub(super) struct PendingCall(Arc<Mutex<ContactState>>);

impl Drop for PendingCall {
    fn drop(&mut self) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.calls -= 1;
        if state.calls == 0 {
            state.waiting_since = None;
        }
    }
}

/// A moment, by the system clock and by the monotonic clock.
#[derive(Clone, Copy)]
struct ContactMoment {
    wall_ms: i64,
    monotonic_ms: i64,
}

/// An absence that is over.
struct StoreAbsence {
    /// When it began, by the system clock: leases that ended since then are spared.
    since_ms: i64,
    /// How long it was.
    lasted_ms: i64,
    /// When it ended, by the monotonic clock.
    over_ms: i64,
    /// How long all absences together had lasted when this one ended.
    away_ms: i64,
}

struct ContactState {
    /// How many calls wait for their answer.
    calls: u32,
    /// Since when calls wait and none was answered; `None` where no call waits.
    waiting_since: Option<ContactMoment>,
    /// When the store last answered.
    last_answer: Option<ContactMoment>,
    /// When the store last answered a call that writes.
    last_write: Option<ContactMoment>,
    /// Since when the store is away; `None` where it answers.
    away_since: Option<ContactMoment>,
    /// The present absence began with an error answer: that the store can be read is no sign that it can be written to.
    answers_errors: bool,
    /// Absences that still count, the latest last.
    absences: VecDeque<StoreAbsence>,
    /// How long all absences together have lasted.
    away_ms: i64,
    /// A moment at which both clocks were read, from which a step of the system clock is recognised.
    anchor: ContactMoment,
}

impl StoreContact {
    pub(super) fn new(clock: Clock, timing: &LeaseTiming) -> Self {
        let grace_ms = (timing.heartbeat * 32 / 30).as_millis() as i64;
        let anchor = ContactMoment { wall_ms: clock.now_ms(), monotonic_ms: clock.monotonic_ms() };
        let state = ContactState {
            calls: 0,
            waiting_since: None,
            last_answer: None,
            last_write: None,
            away_since: None,
            answers_errors: false,
            absences: VecDeque::new(),
            away_ms: 0,
            anchor,
        };
        Self { clock, ttl_ms: timing.ttl_ms(), grace_ms, state: Arc::new(Mutex::new(state)), connects: Arc::default() }
    }

    /// A connection was made.
    pub(super) fn record_connect(&self) {
        self.connects.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether the store is away, as far as the last call can tell.
    pub(super) fn is_away(&self) -> bool {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).away_since.is_some()
    }

    /// How many connections were made so far.
    pub(super) fn connects(&self) -> u64 {
        self.connects.load(Ordering::Relaxed)
    }

    /// A call to the store begins.
    pub(super) fn begin_call(&self) -> PendingCall {
        let (now, mut state) = self.now();
        state.calls += 1;
        state.waiting_since.get_or_insert(now);
        PendingCall(Arc::clone(&self.state))
    }

    /// The clock of the service that scripts are given for taking seats away. What they give counts from the true
    /// clock.
    pub(super) fn held_clock_ms(&self) -> i64 {
        let (now, state) = self.now();
        let waited = state.waiting_since.filter(|since| now.monotonic_ms - since.monotonic_ms > ANSWER_PATIENCE_MS);
        let held = [waited, state.away_since].into_iter().flatten().map(|since| since.wall_ms);
        let spared = state
            .absences
            .iter()
            .filter(|absence| self.still_counts(absence, &state, now))
            .map(|absence| absence.since_ms);
        held.chain(spared).fold(now.wall_ms, i64::min)
    }

    /// The store answered a call that writes (`to_write`) or only reads. A store that refuses to write (too few
    /// replicas, a full disk) can still be read, so an answer to a read does not end an absence that an error began.
    pub(super) fn record_answer(&self, to_write: bool) {
        let (now, mut state) = self.now();
        if to_write || !state.answers_errors {
            state.answers_errors = false;
            if let Some(since) = state.away_since.take() {
                self.end_absence(&mut state, since.wall_ms, now.monotonic_ms - since.monotonic_ms, now);
            }
        }
        state.last_answer = Some(now);
        if to_write {
            state.last_write = Some(now);
        }
        state.waiting_since = (state.calls > 0).then_some(now);
    }

    /// The store did not answer, or answered with an error (`refused`). The absence began when the store last answered,
    /// or one lease ago where that is later: no more than a lease can matter.
    pub(super) fn record_failure(&self, refused: bool) {
        let (now, mut state) = self.now();
        if state.away_since.is_some() && (state.answers_errors || !refused) {
            return;
        }
        let last = if refused { state.last_write } else { state.last_answer };
        let silent_ms = last.map_or(self.ttl_ms, |last| (now.monotonic_ms - last.monotonic_ms).min(self.ttl_ms));
        // Where the system clock was set ahead since the last answer, the time that it showed then.
        let last_wall_ms = last.filter(|_| silent_ms < self.ttl_ms).map_or(i64::MAX, |last| last.wall_ms);
        let since = ContactMoment {
            wall_ms: last_wall_ms.min(now.wall_ms - silent_ms),
            monotonic_ms: now.monotonic_ms - silent_ms,
        };
        let earlier = state.away_since.filter(|away| away.monotonic_ms < since.monotonic_ms);
        state.away_since = Some(earlier.unwrap_or(since));
        state.answers_errors = refused;
    }

    /// The present moment and the state, in which a step of the system clock is already recorded.
    fn now(&self) -> (ContactMoment, MutexGuard<'_, ContactState>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = ContactMoment { wall_ms: self.clock.now_ms(), monotonic_ms: self.clock.monotonic_ms() };
        let by_the_old_clock = state.anchor.wall_ms + now.monotonic_ms - state.anchor.monotonic_ms;
        if now.wall_ms - by_the_old_clock > CLOCK_STEP_MS {
            self.end_absence(&mut state, by_the_old_clock, 0, now);
            state.anchor = now;
        } else if now.wall_ms < by_the_old_clock {
            state.anchor = now;
        }
        (now, state)
    }

    /// Records an absence that is over. One that began at nearly the same time as the latest is merged with it.
    fn end_absence(&self, state: &mut ContactState, since_ms: i64, lasted_ms: i64, now: ContactMoment) {
        state.away_ms += lasted_ms;
        let counting: VecDeque<StoreAbsence> = std::mem::take(&mut state.absences);
        state.absences = counting.into_iter().filter(|absence| self.still_counts(absence, state, now)).collect();
        let mut absence = StoreAbsence { since_ms, lasted_ms, over_ms: now.monotonic_ms, away_ms: state.away_ms };
        let near = |earlier: &StoreAbsence| (0..=self.ttl_ms / LEASE_PARTS).contains(&(since_ms - earlier.since_ms));
        if (state.absences.back().is_some_and(near) || state.absences.len() == MOST_ABSENCES)
            && let Some(earlier) = state.absences.pop_back()
        {
            absence.since_ms = since_ms.min(earlier.since_ms);
            absence.lasted_ms += now.monotonic_ms - lasted_ms - (earlier.over_ms - earlier.lasted_ms);
        }
        state.absences.push_back(absence);
    }

    /// Whether an absence still counts. It counts until the store has answered for the time of a heartbeat after it,
    /// and one lease after its end at the latest. A short absence, of which there may be many, holds the clock back by
    /// one lease at most.
    fn still_counts(&self, absence: &StoreAbsence, state: &ContactState, now: ContactMoment) -> bool {
        let passed = now.monotonic_ms - absence.over_ms;
        let away_now = state.away_since.map_or(0, |since| now.monotonic_ms - since.monotonic_ms.max(absence.over_ms));
        let answered = passed - (state.away_ms - absence.away_ms) - away_now;
        let short = absence.lasted_ms <= self.grace_ms;
        let most = if short { self.grace_ms.max(self.ttl_ms - absence.lasted_ms) } else { self.ttl_ms };
        answered < self.grace_ms && passed < most
    }
}

#[cfg(all(test, feature = "testing"))]
mod tests;
