//! What this instance saw of the store's absence.
//!
//! A Redis that stood still (or was cut off, or refused to write) comes back under its own stamp with every lease
//! lapsed, and those who wait for a seat would race those who hold one and could not say so. Taking a seat away needs
//! two clocks to agree: an instance that saw the store away lets its own stand still from then on, until every holder
//! has had the time of a heartbeat. Leases that ended before the absence are not spared; instances that saw nothing of
//! it are not held up.
//!
//! Each absence counts by itself: it runs out when the store has answered for a heartbeat's time after it, at the
//! latest a lease later. A chain of short ones never holds the clock back further than its latest members; one long
//! absence spares from its beginning, however long.
//!
//! A question that waits for its answer is asked with the clock of when the wait began: Redis may take it up only when
//! it goes on.
//!
//! On one machine Redis and the service read the same wall clock, and no two agree: where it was put ahead, that is an
//! absence which began and ended at the time it was by the old clock. How long something lasts is therefore told by the
//! monotonic hand alone.

use crate::{Clock, domain::lease::LeaseTiming};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

#[derive(Clone)]
pub(super) struct StoreContact {
    clock: Clock,
    ttl_ms: i64,
    /// The longest time between two heartbeats.
    grace_ms: i64,
    state: Arc<Mutex<ContactState>>,
}

/// How long an answer may take before the wait counts as an absence that may be beginning.
const PATIENCE_MS: i64 = 250;
/// What the wall clock may run ahead of the monotonic one before it counts as put ahead.
const STEP_MS: i64 = 1000;
/// Absences of about the same beginning (a 64th of a lease) are one; more than these there are only where a clock is
/// put back and forth.
const PARTS: i64 = 64;
const MOST: usize = 256;

/// A question under way; dropped when it is answered, or when nobody waits for the answer any more.
pub(super) struct PendingCall(Arc<Mutex<ContactState>>);

impl Drop for PendingCall {
    fn drop(&mut self) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.asking -= 1;
        if state.asking == 0 {
            state.waiting = None;
        }
    }
}

/// A moment, by both hands of the clock.
#[derive(Clone, Copy)]
struct ContactMoment {
    wall_ms: i64,
    monotonic_ms: i64,
}

/// An absence that is over.
struct StoreAbsence {
    /// By the wall clock: leases that ended since then are spared.
    since_ms: i64,
    /// How long it was.
    lasted_ms: i64,
    /// When it was over, by the monotonic hand.
    over_ms: i64,
    /// What all absences had lasted by then.
    away_ms: i64,
}

struct ContactState {
    /// Questions under way.
    asking: u32,
    /// Since when there are some and none was answered.
    waiting: Option<ContactMoment>,
    /// When the store last answered.
    heard: Option<ContactMoment>,
    /// When it last answered what it was asked to write.
    wrote: Option<ContactMoment>,
    /// Since when it does not.
    away: Option<ContactMoment>,
    /// It answered meanwhile, with an error: that it can be read is no sign that it can be written to.
    refused: bool,
    /// Absences that still count, the latest last.
    absences: VecDeque<StoreAbsence>,
    /// What all absences together have lasted.
    away_ms: i64,
    /// Where the two hands were seen together.
    anchor: ContactMoment,
}

impl StoreContact {
    pub(super) fn new(clock: Clock, timing: &LeaseTiming) -> Self {
        let grace_ms = (timing.heartbeat * 32 / 30).as_millis() as i64;
        let anchor = ContactMoment { wall_ms: clock.now_ms(), monotonic_ms: clock.monotonic_ms() };
        let (waiting, heard, wrote, away) = (None, None, None, None);
        let state = ContactState {
            asking: 0,
            waiting,
            heard,
            wrote,
            away,
            refused: false,
            absences: VecDeque::new(),
            away_ms: 0,
            anchor,
        };
        Self { clock, ttl_ms: timing.ttl_ms(), grace_ms, state: Arc::new(Mutex::new(state)) }
    }

    /// A question is asked.
    pub(super) fn ask(&self) -> PendingCall {
        let (now, mut state) = self.now();
        state.asking += 1;
        state.waiting.get_or_insert(now);
        PendingCall(Arc::clone(&self.state))
    }

    /// The service's clock as scripts get it for what they take away. What they give counts from the true one.
    pub(super) fn held_clock_ms(&self) -> i64 {
        let (now, state) = self.now();
        let waited = state.waiting.filter(|since| now.monotonic_ms - since.monotonic_ms > PATIENCE_MS);
        let held = [waited, state.away].into_iter().flatten().map(|since| since.wall_ms);
        let spared = state.absences.iter().filter(|it| self.counts(it, &state, now)).map(|it| it.since_ms);
        held.chain(spared).fold(now.wall_ms, i64::min)
    }

    /// The store answered what it was asked: to write, or only to read. A store that refuses to write (too few
    /// replicas, a full disk) may be read all the while, so that ends no absence which an error began.
    pub(super) fn heard(&self, to_write: bool) {
        let (now, mut state) = self.now();
        if to_write || !state.refused {
            state.refused = false;
            if let Some(since) = state.away.take() {
                self.over(&mut state, since.wall_ms, now.monotonic_ms - since.monotonic_ms, now);
            }
        }
        state.heard = Some(now);
        if to_write {
            state.wrote = Some(now);
        }
        state.waiting = (state.asking > 0).then_some(now);
    }

    /// The store did not answer, or (`refused`) with an error. It may have been away for longer than since we last
    /// heard of it, but a lease's time is all that matters.
    pub(super) fn missed(&self, refused: bool) {
        let (now, mut state) = self.now();
        if state.away.is_some() && (state.refused || !refused) {
            return;
        }
        let heard = if refused { state.wrote } else { state.heard };
        let silent = heard.map_or(self.ttl_ms, |heard| (now.monotonic_ms - heard.monotonic_ms).min(self.ttl_ms));
        // Where the clock was put ahead since it last answered, the time that was then.
        let then = heard.filter(|_| silent < self.ttl_ms).map_or(i64::MAX, |heard| heard.wall_ms);
        let since = ContactMoment { wall_ms: then.min(now.wall_ms - silent), monotonic_ms: now.monotonic_ms - silent };
        let earlier = state.away.filter(|away| away.monotonic_ms < since.monotonic_ms);
        state.away = Some(earlier.unwrap_or(since));
        state.refused = refused;
    }

    /// The time, and what is known by then: the wall clock may have been put elsewhere.
    fn now(&self) -> (ContactMoment, MutexGuard<'_, ContactState>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = ContactMoment { wall_ms: self.clock.now_ms(), monotonic_ms: self.clock.monotonic_ms() };
        let by_the_old_clock = state.anchor.wall_ms + now.monotonic_ms - state.anchor.monotonic_ms;
        if now.wall_ms - by_the_old_clock > STEP_MS {
            self.over(&mut state, by_the_old_clock, 0, now);
            state.anchor = now;
        } else if now.wall_ms < by_the_old_clock {
            state.anchor = now;
        }
        (now, state)
    }

    /// An absence is over.
    fn over(&self, state: &mut ContactState, since_ms: i64, lasted_ms: i64, now: ContactMoment) {
        state.away_ms += lasted_ms;
        let counting: VecDeque<StoreAbsence> = std::mem::take(&mut state.absences);
        state.absences = counting.into_iter().filter(|it| self.counts(it, state, now)).collect();
        let mut absence = StoreAbsence { since_ms, lasted_ms, over_ms: now.monotonic_ms, away_ms: state.away_ms };
        let near = |it: &StoreAbsence| (0..=self.ttl_ms / PARTS).contains(&(since_ms - it.since_ms));
        if (state.absences.back().is_some_and(near) || state.absences.len() == MOST)
            && let Some(earlier) = state.absences.pop_back()
        {
            absence.since_ms = since_ms.min(earlier.since_ms);
            absence.lasted_ms += now.monotonic_ms - lasted_ms - (earlier.over_ms - earlier.lasted_ms);
        }
        state.absences.push_back(absence);
    }

    /// Whether an absence still counts: until the store has answered for a heartbeat's time, but at most a lease
    /// longer. A short one, of which there may be many, holds the clock back by a lease at most.
    fn counts(&self, it: &StoreAbsence, state: &ContactState, now: ContactMoment) -> bool {
        let passed = now.monotonic_ms - it.over_ms;
        let away_now = state.away.map_or(0, |since| now.monotonic_ms - since.monotonic_ms.max(it.over_ms));
        let answered = passed - (state.away_ms - it.away_ms) - away_now;
        let short = it.lasted_ms <= self.grace_ms;
        let most = if short { self.grace_ms.max(self.ttl_ms - it.lasted_ms) } else { self.ttl_ms };
        answered < self.grace_ms && passed < most
    }
}

#[cfg(all(test, feature = "testing"))]
mod tests;
