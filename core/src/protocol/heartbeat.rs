//! heartbeat: HEARTBEAT, then sign. No SQL is needed while Redis has a warm copy.

use super::{SeatProtocol, acquire::SignedLease, deadline::Deadline, steps::Step};
use crate::{
    Result,
    domain::{
        handle::SessionHandle,
        id::Nonce,
        license::{LicenseFacts, LicenseRefusal},
        session::{EndReason, GoneReason},
    },
    error::StoreName,
    records::ResolveOutcome,
    seat_store::{HeartbeatAnswer, PoolKey, PoolReply},
};

/// The answer to a heartbeat.
#[derive(Clone, Debug)]
pub enum HeartbeatOutcome {
    /// The lease was extended.
    Alive(Box<ExtendedLease>),
    /// The session is over, and recorded so, for this reason.
    Gone(GoneReason),
    /// The license gives no seat now. The lease was not extended and is not lost: if the license is resumed within it,
    /// the session continues. This is also the answer after the lease is over, for as long as the license refuses.
    Refused(LicenseRefusal),
    /// The session came too often and must wait for so many ms. Its lease was raised a moment before.
    Limited(u64),
}

/// An extended lease.
#[derive(Clone, Debug)]
pub struct ExtendedLease {
    /// What the license says.
    pub facts: LicenseFacts,
    /// The signed lease.
    pub lease: SignedLease,
}

impl SeatProtocol {
    /// Extends the lease of a session. Only Redis says that a session is alive, and only PostgreSQL that it is gone.
    ///
    /// # Errors
    /// If a store or the signer could not be asked in time. The client keeps its lease and asks again; the lease in
    /// Redis is raised before the signer is asked, so that a seat is never lost to a missing signature.
    pub async fn heartbeat(&self, handle: &SessionHandle, nonce: Option<&Nonce>) -> Result<HeartbeatOutcome> {
        let received = self.settings.clock.now_seconds();
        let deadline = Deadline::of_request();
        // This is safe to remember, because an ended session never comes back.
        if let Some(reason) = self.gone_sessions.get(&handle.session) {
            return Ok(HeartbeatOutcome::Gone(reason));
        }
        let pool = PoolKey::from(handle);
        loop {
            deadline.check(StoreName::Seats)?;
            match self.seats.heartbeat(&pool, handle.seat, handle.session).await? {
                PoolReply::Answer(HeartbeatAnswer::Alive(lease)) => {
                    let signer = self.signer.certified().await?;
                    let signed = self.sign_lease(&signer, handle, &lease, nonce, received)?;
                    return Ok(HeartbeatOutcome::Alive(Box::new(ExtendedLease { facts: lease.facts, lease: signed })));
                }
                PoolReply::Answer(HeartbeatAnswer::Refused(refusal)) => return Ok(HeartbeatOutcome::Refused(refusal)),
                PoolReply::Answer(HeartbeatAnswer::Limited(ms)) => return Ok(HeartbeatOutcome::Limited(ms)),
                PoolReply::Answer(HeartbeatAnswer::Unknown { epoch, refusal }) => {
                    if let Some(outcome) = self.resolve_unknown(handle, &pool, epoch, refusal).await? {
                        return Ok(outcome);
                    }
                }
                PoolReply::NeedsRebuild { .. } => {
                    if !self.rebuilds.ensure_warm(&pool, handle.tenant, handle.pool_id, deadline).await? {
                        return Ok(self.remember_gone(handle, GoneReason::Unknown));
                    }
                }
            }
        }
    }

    /// Asks PostgreSQL what became of a session that the copy of this epoch does not count. `None`: the copy was old
    /// and is marked stale, and Redis must be asked again.
    async fn resolve_unknown(
        &self,
        handle: &SessionHandle,
        pool: &PoolKey,
        epoch: u64,
        refusal: Option<LicenseRefusal>,
    ) -> Result<Option<HeartbeatOutcome>> {
        self.steps.done(Step::Heartbeat).await?;
        let resolved =
            self.records.resolve_session(handle.tenant, handle.pool_id, handle.seat, handle.session, epoch).await?;
        match (resolved, refusal) {
            // The client could not renew its lease while the license refused, so for as long as it refuses that is the
            // reason.
            (ResolveOutcome::Gone(reason), Some(refusal)) if !was_ended(&reason) => {
                Ok(Some(HeartbeatOutcome::Refused(refusal)))
            }
            (ResolveOutcome::Gone(reason), _) => Ok(Some(self.remember_gone(handle, reason))),
            (ResolveOutcome::EpochStale, _) => {
                self.seats.invalidate(pool, epoch).await?;
                Ok(None)
            }
        }
    }

    /// Remembers that a session is over, so that its next heartbeats ask no store.
    fn remember_gone(&self, handle: &SessionHandle, reason: GoneReason) -> HeartbeatOutcome {
        self.gone_sessions.insert(handle.session, reason.clone());
        HeartbeatOutcome::Gone(reason)
    }
}

/// Whether the end was asked for. The reason then stays the same, whatever the license says since.
fn was_ended(reason: &GoneReason) -> bool {
    matches!(reason, GoneReason::Ended(EndReason::Kicked | EndReason::Released))
}
