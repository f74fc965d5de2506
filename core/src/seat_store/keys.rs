//! The one speller of keys. All keys of a license share one hash tag, its number: a cluster keeps them in one slot, and
//! one script may look at several of its pools.

use crate::domain::{
    handle::SessionHandle,
    id::{LicenseNumber, PoolName},
};

/// Which pool: everything that is needed to spell its keys, and no more.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PoolKey {
    /// The license's public number.
    pub license: LicenseNumber,
    /// The pool's name within the license.
    pub pool: PoolName,
}

impl PoolKey {
    /// `{<license>}/<pool>:` with the suffixes h, z, s, m, n, c, in the order scripts declare them.
    pub(super) fn keys(&self) -> [String; 6] {
        ["h", "z", "s", "m", "n", "c"].map(|suffix| self.key(suffix))
    }

    /// Where a large rebuild lays down its chunks before they take the copy's place: z, s, m, n of one epoch.
    pub(super) fn shadow_keys(&self, epoch: u64) -> [String; 4] {
        ["z", "s", "m", "n"].map(|suffix| self.key(&format!("{suffix}:{epoch}")))
    }

    /// The turns of a holder or session of the pool, where the pool's scripts keep a limit.
    pub(super) fn limit_key(&self, caller: &str) -> String {
        self.key(&format!("r:{caller}"))
    }

    /// The turns of all new sessions of the pool.
    pub(super) fn new_sessions_key(&self) -> String {
        self.key("b")
    }

    fn key(&self, suffix: &str) -> String {
        format!("{{{}}}/{}:{suffix}", self.license, self.pool)
    }
}

/// The turns of one caller under one limit; a slot of its own.
pub(super) fn rate_key(limit: &str, caller: &str) -> String {
    format!("rate:{{{limit}/{caller}}}")
}

/// That a caller tried something under one limit; in the slot of its turns.
pub(super) fn tried_key(limit: &str, caller: &str, tried: &str) -> String {
    format!("{}:{tried}", rate_key(limit, caller))
}

impl From<&SessionHandle> for PoolKey {
    fn from(handle: &SessionHandle) -> Self {
        Self { license: handle.license, pool: handle.pool.clone() }
    }
}
