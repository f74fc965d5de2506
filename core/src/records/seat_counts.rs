//! How many seats there are and how many of them are held, for whoever watches the server. Reads every tenant's pools,
//! as the reaper may.

use super::connect::Records;
use crate::{
    Error, Result,
    domain::id::{InvalidText, LicenseNumber, PoolName},
};
use sqlx::{Row, postgres::PgRow};
use std::time::Duration;

/// Held seats that one look counts: a step into one index each. All of them took 0.13 s where the table was vacuumed, and
/// 0.6 s where it was not, of the 2 s that a statement may take (PostgreSQL 15, two busy cores).
const MOST_HELD: i32 = 300_000;
/// Pools whose seats one look adds up.
const MOST_POOLS: i32 = 100_000;
/// Waiting events that one look counts.
const MOST_EVENTS: i32 = 10_000;

/// The seats of one pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolSeats {
    /// The license's number.
    pub license: LicenseNumber,
    /// The pool's name.
    pub pool: PoolName,
    /// How many seats it has.
    pub total: u64,
    /// How many of them are held. More than it has where it was made smaller.
    pub used: u64,
}

/// The seats of all pools together, and of those that are used most.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SeatCounts {
    /// The seats of all pools, also of licenses that give no seat now.
    pub total: u64,
    /// How many of them are held.
    pub used: u64,
    /// False where there are more seats than one look counts: then the numbers are those of the first 300,000 held seats
    /// and of the first 100,000 pools.
    pub complete: bool,
    /// The pools with most held seats, most first. A pool of which no seat is held is not among them.
    pub pools: Vec<PoolSeats>,
}

/// Events that wait to be published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitingEvents {
    /// How many; at most 10,000 are counted.
    pub count: u64,
    /// How long the oldest of them has waited; zero where none waits.
    pub oldest: Duration,
}

/// Counted in the order of the index, so that it need not be sorted and stops at its limit.
const SEAT_COUNTS: &str = "-- seat_counts
    with used as materialized (
      select h.tenant_id, h.pool_id, count(*) as used
      from (select s.tenant_id, s.pool_id from seats s where s.holder is not null
        order by s.tenant_id, s.pool_id, s.holder limit $1) h
      group by 1, 2),
    held as materialized (select coalesce(sum(used), 0)::bigint as seats from used),
    pooled as materialized (select p.seats_total from pools p limit $2)
    (select null as name, null as number, (select coalesce(sum(seats_total), 0) from pooled)::bigint as total,
       (select seats from held) as used,
       (select seats from held) < $1 and (select count(*) from pooled) < $2 as complete)
    union all
    (select p.name, l.number, p.seats_total::bigint, u.used, true
     from (select * from used order by used desc, tenant_id, pool_id limit $3) u
     join pools p on p.tenant_id = u.tenant_id and p.pool_id = u.pool_id
     join licenses l on l.tenant_id = p.tenant_id and l.license_id = p.license_id
     order by u.used desc, p.tenant_id, p.pool_id)";

impl Records {
    /// Counts seats, and names up to `most` pools. One statement, which reads no more rows than [`SeatCounts::complete`]
    /// says. As [`super::DatabaseRole::Reaper`].
    ///
    /// # Errors
    /// [`Error::Records`].
    pub async fn seat_counts(&self, most: u16) -> Result<SeatCounts> {
        let rows = self
            .repeat(|pool| async move {
                let query = sqlx::query(SEAT_COUNTS).bind(MOST_HELD).bind(MOST_POOLS).bind(i32::from(most));
                query.fetch_all(&pool).await
            })
            .await?;
        let mut counts = SeatCounts::default();
        for row in &rows {
            match row.try_get::<Option<String>, _>("name")? {
                None => {
                    (counts.total, counts.used) = (number(row, "total")?, number(row, "used")?);
                    counts.complete = row.try_get("complete")?;
                }
                Some(name) => counts.pools.push(pool_seats(row, &name)?),
            }
        }
        Ok(counts)
    }

    /// The events that wait to be published. As [`super::DatabaseRole::Reaper`].
    ///
    /// # Errors
    /// [`Error::Records`].
    pub async fn events_waiting(&self) -> Result<WaitingEvents> {
        let waiting = "-- events_waiting
            select count(*) as count, extract(epoch from now() - min(o.created_at))::float8 as oldest
            from (select created_at from outbox where published_at is null order by id limit $1) o";
        let row =
            self.repeat(|pool| async move { sqlx::query(waiting).bind(MOST_EVENTS).fetch_one(&pool).await }).await?;
        let oldest: Option<f64> = row.try_get("oldest")?;
        Ok(WaitingEvents {
            count: number(&row, "count")?,
            // An event that was written after this statement's transaction began is younger than now.
            oldest: Duration::try_from_secs_f64(oldest.unwrap_or(0.0).max(0.0)).unwrap_or_default(),
        })
    }
}

fn number(row: &PgRow, column: &str) -> Result<u64> {
    Ok(row.try_get::<i64, _>(column)?.unsigned_abs())
}

fn pool_seats(row: &PgRow, name: &str) -> Result<PoolSeats> {
    let read = |e: InvalidText| Error::internal("a pool's name or license number cannot be read", e);
    Ok(PoolSeats {
        license: row.try_get::<String, _>("number")?.parse().map_err(read)?,
        pool: name.parse().map_err(read)?,
        total: number(row, "total")?,
        used: number(row, "used")?,
    })
}
