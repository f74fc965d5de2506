//! What staff and admins do to licenses: written down with who did it, then told to Redis.

use super::SeatManagement;
use crate::{
    Result,
    domain::{
        id::{LicenseId, TenantId},
        license::Status,
        secret::KeyRing,
        terms::TermsEdit,
    },
    protocol::deadline::Deadline,
    records::{Caller, ChangeResult, ChangedLicense, KeyRotation, LicenseRow, PoolOf, RotatedKeyRow},
    seat_store::{PoolKey, PoolReply},
};
use std::time::Duration;

/// For how long one request goes on ending sessions: its answer must still be written, and shows a key this once.
const STEPS_GO_ON: Duration = Duration::from_secs(2);

/// A license and the use of it now.
#[derive(Clone, Debug)]
pub struct LicenseView {
    /// The license.
    pub license: LicenseRow,
    /// Its pools, by name.
    pub pools: Vec<LivePool>,
}

/// A pool and the use of it now.
#[derive(Clone, Debug)]
pub struct LivePool {
    /// As the records have it.
    pub pool: PoolOf,
    /// Seats held.
    pub used: u32,
}

/// A license's new key, and what became of the sessions of old ones.
#[derive(Clone, Debug)]
pub struct RotatedKey {
    /// The new key.
    pub new: RotatedKeyRow,
    /// How many sessions ended.
    pub ended: u64,
    /// How many that began with an old key still go on, of those that were to end.
    pub remaining: u64,
}

impl SeatManagement {
    /// A license with the seats held of each of its pools; a cold copy is rebuilt first. `None`: the organization has
    /// none of that id.
    ///
    /// # Errors
    /// If a store could not be asked in time.
    pub async fn show_license(&self, tenant: TenantId, license: LicenseId) -> Result<Option<LicenseView>> {
        let deadline = Deadline::of_request();
        let Some((license, pools)) = self.records.license(tenant, license).await? else { return Ok(None) };
        let mut shown = Vec::new();
        for pool in pools {
            let key = PoolKey { license: license.number, pool: pool.name.clone() };
            let Some(used) = self.held(&key, tenant, &pool, deadline).await? else { continue };
            shown.push(LivePool { pool, used });
        }
        Ok(Some(LicenseView { license, pools: shown }))
    }

    /// Seats held of a pool. `None`: the records know no such pool any more.
    async fn held(&self, key: &PoolKey, tenant: TenantId, pool: &PoolOf, deadline: Deadline) -> Result<Option<u32>> {
        loop {
            deadline.check("seats")?;
            match self.seats.look_up_sessions(key, &[]).await? {
                PoolReply::Answer(look) => return Ok(Some(look.held)),
                PoolReply::NeedsRebuild { .. } => {
                    if !self.rebuilds.ensure_warm(key, tenant, pool.id, deadline).await? {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// Changes what is agreed about a license ([`crate::records::Records::edit_license`]). The next acquire goes by it,
    /// and every client hears of it at its next heartbeat.
    ///
    /// # Errors
    /// If a store could not be asked; the change may have been made. The same request again does no harm.
    pub async fn edit_license(
        &self,
        act: &Caller,
        license: LicenseId,
        plan: Option<&str>,
        edit: &TermsEdit,
        version: Option<i64>,
    ) -> ChangeResult<ChangedLicense> {
        let answer = self.records.edit_license(act, license, plan, edit, version).await?;
        if let Ok(changed) = &answer {
            self.tell(&changed.tell).await?;
        }
        Ok(answer)
    }

    /// Suspends, resumes or revokes a license: no new seat at once unless it is active, every client told at its next
    /// heartbeat.
    ///
    /// # Errors
    /// As [`SeatManagement::edit_license`].
    pub async fn decide_license(
        &self,
        act: &Caller,
        license: LicenseId,
        status: Status,
    ) -> ChangeResult<ChangedLicense> {
        let answer = self.records.decide_license(act, license, status).await?;
        if let Ok(changed) = &answer {
            self.tell(&changed.tell).await?;
        }
        Ok(answer)
    }

    /// Gives a license a new key, and ends sessions that began with an old one if that is asked for. Those of up to 200
    /// seats end in the transaction of the rotation; others in steps of their own, for about two seconds. The same
    /// request with the same idempotency key goes on with what is left.
    ///
    /// # Errors
    /// As [`SeatManagement::edit_license`].
    pub async fn replace_key(
        &self,
        act: &Caller,
        license: LicenseId,
        how: KeyRotation,
        peppers: &KeyRing,
    ) -> ChangeResult<RotatedKey> {
        let steps = Deadline::after(STEPS_GO_ON);
        let new = match self.records.replace_key(act, license, how, peppers).await? {
            Ok(new) => new,
            Err(refused) => return Ok(Err(refused)),
        };
        self.tell(&new.tell).await?;
        let (mut ended, mut remaining) = (new.ended, new.remaining);
        while remaining > 0 && steps.check("records").is_ok() {
            match self.end_old_sessions(act, license).await {
                Ok(0) => remaining = 0,
                Ok(count) => (ended, remaining) = (ended + count, remaining.saturating_sub(count)),
                // The new key must be told of: it is shown this once.
                Err(e) => {
                    tracing::warn!(error = %e, remaining, "sessions that began with an old license key go on");
                    break;
                }
            }
        }
        Ok(Ok(RotatedKey { new, ended, remaining }))
    }

    async fn end_old_sessions(&self, act: &Caller, license: LicenseId) -> Result<u64> {
        let some = self.records.end_old_sessions(act, license).await?;
        self.tell(&some.tell).await?;
        Ok(some.count)
    }

    /// Gives a license a new key; old ones are good for `old_for` seconds more.
    ///
    /// # Errors
    /// As [`SeatManagement::edit_license`], but without an idempotency key the same request again is another rotation.
    pub async fn renew_key(
        &self,
        act: &Caller,
        license: LicenseId,
        old_for: u32,
        peppers: &KeyRing,
    ) -> ChangeResult<RotatedKeyRow> {
        let answer = self.records.renew_key(act, license, old_for, peppers).await?;
        if let Ok(new) = &answer {
            self.tell(&new.tell).await?;
        }
        Ok(answer)
    }
}
