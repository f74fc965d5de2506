//! PostgreSQL: the rows of one pool, and its SQL functions as atomic steps. After `migrations/`.

mod change;
mod end;
mod grant;

pub use end::{Ended, Ending};
pub use grant::{Grant, GrantOutcome};

use crate::{
    rules::{Rule, Rules},
    time::Time,
    words::{Attempt, Epoch, Holder, SeatNo, Seq, SessionId},
};
use std::collections::BTreeMap;

/// One pool's rows.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the columns of the schema")]
pub struct Records {
    pub epoch: Epoch,
    pub total: usize,
    pub surplus: usize,
    pub active: bool,
    /// 0: always open.
    pub opens_at: Time,
    /// By number; rows are never deleted.
    pub seats: Vec<Row>,
    pub sessions: BTreeMap<SessionId, Session>,
}

/// A row of `seats`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the columns of the schema")]
pub struct Row {
    pub holder: Option<Holder>,
    pub fence: (Epoch, Seq),
    pub hold_until: Option<Time>,
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
pub type Snapshot = Records;

/// The answer of `resolve_session`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words of the protocol")]
pub enum Resolved {
    Gone,
    EpochStale,
}

impl Records {
    /// A pool as it is made: numbered rows, nobody on them.
    pub fn new(seats: usize) -> Self {
        Self {
            epoch: 0,
            total: seats,
            surplus: 0,
            active: true,
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

    /// `rebuild_pool`: a new epoch, and everything Redis must know, read under it.
    pub fn rebuild_pool(&mut self) -> Snapshot {
        self.epoch += 1;
        let mut read = self.clone();
        read.sessions.retain(|_, session| !session.ended);
        read
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
