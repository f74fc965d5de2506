//! A grant whose ticket a test makes by hand, without Redis.

use license_core::{
    Result,
    domain::{
        claimant::Claimant,
        id::{Attempt, Holder, Hw, LicenseNumber, PoolId, SeatNo, SessionId, TenantId},
        license::{LicenseFacts, OfflineAllowance, OfflinePolicy},
        pool::{GrantedSeat, SeatLease},
    },
    records::{GrantOutcome, Records},
};
use std::time::Duration;
use time::OffsetDateTime;
use uuid::Uuid;

const TTL: Duration = Duration::from_secs(360);

/// A grant as PostgreSQL is asked to write it down: what of a granted seat and its claimant it looks at.
#[derive(Clone, Debug)]
pub struct SeatGrant {
    pub tenant: TenantId,
    pub pool: PoolId,
    pub seat: SeatNo,
    pub session: SessionId,
    pub holder: Holder,
    pub attempt: Attempt,
    pub epoch: u64,
    pub seq: u64,
    pub live: Vec<SessionId>,
    /// When the holder that lost the seat was last seen.
    pub displaced_seen: Option<OffsetDateTime>,
    pub hw: Hw,
    pub label: String,
}

impl SeatGrant {
    /// A new session of a new process of a holder, alone on the first seat of a pool.
    pub fn new(tenant: TenantId, pool: PoolId, session: SessionId, holder: Holder) -> Self {
        Self {
            tenant,
            pool,
            seat: 0,
            session,
            holder,
            attempt: Attempt(Uuid::new_v4()),
            epoch: 0,
            seq: 1,
            live: vec![session],
            displaced_seen: None,
            hw: Hw([0; 32]),
            label: String::new(),
        }
    }

    /// Has it written down.
    ///
    /// # Errors
    /// Those of [`Records::grant_seat`].
    pub async fn write_down(&self, records: &Records) -> Result<GrantOutcome> {
        records.grant_seat(&self.granted(), &self.claimant(), &[], TTL).await
    }

    fn granted(&self) -> GrantedSeat {
        let lease_end = self.displaced_seen.map(|seen| (seen + TTL).unix_timestamp_nanos() / 1_000_000);
        let facts = LicenseFacts {
            tenant: self.tenant,
            number: LicenseNumber(0),
            product: String::new(),
            tier: String::new(),
            seats_total: 0,
            features: serde_json::Map::new(),
            expires_at: None,
            offline: OfflineAllowance { policy: OfflinePolicy::None, grace_hours: 0, after_heartbeats: 0 },
            facts_version: 0,
            hide_holders: false,
        };
        GrantedSeat {
            tenant: self.tenant,
            pool_id: self.pool,
            seat: self.seat,
            session: self.session,
            epoch: self.epoch,
            seq: self.seq,
            live: self.live.clone(),
            displaced_lease_end_ms: lease_end.map_or(0, |ms| ms.try_into().unwrap()),
            held: 1,
            lease: SeatLease { holder: self.holder, facts, lease_ms: 0, held_ms: None },
        }
    }

    fn claimant(&self) -> Claimant {
        let hardware = "hardware-of-a-grant".parse().unwrap();
        let mut claimant = Claimant::new(LicenseNumber(0), &hardware, None, self.attempt);
        (claimant.holder_by_machine, claimant.hw) = (self.holder, self.hw);
        claimant.label = self.label.clone();
        claimant
    }
}
