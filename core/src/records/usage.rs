//! How pools were used, as series of minutes, hours or days.
//!
//! A minute is written down once, when a sweep tells it (`migrations/0251_record_usage.sql`), and with it the hour and
//! the day that it is in. Reading takes one step into one index for each pool, and then the rows of the series.

use super::{caller::Caller, connect::Records};
use crate::{
    Result,
    domain::id::{LicenseId, PoolName},
};
use sqlx::{Row, postgres::PgRow};
use time::OffsetDateTime;
use uuid::Uuid;

/// How long each point of a series is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UsageStep {
    /// A minute: kept for 90 days.
    Minute,
    /// An hour: kept for three years.
    Hour,
    /// A day of UTC: kept for ever.
    Day,
}

/// Which series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageFilter {
    /// Of the pools of this license.
    pub license: LicenseId,
    /// Of its pool of this name; `None`: of all its pools together.
    pub pool: Option<PoolName>,
    /// How long each point is.
    pub step: UsageStep,
    /// From the point that this time is in …
    pub from: OffsetDateTime,
    /// … up to the last that begins before this time.
    pub until: OffsetDateTime,
}

/// What was counted within one point of a series. There is none where nothing was counted.
#[derive(Clone, Debug, PartialEq)]
pub struct UsagePoint {
    /// When it begins.
    pub at: OffsetDateTime,
    /// How many pools were counted.
    pub pools: i64,
    /// How many minutes of it were counted, of the pool that was counted least.
    pub minutes: i64,
    /// How many minutes were counted from beginning to end, of the pool that was counted least.
    pub seen: i64,
    /// The seats that were held as a minute ended: the mean of each pool's minutes, added up.
    pub used: f64,
    /// The most seats that were held at once; of several pools the sum of each one's, so that it is never too low.
    pub peak: i64,
    /// The most seats that each counted pool had, added up.
    pub total: i64,
    /// How many acquires were refused because no seat was free, repetitions included.
    pub denied: i64,
    /// How many of them were the first of their want ([`crate::domain::want`]).
    pub refused: i64,
    /// The seats that were held as each minute ended, added up over minutes and pools.
    pub used_minutes: i64,
    /// The seats that the pools had then, added up likewise.
    pub total_minutes: i64,
}

impl UsageStep {
    /// The length of a point, in minutes.
    pub const fn minutes(self) -> i64 {
        match self {
            Self::Minute => 1,
            Self::Hour => 60,
            Self::Day => 1440,
        }
    }

    const fn statement(self) -> &'static str {
        match self {
            Self::Minute => MINUTES,
            Self::Hour => HOURS,
            Self::Day => DAYS,
        }
    }
}

const MINUTES: &str = "-- usage_by_minutes
    select at, count(*) as pools, 1::bigint as minutes, bool_and(seen)::int::bigint as seen, sum(used)::float8 as used,
      sum(used) as used_sum, sum(total) as total_sum, sum(peak) as peak, sum(total) as total,
      sum(denied)::bigint as denied, sum(refused)::bigint as refused
    from usage_minutes
    where tenant_id = $1 and pool_id = any($2) and at >= $3 and at < $4 group by at order by at";
const HOURS: &str = "-- usage_by_hours
    select at, count(*) as pools, min(minutes)::bigint as minutes, min(seen)::bigint as seen,
      sum(used_sum::float8 / minutes) as used, sum(used_sum)::bigint as used_sum, sum(total_sum)::bigint as total_sum,
      sum(peak) as peak, sum(total) as total, sum(denied)::bigint as denied,
      sum(refused)::bigint as refused
    from usage_hours
    where tenant_id = $1 and pool_id = any($2) and at >= $3 and at < $4 group by at order by at";
const DAYS: &str = "-- usage_by_days
    select at, count(*) as pools, min(minutes)::bigint as minutes, min(seen)::bigint as seen,
      sum(used_sum::float8 / minutes) as used, sum(used_sum)::bigint as used_sum, sum(total_sum)::bigint as total_sum,
      sum(peak) as peak, sum(total) as total, sum(denied)::bigint as denied,
      sum(refused)::bigint as refused
    from usage_days
    where tenant_id = $1 and pool_id = any($2) and at >= $3 and at < $4 group by at order by at";

impl Records {
    /// How the pools of a license were used, in the order of time. `None`: the organization has no such license, or the
    /// license no such pool.
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn usage(&self, caller: &Caller, filter: &UsageFilter) -> Result<Option<Vec<UsagePoint>>> {
        let mut transaction = self.begin(caller.tenant).await?;
        let pools: Vec<Uuid> = sqlx::query_scalar(
            "-- pools_of_series
             select pool_id from pools where tenant_id = $1 and license_id = $2 and ($3::text is null or name = $3)",
        )
        .bind(caller.tenant.0)
        .bind(filter.license.0)
        .bind(filter.pool.as_ref().map(PoolName::as_str))
        .fetch_all(&mut *transaction)
        .await?;
        if pools.is_empty() {
            return Ok(None);
        }
        let rows = sqlx::query(filter.step.statement())
            .bind(caller.tenant.0)
            .bind(pools)
            .bind(filter.from)
            .bind(filter.until)
            .fetch_all(&mut *transaction)
            .await?;
        Ok(Some(rows.iter().map(point).collect::<sqlx::Result<_>>()?))
    }
}

fn point(row: &PgRow) -> sqlx::Result<UsagePoint> {
    Ok(UsagePoint {
        at: row.try_get("at")?,
        pools: row.try_get("pools")?,
        minutes: row.try_get("minutes")?,
        seen: row.try_get("seen")?,
        used: row.try_get("used")?,
        peak: row.try_get("peak")?,
        total: row.try_get("total")?,
        denied: row.try_get("denied")?,
        refused: row.try_get("refused")?,
        used_minutes: row.try_get("used_sum")?,
        total_minutes: row.try_get("total_sum")?,
    })
}
