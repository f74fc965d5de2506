//! The operations on seats: each is one PL/pgSQL function and one round trip (migrations/0221 to 0224).

use super::connect::Records;
use crate::{
    Error, Result, clock,
    domain::{
        claimant::Claimant,
        id::{Attempt, Holder, PoolId, SeatNo, SessionId, TenantId},
        lease::LeaseTiming,
        pool::{GrantedSeat, OpenSession, PoolSnapshot, RebuiltSeat, SeatClaim, SessionClaim},
        session::{EndReason, GoneReason},
    },
};
use sqlx::{Row, postgres::PgRow};
use std::{collections::HashMap, time::Duration};
use time::OffsetDateTime;
use uuid::Uuid;

/// How long reading a large pool may take: longer than any request, since the rebuild outlives the request that began
/// it.
const REBUILD_PATIENCE: &str = "20s";

/// What became of a [`GrantedSeat`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrantOutcome {
    /// It is written down, by this call or an earlier one.
    Ok,
    /// It came too late: a newer decision about the seat was written down before. Redis must decide again.
    Fenced,
    /// The session was ended before: a copy that still counts it in is wrong.
    Ended,
    /// Redis decided from a copy of an earlier epoch.
    EpochStale,
    /// The license grants no seat now; Redis decided from a copy of before that.
    Refused,
}

/// What RELEASE or REAP decided to end.
#[derive(Clone, Debug, Default)]
pub struct SeatEnding {
    /// First half of every ticket.
    pub epoch: u64,
    /// Seats that are over.
    pub seats: Vec<SeatClaim>,
    /// Single sessions that lapsed.
    pub sessions: Vec<SessionClaim>,
    /// Sessions whose owner asked: ended whatever the epoch says.
    pub released: Vec<SessionId>,
}

/// What became of an [`SeatEnding`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndOutcome {
    /// Seats for which FREE may run; the flag says that the seat is retired. `None`: Redis decided from an old copy,
    /// only `released` was applied.
    pub done: Option<Vec<(SeatNo, bool)>>,
    /// When the released sessions ended, now or before; `None` if there is no such session.
    pub released_at: Option<OffsetDateTime>,
}

/// What a session is that Redis does not know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResolveOutcome {
    /// It has ended, for this reason.
    Gone(GoneReason),
    /// Redis decided from a copy of an earlier epoch.
    EpochStale,
}

/// The seats and sessions to end, as `end_seats` takes them: one array for each column.
struct EndingColumns {
    seats: Vec<i32>,
    seqs: Vec<i64>,
    seats_seen: Vec<Option<OffsetDateTime>>,
    session_seats: Vec<i32>,
    sessions: Vec<Uuid>,
    session_seqs: Vec<i64>,
    sessions_seen: Vec<Option<OffsetDateTime>>,
    released: Vec<Uuid>,
}

impl EndingColumns {
    /// `ttl` turns lease ends into times last seen.
    fn new(ending: &SeatEnding, ttl: Duration) -> Self {
        let seen = |lease_end_ms: i64| (lease_end_ms > 0).then(|| clock::from_ms(lease_end_ms) - ttl);
        let (seats, sessions) = (&ending.seats, &ending.sessions);
        Self {
            seats: seats.iter().map(|s| s.seat as i32).collect(),
            seqs: seats.iter().map(|s| s.claim.seq as i64).collect(),
            seats_seen: seats.iter().map(|s| seen(s.claim.lease_end_ms)).collect(),
            session_seats: sessions.iter().map(|s| s.seat as i32).collect(),
            sessions: sessions.iter().map(|s| s.session.0).collect(),
            session_seqs: sessions.iter().map(|s| s.claim.seq as i64).collect(),
            sessions_seen: sessions.iter().map(|s| seen(s.claim.lease_end_ms)).collect(),
            released: ending.released.iter().map(|s| s.0).collect(),
        }
    }
}

impl Records {
    /// Writes down the seat that Redis granted a claimant. `key_hashes` is the license key it came with, under every
    /// accepted pepper; `ttl` turns the lease end of the displaced holder into when it was last seen. May be repeated:
    /// a second call answers like the first.
    ///
    /// # Errors
    /// [`Error::Records`]; the grant may have been written all the same.
    pub async fn grant_seat(
        &self,
        granted: &GrantedSeat,
        claimant: &Claimant,
        key_hashes: &[String],
        ttl: Duration,
    ) -> Result<GrantOutcome> {
        let displaced_seen = last_seen(granted.displaced_lease_end_ms, ttl);
        let (person, project) = (&claimant.person(), &claimant.project());
        let answer = self
            .repeat(|pool| async move {
                let sql = "select grant_seat($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,$15,$16)";
                let answer = sqlx::query_scalar::<_, String>(sql)
                    .bind(granted.tenant.0)
                    .bind(granted.pool_id.0)
                    .bind(granted.seat as i32)
                    .bind(granted.session.0)
                    .bind(granted.lease.holder.to_string())
                    .bind(claimant.attempt.0)
                    .bind(granted.epoch as i64)
                    .bind(granted.seq as i64)
                    .bind(granted.live.iter().map(|s| s.0).collect::<Vec<Uuid>>())
                    .bind(displaced_seen)
                    .bind(claimant.hw.to_string())
                    .bind(&claimant.label)
                    .bind(&claimant.client)
                    .bind(person)
                    .bind(project)
                    .bind(key_hashes)
                    .fetch_one(&pool)
                    .await;
                match answer {
                    // The holder got another seat, or the attempt another session, between the look and the write.
                    Err(sqlx::Error::Database(e)) if e.is_unique_violation() => Ok("FENCED".into()),
                    other => other,
                }
            })
            .await?;
        grant_outcome(&answer)
    }

    /// Writes endings down. `reason` is what events say, and never [`EndReason::Kicked`], which is written elsewhere;
    /// `ttl` turns lease ends into times last seen. May be repeated.
    ///
    /// # Errors
    /// [`Error::Records`]; they may have been written all the same.
    pub async fn end_seats(
        &self,
        tenant: TenantId,
        pool_id: PoolId,
        ending: &SeatEnding,
        reason: EndReason,
        ttl: Duration,
    ) -> Result<EndOutcome> {
        let columns = &EndingColumns::new(ending, ttl);
        let row = self
            .repeat(|pool| async move {
                sqlx::query(
                    "select stale, done, gone, released_at from end_seats($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12)",
                )
                .bind(tenant.0)
                .bind(pool_id.0)
                .bind(ending.epoch as i64)
                .bind(reason.as_str())
                .bind(&columns.seats)
                .bind(&columns.seqs)
                .bind(&columns.seats_seen)
                .bind(&columns.session_seats)
                .bind(&columns.sessions)
                .bind(&columns.session_seqs)
                .bind(&columns.sessions_seen)
                .bind(&columns.released)
                .fetch_one(&pool)
                .await
            })
            .await?;
        let released_at = row.try_get("released_at")?;
        if row.try_get("stale")? {
            return Ok(EndOutcome { done: None, released_at });
        }
        let done: Vec<i32> = row.try_get("done")?;
        let gone: Vec<i32> = row.try_get("gone")?;
        Ok(EndOutcome { done: Some(done.into_iter().map(|k| (k as SeatNo, gone.contains(&k))).collect()), released_at })
    }

    /// Says what a session is that Redis does not know under `epoch`, and ends it in the same step if it was still
    /// open.
    ///
    /// # Errors
    /// [`Error::Records`].
    pub async fn resolve_session(
        &self,
        tenant: TenantId,
        pool_id: PoolId,
        seat: SeatNo,
        session: SessionId,
        epoch: u64,
    ) -> Result<ResolveOutcome> {
        let (outcome, reason): (String, String) = self
            .repeat(|pool| async move {
                sqlx::query_as("select outcome, reason from resolve_session($1,$2,$3,$4,$5)")
                    .bind(tenant.0)
                    .bind(pool_id.0)
                    .bind(seat as i32)
                    .bind(session.0)
                    .bind(epoch as i64)
                    .fetch_one(&pool)
                    .await
            })
            .await?;
        match outcome.as_str() {
            "GONE" => Ok(ResolveOutcome::Gone(reason.as_str().into())),
            "EPOCH_STALE" => Ok(ResolveOutcome::EpochStale),
            other => Err(Error::Internal(format!("resolve_session answered {other}").into())),
        }
    }

    /// Begins a rebuild: bumps the pool's epoch and reads everything Redis must know under it. `timing` is what the new
    /// copy will give leases by; a longer one that was given before stays known until it is over. `frozen`: the epoch
    /// of the copy that nobody is answered from any more, as NONCE told it. `None`: no such pool.
    ///
    /// # Errors
    /// [`Error::Records`]; the epoch may have risen all the same.
    pub async fn rebuild_pool(
        &self,
        tenant: TenantId,
        pool_id: PoolId,
        frozen: u64,
        timing: &LeaseTiming,
    ) -> Result<Option<PoolSnapshot>> {
        let row = self
            .repeat(|pool| async move {
                let mut transaction = pool.begin().await?;
                sqlx::query("select set_config('statement_timeout', $1, true)")
                    .bind(REBUILD_PATIENCE)
                    .execute(&mut *transaction)
                    .await?;
                let row = sqlx::query("select * from rebuild_pool($1, $2, $3, $4, $5)")
                    .bind(tenant.0)
                    .bind(pool_id.0)
                    .bind(frozen as i64)
                    .bind(timing.ttl_ms())
                    .bind(timing.drain.as_millis() as i64)
                    .fetch_optional(&mut *transaction)
                    .await?;
                transaction.commit().await.map(|()| row)
            })
            .await?;
        row.map(|row| snapshot(tenant, pool_id, &row).map_err(Error::from)).transpose()
    }
}

fn grant_outcome(answer: &str) -> Result<GrantOutcome> {
    match answer {
        "OK" => Ok(GrantOutcome::Ok),
        "FENCED" => Ok(GrantOutcome::Fenced),
        "ENDED" => Ok(GrantOutcome::Ended),
        "EPOCH_STALE" => Ok(GrantOutcome::EpochStale),
        "REFUSED" => Ok(GrantOutcome::Refused),
        other => Err(Error::Internal(format!("grant_seat answered {other}").into())),
    }
}

/// When a holder whose lease ended then was last seen; `None` where there was no lease.
fn last_seen(lease_end_ms: i64, ttl: Duration) -> Option<OffsetDateTime> {
    (lease_end_ms > 0).then(|| clock::from_ms(lease_end_ms) - ttl)
}

fn snapshot(tenant: TenantId, pool_id: PoolId, row: &PgRow) -> sqlx::Result<PoolSnapshot> {
    Ok(PoolSnapshot {
        epoch: row.try_get::<i64, _>("epoch")? as u64,
        previous_epoch: row.try_get::<i64, _>("previous_epoch")? as u64,
        lease_ms: row.try_get("lease")?,
        tenant,
        pool_id,
        seats_total: row.try_get::<i32, _>("seats_total")? as u32,
        status: row.try_get("status")?,
        status_since_ms: row.try_get("status_since")?,
        not_before_ms: row.try_get("not_before")?,
        expires_ms: row.try_get("expires")?,
        opens_ms: row.try_get("opens")?,
        holder_by: row.try_get("holder_by")?,
        processes: row.try_get::<i32, _>("processes")? as u32,
        grace_before_ms: row.try_get("grace_before")?,
        key_hashes: row.try_get("key_hmacs")?,
        product: row.try_get("product")?,
        facts: row.try_get::<serde_json::Value, _>("facts")?.to_string(),
        seats: seats(row, sessions_by_seat(row)?)?,
    })
}

/// Open sessions and the newest label of every seat that has some.
type BySeat = HashMap<i32, (Vec<OpenSession>, String)>;

fn sessions_by_seat(row: &PgRow) -> sqlx::Result<BySeat> {
    let ids: Vec<Uuid> = row.try_get::<Option<_>, _>("session_ids")?.unwrap_or_default();
    let attempts: Vec<Uuid> = row.try_get::<Option<_>, _>("session_attempts")?.unwrap_or_default();
    let seats: Vec<i32> = row.try_get::<Option<_>, _>("session_seats")?.unwrap_or_default();
    let labels: Vec<String> = row.try_get::<Option<_>, _>("session_labels")?.unwrap_or_default();
    let mut by_seat = BySeat::new();
    for (((id, attempt), seat), label) in ids.into_iter().zip(attempts).zip(seats).zip(labels) {
        let entry = by_seat.entry(seat).or_default();
        entry.0.push(OpenSession { session: SessionId(id), attempt: Attempt(attempt) });
        entry.1 = label;
    }
    Ok(by_seat)
}

fn seats(row: &PgRow, mut by_seat: BySeat) -> sqlx::Result<Vec<RebuiltSeat>> {
    let numbers: Vec<i32> = row.try_get::<Option<_>, _>("seat_nos")?.unwrap_or_default();
    let holders: Vec<Option<String>> = row.try_get::<Option<_>, _>("holders")?.unwrap_or_default();
    let since: Vec<i64> = row.try_get::<Option<_>, _>("held_since")?.unwrap_or_default();
    let hold: Vec<i64> = row.try_get::<Option<_>, _>("hold_epochs")?.unwrap_or_default();
    numbers
        .into_iter()
        .zip(holders)
        .zip(since)
        .zip(hold)
        .map(|(((number, holder), since_ms), hold)| {
            let holder = holder.map(|h| h.parse::<Holder>()).transpose().map_err(|e| sqlx::Error::Decode(e.into()))?;
            let (sessions, label) = by_seat.remove(&number).unwrap_or_default();
            let hold_epoch = u64::try_from(hold).ok();
            Ok(RebuiltSeat { seat: number as SeatNo, holder, since_ms, hold_epoch, label, sessions })
        })
        .collect()
}
