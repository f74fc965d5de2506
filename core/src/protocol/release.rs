//! release: RELEASE → `end_seats` → FREE. Releasing twice is one release.

use super::{SeatProtocol, deadline::Deadline, steps::Step};
use crate::{
    Result,
    domain::{
        handle::SessionHandle,
        pool::{LeaseClaim, SeatClaim},
    },
    records::SeatEnding,
    seat_store::{PoolKey, PoolReply, ReleaseAnswer, SeatToFree, SessionToFree},
};
use time::OffsetDateTime;

impl SeatProtocol {
    /// Gives a session back; the seat is free with its last one. Answers when the session ended, now or before; `None`:
    /// it is over, and so long ago that it was forgotten.
    ///
    /// # Errors
    /// If a store could not be asked in time. The client may ask again, or leave it: the seat is others' after its
    /// lease.
    pub async fn release(&self, handle: &SessionHandle) -> Result<Option<OffsetDateTime>> {
        let deadline = Deadline::of_request();
        let pool = PoolKey::from(handle);
        let mut ending = SeatEnding { released: vec![handle.session], ..SeatEnding::default() };
        loop {
            deadline.check("seats")?;
            let answer = match self.seats.release(&pool, handle.seat, handle.session).await? {
                PoolReply::Answer(answer) => answer,
                PoolReply::NeedsRebuild { .. } => {
                    // The records know no such pool: the session is over with it.
                    if !self.rebuilds.ensure_warm(&pool, handle.tenant, handle.pool_id, deadline).await? {
                        return Ok(Some(self.settings.clock.now()));
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
            // The session itself is ended by id whatever ticket or epoch say: its owner asks.
            let ended = self
                .records
                .end_seats(handle.tenant, handle.pool_id, &ending, "released", self.settings.timing.ttl)
                .await?;
            self.steps.done(Step::EndSeats).await?;
            let Some(done) = ended.done else {
                // A rebuild came in between and counts the session in again: it leaves that copy too.
                self.seats.invalidate(&pool, ending.epoch).await?;
                continue;
            };
            self.free_in_redis(handle, &pool, &ending, answer, done).await;
            // Of a session that Redis counted in, the records may lack the grant: then this is its end.
            let was_held = !matches!(answer, ReleaseAnswer::NotHeld { .. });
            return Ok(ended.released_at.or_else(|| was_held.then(|| self.settings.clock.now())));
        }
    }

    /// FREE. The records know already: if Redis does not hear it now, the next acquire or the reaper takes it up.
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
            tracing::warn!(error = %e, "a released seat stays marked until the next acquire or sweep");
        }
    }
}
