//! validate: what an acquire would say, taking no seat.

use super::{
    SeatProtocol,
    acquire::{KeyRejection, tried},
    deadline::Deadline,
    guesses::SecretGuesser,
};
use crate::{
    Result,
    domain::{
        id::{ClientPart, Holder, PoolName},
        key::LicenseKey,
        license::{LicenseFacts, LicenseRefusal},
        rate::RateLimited,
    },
    error::StoreName,
    seat_store::{PoolKey, PoolReply, ValidateAnswer, ValidateReply},
};

/// The answer to a validate.
#[derive(Clone, Debug)]
pub enum ValidateOutcome {
    /// The license gives seats; whether to this holder now, it says.
    Valid(Box<ValidateReply>),
    /// It gives none.
    Refused(LicenseRefusal, Box<LicenseFacts>),
    /// As for acquire.
    BadKey,
    /// As for acquire.
    NoPool,
    /// Too many wrong keys from there. Not looked at.
    Limited(RateLimited),
}

impl From<KeyRejection> for ValidateOutcome {
    fn from(closed: KeyRejection) -> Self {
        match closed {
            KeyRejection::BadKey => Self::BadKey,
            KeyRejection::NoPool => Self::NoPool,
            KeyRejection::Limited(limited) => Self::Limited(limited),
        }
    }
}

impl SeatProtocol {
    /// Says what a key is good for: what a new process of this machine and instance would be told if it asked for a
    /// seat now. Who does not say who it is, is somebody new.
    ///
    /// # Errors
    /// If a store could not be asked in time.
    pub async fn validate(
        &self,
        key: &LicenseKey,
        hardware: Option<&ClientPart>,
        instance: Option<&ClientPart>,
        pool: &PoolName,
    ) -> Result<ValidateOutcome> {
        self.validate_from(key, hardware, instance, pool, None).await
    }

    /// [`SeatProtocol::validate`] by somebody whose wrong keys are counted.
    ///
    /// # Errors
    /// As there.
    pub async fn validate_from(
        &self,
        key: &LicenseKey,
        hardware: Option<&ClientPart>,
        instance: Option<&ClientPart>,
        pool: &PoolName,
        guesser: Option<&SecretGuesser>,
    ) -> Result<ValidateOutcome> {
        let deadline = Deadline::of_request();
        let hashes = key.hashes(&self.settings.peppers);
        if self.guesses.is_wrong(&tried(key.number(), &hashes)) {
            return Ok(ValidateOutcome::BadKey);
        }
        let pool = PoolKey { license: key.number(), pool: pool.clone() };
        let by_machine = hardware.map(|h| Holder::machine(pool.license, h));
        let by_process = hardware.zip(instance).map(|(h, i)| Holder::process(pool.license, h, i));
        let mut judged = false;
        loop {
            deadline.check(StoreName::Seats)?;
            match self.seats.validate(&pool, &hashes, by_machine, by_process).await? {
                PoolReply::Said(ValidateAnswer::Valid(valid)) => return Ok(ValidateOutcome::Valid(valid)),
                PoolReply::Said(ValidateAnswer::Refused(refusal, facts)) => {
                    return Ok(ValidateOutcome::Refused(refusal, facts));
                }
                PoolReply::Said(ValidateAnswer::BadKey(epoch)) => {
                    if judged {
                        return Ok(ValidateOutcome::BadKey);
                    }
                    if let Some(closed) = self.is_no_newer_key(&pool, &hashes, guesser, epoch).await? {
                        return Ok(closed.into());
                    }
                    judged = true;
                }
                PoolReply::Cold(_) => {
                    if let Some(closed) = self.open(&pool, &hashes, guesser, deadline).await? {
                        return Ok(closed.into());
                    }
                }
            }
        }
    }
}
