//! `grant_seat`: writes down what ACQUIRE decided, unless it comes too late. After `migrations/0221_grant_seat.sql`.

use super::{Records, Session};
use crate::{
    redis::Granted,
    rules::{Rule, Rules},
    words::{Attempt, Holder, SeatNo},
};

/// What is to be written down.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the words of the protocol")]
pub struct Grant<'a> {
    pub holder: Holder,
    pub attempt: Attempt,
    pub decided: &'a Granted,
}

/// The answer of `grant_seat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words of the protocol")]
pub enum GrantOutcome {
    Ok,
    Fenced,
    Ended,
    EpochStale,
    Refused,
}

/// What a grant did, for the properties that say what must happen sometimes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Did {
    pub joined: bool,
    pub moved: bool,
}

impl Records {
    /// `grant_seat`.
    pub fn grant_seat(&mut self, grant: Grant<'_>, rules: Rules) -> (GrantOutcome, Did) {
        match self.refusal(grant, rules) {
            Some(outcome) => (outcome, Did::default()),
            None => (GrantOutcome::Ok, self.write(grant, rules)),
        }
    }

    /// What is to be said without writing anything.
    fn refusal(&self, grant: Grant<'_>, rules: Rules) -> Option<GrantOutcome> {
        let Grant { holder, decided, .. } = grant;
        let ticket = (decided.epoch, decided.seq);
        if !self.active && rules.hold(Rule::SuspendedGivesNoSeat) {
            return Some(GrantOutcome::Refused);
        }
        if self.epoch != decided.epoch && rules.hold(Rule::GrantComparesEpochs) {
            return Some(GrantOutcome::EpochStale);
        }
        let Some(row) = self.row(decided.seat) else { return Some(GrantOutcome::EpochStale) };
        if row.retired {
            let proves = rules.hold(Rule::GrantRefusesRetiredRows);
            return Some(if proves { GrantOutcome::EpochStale } else { GrantOutcome::Fenced });
        }
        if let Some(session) = self.sessions.get(&decided.session) {
            if !session.ended {
                let own = row.holder == Some(holder);
                return Some(if own { GrantOutcome::Ok } else { GrantOutcome::Fenced });
            }
            if rules.hold(Rule::EndedStaysEnded) {
                return Some(GrantOutcome::Ended);
            }
        }
        if row.fence >= ticket && rules.hold(Rule::GrantIsFenced) {
            return Some(GrantOutcome::Fenced);
        }
        let newer = |seat: SeatNo| self.row(seat).is_some_and(|other| other.fence >= ticket);
        if rules.hold(Rule::GrantLooksAtTheOtherSeat) && self.others(holder, decided.seat).into_iter().any(newer) {
            return Some(GrantOutcome::Fenced);
        }
        // The unique index: without the guard before it, this attempt's older session keeps it out.
        let older = |(id, session): (&u8, &Session)| {
            let same = session.holder == holder && session.attempt == grant.attempt;
            same && !session.ended && *id != decided.session && !self.is_about_to_end(*id, grant)
        };
        (!rules.hold(Rule::GrantEndsTheUncounted) && self.sessions.iter().any(older)).then_some(GrantOutcome::Fenced)
    }

    /// Seats of this holder other than this one.
    fn others(&self, holder: Holder, seat: SeatNo) -> Vec<SeatNo> {
        self.seats().filter(|(no, row)| *no != seat && row.holder == Some(holder)).map(|(no, _)| no).collect()
    }

    /// Ended by this grant even where it ends only what its own call dropped.
    fn is_about_to_end(&self, id: u8, grant: Grant<'_>) -> bool {
        let session = &self.sessions[&id];
        grant.decided.dropped.contains(&id) || session.seat != grant.decided.seat
    }

    fn write(&mut self, grant: Grant<'_>, rules: Rules) -> Did {
        let Grant { holder, attempt, decided } = grant;
        let (seat, new) = (decided.seat, decided.session);
        let was = self.row(seat).and_then(|row| row.holder);
        let mut did = Did { joined: was == Some(holder), moved: false };
        if was != Some(holder) {
            self.end_where(|_, session| session.seat == seat);
        }
        for other in self.others(holder, seat) {
            self.end_where(|_, session| session.seat == other);
            if let Some(row) = self.row_mut(other) {
                row.holder = None;
            }
            did.moved = true;
        }
        if rules.hold(Rule::GrantEndsTheUncounted) {
            let counted = |id| decided.live.contains(&id);
            let older = |session: &Session| session.holder == holder && session.attempt == attempt;
            self.end_where(|id, session| (session.seat == seat && !counted(id)) || older(session));
        } else {
            self.end_where(|id, _| decided.dropped.contains(&id));
        }
        did.joined &= self.open_sessions(seat).next().is_some();
        if let Some(row) = self.row_mut(seat) {
            row.holder = Some(holder);
            row.fence = (decided.epoch, decided.seq);
            if rules.hold(Rule::TicketLiftsQuarantine) {
                (row.hold_until, row.hold_epoch) = (None, 0);
            }
        }
        self.sessions.insert(new, Session { seat, holder, attempt, ended: false });
        did
    }
}
