//! Redis: the copy of a pool that one node holds, key by key, and what stands before every script. After `core/src/seat_store/prologue.lua`.

mod acquire;
mod claims;
mod load;
mod rebuild;

pub use acquire::{AcquireAnswer, Ask, Granted};
pub use claims::{Claim, Claims, HeartbeatAnswer, ReleaseAnswer};
pub use rebuild::NonceAnswer;

use crate::{
    rules::{Rule, Rules},
    time::{FIRST, LATER_AT_MOST, Time},
    words::{Attempt, Epoch, Holder, NodeId, NonceId, SeatNo, Seq, SessionId},
};
use std::collections::BTreeMap;

/// The keys of one pool.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PoolCopy {
    /// `h`: settings and counters.
    pub h: Option<Settings>,
    /// `z`: seat → lease end; 0 is free.
    pub z: BTreeMap<SeatNo, Time>,
    /// `s`: seat → who is on it.
    pub s: BTreeMap<SeatNo, Entry>,
    /// `m`: holder → seat.
    pub m: BTreeMap<Holder, SeatNo>,
    /// `n`: session → its lease end; 0 is ending, the records were not told yet.
    pub n: BTreeMap<(SeatNo, SessionId), Time>,
    /// `c`: whose rebuild is under way.
    pub c: Option<Nonce>,
}

/// What `c` says: whose rebuild it is. Here another may take it over at any time, which allows more than the ten seconds it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Nonce {
    /// The random text.
    pub id: NonceId,
    /// The node that gave it.
    pub node: NodeId,
    /// The highest epoch INVALIDATE named meanwhile.
    pub seen: Epoch,
}

impl PoolCopy {
    /// Whether a node believes this copy. Otherwise it is cold.
    pub fn is_believed_by(&self, node: NodeId, rules: Rules) -> bool {
        let Some(h) = &self.h else { return false };
        (h.stamp == node || !rules.hold(Rule::Stamp)) && !h.stale && (self.is_whole(h) || !rules.hold(Rule::Counts))
    }

    fn is_whole(&self, h: &Settings) -> bool {
        h.counts == self.counts() && self.m.len() == self.s.len()
    }

    fn counts(&self) -> [usize; 3] {
        [self.z.len(), self.s.len(), self.n.len()]
    }
}

/// The fields of `h` that matter here.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Settings {
    /// Which node rebuilt this copy.
    pub stamp: NodeId,
    /// The pool's epoch when it was read.
    pub epoch: Epoch,
    /// The last ticket drawn.
    pub seq: Seq,
    /// `seats_total`.
    pub cap: usize,
    /// What `z`, `s` (and `m`) and `n` should count.
    pub counts: [usize; 3],
    /// The latest time this copy has seen.
    pub last: Time,
    /// Proved old.
    pub stale: bool,
    /// When a nonce froze it, by Redis's clock, and what was over by then.
    pub frozen: Option<(Time, Time)>,
    /// The license gives seats.
    pub active: bool,
    /// The longest lease that may be given by it.
    pub lease: Time,
    /// Before this nobody sits down: the records were restored.
    pub opens: Time,
}

/// What `s` says about a held seat.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Entry {
    /// Whose seat.
    pub holder: Holder,
    /// X: claimed for its end, the records were not told yet. Otherwise L.
    pub ending: bool,
    /// The last ticket drawn for it.
    pub seq: Seq,
    /// Since when, or when it was claimed.
    pub since: Time,
    /// The sessions listed, each with its attempt.
    pub sessions: Vec<(SessionId, Attempt)>,
}

/// A Redis node.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Node {
    /// Its replication id: another one after every promotion.
    pub id: NodeId,
    /// How far its clock is off.
    pub skew: Time,
    /// What it knows of the pool.
    pub copy: PoolCopy,
}

/// A key that can be lost alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the keys of `PoolCopy`")]
pub enum Key {
    H,
    Z,
    S,
    M,
    N,
    C,
}

impl Key {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::H, Self::Z, Self::S, Self::M, Self::N, Self::C];
}

/// A script at work on a node: nothing else happens there meanwhile.
pub struct Script<'a> {
    rules: Rules,
    node: NodeId,
    copy: &'a mut PoolCopy,
    /// The lease that the caller's instance gives.
    ttl: Time,
    /// Redis's clock.
    redis: Time,
    /// What extends.
    now: Time,
    /// What takes away.
    reap_now: Time,
    /// What a lease counts from.
    given: Time,
    /// Two processes are many for a seat.
    crowded: bool,
}

impl Node {
    /// Starts a script. `time` is the true time, `service` what the caller's clock says, `ttl` the lease its instance gives.
    pub fn script(&mut self, rules: Rules, time: Time, service: Time, ttl: Time) -> Script<'_> {
        let last = self.copy.h.as_ref().map_or(0, |h| h.last);
        let redis = time + self.skew;
        let bound = redis + LATER_AT_MOST;
        let now = last.max(redis).min(if rules.hold(Rule::LastIsBounded) { bound } else { Time::MAX });
        let most = if rules.hold(Rule::LaterClockIsBounded) { bound } else { Time::MAX - 2 * LATER_AT_MOST };
        let given = if rules.hold(Rule::LeaseFromTheLaterClock) { now.max(service).min(most) } else { now };
        let takes = if rules.hold(Rule::TakesByTheClockOfNow) { redis } else { now };
        let reap_now = if rules.hold(Rule::TwoClocksTake) { takes.min(service) } else { takes };
        Script { rules, node: self.id, copy: &mut self.copy, ttl, redis, now, reap_now, given, crowded: false }
    }

    /// Loses a key.
    pub fn lose(&mut self, key: Key) {
        let copy = &mut self.copy;
        match key {
            Key::H => copy.h = None,
            Key::Z => copy.z.clear(),
            Key::S => copy.s.clear(),
            Key::M => copy.m.clear(),
            Key::N => copy.n.clear(),
            Key::C => copy.c = None,
        }
    }
}

impl Script<'_> {
    fn holds(&self, rule: Rule) -> bool {
        self.rules.hold(rule)
    }

    /// `Some(epoch)`: COLD.
    fn cold(&self) -> Option<Epoch> {
        (!self.is_warm()).then(|| self.epoch())
    }

    fn is_warm(&self) -> bool {
        let enough = self.copy.h.as_ref().is_some_and(|h| h.lease >= self.ttl);
        self.copy.is_believed_by(self.node, self.rules) && (enough || !self.holds(Rule::ColdForLongerLeases))
    }

    fn epoch(&self) -> Epoch {
        self.copy.h.as_ref().map_or(0, |h| h.epoch)
    }

    fn is_active(&self) -> bool {
        !self.holds(Rule::SuspendedGivesNoSeat) || self.copy.h.as_ref().is_some_and(|h| h.active)
    }

    /// Whether a seat's lease is over.
    fn lapsed(&self, lease_end: Time) -> bool {
        lease_end <= self.reap_now
    }

    /// Whether a session's lease is over.
    fn session_lapsed(&self, lease_end: Time) -> bool {
        lease_end <= if self.holds(Rule::TwoClocksForSessions) { self.reap_now } else { self.now }
    }

    fn lease_end(&self, seat: SeatNo, session: SessionId) -> Time {
        self.copy.n.get(&(seat, session)).copied().unwrap_or(0)
    }

    /// Where seats of two processes are crowded.
    pub fn of_crowded_seats(self, crowded: bool) -> Self {
        Self { crowded, ..self }
    }

    /// How long a lease a session is given whose lease ends at `end` (`None`: it is new). After `core/src/seat_store/lease_length.lua`.
    fn trusted(&self, seat: SeatNo, end: Option<Time>) -> Time {
        let listed = self.copy.s.get(&seat).map_or(0, |entry| entry.sessions.len());
        if !self.crowded || listed < 2 {
            return self.ttl;
        }
        end.map_or(FIRST, |end| (end - self.given).max(0).saturating_mul(4)).clamp(FIRST, self.ttl)
    }

    fn raise(&mut self, seat: SeatNo, session: SessionId, lease: Time) {
        let (end, only_up) = (self.given + lease, self.holds(Rule::LeasesOnlyRise));
        let raised = |was: Time| if only_up { was.max(end) } else { end };
        let lease = self.copy.n.entry((seat, session)).or_insert(0);
        *lease = raised(*lease);
        let score = self.copy.z.entry(seat).or_insert(0);
        *score = raised(*score);
    }

    fn ticket(&mut self) -> Seq {
        let Some(h) = &mut self.copy.h else { return 0 };
        h.seq += 1;
        h.seq
    }

    /// Writes down the counts and the time, last.
    fn save(&mut self) {
        let (counts, now) = (self.copy.counts(), self.now);
        if let Some(h) = &mut self.copy.h {
            h.counts = counts;
            h.last = now;
        }
    }

    /// Takes a session off the list and its lease with it.
    fn forget_session(&mut self, seat: SeatNo, session: SessionId) {
        self.copy.n.remove(&(seat, session));
        if let Some(entry) = self.copy.s.get_mut(&seat) {
            entry.sessions.retain(|(id, _)| *id != session);
        }
    }

    /// The session is ending: it gets no lease any more, and stays listed until the records know.
    fn end_session(&mut self, seat: SeatNo, session: SessionId) {
        if self.holds(Rule::EndingStaysListed) {
            self.copy.n.insert((seat, session), 0);
        } else {
            self.forget_session(seat, session);
        }
    }

    /// Takes a holder and its sessions off a seat.
    fn clear(&mut self, seat: SeatNo) {
        if let Some(entry) = self.copy.s.remove(&seat) {
            if self.copy.m.get(&entry.holder) == Some(&seat) {
                self.copy.m.remove(&entry.holder);
            }
            for (session, _) in entry.sessions {
                self.copy.n.remove(&(seat, session));
            }
        }
    }
}
