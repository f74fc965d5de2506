//! HEARTBEAT, RELEASE, REAP and FREE: who lives on, and what is claimed for its end. After the scripts of those names.

use super::Script;
use crate::{
    rules::Rule,
    time::Time,
    words::{Epoch, SeatNo, Seq, SessionId},
};

/// The answer of HEARTBEAT.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the words of the protocol")]
pub enum HeartbeatAnswer {
    Cold,
    Unknown(Epoch),
    Refused,
    /// The lease is raised; `late` if it was over by then.
    Alive {
        late: bool,
        lease: Time,
    },
}

/// The answer of RELEASE.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the words of the protocol")]
pub enum ReleaseAnswer {
    Cold,
    NotHeld(Epoch),
    Left(Epoch),
    Vacated(Epoch, Seq),
}

/// A seat, or a session of a seat that lives on, claimed for its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the words of the protocol")]
pub struct Claim {
    pub seat: SeatNo,
    pub seq: Seq,
    /// `None`: the whole seat.
    pub session: Option<SessionId>,
}

/// What REAP claimed.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the words of the protocol")]
pub enum Claims {
    Cold(Epoch),
    Reaped(Epoch, Vec<Claim>),
}

impl Script<'_> {
    /// HEARTBEAT.
    pub fn heartbeat(mut self, seat: SeatNo, session: SessionId) -> HeartbeatAnswer {
        if self.cold().is_some() {
            return HeartbeatAnswer::Cold;
        }
        if !self.is_listed(seat, session) {
            return HeartbeatAnswer::Unknown(self.epoch());
        }
        if !self.is_active() {
            return HeartbeatAnswer::Refused;
        }
        let end = self.lease_end(seat, session);
        let (late, lease) = (self.lapsed(end), self.trusted(seat, Some(end)));
        self.raise(seat, session, lease);
        let now = self.now;
        if let Some(h) = &mut self.copy.h {
            h.last = now;
        }
        HeartbeatAnswer::Alive { late, lease }
    }

    /// Listed on a seat in state L, with a lease, lapsed or not.
    fn is_listed(&self, seat: SeatNo, session: SessionId) -> bool {
        let entry = self.copy.s.get(&seat).filter(|entry| !entry.ending);
        let listed = entry.is_some_and(|entry| entry.sessions.iter().any(|(id, _)| *id == session));
        listed && self.lease_end(seat, session) != 0
    }

    /// RELEASE.
    pub fn release(mut self, seat: SeatNo, session: SessionId) -> ReleaseAnswer {
        if self.cold().is_some() {
            return ReleaseAnswer::Cold;
        }
        if !self.is_listed(seat, session) {
            return ReleaseAnswer::NotHeld(self.epoch());
        }
        self.end_session(seat, session);
        let of_seat = self.copy.n.iter().filter(|((of, _), _)| *of == seat);
        let latest = of_seat.map(|(_, end)| *end).max().unwrap_or(0);
        if !self.session_lapsed(latest) && self.holds(Rule::ReleaseLeavesTheSeatToSiblings) {
            self.copy.z.insert(seat, latest);
            self.save();
            return ReleaseAnswer::Left(self.epoch());
        }
        let seq = self.claim(seat);
        self.copy.z.insert(seat, 0);
        self.save();
        ReleaseAnswer::Vacated(self.epoch(), seq)
    }

    /// Puts a seat into state X under a new ticket.
    fn claim(&mut self, seat: SeatNo) -> Seq {
        let (seq, now) = (self.ticket(), self.now);
        if let Some(entry) = self.copy.s.get_mut(&seat) {
            (entry.ending, entry.seq, entry.since) = (true, seq, now);
        }
        seq
    }

    /// REAP, for a pool whose epoch in Postgres is `epoch`.
    pub fn reap(mut self, epoch: Epoch) -> Claims {
        let behind = self.epoch() < epoch && self.holds(Rule::ReaperComparesEpochs);
        if !self.is_warm() || behind {
            return Claims::Cold(self.epoch());
        }
        let mut claims = Vec::new();
        self.reap_seats(&mut claims);
        self.reap_sessions(&mut claims);
        self.save();
        Claims::Reaped(self.epoch(), claims)
    }

    /// Lapsed seats, and quarantines that are served.
    fn reap_seats(&mut self, claims: &mut Vec<Claim>) {
        let over = self.copy.z.iter().filter(|(_, score)| **score > 0 && self.lapsed(**score));
        for seat in over.map(|(seat, _)| *seat).collect::<Vec<_>>() {
            let seq = match self.copy.s.get(&seat) {
                // No holder: nothing to mark, FREE looks at the score again.
                None => self.ticket(),
                Some(entry) if entry.ending && !self.is_unfinished(seat) => continue,
                Some(entry) if !self.holds(Rule::ReapClaimsSeats) => entry.seq + 1,
                Some(_) => self.claim(seat),
            };
            claims.push(Claim { seat, seq, session: None });
        }
    }

    /// Lapsed or ended sessions of seats that live on, and releases that nobody finished.
    fn reap_sessions(&mut self, claims: &mut Vec<Claim>) {
        let ends: Vec<_> =
            self.copy.n.iter().filter(|(_, end)| self.session_lapsed(**end)).map(|(of, _)| *of).collect();
        for (seat, session) in ends {
            let Some(entry) = self.copy.s.get(&seat) else { continue };
            if !self.holds(Rule::ReapClaimsSeats) && claims.iter().any(|claim| claim.seat == seat) {
                continue;
            }
            if entry.ending {
                if self.is_unfinished(seat) {
                    let seq = self.claim(seat);
                    claims.push(Claim { seat, seq, session: None });
                }
                continue;
            }
            let seq = if self.holds(Rule::ReapedSessionsDrawTickets) {
                let seq = self.ticket();
                if let Some(entry) = self.copy.s.get_mut(&seat) {
                    entry.seq = seq;
                }
                seq
            } else {
                0
            };
            if self.holds(Rule::ReapClaimsSessions) {
                self.end_session(seat, session);
            }
            claims.push(Claim { seat, seq, session: Some(session) });
        }
    }

    /// Claimed a while ago: whoever claimed it has died.
    fn is_unfinished(&self, seat: SeatNo) -> bool {
        let entry = self.copy.s.get(&seat).filter(|entry| entry.ending);
        entry.is_some_and(|entry| self.now > entry.since) && self.holds(Rule::ClaimsAreTakenUpAgain)
    }

    /// FREE: forgets what the records were told is over. Each claim comes with whether its seat was retired.
    pub fn free(mut self, epoch: Epoch, done: &[(Claim, bool)]) {
        if self.cold().is_some() {
            return;
        }
        for (claim, retired) in done {
            match claim.session {
                None => self.free_seat(epoch, claim, *retired),
                Some(session) => self.free_session(claim.seat, session),
            }
        }
        self.save();
    }

    fn free_seat(&mut self, epoch: Epoch, claim: &Claim, retired: bool) {
        let Some(score) = self.copy.z.get(&claim.seat).copied() else { return };
        let same = match self.copy.s.get(&claim.seat) {
            Some(entry) => (entry.ending && entry.seq == claim.seq) || !self.holds(Rule::FreeLooksAgain),
            None => self.lapsed(score),
        };
        if !same || (epoch != self.epoch() && self.holds(Rule::FreeComparesEpochs)) {
            return;
        }
        self.clear(claim.seat);
        if retired {
            self.copy.z.remove(&claim.seat);
        } else {
            self.copy.z.insert(claim.seat, 0);
        }
    }

    fn free_session(&mut self, seat: SeatNo, session: SessionId) {
        let live = self.copy.s.get(&seat).is_some_and(|entry| !entry.ending);
        if live && self.copy.n.get(&(seat, session)) == Some(&0) {
            self.forget_session(seat, session);
        }
    }
}
