//! The only file that spells keys. All keys of a license share one hash tag, the license number: a cluster keeps them
//! in one slot, and one script may read several pools of the license.

use crate::domain::{
    handle::SessionHandle,
    id::{LicenseNumber, PoolName},
};

/// Names a pool in Redis: everything that is needed to spell its keys, and no more.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PoolKey {
    /// The license's public number.
    pub license: LicenseNumber,
    /// The pool's name within the license.
    pub pool: PoolName,
}

impl PoolKey {
    /// `{<license>}/<pool>:` with the suffixes h, z, s, m, n, c, in the order scripts declare them.
    pub fn keys(&self) -> [String; 6] {
        ["h", "z", "s", "m", "n", "c"].map(|suffix| self.key(suffix))
    }

    /// Where a large rebuild puts its chunks before they replace the copy: z, s, m, n of one epoch.
    pub(super) fn shadow_keys(&self, epoch: u64) -> [String; 4] {
        ["z", "s", "m", "n"].map(|suffix| self.key(&format!("{suffix}:{epoch}")))
    }

    /// The limit of one holder or session of the pool, where the pool's scripts keep a limit.
    pub(super) fn limit_key(&self, caller: &str) -> String {
        self.key(&format!("r:{caller}"))
    }

    /// The limit of all new sessions of the pool.
    pub(super) fn new_sessions_key(&self) -> String {
        self.key("b")
    }

    /// Who wants a seat of the pool while it is full: y, v, e, in the order scripts declare them (wants.lua).
    pub(super) fn want_keys(&self) -> [String; 3] {
        ["y", "v", "e"].map(|suffix| self.key(suffix))
    }

    fn key(&self, suffix: &str) -> String {
        format!("{{{}}}/{}:{suffix}", self.license, self.pool)
    }
}

/// One caller under one limit that belongs to no pool. Each has a hash tag of its own.
pub(super) fn rate_key(limit: &str, caller: &str) -> String {
    format!("rate:{{{limit}/{caller}}}")
}

/// Remembers that a caller tried something under one limit. It shares the hash tag of that limit.
pub(super) fn tried_key(limit: &str, caller: &str, tried: &str) -> String {
    format!("{}:{tried}", rate_key(limit, caller))
}

impl From<&SessionHandle> for PoolKey {
    fn from(handle: &SessionHandle) -> Self {
        Self { license: handle.license, pool: handle.pool.clone() }
    }
}
