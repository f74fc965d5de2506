//! reap: REAP → `end_seats` → FREE, pool by pool. On nobody's safety path and nobody's availability path: it makes
//! records prompt, counts use, and repairs what others left unfinished.

use super::{
    deadline::Deadline,
    rebuild::PoolRebuilds,
    steps::{FailPoints, Step},
};
use crate::{
    Result,
    domain::{event::SweepShare, lease::LeaseTiming},
    records::{PoolToReap, PoolUsage, Records, SeatEnding},
    seat_store::{PoolKey, PoolReply, ReapedSeats, SeatStore, SeatToFree, SessionToFree},
};
use std::time::Duration;

/// Claims per script call: bounds how long one call holds Redis.
const CLAIMS_PER_CALL: usize = 1000;
/// A pool's share of a sweep. What is not done by then is left to the next.
const POOL_TIME: Duration = Duration::from_secs(30);

/// The reaper's moves. Cheap to clone.
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
    /// Over these rooms; `records` as [`crate::records::DatabaseRole::Reaper`].
    pub fn new(seats: SeatStore, records: Records, timing: LeaseTiming) -> Self {
        let steps = FailPoints::default();
        let rebuilds = PoolRebuilds::new(seats.clone(), records.clone(), steps.clone());
        Self { seats, records, rebuilds, timing, steps }
    }

    /// The fail points of these moves.
    pub fn steps(&self) -> &FailPoints {
        &self.steps
    }

    /// The records, for publishing what waits in them.
    pub fn records(&self) -> &Records {
        &self.records
    }

    /// Whether both stores answer, for readiness.
    ///
    /// # Errors
    /// The first store's that does not.
    pub async fn ready(&self) -> Result<()> {
        self.seats.ready().await?;
        self.records.ready().await
    }

    /// What a sweep has to do now, in shares that may be swept anywhere, in any order and more than once. None where no
    /// pool has anything to do and no event waits.
    ///
    /// # Errors
    /// If the records cannot say.
    pub async fn shares(&self) -> Result<Vec<SweepShare>> {
        let todo = self.records.to_do().await?;
        let pools: Vec<_> = todo.pools.into_iter().collect();
        let mut shares = SweepShare::cut(&pools);
        if todo.events && shares.is_empty() {
            shares.push(SweepShare::default());
        }
        Ok(shares)
    }

    /// Looks at every pool of a share. One pool's trouble does not keep the others from being looked at.
    ///
    /// # Errors
    /// If the records cannot say what pools these are.
    pub async fn sweep(&self, share: &SweepShare) -> Result<SweepReport> {
        let mut report = SweepReport::default();
        for pool in self.records.pools_to_reap(share).await? {
            report.pools += 1;
            if let Err(e) = self.reap(&pool, &mut report).await {
                #[cfg(feature = "testing")]
                if let crate::Error::Cut(_) = e {
                    return Err(e);
                }
                report.failed += 1;
                tracing::warn!(
                    tenant = %pool.tenant, license = %pool.license, pool = %pool.pool, error = %e,
                    "a pool could not be swept"
                );
            }
        }
        Ok(report)
    }

    async fn reap(&self, pool: &PoolToReap, report: &mut SweepReport) -> Result<()> {
        let key = PoolKey { license: pool.license, pool: pool.pool.clone() };
        let deadline = Deadline::after(POOL_TIME);
        let mut usage = None;
        // First, so that Redis is told in the same breath. What this sweep ends holds its place in the count either
        // way.
        let grace = self.count_grace(pool).await;
        loop {
            deadline.check("seats")?;
            let reaped = match self.seats.reap(&key, pool.epoch, CLAIMS_PER_CALL, grace).await? {
                PoolReply::Answer(reaped) => reaped,
                // No copy, and nobody holds anything: whoever comes next rebuilds. An old copy may still speak for who
                // was kicked.
                PoolReply::NeedsRebuild { epoch: 0 } if !pool.held => break,
                PoolReply::NeedsRebuild { .. } => {
                    // The records prove every copy below their epoch old; a warm one would not be rebuilt otherwise.
                    self.seats.invalidate(&key, pool.epoch.saturating_sub(1)).await?;
                    if !self.rebuilds.ensure_warm(&key, pool.tenant, pool.pool_id, deadline).await? {
                        break;
                    }
                    continue;
                }
            };
            // Told once a minute, by the first answer of the sweep.
            let counted = reaped.minute.map(|minute| PoolUsage {
                minute,
                held: reaped.held,
                peak: reaped.peak,
                denied: reaped.denied,
            });
            usage = usage.or(counted);
            if self.end_claims(pool, &key, &reaped, report).await?
                && reaped.seats.len().max(reaped.sessions.len()) < CLAIMS_PER_CALL
            {
                break;
            }
        }
        if let Some(usage) = usage.filter(|usage| usage.held > 0 || usage.peak > 0 || usage.denied > 0) {
            self.records.record_usage(pool, usage).await?;
        }
        Ok(())
    }

    /// Counts the machines on grace. What cannot be counted keeps no seat from being swept: Redis then goes by the last
    /// count.
    async fn count_grace(&self, pool: &PoolToReap) -> Option<i64> {
        if !pool.grace {
            return Some(0);
        }
        let counted = self.records.count_grace(pool.tenant, pool.pool_id).await;
        counted.inspect_err(|error| tracing::warn!(license = %pool.license, %error, "grace could not be counted")).ok()
    }

    /// Writes claims down and forgets them. False: the copy they were made from is old.
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
        let ended = self.records.end_seats(pool.tenant, pool.pool_id, &ending, "expired", self.timing.ttl).await?;
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
