//! Processes and what they believe.

use crate::{
    rules::{Rule, Rules},
    time::Time,
    words::{Attempt, Holder, SeatNo, SessionId},
};

/// What a client presents to heartbeat and release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "two words of the protocol")]
pub struct Handle {
    pub seat: SeatNo,
    pub session: SessionId,
}

/// A process of the customer's program, from one start to the next.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Process {
    /// Its machine.
    pub holder: Holder,
    /// Drawn at its start.
    pub attempt: Attempt,
    /// Rises on release, on gone, on start.
    pub generation: u8,
    /// What it was given.
    pub handle: Option<Handle>,
    /// When its lease ends on its own clock; 0 where it is over.
    pub lease_end: Time,
}

/// Who asked, and when: what an answer is judged by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the words of the protocol")]
pub struct From {
    pub process: usize,
    pub generation: u8,
    pub attempt: Attempt,
    pub sent: Time,
}

impl Process {
    /// Its own clock says "my lease is valid".
    pub fn believes(&self, now: Time) -> bool {
        self.handle.is_some() && self.lease_end > now
    }

    /// Lets go of what it has: release, gone, a new start.
    pub fn let_go(&mut self) {
        self.handle = None;
        self.lease_end = 0;
        self.generation += 1;
    }

    /// Hears that it has a seat. True if it now believes.
    pub fn hears_seat(&mut self, from: From, handle: Handle, ttl: Time, now: Time, rules: Rules) -> bool {
        let end = lease_end(from, ttl, now, rules);
        if self.is_of_an_earlier_life(from, rules) || end <= now || self.handle.is_some_and(|has| has != handle) {
            return false;
        }
        self.handle = Some(handle);
        self.lease_end = self.lease_end.max(end);
        true
    }

    /// Hears that its session is alive.
    pub fn hears_alive(&mut self, from: From, handle: Handle, ttl: Time, now: Time, rules: Rules) {
        let end = lease_end(from, ttl, now, rules);
        if !self.is_of_an_earlier_life(from, rules) && self.handle == Some(handle) && end > now {
            self.lease_end = self.lease_end.max(end);
        }
    }

    /// Hears that its session is over. True if its lease was valid.
    pub fn hears_gone(&mut self, from: From, handle: Handle, now: Time, rules: Rules) -> bool {
        if self.is_of_an_earlier_life(from, rules) || self.handle != Some(handle) {
            return false;
        }
        let believed = self.believes(now);
        self.let_go();
        believed
    }

    fn is_of_an_earlier_life(&self, from: From, rules: Rules) -> bool {
        self.generation != from.generation && rules.hold(Rule::AnswersHaveGenerations)
    }
}

fn lease_end(from: From, ttl: Time, now: Time, rules: Rules) -> Time {
    ttl + if rules.hold(Rule::LeaseFromTheSendTime) { from.sent } else { now }
}
