//! acquire: ACQUIRE → `grant_seat` → sign.

pub use super::{answer::SignedLease, keys::KeyRejection};
pub use crate::seat_store::AcquireRefusal;

use super::{SeatProtocol, guesses::SecretGuesser, keys::PresentedKey, steps::Step};
use crate::{
    Result,
    domain::{
        claimant::Claimant,
        handle::SessionHandle,
        id::{Attempt, ClientPart, Nonce, PoolName, SessionId},
        key::LicenseKey,
        pool::GrantedSeat,
    },
    error::StoreName,
    records::GrantOutcome,
    seat_store::{AcquireAnswer, PoolKey, PoolReply},
    signer::InstanceKey,
};

/// A client asks for a seat. Everything is parsed.
///
/// Only [`AcquireRequest::new`] makes one, so the claimant is always one of the license that the key names.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AcquireRequest {
    /// The license key.
    pub key: LicenseKey,
    /// The pool of the license.
    pub pool: PoolName,
    /// Drawn by the client for this request. It is signed into the answer.
    pub nonce: Option<Nonce>,
    /// Who asks.
    pub claimant: Claimant,
}

impl AcquireRequest {
    /// A request for a seat of the license's default pool, without a nonce.
    pub fn new(key: LicenseKey, hardware: &ClientPart, instance: Option<&ClientPart>, attempt: Attempt) -> Self {
        let claimant = Claimant::new(key.number(), hardware, instance, attempt);
        Self { key, pool: PoolName::default_pool(), nonce: None, claimant }
    }
}

/// A seat that was taken, kept or joined, which is written down, with its signed lease.
#[derive(Clone, Debug)]
pub struct LeasedSeat {
    /// The seat, as Redis granted it.
    pub granted: GrantedSeat,
    /// True if this attempt had its session before this request.
    pub renewed: bool,
    /// The bearer string for heartbeat and release.
    pub handle: String,
    /// The signed lease.
    pub lease: SignedLease,
}

/// The answer to an acquire.
#[derive(Clone, Debug)]
pub enum AcquireOutcome {
    /// A seat.
    Seat(Box<LeasedSeat>),
    /// Redis gives the claimant no seat.
    Refused(AcquireRefusal),
    /// The license key opens no pool.
    KeyRejected(KeyRejection),
}

impl SeatProtocol {
    /// Takes a seat, joins the holder's seat, or repeats an answer. The client is told of a seat only after it is
    /// written down.
    ///
    /// # Errors
    /// If a store or the signer could not be asked in time. Nothing is lost then: the same attempt receives its seat
    /// when it asks again, and others can have what it may have reserved after one lease (L2).
    pub async fn acquire(&self, request: &AcquireRequest) -> Result<AcquireOutcome> {
        self.acquire_from(request, None).await
    }

    /// [`SeatProtocol::acquire`] by a caller whose wrong keys are counted.
    ///
    /// # Errors
    /// As there.
    pub async fn acquire_from(
        &self,
        request: &AcquireRequest,
        guesser: Option<&SecretGuesser>,
    ) -> Result<AcquireOutcome> {
        let received = self.settings.clock.now_seconds();
        let Some(mut key) = self.present_key(&request.key, &request.pool, guesser)? else {
            return Ok(AcquireOutcome::KeyRejected(KeyRejection::BadKey));
        };
        // Before anything is decided: if the signer cannot be reached nothing is half done, and after the commit
        // nothing can fail.
        let signer = self.signer.certified().await?;
        let mut drawn = Vec::new();
        loop {
            key.deadline.check(StoreName::Records)?;
            // Drawn for each try: an id that was ended is never opened again.
            let session = SessionId::draw();
            drawn.push(session);
            let rejection = match self.seats.acquire(&key.pool, &key.hashes, &request.claimant, session).await? {
                PoolReply::NeedsRebuild { .. } => self.warm_up_pool(&key).await?,
                PoolReply::Answer(AcquireAnswer::BadKey { epoch }) => {
                    self.recheck_rejected_key(&mut key, epoch).await?
                }
                PoolReply::Answer(AcquireAnswer::Refused(refusal)) => return Ok(AcquireOutcome::Refused(refusal)),
                PoolReply::Answer(AcquireAnswer::Granted(granted)) => {
                    // If the copy is lost, it is rebuilt for this key however many wrong keys come from beside it.
                    self.guesses.note_good(&key.fingerprint());
                    if self.confirm_grant(&key, &request.claimant, &granted).await? {
                        let renewed = !drawn.contains(&granted.session);
                        let seat = self.lease_seat(request, &key.pool, *granted, renewed, &signer, received)?;
                        return Ok(AcquireOutcome::Seat(Box::new(seat)));
                    }
                    None
                }
            };
            if let Some(rejection) = rejection {
                return Ok(AcquireOutcome::KeyRejected(rejection));
            }
        }
    }

    /// Has PostgreSQL write down what Redis granted. False: the grant came too late or from an old copy, and Redis must
    /// be asked again.
    async fn confirm_grant(&self, key: &PresentedKey<'_>, claimant: &Claimant, granted: &GrantedSeat) -> Result<bool> {
        self.steps.done(Step::Acquire).await?;
        match self.records.grant_seat(granted, claimant, &key.hashes, self.settings.timing.ttl).await? {
            GrantOutcome::Ok => {
                self.steps.done(Step::Grant).await?;
                Ok(true)
            }
            // A later decision was written down first: the next ticket is fresh.
            GrantOutcome::Fenced => Ok(false),
            GrantOutcome::Ended | GrantOutcome::EpochStale | GrantOutcome::Refused => {
                self.seats.invalidate(&key.pool, granted.epoch).await?;
                Ok(false)
            }
        }
    }

    /// Signs the lease of a seat that is written down, and makes the handle of its session.
    fn lease_seat(
        &self,
        request: &AcquireRequest,
        pool: &PoolKey,
        granted: GrantedSeat,
        renewed: bool,
        signer: &InstanceKey,
        received: i64,
    ) -> Result<LeasedSeat> {
        let handle = SessionHandle {
            tenant: granted.tenant,
            license: pool.license,
            pool: pool.pool.clone(),
            pool_id: granted.pool_id,
            seat: granted.seat,
            session: granted.session,
            hw: request.claimant.hw,
        };
        let lease = self.sign_lease(signer, &handle, &granted.lease, request.nonce.as_ref(), received)?;
        Ok(LeasedSeat { renewed, handle: handle.mint(&self.settings.handles), lease, granted })
    }
}
