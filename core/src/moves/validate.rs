//! validate: what an acquire would say, taking no seat.

use super::{
    Moves,
    acquire::{Closed, tried},
    deadline::Deadline,
    guesses::Guesser,
};
use crate::{
    Result,
    domain::{
        id::{ClientPart, Holder, PoolName},
        key::LicenseKey,
        license::{Facts, Refusal},
        rate::Limited,
    },
    seats::{PoolKey, Valid, ValidateAnswer, Warm},
};

/// The answer to a validate.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The license gives seats; whether to this holder now, it says.
    Valid(Box<Valid>),
    /// It gives none.
    Refused(Refusal, Box<Facts>),
    /// As for acquire.
    BadKey,
    /// As for acquire.
    NoPool,
    /// Too many wrong keys from there. Not looked at.
    Limited(Limited),
}

impl From<Closed> for Outcome {
    fn from(closed: Closed) -> Self {
        match closed {
            Closed::BadKey => Self::BadKey,
            Closed::NoPool => Self::NoPool,
            Closed::Limited(limited) => Self::Limited(limited),
        }
    }
}

impl Moves {
    /// Says what a key is good for: what a new process of this machine and instance would be told if it asked for a seat now. Who does not
    /// say who it is, is somebody new.
    ///
    /// # Errors
    /// If a store could not be asked in time.
    pub async fn validate(
        &self,
        key: &LicenseKey,
        hardware: Option<&ClientPart>,
        instance: Option<&ClientPart>,
        pool: &PoolName,
    ) -> Result<Outcome> {
        self.validate_from(key, hardware, instance, pool, None).await
    }

    /// [`Moves::validate`] by somebody whose wrong keys are counted.
    ///
    /// # Errors
    /// As there.
    pub async fn validate_from(
        &self,
        key: &LicenseKey,
        hardware: Option<&ClientPart>,
        instance: Option<&ClientPart>,
        pool: &PoolName,
        guesser: Option<&Guesser>,
    ) -> Result<Outcome> {
        let deadline = Deadline::of_request();
        let hashes = key.hashes(&self.settings.peppers);
        if self.guesses.is_wrong(&tried(key.number(), &hashes)) {
            return Ok(Outcome::BadKey);
        }
        let pool = PoolKey { license: key.number(), pool: pool.clone() };
        let by_machine = hardware.map(|h| Holder::machine(pool.license, h));
        let by_process = hardware.zip(instance).map(|(h, i)| Holder::process(pool.license, h, i));
        let mut judged = false;
        loop {
            deadline.check("seats")?;
            match self.seats.validate(&pool, &hashes, by_machine, by_process).await? {
                Warm::Said(ValidateAnswer::Valid(valid)) => return Ok(Outcome::Valid(valid)),
                Warm::Said(ValidateAnswer::Refused(refusal, facts)) => return Ok(Outcome::Refused(refusal, facts)),
                Warm::Said(ValidateAnswer::BadKey(epoch)) => {
                    if judged {
                        return Ok(Outcome::BadKey);
                    }
                    if let Some(closed) = self.is_no_newer_key(&pool, &hashes, guesser, epoch).await? {
                        return Ok(closed.into());
                    }
                    judged = true;
                }
                Warm::Cold(_) => {
                    if let Some(closed) = self.open(&pool, &hashes, guesser, deadline).await? {
                        return Ok(closed.into());
                    }
                }
            }
        }
    }
}
