//! NONCE, REBUILD and INVALIDATE: the one way into Redis. After the scripts of those names.

use super::{Entry, Nonce, PoolCopy, Script, Settings};
use crate::{
    records::Snapshot,
    rules::Rule,
    time::{DRAIN, REBUILD_LEASE, TTL, Time},
    words::{Epoch, NonceId, SeatNo, SessionId},
};

/// The answer of NONCE.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the words of the protocol")]
pub enum NonceAnswer {
    Warm,
    Nonce(NonceId),
}

impl Script<'_> {
    /// NONCE: the one that is there, or `fresh`. The two seconds of WAIT only spare work; they are left out.
    pub fn nonce(self, fresh: NonceId) -> NonceAnswer {
        if self.is_warm() {
            return NonceAnswer::Warm;
        }
        if let Some(nonce) = self.copy.c
            && nonce.node == self.node
        {
            return NonceAnswer::Nonce(nonce.id);
        }
        self.copy.c = Some(Nonce { id: fresh, node: self.node, rebuilt: 0 });
        NonceAnswer::Nonce(fresh)
    }

    /// INVALIDATE: marks a copy stale whose epoch the caller has proved old.
    pub fn invalidate(self, seen: Epoch) {
        if let Some(h) = &mut self.copy.h
            && h.epoch <= seen
        {
            h.stale = true;
        }
    }

    /// REBUILD: replaces the copy. False: LOST, nothing was written.
    pub fn rebuild(mut self, nonce: NonceId, read: &Snapshot) -> bool {
        let known = self.copy.c.is_some_and(|its| {
            let here = its.node == self.node || !self.holds(Rule::NonceIsOfItsNode);
            its.id == nonce && here && (read.epoch > its.rebuilt || !self.holds(Rule::NonceRemembersItsEpoch))
        });
        let newer = read.epoch > self.epoch() || !self.holds(Rule::RebuildRaisesTheEpoch);
        if !newer || (!known && self.holds(Rule::Nonce)) {
            return false;
        }
        let before = std::mem::take(self.copy);
        // The nonce lives on: a higher epoch under it replaces this copy.
        self.copy.c = before.c.map(|nonce| Nonce { rebuilt: read.epoch, ..nonce });
        self.copy.h = Some(Settings {
            stamp: self.node,
            epoch: read.epoch,
            seq: 0,
            cap: read.total,
            counts: [0; 3],
            last: self.now,
            stale: false,
            active: read.active,
            opens: read.opens_at,
        });
        for (seat, row) in read.seats() {
            match row.holder {
                Some(holder) => self.load(seat, holder, read, &before),
                None => {
                    let score = row.hold_until.map_or(0, |hold| self.quarantine(hold));
                    self.copy.z.insert(seat, score);
                }
            }
        }
        self.save();
        true
    }

    /// A held seat is live with the full lease, also when it has no session.
    fn load(&mut self, seat: SeatNo, holder: u8, read: &Snapshot, before: &PoolCopy) {
        let sessions: Vec<_> = read.open_sessions(seat).collect();
        let lease = self.rebuild_lease();
        let full = self.holds(Rule::RebuildGivesAFullLease);
        let kept = |was: Option<&Time>| if full { lease } else { was.copied().unwrap_or(lease) };
        self.copy.z.insert(seat, kept(before.z.get(&seat)));
        for (session, _) in &sessions {
            let of: (SeatNo, SessionId) = (seat, *session);
            self.copy.n.insert(of, kept(before.n.get(&of)));
        }
        let since = self.now;
        self.copy.s.insert(seat, Entry { holder, ending: false, seq: 0, since, sessions });
        self.copy.m.insert(holder, seat);
    }

    fn rebuild_lease(&self) -> Time {
        self.given + TTL + if self.holds(Rule::RebuildLeaseCountsDrain) { DRAIN } else { 0 }
    }

    fn quarantine(&self, hold_until: Time) -> Time {
        let from_rebuild = self.holds(Rule::QuarantineCountsFromTheRebuild);
        if from_rebuild { hold_until.max(self.rebuild_lease()) } else { hold_until + REBUILD_LEASE }
    }
}
