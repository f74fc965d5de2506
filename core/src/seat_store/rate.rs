//! Limits that belong to no pool and that all instances share. A caller that asks too often is told how long to wait.

use super::{
    SeatStore,
    keys::{rate_key, tried_key},
    reply::ScriptReply,
    scripts,
};
use crate::{
    Result,
    domain::{
        rate::{RateDecision, RateLimit},
        secret,
    },
};
use std::time::Duration;

/// A limit as scripts take it: after how many ms a token is regained (0 for no limit), and how many requests may come
/// at once.
pub(super) fn limit_arguments(rate: Option<RateLimit>) -> [String; 2] {
    rate.map_or_else(
        || ["0".into(), "0".into()],
        |rate| [rate.interval().as_millis().to_string(), rate.burst.to_string()],
    )
}

/// How long a try is remembered after it was last repeated.
const REMEMBERED: Duration = Duration::from_secs(60);

/// How long the same try may be repeated before it takes a token again.
const REPEATED: Duration = Duration::from_secs(600);

impl SeatStore {
    /// Takes a token of `subject` under the limit of that name (`take_token.lua`). Only a hash of `subject` is kept,
    /// and only while it matters.
    ///
    /// # Errors
    /// [`crate::Error::Seats`] if Redis did not answer. The caller decides whether that limits anybody.
    pub async fn take_token(&self, limit: &str, subject: &str, rate: RateLimit) -> Result<RateDecision> {
        let key = rate_key(limit, &hashed(subject));
        rate_decision(self.run_without_pool(&scripts::TAKE_TOKEN, &[key], &limit_arguments(Some(rate))).await?)
    }

    /// Takes a token of `subject` for something that it tries and that may be wrong (`take_guess_token.lua`). Trying
    /// the same again, at least once a minute, takes no token for ten minutes, because it tells the caller nothing new:
    /// the answer is then `None`. Only hashes are kept, and only while they matter.
    ///
    /// # Errors
    /// [`crate::Error::Seats`] if Redis did not answer. The caller decides whether that limits anybody.
    pub async fn take_guess_token(
        &self,
        limit: &str,
        subject: &str,
        tried: &str,
        rate: RateLimit,
    ) -> Result<Option<RateDecision>> {
        let [every, burst] = limit_arguments(Some(rate));
        let arguments = [every, burst, REMEMBERED.as_millis().to_string(), REPEATED.as_millis().to_string()];
        let reply =
            self.run_without_pool(&scripts::TAKE_GUESS_TOKEN, &guess_keys(limit, subject, tried), &arguments).await?;
        match reply.word() {
            "AGAIN" => Ok(None),
            _ => rate_decision(reply).map(Some),
        }
    }

    /// Gives back a token that [`SeatStore::take_guess_token`] took, because what was tried was not wrong
    /// (`refund_guess_token.lua`).
    ///
    /// # Errors
    /// [`crate::Error::Seats`] if Redis did not answer. The token then stays taken.
    pub async fn refund_guess_token(&self, limit: &str, subject: &str, tried: &str, rate: RateLimit) -> Result<()> {
        let [every, _] = limit_arguments(Some(rate));
        let reply =
            self.run_without_pool(&scripts::REFUND_GUESS_TOKEN, &guess_keys(limit, subject, tried), &[every]).await?;
        if reply.is("RIGHT") { Ok(()) } else { Err(reply.unknown()) }
    }
}

fn guess_keys(limit: &str, subject: &str, tried: &str) -> [String; 2] {
    let caller = hashed(subject);
    [rate_key(limit, &caller), tried_key(limit, &caller, &hashed(tried))]
}

fn hashed(text: &str) -> String {
    secret::base64url(&secret::hash("rate-v1", &[text.as_bytes()])[..16])
}

fn rate_decision(mut reply: ScriptReply) -> Result<RateDecision> {
    match reply.word() {
        "TAKEN" => Ok(RateDecision::Allowed { left: reply.take()? }),
        "WAIT" => Ok(RateDecision::Wait(reply.take()?)),
        _ => Err(reply.unknown()),
    }
}
