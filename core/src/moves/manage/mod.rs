//! Changes people make to licenses and seats: committed first, then the old copies are proved stale to Redis.
//!
//! If the process dies in between, grants are refused at once by their epoch and the next acquire or sweep repairs the copy.

mod licenses;
mod sessions;

pub use licenses::{LivePool, Shown};
pub use sessions::{Ended, Presence, Seen};

use super::{
    rebuild::Rebuilds,
    steps::{Step, Steps},
};
use crate::{
    Result,
    domain::id::{LicenseId, PoolId, SeatNo, TenantId},
    records::{Change, Records},
    seats::{PoolKey, Seats},
};
use time::OffsetDateTime;

/// What the admin function may do with seats. Cheap to clone.
#[derive(Clone)]
pub struct Manage {
    seats: Seats,
    records: Records,
    rebuilds: Rebuilds,
    steps: Steps,
}

impl Manage {
    /// Over these rooms; `records` as [`crate::records::Role::Admin`].
    pub fn new(seats: Seats, records: Records) -> Self {
        let steps = Steps::default();
        Self { rebuilds: Rebuilds::new(seats.clone(), records.clone(), steps.clone()), seats, records, steps }
    }

    /// The fail points of these moves.
    pub fn steps(&self) -> &Steps {
        &self.steps
    }

    /// Suspends a license: no new seat at once, every client told at its next heartbeat. False if it was not active.
    ///
    /// # Errors
    /// If a store could not be asked; the change may have been made.
    pub async fn suspend(&self, tenant: TenantId, license: LicenseId) -> Result<bool> {
        let changes = self.records.suspend_license(tenant, license).await?;
        self.tell(&changes).await
    }

    /// Resumes a suspended license. Clients that kept asking within their lease go on. False if it was not suspended.
    ///
    /// # Errors
    /// If a store could not be asked; the change may have been made.
    pub async fn resume(&self, tenant: TenantId, license: LicenseId) -> Result<bool> {
        let changes = self.records.resume_license(tenant, license).await?;
        self.tell(&changes).await
    }

    /// Gives a license a new secret by its hash; old ones stay valid until `old_until`.
    ///
    /// # Errors
    /// If a store could not be asked; the change may have been made.
    pub async fn rotate_key(
        &self,
        tenant: TenantId,
        license: LicenseId,
        hash: &str,
        old_until: OffsetDateTime,
    ) -> Result<bool> {
        let changes = self.records.rotate_license_key(tenant, license, hash, old_until).await?;
        self.tell(&changes).await
    }

    /// Changes how many seats a pool has. Growing is at once; shrinking drains. False: no such pool.
    ///
    /// # Errors
    /// If a store could not be asked; the change may have been made.
    pub async fn resize(&self, tenant: TenantId, pool_id: PoolId, pool: &PoolKey, seats: u32) -> Result<bool> {
        let before = self.records.resize_pool(tenant, pool_id, seats).await?;
        self.tell_one(pool, before).await
    }

    /// Ends every session on a seat. Unless somebody vouches that the machine is off (`force`), the seat stays free until a full lease
    /// after the next rebuild: the kicked client may believe until then. False: no such seat.
    ///
    /// # Errors
    /// If a store could not be asked; the change may have been made.
    pub async fn kick(
        &self,
        tenant: TenantId,
        pool_id: PoolId,
        pool: &PoolKey,
        seat: SeatNo,
        force: bool,
        by: &str,
    ) -> Result<bool> {
        let before = self.records.kick_seat(tenant, pool_id, seat, force, by).await?;
        self.tell_one(pool, before).await
    }

    async fn tell(&self, changes: &[Change]) -> Result<bool> {
        self.steps.done(Step::Change).await?;
        for change in changes {
            let pool = PoolKey { license: change.license, pool: change.pool.clone() };
            self.seats.invalidate(&pool, change.epoch_before).await?;
        }
        Ok(!changes.is_empty())
    }

    async fn tell_one(&self, pool: &PoolKey, epoch_before: Option<u64>) -> Result<bool> {
        self.steps.done(Step::Change).await?;
        let Some(epoch) = epoch_before else { return Ok(false) };
        self.seats.invalidate(pool, epoch).await?;
        Ok(true)
    }
}
