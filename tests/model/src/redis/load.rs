//! LOAD: what a rebuild makes of the records and of what this node's own copy knew. After `core/src/seat_store/rebuilt_leases.lua`. It is a step before
//! REBUILD, as for a pool too large for one script.

use super::{Entry, PoolCopy, Script, Settings};
use crate::{
    records::Snapshot,
    rules::Rule,
    time::{DRAIN, Time},
    words::{Epoch, Holder, NonceId, SeatNo, SessionId},
};

/// The end of a lease that is over, of who is not ending: 0 would be free.
const OVER: Time = 1;

impl Script<'_> {
    /// LOAD: the copy that REBUILD will put into place. `None`: LOST, another rebuilds.
    pub fn load(self, nonce: NonceId, read: &Snapshot) -> Option<PoolCopy> {
        if !self.knows(nonce) {
            return None;
        }
        let keeps = self.keeps(read.previous);
        let h = Settings {
            stamp: self.node,
            epoch: read.pool.epoch,
            seq: 0,
            cap: read.pool.total,
            counts: [0; 3],
            last: self.now,
            stale: false,
            frozen: None,
            active: read.pool.active,
            lease: read.pool.lease.now,
            opens: read.pool.opens_at,
        };
        let mut built = PoolCopy { h: Some(h), ..PoolCopy::default() };
        for (seat, row) in read.pool.seats() {
            match row.holder {
                Some(holder) => self.seat(seat, holder, read, keeps, &mut built),
                None => {
                    let score =
                        row.hold_until.map_or(0, |hold| self.quarantine(seat, (hold, row.hold_epoch), read, keeps));
                    built.z.insert(seat, score);
                }
            }
        }
        Some(built)
    }

    /// Whether the copy in front of us is this node's own, whole, and the latest that anybody built.
    fn keeps(&self, previous: Epoch) -> bool {
        let Some(h) = &self.copy.h else { return false };
        let own = h.stamp == self.node || !self.holds(Rule::RebuildGivesAFullLease);
        let latest = h.epoch == previous || !self.holds(Rule::KeepsOnlyTheLatestCopy);
        let whole = self.copy.is_whole(h) || !self.holds(Rule::KeepsOnlyWholeCopies);
        self.holds(Rule::RebuildKeepsWhatItKnows) && own && latest && whole
    }

    /// A held seat is live, with what is known of its sessions.
    fn seat(&self, seat: SeatNo, holder: Holder, read: &Snapshot, keeps: bool, built: &mut PoolCopy) {
        let known = self.copy.s.get(&seat).filter(|_| keeps);
        let sessions: Vec<_> = read.pool.open_sessions(seat).collect();
        let mut ends: Vec<_> =
            sessions.iter().map(|(session, _)| self.known_end((seat, *session), holder, read, known)).collect();
        if let [0] = ends[..] {
            // A seat's only session has the seat's lease.
            ends = vec![OVER];
        }
        let nobody = sessions.is_empty();
        let latest = match known {
            _ if nobody && self.holds(Rule::HeldByNobodyIsOver) => OVER,
            None if nobody => self.full(read),
            Some(entry) if nobody && !entry.ending && entry.holder == holder => {
                self.kept(self.given_back(self.copy.z.get(&seat).copied().unwrap_or(OVER)), read)
            }
            _ => ends.iter().copied().max().unwrap_or(OVER),
        };
        built.z.insert(seat, latest.max(OVER));
        for ((session, _), end) in sessions.iter().zip(ends) {
            built.n.insert((seat, *session), end);
        }
        built.s.insert(seat, Entry { holder, ending: false, seq: 0, since: self.now, sessions });
        built.m.insert(holder, seat);
    }

    /// The lease of a session. Who is in state X, or has another holder on its seat, is over: two clocks or its owner said so.
    fn known_end(
        &self,
        (seat, session): (SeatNo, SessionId),
        holder: Holder,
        read: &Snapshot,
        known: Option<&Entry>,
    ) -> Time {
        let Some(entry) = known else { return self.full(read) };
        if entry.ending || entry.holder != holder {
            return OVER;
        }
        let listed = entry.sessions.iter().any(|(id, _)| *id == session);
        if listed { self.kept(self.given_back(self.lease_end(seat, session)), read) } else { self.full(read) }
    }

    /// A seat that was a quarantine already stays what it was; a new one begins. Whoever is on a seat that was one in this copy took it when
    /// its wait was over, and the records know nothing of it: nobody believes in that seat.
    fn quarantine(&self, seat: SeatNo, (hold_until, epoch): (Time, Epoch), read: &Snapshot, keeps: bool) -> Time {
        let taken = keeps && self.copy.s.contains_key(&seat);
        let known = epoch <= read.previous || !self.holds(Rule::OnlyKnownQuarantinesAreServed);
        match self.copy.z.get(&seat) {
            Some(score) if keeps && !taken && *score > 0 => self.kept(*score, read),
            _ if taken && known && self.holds(Rule::ServedQuarantineIsOver) => OVER,
            _ if self.holds(Rule::QuarantineCountsFromTheRebuild) => self.full(read),
            _ => hold_until + read.full + DRAIN,
        }
    }

    /// With the time in which nobody could renew, for whose lease went on when that began.
    fn given_back(&self, end: Time) -> Time {
        match self.copy.h.as_ref().and_then(|h| h.frozen) {
            Some((at, over)) if end > over && self.holds(Rule::FrozenTimeIsGivenBack) => end + (self.redis - at).max(0),
            _ => end,
        }
    }

    fn kept(&self, end: Time, read: &Snapshot) -> Time {
        if self.holds(Rule::KeepsNoMoreThanAFullLease) { end.min(self.full(read)) } else { end }
    }

    /// The end of a lease nothing is known of.
    fn full(&self, read: &Snapshot) -> Time {
        self.given + read.full + if self.holds(Rule::RebuildLeaseCountsDrain) { DRAIN } else { 0 }
    }
}
