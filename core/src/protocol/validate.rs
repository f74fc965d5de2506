//! validate: VALIDATE answers what an acquire would be told. No seat is taken.

use super::{SeatProtocol, guesses::SecretGuesser, keys::KeyRejection};
use crate::{
    Result,
    domain::{
        id::{ClientPart, Holder, PoolName},
        key::LicenseKey,
        license::{LicenseFacts, LicenseRefusal},
    },
    error::StoreName,
    seat_store::{PoolReply, ValidateAnswer, ValidateReply},
};

/// The answer to a validate.
#[derive(Clone, Debug)]
pub enum ValidateOutcome {
    /// The license gives seats; the reply says whether it would give this holder one now.
    Valid(Box<ValidateReply>),
    /// The license gives no seat now.
    Refused(LicenseRefusal, Box<LicenseFacts>),
    /// The license key opens no pool.
    KeyRejected(KeyRejection),
}

impl SeatProtocol {
    /// Answers what a new process of this machine and instance would be told if it asked for a seat now. Without a
    /// machine, the answer is that for a new holder.
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

    /// [`SeatProtocol::validate`] by a caller whose wrong keys are counted.
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
        let Some(mut key) = self.present_key(key, pool, guesser)? else {
            return Ok(ValidateOutcome::KeyRejected(KeyRejection::BadKey));
        };
        let license = key.pool.license;
        let by_machine = hardware.map(|h| Holder::machine(license, h));
        let by_process = hardware.zip(instance).map(|(h, i)| Holder::process(license, h, i));
        loop {
            key.deadline.check(StoreName::Seats)?;
            let rejection = match self.seats.validate(&key.pool, &key.hashes, by_machine, by_process).await? {
                PoolReply::NeedsRebuild { .. } => self.warm_up_pool(&key).await?,
                PoolReply::Answer(ValidateAnswer::BadKey { epoch }) => {
                    self.recheck_rejected_key(&mut key, epoch).await?
                }
                PoolReply::Answer(ValidateAnswer::Valid(valid)) => return Ok(ValidateOutcome::Valid(valid)),
                PoolReply::Answer(ValidateAnswer::Refused(refusal, facts)) => {
                    return Ok(ValidateOutcome::Refused(refusal, facts));
                }
            };
            if let Some(rejection) = rejection {
                return Ok(ValidateOutcome::KeyRejected(rejection));
            }
        }
    }
}
