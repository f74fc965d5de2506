//! release: RELEASE, then `end_seats`, then FREE. Releasing twice has the same effect as releasing once.

use super::{
    SeatProtocol,
    deadline::Deadline,
    rebuild::PoolRebuilds,
    steps::{FailPoints, Step},
};
use crate::{
    Clock, Result,
    domain::{
        handle::SessionHandle,
        pool::{LeaseClaim, SeatClaim},
        session::EndReason,
    },
    error::{StoreName, chain},
    records::{Records, SeatEnding},
    seat_store::{PoolKey, PoolReply, ReleaseAnswer, SeatStore, SeatToFree, SessionToFree},
};
use std::time::Duration;
use time::OffsetDateTime;

/// The operation that ends a session. It signs nothing and judges no license key, so it is made without either. Cheap
/// to clone.
#[derive(Clone)]
pub struct SeatRelease {
    seats: SeatStore,
    records: Records,
    rebuilds: PoolRebuilds,
    ttl: Duration,
    clock: Clock,
    steps: FailPoints,
}

impl SeatProtocol {
    /// [`SeatRelease::release`].
    ///
    /// # Errors
    /// As there.
    pub async fn release(&self, handle: &SessionHandle) -> Result<Option<OffsetDateTime>> {
        self.releasing().release(handle).await
    }

    /// The part of these operations that ends sessions.
    pub fn releasing(&self) -> SeatRelease {
        SeatRelease {
            seats: self.seats.clone(),
            records: self.records.clone(),
            rebuilds: self.rebuilds.clone(),
            ttl: self.settings.timing.ttl,
            clock: self.settings.clock.clone(),
            steps: self.steps.clone(),
        }
    }
}

impl SeatRelease {
    /// The operation over these stores; `records` connects as [`crate::records::DatabaseRole::Service`].
    pub fn new(seats: SeatStore, records: Records, clock: Clock) -> Self {
        let (steps, ttl) = (FailPoints::default(), seats.timing().ttl);
        let rebuilds = PoolRebuilds::new(seats.clone(), records.clone(), steps.clone());
        Self { seats, records, rebuilds, ttl, clock, steps }
    }

    /// Whether Redis answers, for readiness.
    ///
    /// # Errors
    /// [`crate::Error::Seats`].
    pub async fn seats_ready(&self) -> Result<()> {
        self.seats.ready().await
    }

    /// Whether PostgreSQL answers, for readiness.
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn records_ready(&self) -> Result<()> {
        self.records.ready().await
    }

    /// Ends a session. The seat is free when its last session has ended. Answers when the session ended, now or before;
    /// `None` if that was so long ago that PostgreSQL has forgotten it.
    ///
    /// # Errors
    /// If a store could not be asked in time. The client may ask again or not: other holders can have the seat when its
    /// lease is over.
    pub async fn release(&self, handle: &SessionHandle) -> Result<Option<OffsetDateTime>> {
        let deadline = Deadline::of_request();
        let pool = PoolKey::from(handle);
        let mut ending = SeatEnding { released: vec![handle.session], ..SeatEnding::default() };
        loop {
            deadline.check(StoreName::Seats)?;
            let answer = match self.seats.release(&pool, handle.seat, handle.session).await? {
                PoolReply::Answer(answer) => answer,
                PoolReply::NeedsRebuild { .. } => {
                    // PostgreSQL knows no such pool, so the session is over too.
                    if !self.rebuilds.ensure_warm(&pool, handle.tenant, handle.pool_id, deadline).await? {
                        return Ok(Some(self.clock.now()));
                    }
                    continue;
                }
            };
            self.steps.done(Step::Release).await?;
            (ending.epoch, ending.seats) = match answer {
                ReleaseAnswer::Vacated { epoch, seq } => {
                    (epoch, vec![SeatClaim { seat: handle.seat, claim: LeaseClaim { seq, lease_end_ms: 0 } }])
                }
                ReleaseAnswer::Left { epoch } | ReleaseAnswer::NotHeld { epoch } => (epoch, Vec::new()),
            };
            // Its owner asks, so the session is ended by id whatever the ticket and the epoch are.
            let ended = self
                .records
                .end_seats(handle.tenant, handle.pool_id, &ending, EndReason::Released, self.ttl)
                .await?;
            self.steps.done(Step::EndSeats).await?;
            let Some(done) = ended.done else {
                // A rebuild came in between, and its copy counts the session again: it must leave that copy too.
                self.seats.invalidate(&pool, ending.epoch).await?;
                continue;
            };
            self.free_in_redis(handle, &pool, &ending, answer, done).await;
            // PostgreSQL may lack the grant of a session that Redis counted: then the session ended with this call.
            let was_held = !matches!(answer, ReleaseAnswer::NotHeld { .. });
            return Ok(ended.released_at.or_else(|| was_held.then(|| self.clock.now())));
        }
    }

    /// FREE. PostgreSQL knows of the end already: if Redis cannot be told now, the next acquire or the reaper does it.
    async fn free_in_redis(
        &self,
        handle: &SessionHandle,
        pool: &PoolKey,
        ending: &SeatEnding,
        answer: ReleaseAnswer,
        done: Vec<(u32, bool)>,
    ) {
        let seats: Vec<SeatToFree> = ending
            .seats
            .iter()
            .filter_map(|claim| {
                let (seat, retired) = *done.iter().find(|(seat, _)| *seat == claim.seat)?;
                Some(SeatToFree { seat, seq: claim.claim.seq, retired })
            })
            .collect();
        let sessions: Vec<SessionToFree> = matches!(answer, ReleaseAnswer::Left { .. })
            .then_some(SessionToFree { seat: handle.seat, session: handle.session })
            .into_iter()
            .collect();
        if seats.is_empty() && sessions.is_empty() {
            return;
        }
        if let Err(e) = self.seats.free(pool, ending.epoch, &seats, &sessions).await {
            tracing::warn!(error = %chain(&e), "a released seat stays marked until the next acquire or sweep");
        }
    }
}
