//! `end_seats`: writes down that seats and sessions ended. After `migrations/0222_end_seats.sql`.

use super::Records;
use crate::{
    redis::Claim,
    rules::{Rule, Rules},
    words::{Epoch, Holder, SeatNo, SessionId},
};

/// What ended, as RELEASE or REAP decided it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ending {
    /// The epoch of the claims.
    pub epoch: Epoch,
    /// Seats, and single sessions that were reaped.
    pub claims: Vec<Claim>,
    /// The session whose owner asked.
    pub released: Option<SessionId>,
    /// Who held what was claimed, as far as Redis knew. Asked by a mutant only.
    pub holders: Vec<(SeatNo, Holder)>,
}

/// The answer of `end_seats`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The claims were of another epoch; only what was released has ended.
    EpochStale,
    /// What FREE may forget; whether the seat was retired.
    Done(Vec<(Claim, bool)>),
}

impl Records {
    /// `end_seats`.
    pub fn end_seats(&mut self, ending: &Ending, rules: Rules) -> Ended {
        if rules.hold(Rule::ReleasedIsEndedById) {
            self.end_where(|id, _| Some(id) == ending.released);
        }
        let stale = self.epoch != ending.epoch;
        if stale && rules.hold(Rule::EndingComparesEpochs) && rules.hold(Rule::ReapedSessionsCompareEpochs) {
            return Ended::EpochStale;
        }
        let mut done = Vec::new();
        if !stale || !rules.hold(Rule::EndingComparesEpochs) {
            self.vacate(ending, rules, &mut done);
        }
        if !stale || !rules.hold(Rule::ReapedSessionsCompareEpochs) {
            self.end_reaped(ending, &mut done);
        }
        Ended::Done(done)
    }

    /// Vacates claimed seats, whoever is on them, highest number first: that is how surplus is retired.
    fn vacate(&mut self, ending: &Ending, rules: Rules, done: &mut Vec<(Claim, bool)>) {
        let mut claims: Vec<_> = ending.claims.iter().filter(|claim| claim.session.is_none()).copied().collect();
        claims.sort_by_key(|claim| std::cmp::Reverse(claim.seat));
        for claim in claims {
            let ticket = (ending.epoch, claim.seq);
            let Some(row) = self.row(claim.seat).copied() else { continue };
            let expected = ending.holders.iter().find(|(seat, _)| *seat == claim.seat).map(|(_, holder)| *holder);
            let other_holder = row.holder != expected && !rules.hold(Rule::EndingIsForWhoeverHolds);
            if row.fence == ticket || other_holder {
                // Applied before and its answer lost: FREE may run.
                done.push((claim, row.retired));
                continue;
            }
            if row.fence > ticket && rules.hold(Rule::EndingIsFenced) {
                continue;
            }
            self.end_where(|_, session| session.seat == claim.seat);
            let empty = row.holder.is_none() && !rules.hold(Rule::EndingFencesEmptySeats);
            let retire = !row.retired && self.surplus > 0 && rules.hold(Rule::SurplusIsRetired);
            self.surplus -= usize::from(retire);
            if let Some(row) = self.row_mut(claim.seat) {
                row.holder = None;
                if rules.hold(Rule::TicketLiftsQuarantine) {
                    (row.hold_until, row.hold_epoch) = (None, 0);
                }
                if !empty {
                    row.fence = ticket;
                }
                row.retired |= retire;
                done.push((claim, row.retired));
            }
        }
    }

    /// Ends single sessions that were reaped, and raises their seats' fences.
    fn end_reaped(&mut self, ending: &Ending, done: &mut Vec<(Claim, bool)>) {
        for claim in &ending.claims {
            let Some(session) = claim.session else { continue };
            let ticket = (ending.epoch, claim.seq);
            if let Some(row) = self.row_mut(claim.seat)
                && claim.seq > 0
            {
                row.fence = row.fence.max(ticket);
            }
            self.end_where(|id, _| id == session);
            done.push((*claim, false));
        }
    }
}
