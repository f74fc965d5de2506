//! Limits that belong to no pool, shared by all instances: who asks too often waits.

use super::{Seats, keys::rate_key, scripts};
use crate::{
    Result,
    domain::{
        rate::{Rate, Turn},
        secret,
    },
};

/// A limit as scripts are given it: ms that one request takes up, 0 for no limit, and how many may come at once.
pub(super) fn arguments(rate: Option<Rate>) -> [String; 2] {
    rate.map_or_else(|| ["0".into(), "0".into()], |rate| [rate.every().as_millis().to_string(), rate.burst.to_string()])
}

impl Seats {
    /// Takes a turn of `subject` under the limit of that name (rate.lua). Only a hash of `subject` is kept, and only while it matters.
    ///
    /// # Errors
    /// [`crate::Error::Seats`] if Redis did not answer; whoever limits decides what that means.
    pub async fn turn(&self, limit: &str, subject: &str, rate: Rate) -> Result<Turn> {
        let key = rate_key(limit, &secret::base64url(&secret::hash("rate-v1", &[subject.as_bytes()])[..16]));
        let mut reply = self.run_alone(&scripts::RATE, &key, &arguments(Some(rate))).await?;
        match reply.word() {
            "TURN" => Ok(Turn::Taken { left: reply.take()? }),
            "WAIT" => Ok(Turn::Wait(reply.take()?)),
            _ => Err(reply.unknown()),
        }
    }
}
