//! NONCE, REBUILD and INVALIDATE: the one way into Redis. After the scripts of those names.

use super::{Nonce, PoolCopy, Script};
use crate::{
    rules::Rule,
    words::{Epoch, NonceId},
};

/// The answer of NONCE.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the words of the protocol")]
pub enum NonceAnswer {
    Warm,
    /// With the epoch of this node's copy, frozen by it; 0: none.
    Nonce(NonceId, Epoch),
}

impl Script<'_> {
    /// NONCE: from now on it is the asker's rebuild, under a nonce of its own. WAIT is left out: whoever had it may be dead at any time.
    pub fn nonce(self, fresh: NonceId) -> NonceAnswer {
        if self.is_warm() {
            return NonceAnswer::Warm;
        }
        let (freezes, mut frozen) = (self.holds(Rule::NonceFreezes), 0);
        if let Some(h) = &mut self.copy.h {
            h.stale |= freezes;
            h.frozen = h.frozen.or(Some((self.redis, self.reap_now)));
            frozen = if h.stamp == self.node { h.epoch } else { 0 };
        }
        self.copy.c = Some(Nonce { id: fresh, node: self.node, seen: 0 });
        NonceAnswer::Nonce(fresh, frozen)
    }

    /// INVALIDATE: marks a copy stale whose epoch the caller has proved old, and the one that is being built.
    pub fn invalidate(self, seen: Epoch) {
        if let Some(h) = &mut self.copy.h
            && h.epoch <= seen
        {
            h.stale = true;
        }
        if let Some(c) = &mut self.copy.c {
            c.seen = c.seen.max(seen);
        }
    }

    /// Whether this is the rebuild under way here.
    pub(super) fn knows(&self, nonce: NonceId) -> bool {
        let known = self.copy.c.is_some_and(|its| {
            let here = its.node == self.node || !self.holds(Rule::NonceIsOfItsNode);
            its.id == nonce && here
        });
        known || !self.holds(Rule::Nonce)
    }

    /// REBUILD: replaces the copy with what LOAD made. False: LOST, nothing was written.
    pub fn rebuild(self, nonce: NonceId, built: &PoolCopy) -> bool {
        let epoch = built.h.as_ref().map_or(0, |h| h.epoch);
        let newer = epoch > self.epoch() || !self.holds(Rule::RebuildRaisesTheEpoch);
        if !newer || !self.knows(nonce) {
            return false;
        }
        let c = self.copy.c.take();
        let reached = c.is_some_and(|c| epoch <= c.seen) && self.holds(Rule::InvalidateReachesRebuilds);
        let (stamp, spent) = (self.node, self.holds(Rule::NonceIsSpent));
        let last = if self.holds(Rule::LastIsBounded) { self.redis } else { self.now };
        *self.copy = PoolCopy { c: c.filter(|_| !spent), ..built.clone() };
        let counts = self.copy.counts();
        if let Some(h) = &mut self.copy.h {
            (h.stamp, h.counts, h.stale, h.last) = (stamp, counts, reached, last);
        }
        true
    }
}
