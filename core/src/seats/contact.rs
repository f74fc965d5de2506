//! What this instance saw of the store's absence.
//!
//! A Redis that stood still (or was cut off) comes back under its own stamp with every lease lapsed, and those who wait for a seat would race
//! those who hold one and could not say so. Taking a seat away needs two clocks to agree: an instance that saw the store away lets its
//! own stand still from then on, until every holder has had the time of a heartbeat. Leases that ended before the absence are not
//! spared; instances that saw nothing of it are not held up.
//!
//! A question that waits for its answer is asked with the clock of when the wait began: Redis may take it up only when it goes on.

use crate::{Clock, domain::lease::Timing};
use std::sync::{Arc, Mutex, PoisonError};

#[derive(Clone)]
pub(super) struct Contact {
    clock: Clock,
    ttl_ms: i64,
    /// The longest time between two heartbeats.
    grace_ms: i64,
    state: Arc<Mutex<State>>,
}

/// How long an answer may take before the wait counts as an absence that may be beginning.
const PATIENCE_MS: i64 = 250;

/// A question under way; dropped when it is answered, or when nobody waits for the answer any more.
pub(super) struct Asking(Arc<Mutex<State>>);

impl Drop for Asking {
    fn drop(&mut self) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.asking -= 1;
        if state.asking == 0 {
            state.waiting_since_ms = None;
        }
    }
}

#[derive(Default)]
struct State {
    /// Questions under way.
    asking: u32,
    /// Since when there are some and none was answered.
    waiting_since_ms: Option<i64>,
    /// When the store last answered.
    heard_ms: Option<i64>,
    /// Since when it does not.
    away_since_ms: Option<i64>,
    /// After an absence: since when it had been away, and until when that still counts.
    spared: Option<(i64, i64)>,
}

impl Contact {
    pub(super) fn new(clock: Clock, timing: &Timing) -> Self {
        let grace_ms = (timing.heartbeat * 32 / 30).as_millis() as i64;
        Self { clock, ttl_ms: timing.ttl_ms(), grace_ms, state: Arc::default() }
    }

    /// A question is asked.
    pub(super) fn ask(&self) -> Asking {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.asking += 1;
        let now = self.clock.now_ms();
        state.waiting_since_ms.get_or_insert(now);
        Asking(Arc::clone(&self.state))
    }

    /// The service's clock as scripts get it.
    pub(super) fn clock_ms(&self) -> i64 {
        let now = self.clock.now_ms();
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = state.waiting_since_ms.filter(|since| now - since > PATIENCE_MS);
        let spared = state.spared.filter(|(_, until)| now < *until).map(|(since, _)| since);
        [waited, state.away_since_ms, spared].into_iter().flatten().fold(now, i64::min)
    }

    /// The store answered, whatever it said.
    pub(super) fn heard(&self) {
        let now = self.clock.now_ms();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(since) = state.away_since_ms.take() {
            state.spared = Some((since, now + self.grace_ms));
        }
        state.heard_ms = Some(now);
        state.waiting_since_ms = (state.asking > 0).then_some(now);
    }

    /// The store did not answer. It may have been away for longer than since we last heard of it, but a lease's time is all that matters.
    pub(super) fn missed(&self) {
        let now = self.clock.now_ms();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.away_since_ms.is_none() {
            let since = state.heard_ms.unwrap_or(i64::MIN).max(now - self.ttl_ms);
            let spared = state.spared.filter(|(_, until)| now < *until).map_or(since, |(earlier, _)| earlier);
            state.away_since_ms = Some(since.min(spared));
        }
    }
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use super::*;

    #[test]
    fn the_clock_stands_still_from_an_absence_until_a_heartbeat_after_it() {
        let clock = Clock::fake();
        let timing = Timing::default();
        let contact = Contact::new(clock.clone(), &timing);
        contact.heard();
        let since = clock.now_ms();
        clock.advance_ms(1000);
        assert_eq!(contact.clock_ms(), clock.now_ms());
        contact.missed();
        clock.advance_ms(2 * timing.ttl_ms());
        assert_eq!(contact.clock_ms(), since);
        contact.heard();
        clock.advance_ms(115_000);
        assert_eq!(contact.clock_ms(), since);
        clock.advance_ms(1000);
        assert_eq!(contact.clock_ms(), clock.now_ms());
    }

    #[test]
    fn what_is_asked_while_an_answer_is_overdue_carries_the_clock_of_when_the_wait_began() {
        let clock = Clock::fake();
        let contact = Contact::new(clock.clone(), &Timing::default());
        let began = clock.now_ms();
        let first = contact.ask();
        clock.advance_ms(100);
        assert_eq!(contact.clock_ms(), clock.now_ms(), "an answer may take a moment");
        clock.advance_ms(1900);
        let second = contact.ask();
        assert_eq!(contact.clock_ms(), began);
        contact.heard();
        drop(first);
        assert_eq!(contact.clock_ms(), clock.now_ms(), "it answers");
        drop(second);
        clock.advance_ms(10_000);
        assert_eq!(contact.clock_ms(), clock.now_ms(), "nobody waits");
    }

    #[test]
    fn an_absence_seen_by_an_instance_that_just_started_may_be_a_lease_old() {
        let clock = Clock::fake();
        let timing = Timing::default();
        let contact = Contact::new(clock.clone(), &timing);
        contact.missed();
        assert_eq!(contact.clock_ms(), clock.now_ms() - timing.ttl_ms());
    }
}
