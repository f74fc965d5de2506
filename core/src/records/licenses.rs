//! Licenses found by their key, and what Redis must hear of one that was changed without a ticket.

use super::connect::{Records, failed};
use crate::{
    Error, Result,
    domain::id::{LicenseId, LicenseNumber, PoolId, PoolName, TenantId},
};
use serde::{Deserialize, Serialize};
use sqlx::{Row, postgres::PgRow};
use uuid::Uuid;

/// What a license key opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyMatch {
    /// The organization.
    pub tenant: TenantId,
    /// The license.
    pub license: LicenseId,
    /// The pool asked for; `None` if the license has none of that name.
    pub pool: Option<PoolId>,
}

/// A pool that was changed without a ticket: its copy under `epoch_before` must be proved stale to Redis.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolChange {
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
    ) -> Result<Option<KeyMatch>> {
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
        Ok(row.map(|(tenant, license, pool)| KeyMatch {
            tenant: TenantId(tenant),
            license: LicenseId(license),
            pool: pool.map(PoolId),
        }))
    }
}

pub(super) fn changes(rows: &[PgRow]) -> Result<Vec<PoolChange>> {
    let read = |e: crate::domain::id::InvalidText| Error::internal("a pool's name or license number cannot be read", e);
    rows.iter()
        .map(|row| {
            Ok(PoolChange {
                pool_id: PoolId(row.try_get("pool_id").map_err(failed)?),
                pool: row.try_get::<String, _>("name").map_err(failed)?.parse().map_err(read)?,
                license: row.try_get::<String, _>("number").map_err(failed)?.parse().map_err(read)?,
                epoch_before: row.try_get::<i64, _>("epoch_before").map_err(failed)? as u64,
            })
        })
        .collect()
}
