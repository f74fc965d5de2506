//! License keys, as acquire and validate judge them: before Redis has a copy of the pool, and where the copy does not
//! know the key. PostgreSQL has the last word in both cases.

use super::{
    SeatProtocol,
    deadline::Deadline,
    guesses::{SecretGuesser, SecretVerdict},
};
use crate::{
    Error, Result,
    domain::{id::PoolName, key::LicenseKey, rate::RateLimited},
    records::KeyMatch,
    seat_store::PoolKey,
};

/// Why a license key opens no pool.
#[derive(Clone, Debug)]
pub enum KeyRejection {
    /// The license number is unknown, the secret is wrong, or the key was replaced. Clients are not told which.
    BadKey,
    /// The license has no pool of that name.
    NoPool,
    /// Too many wrong keys came from the same address. The key was not judged.
    Limited(RateLimited),
}

/// A license key and the pool it is presented for, while one request is handled.
pub(super) struct PresentedKey<'a> {
    pub(super) pool: PoolKey,
    /// The key under every accepted pepper.
    pub(super) hashes: Vec<String>,
    pub(super) deadline: Deadline,
    guesser: Option<&'a SecretGuesser>,
    /// PostgreSQL knew the key although Redis did not: another rejection by Redis is final.
    rechecked: bool,
}

impl PresentedKey<'_> {
    /// The key as [`super::guesses::GuessMemory`] may remember it.
    pub(super) fn fingerprint(&self) -> String {
        format!("{} {}", self.pool.license, self.hashes.first().map_or("", String::as_str))
    }
}

impl SeatProtocol {
    /// Begins a request with a license key. `None`: the key was found to be wrong a moment ago, and no store is asked.
    ///
    /// # Errors
    /// [`Error::Internal`] if these operations were made without peppers.
    pub(super) fn present_key<'a>(
        &self,
        key: &LicenseKey,
        pool: &PoolName,
        guesser: Option<&'a SecretGuesser>,
    ) -> Result<Option<PresentedKey<'a>>> {
        let peppers = self.settings.peppers.as_ref();
        let peppers = peppers.ok_or(Error::Internal("a license key was shown where none is judged".into()))?;
        let presented = PresentedKey {
            pool: PoolKey { license: key.number(), pool: pool.clone() },
            hashes: key.hashes(peppers),
            deadline: Deadline::of_request(),
            guesser,
            rechecked: false,
        };
        Ok((!self.guesses.is_wrong(&presented.fingerprint())).then_some(presented))
    }

    /// Rebuilds the copy of a pool that Redis does not have. PostgreSQL judges the key before anything is written, so
    /// that license numbers which somebody invented never reach Redis. `None` once the copy is warm.
    pub(super) async fn warm_up_pool(&self, key: &PresentedKey<'_>) -> Result<Option<KeyRejection>> {
        let known = match self.judge_key(key).await? {
            Ok(known) => known,
            Err(rejection) => return Ok(Some(rejection)),
        };
        let Some(pool_id) = known.pool else { return Ok(Some(KeyRejection::NoPool)) };
        let exists = self.rebuilds.ensure_warm(&key.pool, known.tenant, pool_id, key.deadline).await?;
        Ok((!exists).then_some(KeyRejection::NoPool))
    }

    /// Asks PostgreSQL about a key that the copy of this epoch does not know: a copy made before a rotation does not
    /// know the new key yet. If PostgreSQL knows it, the copy is marked stale, and the answer is `None`: Redis must be
    /// asked again. This happens once in a request; the second rejection by Redis is final.
    pub(super) async fn recheck_rejected_key(
        &self,
        key: &mut PresentedKey<'_>,
        epoch: u64,
    ) -> Result<Option<KeyRejection>> {
        if key.rechecked {
            return Ok(Some(KeyRejection::BadKey));
        }
        if let Err(rejection) = self.judge_key(key).await? {
            return Ok(Some(rejection));
        }
        self.seats.invalidate(&key.pool, epoch).await?;
        key.rechecked = true;
        Ok(None)
    }

    /// What PostgreSQL knows of a key, unless too many wrong ones came from the same address.
    async fn judge_key(&self, key: &PresentedKey<'_>) -> Result<std::result::Result<KeyMatch, KeyRejection>> {
        let search = self.records.find_license(key.pool.license, &key.hashes, &key.pool.pool);
        Ok(match self.guesses.judge(key.guesser, &key.fingerprint(), search).await? {
            SecretVerdict::Good(known) => Ok(known),
            SecretVerdict::Wrong => Err(KeyRejection::BadKey),
            SecretVerdict::Limited(limited) => Err(KeyRejection::Limited(limited)),
        })
    }
}
