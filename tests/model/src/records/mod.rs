//! PostgreSQL: the rows of one pool, and its SQL functions as atomic steps. After `migrations/`.

mod change;
mod end;
mod grant;

pub use end::{Ended, Ending};
pub use grant::{Grant, GrantOutcome};

use crate::{
    rules::{Rule, Rules},
    time::{DRAIN, Time},
    words::{Attempt, Epoch, Holder, SeatNo, Seq, SessionId},
};
use std::collections::BTreeMap;

/// One pool's rows.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the columns of the schema")]
pub struct Records {
    pub epoch: Epoch,
    /// The epoch that the latest `rebuild_pool` gave; 0: none since a restore.
    pub rebuilt: Epoch,
    pub total: usize,
    pub surplus: usize,
    pub active: bool,
    /// How long leases may be.
    pub lease: Leases,
    /// 0: always open.
    pub opens_at: Time,
    /// By number; rows are never deleted.
    pub seats: Vec<Row>,
    pub sessions: BTreeMap<SessionId, Session>,
}

/// What the pool's row remembers of instances that give leases of different lengths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Leases {
    /// The longest that the copy built last may give.
    pub now: Time,
    /// A longer one that copies before it may have given; 0: none.
    pub longer: Time,
    /// Until when that may be out.
    pub until: Time,
}

/// A row of `seats`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the columns of the schema")]
pub struct Row {
    pub holder: Option<Holder>,
    pub fence: (Epoch, Seq),
    pub hold_until: Option<Time>,
    /// The epoch that the change which set `hold_until` gave; 0: none did.
    pub hold_epoch: Epoch,
    pub retired: bool,
}

/// A row of `sessions`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the columns of the schema")]
pub struct Session {
    pub seat: SeatNo,
    pub holder: Holder,
    pub attempt: Attempt,
    pub ended: bool,
}

/// What `rebuild_pool` read.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Snapshot {
    /// Settings, seats, and the sessions that are open, under the new epoch.
    pub pool: Records,
    /// The epoch that the `rebuild_pool` before this one gave.
    pub previous: Epoch,
    /// The longest lease that may be out.
    pub full: Time,
}

/// The answer of `resolve_session`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words of the protocol")]
pub enum Resolved {
    Gone,
    EpochStale,
}

impl Leases {
    /// Leases are of `ttl` from now on: the longest that may be out. `latest`: the copy built last gives none any more.
    fn longest(&mut self, ttl: Time, latest: bool, now: Time) -> Time {
        if latest && self.until <= now {
            (self.longer, self.until) = (0, 0);
        }
        if !latest && self.longer > 0 {
            self.until = self.until.max(now + self.longer + DRAIN);
        }
        if self.now > ttl {
            self.longer = self.longer.max(self.now);
            self.until = self.until.max(now + self.now + DRAIN);
        }
        self.now = ttl;
        ttl.max(self.longer)
    }
}

impl Records {
    /// A pool as it is made: numbered rows, nobody on them.
    pub fn new(seats: usize) -> Self {
        Self {
            epoch: 0,
            rebuilt: 0,
            total: seats,
            surplus: 0,
            active: true,
            lease: Leases::default(),
            opens_at: 0,
            seats: vec![Row::default(); seats],
            sessions: BTreeMap::new(),
        }
    }

    /// Seats that may be held, with their numbers.
    pub fn seats(&self) -> impl Iterator<Item = (SeatNo, &Row)> {
        self.seats.iter().enumerate().map(|(seat, row)| (seat as SeatNo, row)).filter(|(_, row)| !row.retired)
    }

    /// A seat's open sessions.
    pub fn open_sessions(&self, seat: SeatNo) -> impl Iterator<Item = (SessionId, Attempt)> {
        let open = self.sessions.iter().filter(move |(_, session)| session.seat == seat && !session.ended);
        open.map(|(id, session)| (*id, session.attempt))
    }

    /// The row of a seat.
    pub fn row(&self, seat: SeatNo) -> Option<&Row> {
        self.seats.get(usize::from(seat))
    }

    fn row_mut(&mut self, seat: SeatNo) -> Option<&mut Row> {
        self.seats.get_mut(usize::from(seat))
    }

    /// Whether a session is open and its seat its holder's.
    pub fn is_open(&self, id: SessionId) -> bool {
        let session = self.sessions.get(&id).filter(|session| !session.ended);
        session.is_some_and(|session| self.row(session.seat).is_some_and(|row| row.holder == Some(session.holder)))
    }

    /// Ends open sessions.
    fn end_where(&mut self, is_over: impl Fn(SessionId, &Session) -> bool) {
        for (id, session) in &mut self.sessions {
            session.ended |= is_over(*id, session);
        }
    }

    /// `rebuild_pool`: a new epoch, and everything Redis must know, read under it, for an instance that gives leases of `ttl` and has
    /// frozen the copy of epoch `frozen`.
    pub fn rebuild_pool(&mut self, ttl: Time, frozen: Epoch, now: Time, rules: Rules) -> Snapshot {
        let latest = frozen == self.rebuilt || !rules.hold(Rule::LongerOutlivesUnseenCopies);
        let full = self.lease.longest(ttl, latest, now);
        let full = if rules.hold(Rule::LongerLeasesAreRemembered) { full } else { ttl };
        self.epoch += 1;
        let previous = std::mem::replace(&mut self.rebuilt, self.epoch);
        let mut pool = self.clone();
        pool.sessions.retain(|_, session| !session.ended);
        Snapshot { pool, previous, full }
    }

    /// What the reaper reads of a pool: its epoch, and whether it is worth a rebuild. `None`: not worth a look.
    pub fn to_reap(&self, rules: Rules) -> Option<(Epoch, bool)> {
        let quarantine =
            |row: &Row| row.hold_until.is_some() && !row.retired && rules.hold(Rule::ReaperLooksAtQuarantines);
        let held = self.seats.iter().any(|row| row.holder.is_some() || quarantine(row))
            || self.sessions.values().any(|session| !session.ended);
        // A session that ended lately is worth a look too; here that is: one that ever ended.
        let lately = !self.sessions.is_empty() || rules.hold(Rule::ReaperLooksAtChangedPools);
        (held || lately).then_some((self.epoch, held))
    }

    /// `resolve_session`: what a session is that Redis does not know.
    pub fn resolve_session(&mut self, id: SessionId, epoch: Epoch, rules: Rules) -> Resolved {
        let current = self.epoch == epoch || !rules.hold(Rule::UnknownComparesEpochs);
        match self.sessions.get_mut(&id) {
            Some(session) if !session.ended => {
                if !current {
                    return Resolved::EpochStale;
                }
                session.ended = rules.hold(Rule::GoneIsRecorded);
                Resolved::Gone
            }
            _ => Resolved::Gone,
        }
    }
}
