//! Secrets that strangers may try, such as license keys. Of whoever tried too many no more are looked at, nor
//! PostgreSQL asked.
//!
//! A turn is taken before the records judge a secret, and given back if it was good: so nobody gets an answer more by
//! asking at the same time or by going away, and good secrets are never counted. What an instance knows, good or wrong,
//! takes no turn.

use super::memory::TtlCache;
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

/// How long a wrong secret is remembered, so that repeating it costs no store anything. Half of what Redis remembers it
/// for: it is judged again, and known again, before it is forgotten there.
const WRONG: Duration = Duration::from_secs(30);

/// How long a secret counts as one that was good. It only spares it the limit: the records judge it all the same.
const GOOD: Duration = Duration::from_secs(24 * 3600);

/// How long a request waits for a seat store that is silent before it goes on without a limit.
const PATIENCE: Duration = Duration::from_millis(250);

/// How long a secret waits for others from the same place that are being judged. Where the records are slow it goes on
/// beside them then.
const BESIDE: Duration = Duration::from_secs(1);

/// How many callers an instance judges at the same time; each of them one secret after the other.
const LANES: usize = 64;

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
    of: RandomState,
    lanes: [Mutex<()>; LANES],
}

impl GuessMemory {
    /// Nothing known yet.
    pub fn new(seats: SeatStore, clock: Clock) -> Self {
        let lanes = JudgingLanes { of: RandomState::new(), lanes: std::array::from_fn(|_| Mutex::default()) };
        Self {
            seats,
            good: TtlCache::new(clock.clone(), GOOD, 10_000),
            wrong: TtlCache::new(clock, WRONG, 10_000),
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
        ask: impl Future<Output = Result<Option<T>, E>>,
    ) -> Result<SecretVerdict<T>, E> {
        if self.is_wrong(tried) {
            return Ok(SecretVerdict::Wrong);
        }
        let Some(guesser) = guesser.filter(|_| !self.was_good(tried)) else {
            return Ok(self.heard(tried, ask.await?));
        };
        // One at a time, so that a crowd with good ones holds one turn between them and takes none from each other.
        let lane = tokio::time::timeout(BESIDE, self.lanes.of(&guesser.subject).lock()).await.ok();
        // Whoever waited here finds what was found out meanwhile.
        if self.is_wrong(tried) {
            return Ok(SecretVerdict::Wrong);
        }
        if self.was_good(tried) {
            drop(lane);
            return Ok(self.heard(tried, ask.await?));
        }
        let counted = match self.count(guesser, tried).await {
            Some(RateDecision::Wait(wait_ms)) => {
                return Ok(SecretVerdict::Limited(RateLimited { by: LimitKind::Guesses, wait_ms, rate: guesser.rate }));
            }
            counted => counted.is_some(),
        };
        let found = ask.await;
        if counted && !matches!(found, Ok(None)) {
            self.give_back(guesser, tried).await;
        }
        Ok(self.heard(tried, found?))
    }

    fn heard<T>(&self, tried: &str, found: Option<T>) -> SecretVerdict<T> {
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
    async fn count(&self, SecretGuesser { limit, subject, rate }: &SecretGuesser, tried: &str) -> Option<RateDecision> {
        let turn = tokio::time::timeout(PATIENCE, self.seats.guess(limit, subject, tried, *rate)).await;
        turn.unwrap_or(Err(Error::Deadline(StoreName::Seats))).unwrap_or_else(|error| {
            tracing::warn!(error = %chain(&error), limit, "not limited while the seat store is away");
            None
        })
    }

    /// If this fails the turn stays taken, which is the safe side.
    async fn give_back(&self, SecretGuesser { limit, subject, rate }: &SecretGuesser, tried: &str) {
        let given = tokio::time::timeout(PATIENCE, self.seats.right(limit, subject, tried, *rate)).await;
        if let Err(error) = given.unwrap_or(Err(Error::Deadline(StoreName::Seats))) {
            tracing::warn!(error = %chain(&error), limit, "a turn was not given back while the seat store is away");
        }
    }
}

impl JudgingLanes {
    fn of(&self, subject: &str) -> &Mutex<()> {
        &self.lanes[(self.of.hash_one(subject) % LANES as u64) as usize]
    }
}
