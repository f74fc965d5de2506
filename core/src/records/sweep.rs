//! What the reaper looks at. Reads every tenant's pools by explicit policy; writes by functions, each for one tenant.

use super::connect::Records;
use crate::{
    Error, Result,
    domain::{
        event::SweepShare,
        id::{InvalidText, LicenseNumber, PoolId, PoolName, TenantId},
        usage::MinuteUsage,
    },
    error::chain,
};
use serde_json::json;
use sqlx::{Row, postgres::PgRow, types::Json};
use std::collections::BTreeSet;
use uuid::Uuid;

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
    /// True if its license lets machines go on without contact, or did: they are counted.
    pub grace: bool,
    /// True if somebody holds a seat or was kicked: worth a rebuild if Redis lost it.
    pub held: bool,
    /// The last Unix minute whose use was written down.
    pub counted_minute: i64,
    /// Since when the copy counted wants without a gap that PostgreSQL was told of last, Unix milliseconds.
    pub wants_since_ms: i64,
}

/// The work that a sweep finds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToDo {
    /// The pools that have something to end, to count or to tell Redis.
    pub pools: BTreeSet<(TenantId, PoolId)>,
    /// True if events wait to be published.
    pub events: bool,
}

/// Pools that one statement finds by held seats, and by quarantines: that many take 50 to 80 ms of the 2 s that a
/// statement may take.
const STEPS: i32 = 10_000;
/// Seats that a pool can have (`migrations/0124_pools.sql`).
const MOST_SEATS: u32 = 1_000_000;
/// Before every pool there is, by tenant and id.
const START: (Uuid, Uuid) = (Uuid::nil(), Uuid::nil());
/// Behind every pool there is.
const END: (Uuid, Uuid) = (Uuid::max(), Uuid::max());

/// Every look is one step into one index, whatever the statistics say or lack: to the next pool behind the last one
/// that was found, passing over its other seats. "distinct", a join or a group would read all held seats there are. The
/// two looks by time are kept from knowing the two ids, or else a table that was never analyzed is read by its key.
const TO_DO: &str = "-- pools_to_do
    with recursive held (tenant_id, pool_id, step) as (
      (select s.tenant_id, s.pool_id, 1 from seats s
       where s.holder is not null and (s.tenant_id, s.pool_id) > ($1, $2)
       order by s.tenant_id, s.pool_id, s.holder limit 1)
      union all
      select next.tenant_id, next.pool_id, h.step + 1 from held h cross join lateral (
        select s.tenant_id, s.pool_id from seats s
        where s.holder is not null and (s.tenant_id, s.pool_id) > (h.tenant_id, h.pool_id)
        order by s.tenant_id, s.pool_id, s.holder limit 1) next
      where h.step < $5),
    quarantined (tenant_id, pool_id, step) as (
      (select s.tenant_id, s.pool_id, 1 from seats s
       where s.hold_until is not null and not s.retired and (s.tenant_id, s.pool_id) > ($3, $4)
       order by s.tenant_id, s.pool_id limit 1)
      union all
      select next.tenant_id, next.pool_id, q.step + 1 from quarantined q cross join lateral (
        select s.tenant_id, s.pool_id from seats s
        where s.hold_until is not null and not s.retired and (s.tenant_id, s.pool_id) > (q.tenant_id, q.pool_id)
        order by s.tenant_id, s.pool_id limit 1) next
      where q.step < $5)
    select 'held' as why, tenant_id, pool_id from held
    union all
    select 'quarantined', tenant_id, pool_id from quarantined
    union all
    (select 'changed', p.tenant_id, p.pool_id from pools p
     where $6 and p.changed_at > now() - interval '25 hours' order by p.changed_at)
    union all
    (select 'used', p.tenant_id, p.pool_id from pools p
     where $6 and p.used_at > now() - interval '25 hours' order by p.used_at)
    union all
    (select 'events', null, null from outbox o where $6 and o.published_at is null order by o.id limit 1)";

/// What a sweep must know of the pools $2 of the organizations $1, in random order. Each look is one step into one
/// index, to the first row at or behind a key in the order of that key: asked for by equality alone, rows are found by
/// whichever index begins with the organization where most were once seen to have one row.
const POOLS_TO_REAP: &str = "-- pools_to_reap
     select p.tenant_id, p.pool_id, p.name, l.number, p.epoch, p.counted_minute, p.wants_since,
       l.offline_policy = 'grace' or p.grace_told > 0 as grace,
       (select true from seats s where s.tenant_id = p.tenant_id and s.pool_id = p.pool_id
        and s.holder is not null order by s.holder limit 1) is not null
       or (select true from seats s where s.tenant_id = p.tenant_id and s.pool_id = p.pool_id
        and s.hold_until is not null and not s.retired limit 1) is not null as held
     from (select distinct * from unnest($1::uuid[], $2::uuid[]) as u (tenant_id, pool_id)) asked
     cross join lateral (
       select p.tenant_id, p.pool_id, p.license_id, p.name, p.epoch, p.counted_minute, p.wants_since, p.grace_told
       from pools p
       where (p.tenant_id, p.pool_id) >= (asked.tenant_id, asked.pool_id)
       order by p.tenant_id, p.pool_id limit 1) p
     cross join lateral (
       select l.tenant_id, l.license_id, l.number, l.offline_policy from licenses l
       where (l.tenant_id, l.license_id) >= (p.tenant_id, p.license_id)
       order by l.tenant_id, l.license_id limit 1) l
     where (p.tenant_id, p.pool_id) = (asked.tenant_id, asked.pool_id)
       and (l.tenant_id, l.license_id) = (p.tenant_id, p.license_id)
     order by random()";

impl Records {
    /// The pools with a held seat or a quarantine, or used lately and not told of, or changed within the life of a
    /// copy nobody holds a seat of (24 h: Redis may not have heard of the change), and whether events wait. One
    /// statement, and one more for each 10,000 pools. An open session is always its holder's, so a pool that has one
    /// has a held seat. As [`super::DatabaseRole::Reaper`].
    ///
    /// # Errors
    /// [`Error::Records`].
    pub async fn to_do(&self) -> Result<ToDo> {
        let mut todo = ToDo::default();
        // Behind which pool the walks over held seats and over quarantines go on.
        let mut after = [START; 2];
        while after != [END; 2] {
            let ([held, quarantined], first) = (after, after == [START; 2]);
            let rows = self
                .repeat(|pool| async move {
                    let query = sqlx::query(TO_DO).bind(held.0).bind(held.1).bind(quarantined.0).bind(quarantined.1);
                    query.bind(STEPS).bind(first).fetch_all(&pool).await
                })
                .await?;
            let mut steps = [0; 2];
            for row in &rows {
                let walk = match row.try_get("why")? {
                    "held" => Some(0),
                    "quarantined" => Some(1),
                    "events" => {
                        todo.events = true;
                        continue;
                    }
                    _ => None,
                };
                let at = (row.try_get("tenant_id")?, row.try_get("pool_id")?);
                todo.pools.insert((TenantId(at.0), PoolId(at.1)));
                if let Some(walk) = walk {
                    steps[walk] += 1;
                    after[walk] = at.max(after[walk]);
                }
            }
            for (after, steps) in after.iter_mut().zip(steps) {
                if steps < STEPS {
                    *after = END;
                }
            }
        }
        Ok(todo)
    }

    /// What a sweep must know of these pools, in random order, so that none is always last. As
    /// [`super::DatabaseRole::Reaper`].
    ///
    /// # Errors
    /// [`Error::Records`].
    pub async fn pools_to_reap(&self, share: &SweepShare) -> Result<Vec<PoolToReap>> {
        let (tenants, pools): (Vec<Uuid>, Vec<Uuid>) =
            share.pools.iter().map(|(tenant, pool)| (tenant.0, pool.0)).unzip();
        if pools.is_empty() {
            return Ok(Vec::new());
        }
        let rows = self
            .repeat(|pool| {
                let (tenants, pools) = (tenants.clone(), pools.clone());
                async move { sqlx::query(POOLS_TO_REAP).bind(tenants).bind(pools).fetch_all(&pool).await }
            })
            .await?;
        // One row that cannot be read must not keep the others of its share from being looked at.
        let readable = |row: &PgRow| {
            pool(row)
                .inspect_err(|error| tracing::error!(error = %chain(error), "a pool that cannot be read is not swept"))
                .ok()
        };
        Ok(rows.iter().filter_map(readable).collect())
    }

    /// Counts the machines of a pool that may go on without contact, and tells in an event where they are more than it
    /// has seats (`migrations/0243_count_grace.sql`). Answers from when on a holder is too young to be given grace,
    /// Unix milliseconds; 0: nobody is. As [`super::DatabaseRole::Reaper`].
    ///
    /// # Errors
    /// [`Error::Records`].
    pub async fn count_grace(&self, tenant: TenantId, pool_id: PoolId) -> Result<i64> {
        self.repeat(|pool| async move {
            let counted = sqlx::query_scalar("select count_grace($1, $2)").bind(tenant.0).bind(pool_id.0);
            counted.fetch_one(&pool).await
        })
        .await
    }

    /// Writes down how a pool was used in these minutes, each of them once, and tells in one event an entry what was used
    /// (`migrations/0251_record_usage.sql`). At most 100 entries. As [`super::DatabaseRole::Reaper`].
    ///
    /// # Errors
    /// [`Error::Records`].
    pub async fn record_usage(&self, pool: &PoolToReap, entries: &[MinuteUsage]) -> Result<()> {
        let told: Vec<_> = entries.iter().map(told).collect();
        self.repeat(|connections| {
            let told = Json(told.clone());
            async move {
                let recorded = sqlx::query("select record_usage($1, $2, $3)");
                recorded.bind(pool.tenant.0).bind(pool.pool_id.0).bind(told).execute(&connections).await.map(drop)
            }
        })
        .await
    }
}

/// An entry as `record_usage` reads it. A count of Redis that is impossible is reduced to what is possible.
fn told(entry: &MinuteUsage) -> serde_json::Value {
    let seats = |count: u32| count.min(MOST_SEATS);
    json!({
        "minute": entry.minute, "count": entry.count, "held": seats(entry.held),
        "peak": seats(entry.peak.max(entry.held)), "total": seats(entry.total),
        "denied": i64::try_from(entry.denied).unwrap_or(i64::MAX),
        "refused": i64::try_from(entry.refused.min(entry.denied)).unwrap_or(i64::MAX), "seen": entry.seen,
    })
}

fn pool(row: &PgRow) -> Result<PoolToReap> {
    let read = |e: InvalidText| Error::internal("a pool's name or license number cannot be read", e);
    Ok(PoolToReap {
        tenant: TenantId(row.try_get("tenant_id")?),
        pool_id: PoolId(row.try_get("pool_id")?),
        pool: row.try_get::<String, _>("name")?.parse().map_err(read)?,
        license: row.try_get::<String, _>("number")?.parse().map_err(read)?,
        epoch: row.try_get::<i64, _>("epoch")? as u64,
        grace: row.try_get("grace")?,
        held: row.try_get("held")?,
        counted_minute: row.try_get("counted_minute")?,
        wants_since_ms: row.try_get("wants_since")?,
    })
}
