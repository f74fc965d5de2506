//! heartbeat: HEARTBEAT → sign. No SQL while all is well.

use super::{SeatProtocol, acquire::SignedLease, deadline::Deadline, steps::Step};
use crate::{
    Result,
    domain::{
        handle::SessionHandle,
        id::Nonce,
        license::{LicenseFacts, LicenseRefusal},
    },
    records::ResolveOutcome,
    seat_store::{HeartbeatAnswer, PoolKey, PoolReply},
};

/// The answer to a heartbeat.
#[derive(Clone, Debug)]
pub enum HeartbeatOutcome {
    /// The lease was extended.
    Alive(Box<ExtendedLease>),
    /// The session is over, and recorded so, for this reason: `released`, `expired`, `kicked` or `unknown`.
    Gone(String),
    /// The license gives no seat now. The lease was not extended and is not lost: resumed within it, all goes on. Told
    /// also once the lease is over, as long as the license refuses.
    Refused(LicenseRefusal),
    /// The session came too often; so many ms to wait. Its lease was raised only just before.
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
    /// Shows that a session is alive. Only Redis says yes and only the records say that a session is gone.
    ///
    /// # Errors
    /// If a store or the signer could not be asked in time. The client keeps its lease and asks again; the lease in
    /// Redis is raised before the signer is asked, so that a seat is never lost to a missing signature.
    pub async fn heartbeat(&self, handle: &SessionHandle, nonce: Option<&Nonce>) -> Result<HeartbeatOutcome> {
        let received_ms = self.settings.clock.now_ms();
        let deadline = Deadline::of_request();
        // Safe to remember: an ended session never comes back.
        if let Some(reason) = self.gone_sessions.get(&handle.session) {
            return Ok(HeartbeatOutcome::Gone(reason));
        }
        let pool = PoolKey::from(handle);
        loop {
            deadline.check("seats")?;
            match self.seats.heartbeat(&pool, handle.seat, handle.session).await? {
                PoolReply::Answer(HeartbeatAnswer::Alive(lease)) => {
                    let signer = self.signer.certified().await?;
                    let signed = self.sign_lease(&signer, handle, &lease, nonce, received_ms)?;
                    return Ok(HeartbeatOutcome::Alive(Box::new(ExtendedLease { facts: lease.facts, lease: signed })));
                }
                PoolReply::Answer(HeartbeatAnswer::Refused(refusal)) => return Ok(HeartbeatOutcome::Refused(refusal)),
                PoolReply::Answer(HeartbeatAnswer::Limited(ms)) => return Ok(HeartbeatOutcome::Limited(ms)),
                PoolReply::Answer(HeartbeatAnswer::Unknown { epoch, refusal }) => {
                    self.steps.done(Step::Heartbeat).await?;
                    let resolved = self
                        .records
                        .resolve_session(handle.tenant, handle.pool_id, handle.seat, handle.session, epoch)
                        .await?;
                    match (resolved, refusal) {
                        // A lease that nobody could renew is over for no fault of its client's: as long as the license
                        // refuses, that is why.
                        (ResolveOutcome::Gone(reason), Some(refusal)) if !was_ended(&reason) => {
                            return Ok(HeartbeatOutcome::Refused(refusal));
                        }
                        (ResolveOutcome::Gone(reason), _) => return Ok(self.remember_gone(handle, reason)),
                        (ResolveOutcome::EpochStale, _) => self.seats.invalidate(&pool, epoch).await?,
                    }
                }
                PoolReply::NeedsRebuild { .. } => {
                    if !self.rebuilds.ensure_warm(&pool, handle.tenant, handle.pool_id, deadline).await? {
                        return Ok(self.remember_gone(handle, "unknown".into()));
                    }
                }
            }
        }
    }

    fn remember_gone(&self, handle: &SessionHandle, reason: String) -> HeartbeatOutcome {
        self.gone_sessions.insert(handle.session, reason.clone());
        HeartbeatOutcome::Gone(reason)
    }
}

/// Somebody asked for the end: that is so, whatever the license says since.
fn was_ended(reason: &str) -> bool {
    matches!(reason, "kicked" | "released")
}
