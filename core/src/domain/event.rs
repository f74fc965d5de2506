//! The messages that pass through the bus, in the form that senders and receivers share.

use super::id::{PoolId, TenantId};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

/// Every kind of event that webhooks can ask for, as docs/API.md lists them. `webhook.test` is not among them: it is
/// sent to the webhook that is tested, whatever it asks for.
pub const EVENT_KINDS: [&str; 19] = [
    "seat.granted",
    "seat.freed",
    "seat.denied",
    "usage",
    "grace.exceeded",
    "organization.created",
    "invitation.created",
    "invitation.revoked",
    "person.joined",
    "license.created",
    "license.changed",
    "license.suspended",
    "license.active",
    "license.revoked",
    "license.key_rotated",
    "webhook.paused",
    "webhook.disabled",
    "alert.raised",
    "alert.ended",
];

/// One event: a row of the outbox and the message that is published from it. An event is published at least once;
/// consumers recognise repetitions by its `id`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// The id: unique and ordered by time (UUID version 7).
    pub id: Uuid,
    /// The organization.
    pub tenant: TenantId,
    /// What happened, as `noun.verb`: `seat.granted`, `seat.freed`, `usage`, ….
    pub kind: String,
    /// The time at which the change was committed.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// The details, which depend on the kind (docs/API.md lists them). They never contain a license key, a session
    /// handle or a token.
    pub payload: serde_json::Value,
}

/// One share of a sweep: the message that asks the reaper to end what is over in these pools and then to publish the
/// events in the outbox. A share without pools asks only for the events.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SweepShare {
    /// Each pool with its organization; at most [`SweepShare::MAX_POOLS`].
    pub pools: Vec<(TenantId, PoolId)>,
}

impl SweepShare {
    /// The largest number of pools in one share. With it the message stays below 64 KiB, the largest size of a push.
    pub const MAX_POOLS: usize = 400;
    /// A share gets at least this many pools, if there are so many, because a message costs more than the check of a
    /// pool.
    const MIN_POOLS: usize = 100;
    /// The number of shares of a sweep if that makes them neither too small nor too large. Several instances then work
    /// on one sweep.
    const TARGET_SHARES: usize = 64;

    /// Divides the pools of a sweep into shares. Each pool is in exactly one share.
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
