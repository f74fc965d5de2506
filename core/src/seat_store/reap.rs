//! REAP, which claims what is over, and FREE, which forgets what PostgreSQL was told is over.

use super::{PoolReply, SeatStore, keys::PoolKey, reply::short, scripts};
use crate::{
    Result,
    domain::{
        id::{SeatNo, SessionId},
        pool::{LeaseClaim, SeatClaim, SessionClaim},
        usage::MinuteUsage,
        want::WantChange,
    },
    error::chain,
};

/// What the records say of a pool that is swept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolRecords {
    /// The pool's epoch: an older copy must be rebuilt.
    pub epoch: u64,
    /// The last Unix minute whose use was written down: it and those before it are forgotten.
    pub told_minute: i64,
    /// A holder that has held its seat since later has no grace, Unix milliseconds; 0: every holder may have some;
    /// `None`: it was not counted, and the last count stays.
    pub grace_before_ms: Option<i64>,
}

/// Up to which change of a want PostgreSQL was told: it and those before it are forgotten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ToldWants {
    /// Since when wants were counted without a gap, Unix milliseconds; with another value the number says nothing.
    pub since_ms: i64,
    /// The number of the change; 0: none.
    pub change: u64,
}

/// What REAP claimed and counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReapedSeats {
    /// First half of every ticket.
    pub epoch: u64,
    /// The use of the pool in the minutes that are over and that PostgreSQL was not told of.
    pub minutes: Vec<MinuteUsage>,
    /// Seats to end.
    pub seats: Vec<SeatClaim>,
    /// Single sessions to end.
    pub sessions: Vec<SessionClaim>,
    /// Since when wants have been counted without a gap, Unix milliseconds. One that began before and was not told to
    /// be over was lost with a copy.
    pub wants_since_ms: i64,
    /// What happened to wants, in this order.
    pub wants: Vec<WantChange>,
    /// The number of the last of them, those that cannot be read included; 0: there is none.
    pub last_want: u64,
}

impl ReapedSeats {
    /// What to answer the next REAP once PostgreSQL was told of [`ReapedSeats::wants`].
    pub fn told_wants(&self) -> ToldWants {
        ToldWants { since_ms: self.wants_since_ms, change: self.last_want }
    }
}

/// A seat whose end PostgreSQL has written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeatToFree {
    /// The seat.
    pub seat: SeatNo,
    /// Second half of the ticket it ended under.
    pub seq: u64,
    /// True if the seat was above the number of seats and was retired.
    pub retired: bool,
}

/// A session whose end PostgreSQL has written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionToFree {
    /// The seat it was on.
    pub seat: SeatNo,
    /// The session.
    pub session: SessionId,
}

impl SeatStore {
    /// Claims seats and sessions that are over, up to `limit` of each, and says how the pool was used and who wanted a
    /// seat in vain (reap.lua).
    ///
    /// # Errors
    /// [`crate::Error::Seats`] if Redis did not answer. Claims may have been made; a later sweep takes them up again.
    pub async fn reap(
        &self,
        pool: &PoolKey,
        records: PoolRecords,
        told: ToldWants,
        limit: usize,
    ) -> Result<PoolReply<ReapedSeats>> {
        let arguments = [
            records.epoch.to_string(),
            limit.to_string(),
            self.timing.reclaim_after_ms().to_string(),
            records.told_minute.to_string(),
            records.grace_before_ms.map(|at| at.to_string()).unwrap_or_default(),
            told.since_ms.to_string(),
            told.change.to_string(),
        ];
        let mut reply = self.run(&scripts::REAP, pool, &pool.want_keys(), &arguments).await?;
        match reply.word() {
            "COLD" => return Ok(PoolReply::NeedsRebuild { epoch: reply.take()? }),
            "REAPED" => {}
            _ => return Err(reply.unknown()),
        }
        let mut reaped = ReapedSeats { epoch: reply.take()?, ..ReapedSeats::default() };
        let mut minutes = reply.list()?;
        while !minutes.is_empty() {
            reaped.minutes.push(MinuteUsage {
                minute: minutes.take()?,
                count: minutes.take()?,
                held: minutes.take()?,
                peak: minutes.take()?,
                total: minutes.take()?,
                denied: minutes.take()?,
                refused: minutes.take()?,
                seen: minutes.take::<u8>()? == 1,
            });
        }
        let mut seats = reply.list()?;
        while !seats.is_empty() {
            let seat = seats.take()?;
            reaped
                .seats
                .push(SeatClaim { seat, claim: LeaseClaim { seq: seats.take()?, lease_end_ms: seats.take()? } });
        }
        let mut sessions = reply.list()?;
        while !sessions.is_empty() {
            let (seat, session) = (sessions.take()?, sessions.session()?);
            let claim = LeaseClaim { seq: sessions.take()?, lease_end_ms: sessions.take()? };
            reaped.sessions.push(SessionClaim { seat, session, claim });
        }
        reaped.wants_since_ms = reply.take()?;
        let mut wants = reply.list()?;
        while !wants.is_empty() {
            // Nothing is decided by it: what cannot be read must not keep seats from being ended.
            match wants.take::<String>()?.parse() {
                Ok(change) => reaped.wants.push(change),
                Err(error) => tracing::error!(error = %chain(&error), "a want that cannot be read is passed over"),
            }
            reaped.last_want = wants.take()?;
        }
        Ok(PoolReply::Answer(reaped))
    }

    /// Forgets what PostgreSQL knows to be over (free.lua). Entries that are no longer what was claimed are left alone.
    ///
    /// # Errors
    /// [`crate::Error::Seats`] if Redis did not answer. REAP takes it up again.
    pub async fn free(
        &self,
        pool: &PoolKey,
        epoch: u64,
        seats: &[SeatToFree],
        sessions: &[SessionToFree],
    ) -> Result<PoolReply<u64>> {
        let mut list = Vec::new();
        for free in seats {
            list.extend([free.seat.to_string(), free.seq.to_string(), u8::from(free.retired).to_string()]);
        }
        for free in sessions {
            list.extend([free.seat.to_string(), short(free.session.0)]);
        }
        let arguments = [epoch.to_string(), seats.len().to_string()];
        let mut reply = self.run_with_list(&scripts::FREE, pool, &[], &arguments, &list).await?;
        match reply.word() {
            "COLD" => Ok(PoolReply::NeedsRebuild { epoch: reply.take()? }),
            "FREED" => Ok(PoolReply::Answer(reply.take()?)),
            _ => Err(reply.unknown()),
        }
    }
}
