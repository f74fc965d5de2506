//! What happened to the processes of a run.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

/// Processes of the same habits, and what happened to them.
#[derive(Clone, Default)]
pub struct Group(Arc<Mutex<Tally>>);

/// What happened to a group.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// New sessions.
    pub seats: usize,
    /// "No seat is free": when each such question was sent and answered.
    pub full: Vec<(Instant, Instant)>,
    /// Heartbeats answered with a lease.
    pub heartbeats: usize,
    /// Sessions that ended although their process kept asking.
    pub lost: usize,
    /// Sessions that ended after their process had not asked for half a lease.
    pub lapsed: usize,
    /// Sessions given back.
    pub released: usize,
    pub failed_heartbeats: HashMap<&'static str, usize>,
    pub failed_acquires: HashMap<&'static str, usize>,
    /// When each member sent the request to which it was last told that it holds its seat.
    pub answered: HashMap<String, Instant>,
    /// How many there are.
    pub members: usize,
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} processes: {} sessions, {} full, {} heartbeats, {} lost, {} lapsed, {} released",
            self.members,
            self.seats,
            self.full.len(),
            self.heartbeats,
            self.lost,
            self.lapsed,
            self.released
        )?;
        write!(f, "; failed heartbeats {:?}, acquires {:?}", self.failed_heartbeats, self.failed_acquires)
    }
}

impl Group {
    pub fn tally(&self) -> Tally {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn note(&self, change: impl FnOnce(&mut Tally)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// True once every member asked since `moment` and was told that it holds its seat: an answer that was under way then
    /// says nothing of what happened since.
    pub fn all_answered_since(&self, moment: Instant) -> bool {
        let tally = self.tally();
        tally.answered.values().filter(|at| **at >= moment).count() == tally.members
    }
}
