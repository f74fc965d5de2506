//! Limits that belong to no pool, shared by all instances: who asks too often waits.

use super::{
    Seats,
    keys::{rate_key, tried_key},
    reply::Reply,
    scripts,
};
use crate::{
    Result,
    domain::{
        rate::{Rate, Turn},
        secret,
    },
};
use std::time::Duration;

/// A limit as scripts are given it: ms that one request takes up, 0 for no limit, and how many may come at once.
pub(super) fn arguments(rate: Option<Rate>) -> [String; 2] {
    rate.map_or_else(|| ["0".into(), "0".into()], |rate| [rate.every().as_millis().to_string(), rate.burst.to_string()])
}

/// How long a wrong try is remembered, from when it was last made.
const REMEMBERED: Duration = Duration::from_secs(60);

impl Seats {
    /// Takes a turn of `subject` under the limit of that name (rate.lua). Only a hash of `subject` is kept, and only while it matters.
    ///
    /// # Errors
    /// [`crate::Error::Seats`] if Redis did not answer; whoever limits decides what that means.
    pub async fn turn(&self, limit: &str, subject: &str, rate: Rate) -> Result<Turn> {
        let key = rate_key(limit, &short(subject));
        answer(self.run_alone(&scripts::RATE, &[key], &arguments(Some(rate))).await?)
    }

    /// Takes a turn of `subject` for something that it tried and that was wrong (guess.lua). What it tried already and goes on trying, at
    /// least once a minute, takes none: `None`, since it tells nobody anything new. Only hashes are kept, and only while they matter.
    ///
    /// # Errors
    /// [`crate::Error::Seats`] if Redis did not answer; whoever limits decides what that means.
    pub async fn guess(&self, limit: &str, subject: &str, tried: &str, rate: Rate) -> Result<Option<Turn>> {
        let caller = short(subject);
        let keys = [rate_key(limit, &caller), tried_key(limit, &caller, &short(tried))];
        let [every, burst] = arguments(Some(rate));
        let arguments = [every, burst, REMEMBERED.as_millis().to_string()];
        let reply = self.run_alone(&scripts::GUESS, &keys, &arguments).await?;
        match reply.word() {
            "AGAIN" => Ok(None),
            _ => answer(reply).map(Some),
        }
    }
}

fn short(text: &str) -> String {
    secret::base64url(&secret::hash("rate-v1", &[text.as_bytes()])[..16])
}

fn answer(mut reply: Reply) -> Result<Turn> {
    match reply.word() {
        "TURN" => Ok(Turn::Taken { left: reply.take()? }),
        "WAIT" => Ok(Turn::Wait(reply.take()?)),
        _ => Err(reply.unknown()),
    }
}
