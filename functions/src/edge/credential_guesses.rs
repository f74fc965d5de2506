//! Credentials of nobody: whoever sends many different wrong ones from one address is refused, before PostgreSQL is
//! asked about them.

use super::{
    Problem,
    rate::{ByAddress, limited},
};
use http::request::Parts;
use license_core::{
    Clock, ProblemCode,
    protocol::guesses::{GuessMemory, SecretVerdict},
    seat_store::SeatStore,
};
use std::future::Future;

/// What wrong credentials of people and scripts are counted by.
#[derive(Clone)]
pub struct CredentialGuesses {
    limit: ByAddress,
    guesses: GuessMemory,
}

impl CredentialGuesses {
    /// Different wrong credentials from each address, counted by `limit`.
    pub fn new(limit: ByAddress, seats: SeatStore, clock: Clock) -> Self {
        Self { limit, guesses: GuessMemory::new(seats, clock) }
    }

    /// True if this secret, by its hash, was good when it was last asked about here.
    pub fn knows(&self, hash: &str) -> bool {
        self.guesses.was_good(hash)
    }

    /// Has a secret judged by the records, by its hash. `None`: it is wrong.
    ///
    /// # Errors
    /// Those of `ask`; 429 where the records were not asked.
    pub async fn judge<T>(
        &self,
        parts: &Parts,
        hash: &str,
        ask: impl Future<Output = Result<Option<T>, Problem>>,
    ) -> Result<Option<T>, Problem> {
        match self.guesses.judge(self.limit.guesser(parts).as_ref(), hash, ask).await? {
            SecretVerdict::Good(found) => Ok(Some(found)),
            SecretVerdict::Wrong => Ok(None),
            SecretVerdict::Limited(it) => {
                Err(limited("credentials", "different wrong credentials from your address", it.rate, it.wait_ms))
            }
        }
    }

    /// Counts an ID token that was refused, and says why it was unless there were too many. Its signature is checked
    /// all the same: that asks no store, and people behind one address with whoever forges are not kept out. One that
    /// is only too old is not forged.
    pub async fn refused(&self, parts: &Parts, token: &str, why: Problem) -> Problem {
        if why.code() != ProblemCode::TokenInvalid {
            return why;
        }
        self.limit.guess(parts, token).await.err().unwrap_or(why)
    }
}
