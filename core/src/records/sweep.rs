//! What the reaper looks at. Reads every tenant's pools by explicit policy; writes with the tenant set, like all.

use super::connect::{Records, failed};
use crate::{
    Error, Result,
    domain::id::{LicenseNumber, PoolId, PoolName, TenantId},
};
use sqlx::{Row, postgres::PgRow};

/// A pool that may have something to end or to count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolToReap {
    /// The organization.
    pub tenant: TenantId,
    /// The pool.
    pub pool_id: PoolId,
    /// Its name.
    pub pool: PoolName,
    /// The license's number.
    pub license: LicenseNumber,
    /// Its epoch: an older copy in Redis is stale.
    pub epoch: u64,
    /// True if somebody holds a seat, has an open session or was kicked: worth a rebuild if Redis lost it.
    pub held: bool,
}

/// How a pool was used since it was last counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// The Unix minute this is told in: one event for each.
    pub minute: i64,
    /// Seats held when counted.
    pub held: u32,
    /// Most seats held at once.
    pub peak: u32,
    /// Acquires answered "full".
    pub denied: u64,
}

impl Records {
    /// The pools of one bucket with a held seat, an open session or a quarantine, or used within the last minutes, or changed within the
    /// life of a copy nobody holds a seat of (24 h: Redis may not have heard of the change); in random order, so that
    /// none is always last. As [`super::Role::Reaper`].
    ///
    /// # Errors
    /// [`Error::Records`].
    pub async fn pools_to_reap(&self, bucket: u16) -> Result<Vec<PoolToReap>> {
        // Every look is one step into one index, whatever the statistics say or lack: the first row in that index's order. "exists" would be
        // planned as a list of all held seats and all open sessions there are, and be looked at once as a filter and once as an answer.
        let rows = self
            .repeat(|pool| async move {
                sqlx::query(
                    "select p.tenant_id, p.pool_id, p.name, l.number, p.epoch, c.held
                     from pools p
                     cross join lateral (select
                       (select true from seats s where s.tenant_id = p.tenant_id and s.pool_id = p.pool_id and s.holder is not null
                        order by s.holder limit 1) is not null
                       or (select true from sessions s where s.tenant_id = p.tenant_id and s.pool_id = p.pool_id and s.ended_at is null
                        order by s.seat_no limit 1) is not null
                       or (select true from seats s where s.tenant_id = p.tenant_id and s.pool_id = p.pool_id
                        and s.hold_until is not null and not s.retired limit 1) is not null as held offset 0) c
                     join licenses l on l.tenant_id = p.tenant_id and l.license_id = p.license_id
                     where p.bucket = $1 and (c.held or p.changed_at > now() - interval '25 hours'
                       or (select true from sessions s where s.tenant_id = p.tenant_id and s.pool_id = p.pool_id
                        and s.ended_at > now() - interval '5 minutes' order by s.ended_at desc limit 1) is not null)
                     order by random()",
                )
                .bind(i32::from(bucket))
                .fetch_all(&pool)
                .await
            })
            .await?;
        // One row that says nothing we know must not keep the others of its share from being looked at.
        let readable = |row: &PgRow| {
            pool(row)
                .inspect_err(|error| tracing::error!(bucket, %error, "a pool that cannot be read is not swept"))
                .ok()
        };
        Ok(rows.iter().filter_map(readable).collect())
    }

    /// Writes down how a pool was used, as one `usage` event per minute: a second one of the same minute or of an earlier one is dropped.
    ///
    /// # Errors
    /// [`Error::Records`].
    pub async fn record_usage(&self, pool: &PoolToReap, usage: Usage) -> Result<()> {
        let mut transaction = self.begin(pool.tenant).await?;
        // One that is a day later was told by a clock that was ahead.
        let first = "update pools set counted_minute = $3 where tenant_id = $1 and pool_id = $2 and (counted_minute < $3 or counted_minute > $3 + 1440)";
        let told = sqlx::query(first)
            .bind(pool.tenant.0)
            .bind(pool.pool_id.0)
            .bind(usage.minute)
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        if told.rows_affected() == 0 {
            return Ok(());
        }
        sqlx::query("insert into outbox (tenant_id, kind, payload) values ($1, 'usage', $2)")
            .bind(pool.tenant.0)
            .bind(serde_json::json!({
                "license": pool.license, "pool_id": pool.pool_id, "pool": pool.pool,
                "minute": usage.minute, "held": usage.held, "peak": usage.peak, "denied": usage.denied,
            }))
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        transaction.commit().await.map_err(failed)
    }
}

fn pool(row: &PgRow) -> Result<PoolToReap> {
    let read = |e: crate::domain::id::Invalid| Error::Internal(format!("a pool's name or license number: {e}"));
    Ok(PoolToReap {
        tenant: TenantId(row.try_get("tenant_id").map_err(failed)?),
        pool_id: PoolId(row.try_get("pool_id").map_err(failed)?),
        pool: row.try_get::<String, _>("name").map_err(failed)?.parse().map_err(read)?,
        license: row.try_get::<String, _>("number").map_err(failed)?.parse().map_err(read)?,
        epoch: row.try_get::<i64, _>("epoch").map_err(failed)? as u64,
        held: row.try_get("held").map_err(failed)?,
    })
}
