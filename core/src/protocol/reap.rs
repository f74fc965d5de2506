//! reap: REAP, then `end_seats`, then FREE, one pool after the other.
//!
//! No seat is given away wrongly and no request has to wait if the reaper does not run. It has ends written down soon,
//! counts the use of pools, and completes what other operations left unfinished.

use super::{
    deadline::Deadline,
    rebuild::PoolRebuilds,
    steps::{FailPoints, Step},
};
use crate::{
    Error, Result,
    domain::{event::SweepShare, lease::LeaseTiming, session::EndReason, usage::MinuteUsage, want::WantChange},
    error::{StoreName, chain},
    records::{PoolToReap, Records, SeatEnding},
    seat_store::{PoolKey, PoolRecords, PoolReply, ReapedSeats, SeatStore, SeatToFree, SessionToFree, ToldWants},
};
use std::time::Duration;

/// The most claims of one script call, so that no single call blocks Redis for long.
const CLAIMS_PER_CALL: usize = 1000;
/// The most entries of use that PostgreSQL is told of at once.
const MINUTES_PER_CALL: usize = 100;
/// So many minutes in which nobody used a pool are told together: an edit has idle pools swept for a day, and one write
/// a minute for each of them would be for nothing.
const IDLE_MINUTES: u32 = 60;
/// The longest time that a sweep spends on one pool. The rest is left to the next sweep.
const POOL_TIME: Duration = Duration::from_secs(30);
/// In place of the time since which a copy has counted wants: there is no copy.
const NO_COPY: i64 = 0;

/// The operations of the reaper. Cheap to clone.
#[derive(Clone)]
pub struct SeatReaper {
    seats: SeatStore,
    records: Records,
    rebuilds: PoolRebuilds,
    timing: LeaseTiming,
    steps: FailPoints,
}

/// What the sweep of one share did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SweepReport {
    /// Pools looked at.
    pub pools: usize,
    /// Seats ended.
    pub seats: usize,
    /// Single sessions ended.
    pub sessions: usize,
    /// Pools that could not be looked at; the message is to be delivered again.
    pub failed: usize,
}

impl SeatReaper {
    /// A reaper that uses these stores; `records` connects as [`crate::records::DatabaseRole::Reaper`].
    pub fn new(seats: SeatStore, records: Records, timing: LeaseTiming) -> Self {
        let steps = FailPoints::default();
        let rebuilds = PoolRebuilds::new(seats.clone(), records.clone(), steps.clone());
        Self { seats, records, rebuilds, timing, steps }
    }

    /// The fail points of these operations.
    pub fn steps(&self) -> &FailPoints {
        &self.steps
    }

    /// The records, for publishing the events that wait in them.
    pub fn records(&self) -> &Records {
        &self.records
    }

    /// The seats.
    pub fn seats(&self) -> &SeatStore {
        &self.seats
    }

    /// Whether both stores answer, for readiness.
    ///
    /// # Errors
    /// That of the first store that does not answer.
    pub async fn ready(&self) -> Result<()> {
        self.seats.ready().await?;
        self.records.ready().await
    }

    /// What a sweep has to do now, in shares that may be swept by any instance, in any order and more than once. There
    /// are no shares where no pool has anything to do and no event waits.
    ///
    /// # Errors
    /// If PostgreSQL could not be asked.
    pub async fn shares(&self) -> Result<Vec<SweepShare>> {
        let todo = self.records.to_do().await?;
        let pools: Vec<_> = todo.pools.into_iter().collect();
        let mut shares = SweepShare::split_pools(&pools);
        if todo.events && shares.is_empty() {
            shares.push(SweepShare::default());
        }
        Ok(shares)
    }

    /// Sweeps every pool of a share. A failure in one pool does not keep the others from being swept.
    ///
    /// # Errors
    /// If PostgreSQL could not say which pools these are.
    pub async fn sweep(&self, share: &SweepShare) -> Result<SweepReport> {
        let mut report = SweepReport::default();
        for pool in self.records.pools_to_reap(share).await? {
            report.pools += 1;
            if let Err(e) = self.reap(&pool, &mut report).await {
                #[cfg(feature = "testing")]
                if let Error::Cut(_) = e {
                    return Err(e);
                }
                report.failed += 1;
                tracing::warn!(
                    tenant = %pool.tenant, license = %pool.license, pool = %pool.pool, error = %chain(&e),
                    "a pool could not be swept"
                );
            }
        }
        Ok(report)
    }

    async fn reap(&self, pool: &PoolToReap, report: &mut SweepReport) -> Result<()> {
        let mut minutes = Vec::new();
        let ended = self.end_what_is_over(pool, report, &mut minutes).await;
        // Also where seats are left to the next sweep: what is not told in four hours is lost.
        self.record_minutes(pool, &minutes).await?;
        ended
    }

    /// REAP, `end_seats` and FREE, until nothing is left that is over, and what happened to wants meanwhile. `minutes`:
    /// how the pool was used, which is told next.
    async fn end_what_is_over(
        &self,
        pool: &PoolToReap,
        report: &mut SweepReport,
        minutes: &mut Vec<MinuteUsage>,
    ) -> Result<()> {
        let key = PoolKey { license: pool.license, pool: pool.pool.clone() };
        let deadline = Deadline::after(POOL_TIME);
        let mut told = ToldWants::default();
        // Counted first, so that REAP can write the result down. A holder that this sweep ends is counted in either
        // case.
        let records = PoolRecords {
            epoch: pool.epoch,
            told_minute: pool.counted_minute,
            grace_before_ms: self.count_grace(pool).await,
        };
        loop {
            deadline.check(StoreName::Seats)?;
            let reaped = match self.seats.reap(&key, records, told, CLAIMS_PER_CALL).await? {
                PoolReply::Answer(reaped) => reaped,
                // There is no copy and no seat is held: the next request rebuilds the pool. An old copy, in contrast,
                // may still answer for a holder that was kicked.
                PoolReply::NeedsRebuild { epoch: 0 } if !pool.held => {
                    if pool.wants_since_ms != NO_COPY {
                        self.record_wants(pool, NO_COPY, &[]).await?;
                    }
                    return Ok(());
                }
                PoolReply::NeedsRebuild { .. } => {
                    // Every copy below the epoch of PostgreSQL is old. A warm one would not be rebuilt otherwise.
                    self.seats.invalidate(&key, pool.epoch.saturating_sub(1)).await?;
                    if !self.rebuilds.ensure_warm(&key, pool.tenant, pool.pool_id, deadline).await? {
                        return Ok(());
                    }
                    continue;
                }
            };
            // Each answer of the script repeats what PostgreSQL was not told of when the sweep began.
            if minutes.is_empty() {
                minutes.clone_from(&reaped.minutes);
            }
            let is_current = self.end_claims(pool, &key, &reaped, report).await?;
            let since_ms = reaped.wants_since_ms;
            let is_known = [pool.wants_since_ms, told.since_ms].contains(&since_ms);
            let is_to_tell = reaped.last_want > 0 || !is_known;
            if is_to_tell && !self.record_wants(pool, since_ms, &reaped.wants).await? {
                return Ok(());
            }
            // Asked once more where something was told, so that Redis forgets it. What comes between is told by the next
            // sweep: somebody wants a seat at any time.
            let all_told = reaped.last_want == 0 || told.change > 0;
            told = reaped.told_wants();
            let most = reaped.seats.len().max(reaped.sessions.len()).max(reaped.wants.len());
            if is_current && all_told && most < CLAIMS_PER_CALL {
                return Ok(());
            }
        }
    }

    async fn record_minutes(&self, pool: &PoolToReap, minutes: &[MinuteUsage]) -> Result<()> {
        let idle = minutes.iter().all(MinuteUsage::is_idle);
        if idle && minutes.iter().map(|entry| entry.count).sum::<u32>() < IDLE_MINUTES {
            return Ok(());
        }
        for some in minutes.chunks(MINUTES_PER_CALL) {
            self.steps.done(Step::ReapUsage).await?;
            self.records.record_usage(pool, some).await?;
        }
        Ok(())
    }

    /// Has PostgreSQL write down what happened to wants, and which of them were lost with a copy. False: it could not,
    /// which is no reason to have the pool swept again at once; the next sweep tells it again.
    async fn record_wants(&self, pool: &PoolToReap, since_ms: i64, wants: &[WantChange]) -> Result<bool> {
        self.steps.done(Step::ReapWants).await?;
        let recorded = self.records.record_wants(pool, since_ms, wants).await;
        if let Err(error) = &recorded {
            tracing::warn!(license = %pool.license, error = %chain(error), "wants could not be written down");
        }
        self.steps.done(Step::RecordWants).await?;
        Ok(recorded.is_ok())
    }

    /// Counts the machines on grace. A failure does not keep seats from being swept: Redis then uses the last count.
    async fn count_grace(&self, pool: &PoolToReap) -> Option<i64> {
        if !pool.grace {
            return Some(0);
        }
        let counted = self.records.count_grace(pool.tenant, pool.pool_id).await;
        let warn = |error: &Error| {
            tracing::warn!(license = %pool.license, error = %chain(error), "grace could not be counted");
        };
        counted.inspect_err(warn).ok()
    }

    /// Has PostgreSQL write claims down and Redis forget them. False: the copy that made them is old.
    async fn end_claims(
        &self,
        pool: &PoolToReap,
        key: &PoolKey,
        reaped: &ReapedSeats,
        report: &mut SweepReport,
    ) -> Result<bool> {
        if reaped.seats.is_empty() && reaped.sessions.is_empty() {
            return Ok(true);
        }
        self.steps.done(Step::Reap).await?;
        let ending = SeatEnding {
            epoch: reaped.epoch,
            seats: reaped.seats.clone(),
            sessions: reaped.sessions.clone(),
            released: Vec::new(),
        };
        let ended =
            self.records.end_seats(pool.tenant, pool.pool_id, &ending, EndReason::Expired, self.timing.ttl).await?;
        self.steps.done(Step::EndSeats).await?;
        let Some(done) = ended.done else {
            self.seats.invalidate(key, reaped.epoch).await?;
            return Ok(false);
        };
        report.seats += done.len();
        report.sessions += reaped.sessions.len();
        let done: std::collections::HashMap<_, _> = done.into_iter().collect();
        let seats: Vec<SeatToFree> = reaped
            .seats
            .iter()
            .filter_map(|claim| {
                Some(SeatToFree { seat: claim.seat, seq: claim.claim.seq, retired: *done.get(&claim.seat)? })
            })
            .collect();
        let sessions: Vec<SessionToFree> =
            reaped.sessions.iter().map(|claim| SessionToFree { seat: claim.seat, session: claim.session }).collect();
        self.seats.free(key, reaped.epoch, &seats, &sessions).await?;
        Ok(true)
    }
}
