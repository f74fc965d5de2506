//! Limits how many wrong secrets, such as license keys, one caller may try. A caller that tried too many is refused,
//! and PostgreSQL is not asked about its next ones.
//!
//! A token of the caller's limit is taken before PostgreSQL judges a secret, and given back if the secret was good. So
//! a caller gets no additional answer by asking many times at once or by hanging up, and good secrets are never
//! counted. A secret that the instance knows already, as good or as wrong, takes no token.

use super::ttl_cache::TtlCache;
use crate::{
    Clock, Error,
    domain::rate::{LimitKind, RateDecision, RateLimit, RateLimited},
    error::{StoreName, chain},
    seat_store::SeatStore,
};
use std::{
    future::Future,
    hash::{BuildHasher, RandomState},
    sync::Arc,
    time::Duration,
};
use tokio::sync::Mutex;

/// How long a wrong secret is remembered, so that repeating it costs the stores nothing. Redis remembers it for twice
/// as long: so it is judged again here before Redis has forgotten it.
const WRONG_MEMORY: Duration = Duration::from_secs(30);

/// How long a secret counts as known to be good. It is then not limited; PostgreSQL judges it all the same.
const GOOD_MEMORY: Duration = Duration::from_secs(24 * 3600);

/// How long a request waits for a silent Redis before it continues without a limit.
const STORE_PATIENCE: Duration = Duration::from_millis(250);

/// How long a secret waits while others from the same caller are judged. Where PostgreSQL is slow it is then judged at
/// the same time.
const LANE_PATIENCE: Duration = Duration::from_secs(1);

/// For how many callers an instance judges secrets at the same time. The secrets of one caller are judged one by one.
const LANE_COUNT: usize = 64;

/// A caller that tries secrets, and how often it may be wrong.
#[derive(Clone, Debug)]
pub struct SecretGuesser {
    /// The limit's name.
    pub limit: &'static str,
    /// The caller whose tries are counted together: an address, for example.
    pub subject: String,
    /// How many different wrong secrets are judged.
    pub rate: RateLimit,
}

/// What PostgreSQL says of a secret.
#[derive(Debug)]
pub enum SecretVerdict<T> {
    /// The secret is good.
    Good(T),
    /// The secret is wrong.
    Wrong,
    /// The caller was wrong too often, and PostgreSQL was not asked.
    Limited(RateLimited),
}

/// What one instance knows of the secrets of one kind. Clones share it.
#[derive(Clone)]
pub struct GuessMemory {
    seats: SeatStore,
    good: TtlCache<String, ()>,
    wrong: TtlCache<String, ()>,
    lanes: Arc<JudgingLanes>,
}

/// Has the secrets of one caller judged one after the other.
struct JudgingLanes {
    hasher: RandomState,
    lanes: [Mutex<()>; LANE_COUNT],
}

impl GuessMemory {
    /// A memory that knows no secret yet.
    pub fn new(seats: SeatStore, clock: Clock) -> Self {
        let lanes = JudgingLanes { hasher: RandomState::new(), lanes: std::array::from_fn(|_| Mutex::default()) };
        Self {
            seats,
            good: TtlCache::new(clock.clone(), GOOD_MEMORY, 10_000),
            wrong: TtlCache::new(clock, WRONG_MEMORY, 10_000),
            lanes: Arc::new(lanes),
        }
    }

    /// True if this secret was found to be wrong within the last half minute.
    pub fn is_wrong(&self, tried: &str) -> bool {
        self.wrong.get(tried).is_some()
    }

    /// True if this secret was good when this instance last judged it.
    pub fn was_good(&self, tried: &str) -> bool {
        self.good.get(tried).is_some()
    }

    /// Remembers that a secret is good because Redis accepted it.
    pub(super) fn note_good(&self, tried: &str) {
        self.good.insert(tried.to_owned(), ());
    }

    /// Has PostgreSQL judge a secret, by `judgement`, unless the guesser was wrong too often. A caller without a
    /// `guesser` is not limited. `tried` should be a hash of the secret, since it is kept.
    ///
    /// # Errors
    /// Those of `judgement`. While Redis is away no caller is limited.
    pub async fn judge<T, E>(
        &self,
        guesser: Option<&SecretGuesser>,
        tried: &str,
        judgement: impl Future<Output = Result<Option<T>, E>>,
    ) -> Result<SecretVerdict<T>, E> {
        if self.is_wrong(tried) {
            return Ok(SecretVerdict::Wrong);
        }
        let Some(guesser) = guesser.filter(|_| !self.was_good(tried)) else {
            return Ok(self.remember_verdict(tried, judgement.await?));
        };
        // One at a time: many callers behind one address that have good secrets then hold one token together, and do
        // not use up the limit for each other.
        let lane = tokio::time::timeout(LANE_PATIENCE, self.lanes.lane_of(&guesser.subject).lock()).await.ok();
        // The secret may have been judged while this request waited.
        if self.is_wrong(tried) {
            return Ok(SecretVerdict::Wrong);
        }
        if self.was_good(tried) {
            drop(lane);
            return Ok(self.remember_verdict(tried, judgement.await?));
        }
        let counted = match self.take_token(guesser, tried).await {
            Some(RateDecision::Wait(wait_ms)) => {
                return Ok(SecretVerdict::Limited(RateLimited { by: LimitKind::Guesses, wait_ms, rate: guesser.rate }));
            }
            counted => counted.is_some(),
        };
        let found = judgement.await;
        if counted && !matches!(found, Ok(None)) {
            self.refund_token(guesser, tried).await;
        }
        Ok(self.remember_verdict(tried, found?))
    }

    fn remember_verdict<T>(&self, tried: &str, found: Option<T>) -> SecretVerdict<T> {
        match found {
            Some(found) => {
                self.note_good(tried);
                SecretVerdict::Good(found)
            }
            None => {
                self.good.remove(tried);
                self.wrong.insert(tried.to_owned(), ());
                SecretVerdict::Wrong
            }
        }
    }

    /// `None`: the secret was tried before and takes no token, or Redis is away.
    async fn take_token(
        &self,
        SecretGuesser { limit, subject, rate }: &SecretGuesser,
        tried: &str,
    ) -> Option<RateDecision> {
        let taken =
            tokio::time::timeout(STORE_PATIENCE, self.seats.take_guess_token(limit, subject, tried, *rate)).await;
        taken.unwrap_or(Err(Error::Deadline(StoreName::Seats))).unwrap_or_else(|error| {
            tracing::warn!(error = %chain(&error), limit, "a rate limit is not applied while the seat store is away");
            None
        })
    }

    /// If this fails the token stays taken, which is the safe side.
    async fn refund_token(&self, SecretGuesser { limit, subject, rate }: &SecretGuesser, tried: &str) {
        let refunded =
            tokio::time::timeout(STORE_PATIENCE, self.seats.refund_guess_token(limit, subject, tried, *rate)).await;
        if let Err(error) = refunded.unwrap_or(Err(Error::Deadline(StoreName::Seats))) {
            tracing::warn!(error = %chain(&error), limit, "a token of a rate limit was not given back while the seat store is away");
        }
    }
}

impl JudgingLanes {
    fn lane_of(&self, subject: &str) -> &Mutex<()> {
        &self.lanes[(self.hasher.hash_one(subject) % LANE_COUNT as u64) as usize]
    }
}
