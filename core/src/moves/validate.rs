//! validate: what an acquire would say, taking no seat.

use super::{Moves, acquire::Closed, deadline::Deadline};
use crate::{
    Result,
    domain::{
        id::{ClientPart, Holder, PoolName},
        key::LicenseKey,
        license::{Facts, Refusal},
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
        let deadline = Deadline::of_request();
        let hashes = key.hashes(&self.settings.peppers);
        if self.is_wrong(key.number(), &hashes) {
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
                    if judged || !self.is_newer_key(&pool, &hashes, epoch).await? {
                        return Ok(Outcome::BadKey);
                    }
                    judged = true;
                }
                Warm::Cold(_) => match self.open(&pool, &hashes, deadline).await? {
                    None => {}
                    Some(Closed::BadKey) => return Ok(Outcome::BadKey),
                    Some(Closed::NoPool) => return Ok(Outcome::NoPool),
                },
            }
        }
    }
}
