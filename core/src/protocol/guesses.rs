//! Secrets that strangers may try, such as license keys. Of whoever tried too many no more are looked at, nor
//! PostgreSQL asked.
//!
//! A turn is taken before the records judge a secret, and given back if it was good: so nobody gets an answer more by
//! asking at the same time or by going away, and good secrets are never counted. What an instance knows, good or wrong,
//! takes no turn.

use super::ttl_cache::TtlCache;
use crate::{
    Clock,
    domain::rate::{LimitKind, RateDecision, RateLimit, RateLimited},
    seat_store::SeatStore,
};
use std::{
    future::Future,
    hash::{BuildHasher, RandomState},
    sync::Arc,
    time::Duration,
};
use tokio::sync::Mutex;

/// How long a wrong secret is remembered, so that repeating it costs no store anything. Half of what Redis remembers it
/// for: it is judged again, and known again, before it is forgotten there.
const WRONG_MEMORY: Duration = Duration::from_secs(30);

/// How long a secret counts as one that was good. It only spares it the limit: the records judge it all the same.
const GOOD_MEMORY: Duration = Duration::from_secs(24 * 3600);

/// How long a request waits for a seat store that is silent before it goes on without a limit.
const STORE_PATIENCE: Duration = Duration::from_millis(250);

/// How long a secret waits for others from the same place that are being judged. Where the records are slow it goes on
/// beside them then.
const LANE_PATIENCE: Duration = Duration::from_secs(1);

/// How many callers an instance judges at the same time; each of them one secret after the other.
const LANE_COUNT: usize = 64;

/// Who tries, and how often they may be wrong.
#[derive(Clone, Debug)]
pub struct SecretGuesser {
    /// The limit's name.
    pub limit: &'static str,
    /// Whose tries are counted together.
    pub subject: String,
    /// How many different wrong ones are looked at.
    pub rate: RateLimit,
}

/// What the records say of a secret.
#[derive(Debug)]
pub enum SecretVerdict<T> {
    /// It is good.
    Good(T),
    /// It is not.
    Wrong,
    /// They were not asked.
    Limited(RateLimited),
}

/// What one instance knows of secrets of one kind. Clones share it.
#[derive(Clone)]
pub struct GuessMemory {
    seats: SeatStore,
    good: TtlCache<String, ()>,
    wrong: TtlCache<String, ()>,
    lanes: Arc<JudgingLanes>,
}

struct JudgingLanes {
    hasher: RandomState,
    lanes: [Mutex<()>; LANE_COUNT],
}

impl GuessMemory {
    /// Nothing known yet.
    pub fn new(seats: SeatStore, clock: Clock) -> Self {
        let lanes = JudgingLanes { hasher: RandomState::new(), lanes: std::array::from_fn(|_| Mutex::default()) };
        Self {
            seats,
            good: TtlCache::new(clock.clone(), GOOD_MEMORY, 10_000),
            wrong: TtlCache::new(clock, WRONG_MEMORY, 10_000),
            lanes: Arc::new(lanes),
        }
    }

    /// True if this was found to be wrong within the last half minute.
    pub fn is_wrong(&self, tried: &str) -> bool {
        self.wrong.get(tried).is_some()
    }

    /// True if this was good when it was last judged here.
    pub fn was_good(&self, tried: &str) -> bool {
        self.good.get(tried).is_some()
    }

    /// Takes note that a secret is good: somebody else who knows said so.
    pub(super) fn note_good(&self, tried: &str) {
        self.good.insert(tried.to_owned(), ());
    }

    /// Has the records judge what was `tried`, by `ask`, unless the guesser was wrong too often. `None`: whoever asks
    /// is not limited. `tried` should be a hash of the secret, since it is kept.
    ///
    /// # Errors
    /// Those of `ask`. With Redis away nobody is limited.
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
        // One at a time, so that a crowd with good ones holds one turn between them and takes none from each other.
        let lane = tokio::time::timeout(LANE_PATIENCE, self.lanes.lane_of(&guesser.subject).lock()).await.ok();
        // Whoever waited here finds what was found out meanwhile.
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

    /// `None`: it was tried before and takes no turn, or nobody counts now.
    async fn take_token(
        &self,
        SecretGuesser { limit, subject, rate }: &SecretGuesser,
        tried: &str,
    ) -> Option<RateDecision> {
        let taken =
            tokio::time::timeout(STORE_PATIENCE, self.seats.take_guess_token(limit, subject, tried, *rate)).await;
        taken.unwrap_or(Err(crate::Error::Deadline("seats"))).unwrap_or_else(|error| {
            tracing::warn!(error = %error, limit, "not limited while the seat store is away");
            None
        })
    }

    /// If this fails the turn stays taken, which is the safe side.
    async fn refund_token(&self, SecretGuesser { limit, subject, rate }: &SecretGuesser, tried: &str) {
        let refunded =
            tokio::time::timeout(STORE_PATIENCE, self.seats.refund_guess_token(limit, subject, tried, *rate)).await;
        if let Err(error) = refunded.unwrap_or(Err(crate::Error::Deadline("seats"))) {
            tracing::warn!(error = %error, limit, "a turn was not given back while the seat store is away");
        }
    }
}

impl JudgingLanes {
    fn lane_of(&self, subject: &str) -> &Mutex<()> {
        &self.lanes[(self.hasher.hash_one(subject) % LANE_COUNT as u64) as usize]
    }
}
