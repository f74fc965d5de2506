//! The statements that change a license, and the pools whose copies in Redis are stale afterwards.

use crate::{
    Error, Result,
    domain::{
        id::{InvalidText, LicenseId, LicenseNumber, PoolId, PoolName, draw_uuid},
        license::Status,
    },
    records::{AuditedChange, LicenseRow},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{Row, postgres::PgRow};
use time::OffsetDateTime;

/// A pool that was changed without a ticket: its copy in Redis under `epoch_before` or earlier must be marked stale.
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

/// Reads the changed pools that an SQL function answers.
pub(crate) fn changed_pools(rows: &[PgRow]) -> Result<Vec<PoolChange>> {
    let invalid = |e: InvalidText| Error::internal("a pool's name or license number cannot be read", e);
    rows.iter()
        .map(|row| {
            Ok(PoolChange {
                pool_id: PoolId(row.try_get("pool_id")?),
                pool: row.try_get::<String, _>("name")?.parse().map_err(invalid)?,
                license: row.try_get::<String, _>("number")?.parse().map_err(invalid)?,
                epoch_before: row.try_get::<i64, _>("epoch_before")? as u64,
            })
        })
        .collect()
}

impl AuditedChange<'_> {
    /// Gives the statements of this change more time: the rows of a large pool take longer to write than those of an
    /// operation on one seat, but never longer than the request has.
    pub(crate) async fn allow_long_statements(&mut self) -> Result<()> {
        sqlx::query("select set_config('statement_timeout', '4s', true)").execute(self.sql()).await?;
        Ok(())
    }

    /// A license. Its pools are locked first, as every change does: grants wait, and two changes come one after the
    /// other. `None`: the organization has none of that id.
    pub(crate) async fn lock_license(&mut self, id: LicenseId) -> Result<Option<LicenseRow>> {
        let tenant = self.tenant().0;
        sqlx::query("select lock_license($1, $2)").bind(tenant).bind(id.0).execute(self.sql()).await?;
        // A statement of its own, so that it sees what the transaction that held the lock has written.
        self.license(id).await
    }

    /// The pools of a license as if they had just changed: a copy of an epoch below the present one is stale, whoever
    /// made it so.
    pub(crate) async fn pools_as_changed(&mut self, id: LicenseId) -> Result<Vec<PoolChange>> {
        let sql = "-- pools_as_changed
            select p.pool_id, p.name, l.number, greatest(p.epoch - 1, 0) as epoch_before
            from pools p join licenses l on l.tenant_id = p.tenant_id and l.license_id = p.license_id
            where p.tenant_id = $1 and p.license_id = $2";
        let tenant = self.tenant().0;
        changed_pools(&sqlx::query(sql).bind(tenant).bind(id.0).fetch_all(self.sql()).await?)
    }

    /// The end of a term that begins now and has so many days, to the second.
    pub(crate) async fn end_of_term(&mut self, days: Option<u32>) -> Result<Option<OffsetDateTime>> {
        let sql = "-- end_of_term
            select date_trunc('second', now()) + make_interval(days => $1)";
        Ok(sqlx::query_scalar(sql).bind(days.map(|days| days as i32)).fetch_one(self.sql()).await?)
    }

    /// Writes a license with its first key and its default pool. False: the number is taken, and nothing was written.
    pub(crate) async fn insert_license(&mut self, new: &LicenseInsert<'_>) -> Result<bool> {
        let tenant = self.tenant().0;
        Ok(sqlx::query_scalar("select create_license($1, $2, $3, $4, $5, $6, $7, $8)")
            .bind(tenant)
            .bind(new.id.0)
            .bind(draw_uuid())
            .bind(new.number.to_string())
            .bind(&new.key_hash)
            .bind(new.product)
            .bind(new.plan)
            .bind(new.terms)
            .fetch_one(self.sql())
            .await?)
    }

    /// Writes other terms of a license; `changed` are the fields that differ, for the event.
    pub(crate) async fn update_license(
        &mut self,
        id: LicenseId,
        terms: &Value,
        changed: &Value,
    ) -> Result<Vec<PoolChange>> {
        let tenant = self.tenant().0;
        let query = sqlx::query("select * from change_license($1, $2, $3, $4)");
        let rows = query.bind(tenant).bind(id.0).bind(terms).bind(changed).fetch_all(self.sql()).await?;
        changed_pools(&rows)
    }

    /// Writes other labels of a license, another name and another note, and the event. No token says them, so no pool is
    /// changed.
    pub(crate) async fn label_license(&mut self, id: LicenseId, columns: &Value, changed: &Value) -> Result<()> {
        let tenant = self.tenant().0;
        sqlx::query("select label_license($1, $2, $3, $4)")
            .bind(tenant)
            .bind(id.0)
            .bind(columns)
            .bind(changed)
            .execute(self.sql())
            .await?;
        Ok(())
    }

    /// Writes that a license is suspended, active again or revoked.
    pub(crate) async fn set_license_status(&mut self, id: LicenseId, status: Status) -> Result<Vec<PoolChange>> {
        let sql = match status {
            Status::Suspended => "select * from suspend_license($1, $2)",
            Status::Active => "select * from resume_license($1, $2)",
            Status::Revoked => "select * from revoke_license($1, $2)",
        };
        let tenant = self.tenant().0;
        changed_pools(&sqlx::query(sql).bind(tenant).bind(id.0).fetch_all(self.sql()).await?)
    }
}

/// A license that is to be written.
pub(crate) struct LicenseInsert<'a> {
    pub(crate) id: LicenseId,
    pub(crate) number: LicenseNumber,
    pub(crate) key_hash: String,
    pub(crate) product: &'a str,
    pub(crate) plan: &'a str,
    pub(crate) terms: &'a Value,
}
