//! What a pool's history says about who wanted its seats: who held them, who was refused, and how many there were.

use super::{caller::Caller, connect::Records, page::first_id_of};
use crate::{
    Result,
    domain::{
        demand::{Denial, Hold, SeatCount},
        id::{LicenseId, PoolName},
    },
};
use sqlx::{PgConnection, Row, postgres::PgRow};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

/// A session that began longer than this before the time that is asked about is not looked for.
const LONGEST_SESSION: Duration = Duration::days(8);
/// A want that began longer than this before is not looked for.
const LONGEST_WANT: Duration = Duration::days(1);
/// The most rows of a kind that are read.
pub const MOST_ROWS: usize = 50_000;

/// The history of a pool within some time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PoolHistory {
    /// Who held its seats.
    pub holds: Vec<Hold>,
    /// Who was refused.
    pub denials: Vec<Denial>,
    /// The most seats that it had in each hour in which it was used, and how many at last. In the order of time.
    pub seats: Vec<SeatCount>,
    /// In how many days (UTC) it was used.
    pub days: i64,
}

impl PoolHistory {
    /// How many seats there were, from before everything on.
    pub fn seats_from_the_beginning(&self) -> Vec<SeatCount> {
        let mut seats = self.seats.clone();
        if let Some(first) = seats.first_mut() {
            first.from_ms = i64::MIN;
        }
        seats
    }
}

/// The history of a pool, if it can be looked through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HistoryRead {
    /// It is here.
    Whole(Box<PoolHistory>),
    /// There are more than [`MOST_ROWS`] sessions, or denials.
    TooLong,
    /// The organization has no such license, or the license no such pool.
    NoPool,
}

const HOLDS: &str = "-- holds_of_history
    (select holder, hw, started_at, ended_at from sessions
     where tenant_id = $1 and license_id = $2 and pool = $3 and session_id >= $4 and session_id < $5 and ended_at is null
     order by session_id limit $7)
    union all
    (select holder, hw, started_at, ended_at from sessions
     where tenant_id = $1 and license_id = $2 and pool = $3 and session_id >= $4 and session_id < $5
       and ended_at between could_have_ended($4) and now() + interval '31 days' and ended_at > $6
     order by session_id limit $7)";
const DENIALS: &str = "-- denials_of_history
    select hw, at, coalesce(ended_at, $7) as last_at, granted_at from denials
    where tenant_id = $1 and license_id = $2 and pool = $3 and denial_id >= $4 and denial_id < $5
      and at >= began_at($4) and at <= began_at($5) and not lost
    order by denial_id limit $6";
const SEATS: &str = "-- seats_of_history
    select at, total from usage_hours
    where tenant_id = $1 and pool_id = $2 and at >= date_trunc('hour', $3, 'UTC') and at < $4 order by at";

impl Records {
    /// What happened in a pool from one time to another, with what had begun before and went on.
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn pool_history(
        &self,
        caller: &Caller,
        license: LicenseId,
        pool: &PoolName,
        [from, until]: [OffsetDateTime; 2],
    ) -> Result<HistoryRead> {
        let mut transaction = self.begin(caller.tenant).await?;
        let sql = "-- pool_of_history
            select pool_id, seats_total from pools where tenant_id = $1 and license_id = $2 and name = $3";
        let found: Option<(Uuid, i32)> = sqlx::query_as(sql)
            .bind(caller.tenant.0)
            .bind(license.0)
            .bind(pool.as_str())
            .fetch_optional(&mut *transaction)
            .await?;
        let Some((pool_id, seats_now)) = found else { return Ok(HistoryRead::NoPool) };
        let of = |sql: &'static str| sqlx::query(sql).bind(caller.tenant.0).bind(license.0).bind(pool.as_str());
        let most = MOST_ROWS as i64 + 1;
        let sessions =
            of(HOLDS).bind(first_id_of(from - LONGEST_SESSION)).bind(first_id_of(until)).bind(from).bind(most);
        let sessions = sessions.fetch_all(&mut *transaction).await?;
        let denials =
            of(DENIALS).bind(first_id_of(from - LONGEST_WANT)).bind(first_id_of(until)).bind(most).bind(until);
        let denials = denials.fetch_all(&mut *transaction).await?;
        if sessions.len().max(denials.len()) > MOST_ROWS {
            return Ok(HistoryRead::TooLong);
        }
        let in_pool = |sql: &'static str| sqlx::query(sql).bind(caller.tenant.0).bind(pool_id).bind(from).bind(until);
        let mut seats = seats(&mut transaction, in_pool(SEATS)).await?;
        seats.push(SeatCount { from_ms: unix_ms(until), seats: seats_now.unsigned_abs() });
        let days = "-- days_of_history
            select count(*) from usage_days where tenant_id = $1 and pool_id = $2 and at >= date_trunc('day', $3, 'UTC')
              and at < $4 and (peak > 0 or denied > 0)";
        let days = in_pool(days).fetch_one(&mut *transaction).await?.try_get(0)?;
        let denials = denials.iter().map(denial).collect::<sqlx::Result<_>>()?;
        Ok(HistoryRead::Whole(Box::new(PoolHistory { holds: holds(&sessions)?, denials, seats, days })))
    }
}

type PgQuery<'q> = sqlx::query::Query<'q, sqlx::Postgres, sqlx::postgres::PgArguments>;

async fn seats(sql: &mut PgConnection, query: PgQuery<'_>) -> sqlx::Result<Vec<SeatCount>> {
    let rows = query.fetch_all(sql).await?;
    let seats = |row: &PgRow| {
        Ok(SeatCount { from_ms: unix_ms(row.try_get("at")?), seats: row.try_get::<i32, _>("total")?.unsigned_abs() })
    };
    rows.iter().map(seats).collect()
}

/// One hold for all sessions of a holder that go on into each other: they share its seat.
fn holds(sessions: &[PgRow]) -> sqlx::Result<Vec<Hold>> {
    let mut sorted = Vec::new();
    for row in sessions {
        sorted.push(((row.try_get("holder")?, row.try_get("started_at")?), row));
    }
    sorted.sort_by(|(one, _): &((String, OffsetDateTime), _), (other, _)| one.cmp(other));
    let mut holds: Vec<(String, Hold)> = Vec::new();
    for ((holder, started_at), row) in sorted {
        let from_ms = unix_ms(started_at);
        let to_ms = row.try_get::<Option<OffsetDateTime>, _>("ended_at")?.map(unix_ms);
        match holds.last_mut() {
            Some((of, hold)) if *of == holder && hold.to_ms.is_none_or(|to| from_ms <= to) => {
                hold.to_ms = hold.to_ms.zip(to_ms).map(|(one, other)| one.max(other));
            }
            _ => holds.push((holder, Hold { machine: row.try_get("hw")?, from_ms, to_ms })),
        }
    }
    Ok(holds.into_iter().map(|(_, hold)| hold).collect())
}

fn denial(row: &PgRow) -> sqlx::Result<Denial> {
    Ok(Denial {
        machine: row.try_get("hw")?,
        first_ms: unix_ms(row.try_get("at")?),
        last_ms: unix_ms(row.try_get("last_at")?),
        granted_ms: row.try_get::<Option<OffsetDateTime>, _>("granted_at")?.map(unix_ms),
    })
}

fn unix_ms(at: OffsetDateTime) -> i64 {
    (at.unix_timestamp_nanos() / 1_000_000) as i64
}
