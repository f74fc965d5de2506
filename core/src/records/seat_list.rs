//! The numbered seats of a pool as people see them, page by page.

use super::{
    Caller, Records,
    page::{ListedRows, PageCursor, PageRequest},
    row::word,
};
use crate::{
    Result,
    domain::id::{LicenseId, LicenseNumber, PoolName, SeatNo, SessionId},
};
use serde_json::Value;
use sqlx::{Row, postgres::PgRow};
use time::OffsetDateTime;
use uuid::Uuid;

/// Numbers of seats that a page looks through: those of retired seats are passed over.
const NUMBERS: i32 = 1000;

/// A page of the seats of a pool, and what is needed to ask Redis for them.
#[derive(Clone, Debug)]
pub struct ListedSeats {
    /// The license's public number.
    pub number: LicenseNumber,
    /// The epoch of the pool: an older copy in Redis is stale.
    pub epoch: u64,
    /// Whether no seat of the pool is granted yet, because the records were restored.
    pub opening: bool,
    /// The seats, by number.
    pub listed: ListedRows<SeatRow>,
}

/// A seat that is not retired.
#[derive(Clone, Debug, PartialEq)]
pub struct SeatRow {
    /// Its number within the pool, from 0.
    pub seat: SeatNo,
    /// Whether it has a holder.
    pub held: bool,
    /// Whether its holder was kicked, and a lease must be over before it is granted again.
    pub waits: bool,
    /// Since when its holder has had it.
    pub since: Option<OffsetDateTime>,
    /// The session on it that began first, of those that who asks may see.
    pub session: Option<SeatedSession>,
}

/// Whose session is on a seat.
#[derive(Clone, Debug, PartialEq)]
pub struct SeatedSession {
    /// The session.
    pub id: SessionId,
    /// What its client called itself.
    pub label: String,
    /// The address the client says its user has, folded; nobody vouches for it.
    pub person: Option<String>,
    /// The facts that the client sent about itself.
    pub client: Value,
}

// The pool first, so that what is asked of it is asked once and not for each seat. The first session by its time and not
// by its id: the primary key of open sessions is in the order of ids, and no plan may walk through all of them to find
// those of one seat.
const SEATS_OF_POOL: &str = "-- seats_of_pool
    with pool as materialized (
      select p.pool_id, l.number, p.epoch, coalesce(p.opens_at > now(), false) as opening,
        exists (select from seats b
          where b.tenant_id = p.tenant_id and b.pool_id = p.pool_id and b.seat_no >= $4 + $5) as beyond
      from pools p
      join licenses l on l.tenant_id = p.tenant_id and l.license_id = p.license_id
      where p.tenant_id = $1 and p.license_id = $2 and p.name = $3)
    select p.number, p.epoch, p.opening, p.beyond,
      s.seat_no, s.holder is not null as held, s.hold_until is not null as waits, s.held_since,
      o.session_id, o.label, o.person, o.client
    from pool p
    left join lateral (
      select s.seat_no, s.holder, s.hold_until, s.held_since from seats s
      where s.tenant_id = $1 and s.pool_id = p.pool_id and s.seat_no >= $4 and s.seat_no < $4 + $5 and not s.retired
      order by s.seat_no limit $6) s on true
    left join lateral (
      select o.session_id, o.label, o.person, o.client from sessions o
      where o.tenant_id = $1 and o.pool_id = p.pool_id and o.seat_no = s.seat_no and o.ended_at is null
        and s.holder is not null and ($7::text is null or o.person = $7)
      order by o.started_at, o.session_id limit 1) o on true
    order by s.seat_no";

impl Records {
    /// A page of the seats of a pool, by number; retired ones are not among them. A page looks through 1,000 numbers and
    /// may hold fewer seats than its limit, also none, although another follows. Sessions that who asks may not see are
    /// left out. `None`: the organization has no such license, or the license no pool of this name.
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn seats_of_pool(
        &self,
        caller: &Caller,
        (license, pool): (LicenseId, &PoolName),
        page: PageRequest,
    ) -> Result<Option<ListedSeats>> {
        let from = first_after(page);
        let rows = sqlx::query(SEATS_OF_POOL)
            .bind(caller.tenant.0)
            .bind(license.0)
            .bind(pool.as_str())
            .bind(from)
            .bind(NUMBERS)
            .bind(page.fetch())
            .bind(caller.sees_only())
            .fetch_all(&mut *self.begin(caller.tenant).await?)
            .await?;
        let Some(first) = rows.first() else { return Ok(None) };
        let (number, epoch) = (word(first, "number")?, first.try_get::<i64, _>("epoch")?.unsigned_abs());
        let opening = first.try_get("opening")?;
        let beyond = first.try_get::<bool, _>("beyond")?.then(|| PageCursor(key(from + NUMBERS - 1)));
        // A page without seats is one row, which says what there is to say of the pool.
        let seats = rows.into_iter().filter(|row| row.try_get::<i32, _>("seat_no").is_ok()).collect();
        let listed = page.cut(seats, |it: &SeatRow| key(it.seat as i32), seat)?;
        let listed = ListedRows { next: listed.next.or(beyond), ..listed };
        Ok(Some(ListedSeats { number, epoch, opening, listed }))
    }
}

/// What stands for a seat in a cursor. Cursors go down as a list goes on, and the least of all is the end of each list.
fn key(seat: i32) -> Uuid {
    Uuid::from_u128(u128::MAX - 1 - u128::from(seat.unsigned_abs()))
}

/// The first number that a page may have.
fn first_after(page: PageRequest) -> i32 {
    let from = u128::MAX - page.below().as_u128();
    i32::try_from(from).unwrap_or(i32::MAX).min(i32::MAX - NUMBERS)
}

fn seat(row: &PgRow) -> sqlx::Result<SeatRow> {
    let session = match row.try_get::<Option<Uuid>, _>("session_id")? {
        None => None,
        Some(id) => Some(SeatedSession {
            id: SessionId(id),
            label: row.try_get("label")?,
            person: row.try_get("person")?,
            client: row.try_get("client")?,
        }),
    };
    Ok(SeatRow {
        seat: row.try_get::<i32, _>("seat_no")? as SeatNo,
        held: row.try_get("held")?,
        waits: row.try_get("waits")?,
        since: row.try_get("held_since")?,
        session,
    })
}
