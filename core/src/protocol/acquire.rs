//! acquire: ACQUIRE → `grant_seat` → sign.

pub use super::answer::SignedLease;
use super::{
    SeatProtocol,
    answer::LeaseSubject,
    deadline::Deadline,
    guesses::{SecretGuesser, SecretVerdict},
    steps::Step,
};
use crate::{
    Result, clock,
    domain::{
        handle::SessionHandle,
        id::{Attempt, ClientPart, Holder, Hw, LicenseNumber, Nonce, PoolName, SeatNo, SessionId},
        key::LicenseKey,
        license::{LicenseFacts, LicenseRefusal},
        rate::RateLimited,
    },
    error::StoreName,
    records::{GrantOutcome, KeyMatch, SeatGrant},
    seat_store::{AcquireAnswer, PoolFull, PoolKey, PoolReply, SeatRequest, SeatTicket, TooMany},
    signer::InstanceKey,
};

/// A client asks for a seat. Everything is parsed.
#[derive(Clone, Debug)]
pub struct AcquireRequest {
    /// The license key.
    pub key: LicenseKey,
    /// Which machine.
    pub hardware: ClientPart,
    /// Which process of it, for licenses that count processes.
    pub instance: Option<ClientPart>,
    /// Which process start; retries repeat it.
    pub attempt: Attempt,
    /// Which pool.
    pub pool: PoolName,
    /// Signed back.
    pub nonce: Option<Nonce>,
    /// The product the client says it is; refused if the license is for another.
    pub product: Option<String>,
    /// What people are shown of it.
    pub label: String,
    /// What the client says about itself, kept with the session.
    pub client: serde_json::Value,
}

/// A seat was taken, kept or joined, and it is written down.
#[derive(Clone, Debug)]
pub struct GrantedSeat {
    /// True if this attempt already had its session before this request.
    pub renewed: bool,
    /// The session.
    pub session: SessionId,
    /// The bearer string for heartbeat and release.
    pub handle: String,
    /// The seat.
    pub seat: SeatNo,
    /// Seats held, this one included.
    pub seats_used: u32,
    /// What the license says.
    pub facts: LicenseFacts,
    /// The signed lease.
    pub lease: SignedLease,
}

/// The answer to an acquire.
#[derive(Clone, Debug)]
pub enum AcquireOutcome {
    /// A seat.
    Seat(Box<GrantedSeat>),
    /// Every seat is held, or waits.
    Full(Box<PoolFull>),
    /// Unknown number, wrong secret or rotated away: one answer.
    BadKey,
    /// The license has no pool of that name.
    NoPool,
    /// The license gives no seat now.
    Refused(LicenseRefusal),
    /// The license is for the product named here.
    WrongProduct(String),
    /// Too often: this holder, its whole license, or wrong keys from where it is. Not looked at.
    Limited(RateLimited),
    /// The license counts processes: `instance_id` is needed.
    NeedsInstance,
    /// The seat carries as many live processes as allowed.
    TooMany(TooMany),
}

/// A key that opens nothing here, or that was not looked at, or a pool that does not exist.
pub(super) enum KeyRejection {
    BadKey,
    NoPool,
    Limited(RateLimited),
}

impl SeatProtocol {
    /// Takes a seat, joins the holder's, or repeats an answer. A seat is told of only after it is written down.
    ///
    /// # Errors
    /// If a store or the signer could not be asked in time. Nothing is lost then: the same attempt gets its seat when
    /// it asks again, and what it may have reserved is others' after a lease (L2).
    pub async fn acquire(&self, request: &AcquireRequest) -> Result<AcquireOutcome> {
        self.acquire_from(request, None).await
    }

    /// [`SeatProtocol::acquire`] by somebody whose wrong keys are counted.
    ///
    /// # Errors
    /// As there.
    pub async fn acquire_from(
        &self,
        request: &AcquireRequest,
        guesser: Option<&SecretGuesser>,
    ) -> Result<AcquireOutcome> {
        let received_ms = self.settings.clock.now_ms();
        let deadline = Deadline::of_request();
        let hashes = request.key.hashes(&self.settings.peppers);
        let tried = tried(request.key.number(), &hashes);
        if self.guesses.is_wrong(&tried) {
            return Ok(AcquireOutcome::BadKey);
        }
        // Before anything is decided: with the signer away nothing is half done, and after the commit nothing can fail.
        let signer = self.signer.certified().await?;
        let pool = PoolKey { license: request.key.number(), pool: request.pool.clone() };
        let mut drawn = Vec::new();
        let mut judged = false;
        loop {
            deadline.check(StoreName::Records)?;
            let ask = self.ask(request, &hashes);
            drawn.push(ask.session);
            match self.seats.acquire(&pool, &ask).await? {
                PoolReply::Cold(_) => {
                    if let Some(closed) = self.open(&pool, &hashes, guesser, deadline).await? {
                        return Ok(closed.into());
                    }
                }
                PoolReply::Said(AcquireAnswer::BadKey(epoch)) => {
                    if judged {
                        return Ok(AcquireOutcome::BadKey);
                    }
                    if let Some(closed) = self.is_no_newer_key(&pool, &hashes, guesser, epoch).await? {
                        return Ok(closed.into());
                    }
                    judged = true;
                }
                PoolReply::Said(AcquireAnswer::Granted(granted)) => {
                    // Should the copy be lost, it is opened for this key whoever guesses beside it.
                    self.guesses.note_good(&tried);
                    if self.written(request, &hashes, &pool, &granted).await? {
                        let renewed = !drawn.contains(&granted.session);
                        return self.seat(request, &pool, *granted, &signer, renewed, received_ms);
                    }
                }
                PoolReply::Said(AcquireAnswer::Full(full)) => return Ok(AcquireOutcome::Full(full)),
                PoolReply::Said(AcquireAnswer::WrongProduct(product)) => {
                    return Ok(AcquireOutcome::WrongProduct(product));
                }
                PoolReply::Said(AcquireAnswer::Refused(refusal)) => return Ok(AcquireOutcome::Refused(refusal)),
                PoolReply::Said(AcquireAnswer::Limited(limited)) => return Ok(AcquireOutcome::Limited(limited)),
                PoolReply::Said(AcquireAnswer::NeedsInstance) => return Ok(AcquireOutcome::NeedsInstance),
                PoolReply::Said(AcquireAnswer::TooMany(many)) => return Ok(AcquireOutcome::TooMany(many)),
            }
        }
    }

    /// Has the records confirm a decision. False: it came too late or from a wrong copy, and Redis must be asked again.
    async fn written(
        &self,
        request: &AcquireRequest,
        hashes: &[String],
        pool: &PoolKey,
        granted: &SeatTicket,
    ) -> Result<bool> {
        self.steps.done(Step::Acquire).await?;
        match self.records.grant_seat(&self.grant(request, hashes, granted)).await? {
            GrantOutcome::Ok => {
                self.steps.done(Step::Grant).await?;
                Ok(true)
            }
            // Overtaken: the next ticket is fresh.
            GrantOutcome::Fenced => Ok(false),
            GrantOutcome::Ended | GrantOutcome::EpochStale | GrantOutcome::Refused => {
                self.seats.invalidate(pool, granted.epoch).await?;
                Ok(false)
            }
        }
    }

    fn ask(&self, request: &AcquireRequest, hashes: &[String]) -> SeatRequest {
        let number = request.key.number();
        SeatRequest {
            key_hashes: hashes.to_vec(),
            by_machine: Holder::machine(number, &request.hardware),
            by_process: request.instance.as_ref().map(|i| Holder::process(number, &request.hardware, i)),
            attempt: request.attempt,
            // Fresh each time: an id that was ended is never opened again.
            session: SessionId::draw(),
            label: request.label.clone(),
            product: request.product.clone(),
        }
    }

    fn grant(&self, request: &AcquireRequest, hashes: &[String], granted: &SeatTicket) -> SeatGrant {
        let end = granted.displaced_lease_end_ms;
        SeatGrant {
            tenant: granted.tenant,
            pool: granted.pool_id,
            seat: granted.seat,
            session: granted.session,
            holder: granted.holder,
            attempt: request.attempt,
            epoch: granted.epoch,
            seq: granted.seq,
            live: granted.live.clone(),
            displaced_seen: (end > 0).then(|| clock::from_ms(end) - self.settings.timing.ttl),
            hw: Hw::of(request.key.number(), &request.hardware),
            label: request.label.clone(),
            client: request.client.clone(),
            key_hashes: hashes.to_vec(),
        }
    }

    fn seat(
        &self,
        request: &AcquireRequest,
        pool: &PoolKey,
        granted: SeatTicket,
        signer: &InstanceKey,
        renewed: bool,
        received_ms: i64,
    ) -> Result<AcquireOutcome> {
        let hw = Hw::of(pool.license, &request.hardware);
        let lease = self.sign(
            signer,
            &LeaseSubject {
                facts: &granted.facts,
                holder: granted.holder,
                hw,
                session: granted.session,
                seat: granted.seat,
                nonce: request.nonce.as_ref(),
                received_ms,
                lease_ms: granted.lease_ms,
                held_ms: granted.held_ms,
            },
        )?;
        let handle = SessionHandle {
            tenant: granted.tenant,
            license: pool.license,
            pool: pool.pool.clone(),
            pool_id: granted.pool_id,
            seat: granted.seat,
            session: granted.session,
            hw,
        };
        Ok(AcquireOutcome::Seat(Box::new(GrantedSeat {
            renewed,
            session: granted.session,
            handle: handle.mint(&self.settings.handles),
            seat: granted.seat,
            seats_used: granted.held,
            facts: granted.facts,
            lease,
        })))
    }

    /// Opens a cold pool for a key: the records judge it before anything is written, so that strangers' numbers never
    /// reach Redis. `None` once the copy is warm.
    pub(super) async fn open(
        &self,
        pool: &PoolKey,
        hashes: &[String],
        guesser: Option<&SecretGuesser>,
        deadline: Deadline,
    ) -> Result<Option<KeyRejection>> {
        let found = match self.judged(pool, hashes, guesser).await? {
            Ok(found) => found,
            Err(closed) => return Ok(Some(closed)),
        };
        let Some(pool_id) = found.pool else { return Ok(Some(KeyRejection::NoPool)) };
        let exists = self.rebuilds.warm(pool, found.tenant, pool_id, deadline).await?;
        Ok((!exists).then_some(KeyRejection::NoPool))
    }

    /// Redis does not know a key. A copy from before a rotation does not know the new one yet: the records have the
    /// last word, and if they know it the copy under `epoch` is proved old: `None`.
    pub(super) async fn is_no_newer_key(
        &self,
        pool: &PoolKey,
        hashes: &[String],
        guesser: Option<&SecretGuesser>,
        epoch: u64,
    ) -> Result<Option<KeyRejection>> {
        if let Err(closed) = self.judged(pool, hashes, guesser).await? {
            return Ok(Some(closed));
        }
        self.seats.invalidate(pool, epoch).await?;
        Ok(None)
    }

    /// What the records say of a key, unless too many wrong ones came from there.
    async fn judged(
        &self,
        pool: &PoolKey,
        hashes: &[String],
        guesser: Option<&SecretGuesser>,
    ) -> Result<std::result::Result<KeyMatch, KeyRejection>> {
        let ask = self.records.find_license(pool.license, hashes, &pool.pool);
        Ok(match self.guesses.judge(guesser, &tried(pool.license, hashes), ask).await? {
            SecretVerdict::Good(found) => Ok(found),
            SecretVerdict::Wrong => Err(KeyRejection::BadKey),
            SecretVerdict::Limited(limited) => Err(KeyRejection::Limited(limited)),
        })
    }
}

/// A key as it may be remembered.
pub(super) fn tried(number: LicenseNumber, hashes: &[String]) -> String {
    format!("{number} {}", hashes.first().map_or("", String::as_str))
}

impl From<KeyRejection> for AcquireOutcome {
    fn from(closed: KeyRejection) -> Self {
        match closed {
            KeyRejection::BadKey => Self::BadKey,
            KeyRejection::NoPool => Self::NoPool,
            KeyRejection::Limited(limited) => Self::Limited(limited),
        }
    }
}
