//! ACQUIRE: takes a seat for a holder, joins its seat, or repeats an answer. After `core/src/seat_store/acquire.lua`; keys, product and the most
//! processes of a seat are refused before anything is decided, so they are left out.

use super::{Entry, Script};
use crate::{
    rules::Rule,
    time::Time,
    words::{Attempt, Epoch, Holder, SeatNo, Seq, SessionId},
};

/// What ACQUIRE is asked.
#[derive(Clone, Copy, Debug)]
pub struct Ask {
    /// The machine.
    pub holder: Holder,
    /// Which process start.
    pub attempt: Attempt,
    /// A fresh id, used if a session is made.
    pub session: SessionId,
}

/// What Redis decided, under a ticket.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the words of the protocol")]
pub struct Granted {
    pub seat: SeatNo,
    pub session: SessionId,
    pub epoch: Epoch,
    pub seq: Seq,
    pub lease: Time,
    /// The seat's sessions that Redis counts.
    pub live: Vec<SessionId>,
    /// Without the list (a mutant) the records are told what this call dropped.
    pub dropped: Vec<SessionId>,
    pub renewed: bool,
}

/// The answer of ACQUIRE.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the words of the protocol")]
pub enum AcquireAnswer {
    Cold,
    Refused,
    Full,
    Granted(Granted),
}

impl Script<'_> {
    /// ACQUIRE.
    pub fn acquire(mut self, ask: Ask) -> AcquireAnswer {
        if self.cold().is_some() {
            return AcquireAnswer::Cold;
        }
        if !self.is_active() {
            return AcquireAnswer::Refused;
        }
        if self.copy.h.as_ref().is_some_and(|h| h.opens > self.reap_now) {
            return AcquireAnswer::Full;
        }
        match self.copy.m.get(&ask.holder).copied() {
            Some(seat) => self.join(seat, ask),
            None => self.take(ask),
        }
    }

    /// The holder has a seat: this attempt's session again, or one more session.
    fn join(&mut self, seat: SeatNo, ask: Ask) -> AcquireAnswer {
        // With `m` kept and `s` lost, and no counts to tell (a mutant), there is nothing to join.
        let Some(entry) = self.copy.s.get(&seat).cloned() else { return AcquireAnswer::Full };
        let over = |script: &Self, session| script.session_lapsed(script.lease_end(seat, session));
        let live: Vec<_> =
            entry.sessions.iter().filter(|(session, _)| !entry.ending && !over(self, *session)).copied().collect();
        let one_attempt = self.holds(Rule::RetryIsOfOneAttempt);
        if let Some((session, _)) = live.iter().find(|(_, attempt)| *attempt == ask.attempt || !one_attempt) {
            if self.holds(Rule::RetryDrawsATicket) {
                let seq = self.ticket();
                self.change(seat, |entry| entry.seq = seq);
            }
            let lease = self.trusted(seat, None);
            self.raise(seat, *session, lease);
            self.save();
            return self.granted(seat, (*session, lease), Vec::new(), true);
        }
        let any_clock = self.holds(Rule::ClaimedIsOverByAnyClock);
        let mut dropped = Vec::new();
        for (session, _) in &entry.sessions {
            if (entry.ending && any_clock) || over(self, *session) {
                dropped.push(*session);
                if self.holds(Rule::JoinEndsTheLapsed) {
                    self.end_session(seat, *session);
                }
            }
        }
        let (seq, now) = (self.ticket(), self.now);
        self.change(seat, |entry| {
            if entry.ending {
                entry.since = now;
            }
            entry.ending = false;
            entry.seq = seq;
            entry.sessions.push((ask.session, ask.attempt));
        });
        let lease = self.trusted(seat, None);
        self.raise(seat, ask.session, lease);
        self.save();
        self.granted(seat, (ask.session, lease), dropped, false)
    }

    /// The holder has none: the seat that lapsed first, if the cap allows.
    fn take(&mut self, ask: Ask) -> AcquireAnswer {
        let first = self.copy.z.iter().min_by_key(|(seat, score)| (**score, **seat));
        let Some(seat) = first.filter(|(_, score)| self.lapsed(**score)).map(|(seat, _)| *seat) else {
            return AcquireAnswer::Full;
        };
        if self.living() >= self.copy.h.as_ref().map_or(0, |h| h.cap) {
            return AcquireAnswer::Full;
        }
        let dropped = self.copy.s.get(&seat).map(|old| old.sessions.iter().map(|(id, _)| *id).collect());
        self.clear(seat);
        let (seq, since) = (self.ticket(), self.now);
        let sessions = vec![(ask.session, ask.attempt)];
        self.copy.s.insert(seat, Entry { holder: ask.holder, ending: false, seq, since, sessions });
        self.copy.m.insert(ask.holder, seat);
        self.raise(seat, ask.session, self.ttl);
        self.save();
        self.granted(seat, (ask.session, self.ttl), dropped.unwrap_or_default(), false)
    }

    /// Who counts against the cap.
    fn living(&self) -> usize {
        if self.holds(Rule::CapCountsTheLiving) {
            return self.copy.z.values().filter(|end| !self.lapsed(**end)).count();
        }
        self.copy.s.len()
    }

    fn change(&mut self, seat: SeatNo, change: impl FnOnce(&mut Entry)) {
        if let Some(entry) = self.copy.s.get_mut(&seat) {
            change(entry);
        }
    }

    fn granted(
        &self,
        seat: SeatNo,
        (session, lease): (SessionId, Time),
        dropped: Vec<SessionId>,
        renewed: bool,
    ) -> AcquireAnswer {
        let Some(entry) = self.copy.s.get(&seat) else { return AcquireAnswer::Full };
        let ids = entry.sessions.iter().map(|(id, _)| *id);
        let live = ids.filter(|id| self.lease_end(seat, *id) != 0).collect();
        let (epoch, seq) = (self.epoch(), entry.seq);
        AcquireAnswer::Granted(Granted { seat, session, epoch, seq, lease, live, dropped, renewed })
    }
}
