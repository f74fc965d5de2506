//! What happened, in the form both sides of the wire share: one outbox row, one published message.

use super::id::{PoolId, TenantId};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

/// One event. Published once or more; consumers dedupe by `id`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Unique and ordered by time (UUID version 7).
    pub id: Uuid,
    /// The organization.
    pub tenant: TenantId,
    /// What happened, `noun.verb`: `seat.granted`, `seat.freed`, `usage`, ….
    pub kind: String,
    /// When it was committed.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// The details, by kind (docs/API.md lists them). Never a key, a handle or a token.
    pub payload: serde_json::Value,
}

/// One share of a sweep: asks the reaper to look at these pools, and then to publish the events that wait. One of no
/// pools asks for the events alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SweepShare {
    /// Whose pool it is, and which; at most [`SweepShare::MAX_POOLS`].
    pub pools: Vec<(TenantId, PoolId)>,
}

impl SweepShare {
    /// The most pools of one share: its message stays below the 64 KiB that a push may have.
    pub const MAX_POOLS: usize = 400;
    /// A sweep of fewer pools than this is one share: a message costs more than a look at a pool.
    const MIN_POOLS: usize = 100;
    /// Into how many shares a sweep is cut where they are neither too small nor too large, so that several instances
    /// work on it.
    const TARGET_SHARES: usize = 64;

    /// The shares of a sweep of these pools, each pool in one of them.
    pub fn split_pools(pools: &[(TenantId, PoolId)]) -> Vec<Self> {
        let size = pools.len().div_ceil(Self::TARGET_SHARES).clamp(Self::MIN_POOLS, Self::MAX_POOLS);
        pools.chunks(size).map(|pools| Self { pools: pools.to_vec() }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pools(count: u128) -> Vec<(TenantId, PoolId)> {
        (0..count).map(|n| (TenantId(Uuid::from_u128(n / 7)), PoolId(Uuid::from_u128(n)))).collect()
    }

    #[test]
    fn a_sweep_has_as_many_shares_as_its_pools_are_worth() {
        for (count, shares) in
            [(0, 0), (1, 1), (100, 1), (101, 2), (6400, 64), (10_000, 64), (25_600, 64), (25_601, 65)]
        {
            let pools = pools(count);
            let cut = SweepShare::split_pools(&pools);
            assert_eq!(cut.len(), shares, "{count} pools");
            assert!(cut.iter().all(|share| share.pools.len() <= SweepShare::MAX_POOLS && !share.pools.is_empty()));
            assert_eq!(cut.into_iter().flat_map(|share| share.pools).collect::<Vec<_>>(), pools);
        }
    }
}
