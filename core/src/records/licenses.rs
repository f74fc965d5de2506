//! Licenses: found by their key, and changed without a Redis ticket.

use super::connect::{Records, failed};
use crate::{
    Error, Result,
    domain::id::{LicenseId, LicenseNumber, PoolId, PoolName, SeatNo, TenantId},
};
use serde::{Deserialize, Serialize};
use sqlx::{Row, postgres::PgRow};
use time::OffsetDateTime;
use uuid::Uuid;

/// What a license key opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// The organization.
    pub tenant: TenantId,
    /// The license.
    pub license: LicenseId,
    /// The pool asked for; `None` if the license has none of that name.
    pub pool: Option<PoolId>,
}

/// A pool that was changed without a ticket: its copy under `epoch_before` must be proved stale to Redis.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The pool.
    pub pool_id: PoolId,
    /// Its name.
    pub pool: PoolName,
    /// The license's number.
    pub license: LicenseNumber,
    /// The last epoch before the change.
    pub epoch_before: u64,
}

impl Records {
    /// Judges a license key by the records alone. `None`: unknown number or wrong secret, without saying which.
    ///
    /// # Errors
    /// [`Error::Records`].
    pub async fn find_license(
        &self,
        number: LicenseNumber,
        key_hashes: &[String],
        pool: &PoolName,
    ) -> Result<Option<Found>> {
        let row: Option<(Uuid, Uuid, Option<Uuid>)> = self
            .repeat(|connections| async move {
                sqlx::query_as("select tenant_id, license_id, pool_id from find_license($1, $2, $3)")
                    .bind(number.to_string())
                    .bind(key_hashes)
                    .bind(pool.as_str())
                    .fetch_optional(&connections)
                    .await
            })
            .await?;
        Ok(row.map(|(tenant, license, pool)| Found {
            tenant: TenantId(tenant),
            license: LicenseId(license),
            pool: pool.map(PoolId),
        }))
    }

    /// Changes how many seats a pool has. Growing is at once; shrinking drains. The epoch before, or `None`: no such pool.
    ///
    /// # Errors
    /// [`Error::Records`]; not repeated here, since it may have been done.
    pub async fn resize_pool(&self, tenant: TenantId, pool: PoolId, seats: u32) -> Result<Option<u64>> {
        let epoch: Option<i64> = self
            .once(|connections| async move {
                sqlx::query_scalar("select resize_pool($1, $2, $3)")
                    .bind(tenant.0)
                    .bind(pool.0)
                    .bind(seats as i32)
                    .fetch_one(&connections)
                    .await
            })
            .await?;
        Ok(epoch.map(|e| e as u64))
    }

    /// Ends every session on a seat and frees it; with `force` (somebody vouches that the machine is off) without quarantine.
    /// `by` is who did it, for the event. The epoch before, or `None`: no such seat.
    ///
    /// # Errors
    /// [`Error::Records`]; not repeated here.
    pub async fn kick_seat(
        &self,
        tenant: TenantId,
        pool: PoolId,
        seat: SeatNo,
        force: bool,
        by: &str,
    ) -> Result<Option<u64>> {
        let epoch: Option<i64> = self
            .once(|connections| async move {
                sqlx::query_scalar("select kick_seat($1, $2, $3, $4, $5)")
                    .bind(tenant.0)
                    .bind(pool.0)
                    .bind(seat as i32)
                    .bind(force)
                    .bind(by)
                    .fetch_one(&connections)
                    .await
            })
            .await?;
        Ok(epoch.map(|e| e as u64))
    }

    /// Suspends an active license. Empty if it is not active.
    ///
    /// # Errors
    /// [`Error::Records`]; not repeated here.
    pub async fn suspend_license(&self, tenant: TenantId, license: LicenseId) -> Result<Vec<Change>> {
        let rows = self.once(|connections| async move {
            sqlx::query("select * from suspend_license($1, $2)")
                .bind(tenant.0)
                .bind(license.0)
                .fetch_all(&connections)
                .await
        });
        changes(&rows.await?)
    }

    /// Resumes a suspended license. Empty if it is not suspended.
    ///
    /// # Errors
    /// [`Error::Records`]; not repeated here.
    pub async fn resume_license(&self, tenant: TenantId, license: LicenseId) -> Result<Vec<Change>> {
        let rows = self.once(|connections| async move {
            sqlx::query("select * from resume_license($1, $2)")
                .bind(tenant.0)
                .bind(license.0)
                .fetch_all(&connections)
                .await
        });
        changes(&rows.await?)
    }

    /// Gives a license a new secret; the old ones stay valid until `old_until`.
    ///
    /// # Errors
    /// [`Error::Records`]; not repeated here.
    pub async fn rotate_license_key(
        &self,
        tenant: TenantId,
        license: LicenseId,
        key_hash: &str,
        old_until: OffsetDateTime,
    ) -> Result<Vec<Change>> {
        let rows = self.once(|connections| async move {
            sqlx::query("select * from rotate_license_key($1, $2, $3, $4)")
                .bind(tenant.0)
                .bind(license.0)
                .bind(key_hash)
                .bind(old_until)
                .fetch_all(&connections)
                .await
        });
        changes(&rows.await?)
    }
}

pub(super) fn changes(rows: &[PgRow]) -> Result<Vec<Change>> {
    let read = |e: crate::domain::id::Invalid| Error::Internal(format!("a pool's name or license number: {e}"));
    rows.iter()
        .map(|row| {
            Ok(Change {
                pool_id: PoolId(row.try_get("pool_id").map_err(failed)?),
                pool: row.try_get::<String, _>("name").map_err(failed)?.parse().map_err(read)?,
                license: row.try_get::<String, _>("number").map_err(failed)?.parse().map_err(read)?,
                epoch_before: row.try_get::<i64, _>("epoch_before").map_err(failed)? as u64,
            })
        })
        .collect()
}
