//! The whole: two stores, processes, and what is under way between them.

use crate::{
    calls::{Asks, Call},
    client::Process,
    records::Records,
    redis::{Node, PoolCopy, Script},
    rules::Rules,
    time::{START, TTL, Time},
    words::{Attempt, CallId, Epoch, Holder, NodeId, NonceId, SeatNo, SessionId},
};
use std::sync::Arc;

/// Everything there is at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    /// True time.
    pub now: Time,
    /// The node that clients are led to.
    pub primary: Node,
    /// The one before, while a connection to it may still be open: until the time beside it.
    pub deposed: Option<(Node, Time)>,
    /// What the replica has; as old as the last time it was brought up to date.
    pub replica: Arc<PoolCopy>,
    /// PostgreSQL.
    pub records: Records,
    /// A backup of it.
    pub backup: Option<Arc<Records>>,
    /// How far the clock of the other instance is off.
    pub service_skew: Time,
    /// The lease that the other instance gives.
    pub other_ttl: Time,
    /// A seat is crowded as soon as it carries two processes.
    pub crowded: bool,
    /// The customers' processes.
    pub processes: Vec<Process>,
    /// What is under way.
    pub calls: Vec<Call>,
    /// What was drawn so far.
    pub drawn: Drawn,
    /// How often each fault has happened.
    pub spent: [u8; crate::faults::Fault::COUNT],
    /// What happened, for the properties.
    pub history: History,
}

/// Ids are never drawn twice.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "one counter per kind of id")]
pub struct Drawn {
    pub sessions: SessionId,
    pub attempts: Attempt,
    pub nodes: NodeId,
    pub calls: CallId,
}

/// What the properties must know of the past.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct History {
    /// Sessions that have ended, as bits.
    pub ended: u64,
    /// Sessions that people took away: by a kick, or by a restore that forgot them.
    pub excused: u64,
    /// An ended session was opened again.
    pub reopened: bool,
    /// A client with a valid lease was told that its session is over.
    pub wrongly_gone: bool,
    /// A release was answered, and its session is not over in both stores.
    pub released_in_vain: bool,
    /// A suspended license gave a seat.
    pub given_while_suspended: bool,
    /// Up to which epoch the primary was told by those who changed something that every copy is old.
    pub told: Epoch,
    /// What was seen to happen, as bits of [`Sight`].
    pub seen: u16,
}

/// Where a script runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "self-evident")]
pub enum Place {
    Primary,
    Deposed,
}

/// What must happen sometimes, or the model would be empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "`NAMES` says it in words")]
pub enum Sight {
    Granted,
    Joined,
    SecondHolder,
    GrantedAfterFlush,
    LateHeartbeatKept,
    Moved,
    Repeated,
    Retired,
}

impl Sight {
    /// All of them, in words.
    pub const NAMES: [(Self, &'static str); 8] = [
        (Self::Granted, "granted"),
        (Self::Joined, "joined"),
        (Self::SecondHolder, "a second holder on a seat"),
        (Self::GrantedAfterFlush, "granted again after a flush"),
        (Self::LateHeartbeatKept, "a late heartbeat kept"),
        (Self::Moved, "moved"),
        (Self::Repeated, "an attempt repeated"),
        (Self::Retired, "a freed seat retired"),
    ];
}

impl World {
    /// Nobody has asked for anything. `holders`: the machine of each process; `other_ttl`: the lease that the other instance gives.
    pub fn new(seats: usize, holders: &[Holder], other_ttl: Time) -> Self {
        let processes: Vec<_> = holders
            .iter()
            .enumerate()
            .map(|(at, &holder)| Process {
                holder,
                attempt: at as Attempt + 1,
                generation: 0,
                handle: None,
                lease_end: 0,
            })
            .collect();
        let drawn = Drawn { attempts: processes.len() as Attempt, nodes: 1, ..Drawn::default() };
        Self {
            now: START,
            primary: Node { id: 1, skew: 0, copy: PoolCopy::default() },
            deposed: None,
            replica: Arc::default(),
            records: Records::new(seats),
            backup: None,
            service_skew: 0,
            other_ttl,
            crowded: false,
            processes,
            calls: Vec::new(),
            drawn,
            spent: [0; crate::faults::Fault::COUNT],
            history: History::default(),
        }
    }

    fn node(&mut self, place: Place) -> &mut Node {
        match (&mut self.deposed, place) {
            (Some((node, _)), Place::Deposed) => node,
            _ => &mut self.primary,
        }
    }

    /// Runs a script for a call, by the clocks of the node and of the call's instance.
    pub fn script(&mut self, place: Place, call: &Call, rules: Rules) -> Script<'_> {
        let time = self.now;
        let service = time + if call.other_instance { self.service_skew } else { 0 };
        let (ttl, crowded) = (self.ttl(call), self.crowded);
        self.node(place).script(rules, time, service, ttl).of_crowded_seats(crowded)
    }

    /// The lease that a call's instance gives.
    pub fn ttl(&self, call: &Call) -> Time {
        if call.other_instance { self.other_ttl } else { TTL }
    }

    /// A nonce that nobody else has: the lowest, so that worlds that differ in nothing else are one.
    pub fn fresh_nonce(&self) -> NonceId {
        let copies =
            [Some(&self.primary.copy), self.deposed.as_ref().map(|(node, _)| &node.copy), Some(&*self.replica)];
        let given = copies.into_iter().flatten().filter_map(|copy| copy.c.map(|c| c.id));
        let used: Vec<_> = given.chain(self.calls.iter().filter_map(Call::nonce)).collect();
        (1..NonceId::MAX).find(|id| !used.contains(id)).unwrap_or(NonceId::MAX)
    }

    /// Who holds which seat as a node knows it.
    pub fn holders_at(&mut self, place: Place) -> Vec<(SeatNo, Holder)> {
        self.node(place).copy.s.iter().map(|(seat, entry)| (*seat, entry.holder)).collect()
    }

    /// A call begins.
    pub fn begin(&mut self, asks: Asks, again: u8) -> CallId {
        self.begin_call(Call::new(asks, again))
    }

    /// A call begins at whatever step it is at.
    pub fn begin_call(&mut self, mut call: Call) -> CallId {
        self.drawn.calls += 1;
        call.id = self.drawn.calls;
        self.calls.push(call);
        self.drawn.calls
    }

    /// Something that must happen sometimes has happened.
    pub fn saw(&mut self, sight: Sight) {
        self.history.seen |= 1 << sight as u16;
    }

    /// Whether it has happened.
    pub fn has_seen(&self, sight: Sight) -> bool {
        self.history.seen & (1 << sight as u16) != 0
    }

    /// A process believes in a seat it was just given.
    pub fn saw_grant(&mut self, process: usize) {
        self.saw(Sight::Granted);
        let (holder, handle) = (self.processes[process].holder, self.processes[process].handle);
        let seat = handle.map(|handle| handle.seat);
        if self.records.sessions.values().any(|other| Some(other.seat) == seat && other.holder != holder) {
            self.saw(Sight::SecondHolder);
        }
        if self.spent[crate::faults::Fault::Flush as usize] > 0 {
            self.saw(Sight::GrantedAfterFlush);
        }
    }

    /// S8, unless people took the session away.
    pub fn told_gone_while_valid(&mut self, session: SessionId) {
        self.history.wrongly_gone |= self.history.excused & bit(session) == 0;
    }

    /// A release is answered: nobody may count its session any more.
    pub fn answers_release(&mut self, place: Place, session: SessionId) {
        let open = self.records.sessions.get(&session).is_some_and(|session| !session.ended);
        let epoch = self.records.epoch;
        let Node { id: node, copy, .. } = self.node(place);
        let current = copy.h.as_ref().is_some_and(|h| h.epoch == epoch) && copy.is_believed_by(*node, Rules::all());
        // In state X nobody is counted.
        let live = |seat| copy.s.get(seat).is_some_and(|entry| !entry.ending);
        let counted = copy.n.iter().any(|((seat, id), end)| *id == session && *end > 0 && live(seat));
        self.history.released_in_vain |= open || (current && counted);
    }

    /// Sessions people take away.
    pub fn excuse(&mut self, sessions: impl IntoIterator<Item = SessionId>) {
        for session in sessions {
            self.history.excused |= bit(session);
        }
    }

    /// Whether people took it away.
    pub fn is_excused(&self, session: SessionId) -> bool {
        self.history.excused & bit(session) != 0
    }

    /// Looks at what has ended, after every step.
    pub fn note_endings(&mut self) {
        for (id, session) in &self.records.sessions {
            if session.ended {
                self.history.ended |= bit(*id);
            } else if self.history.ended & bit(*id) != 0 {
                self.history.reopened = true;
            }
        }
    }
}

/// A session as a bit; runs draw fewer than 64.
pub fn bit(session: SessionId) -> u64 {
    1 << (session % 64)
}
