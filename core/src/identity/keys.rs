//! An issuer's published keys (JWKS, RFC 7517), kept as long as the issuer says.

use crate::{Clock, Error, Result, error::chain};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::DecodingKey;
use reqwest::header::{AGE, CACHE_CONTROL, HeaderMap};
use serde::Deserialize;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

const TIMEOUT: Duration = Duration::from_secs(2);

/// Bounds on what the issuer's `Cache-Control` may ask for, in milliseconds.
const SHORTEST: i64 = 5 * 60 * 1000;
const LONGEST: i64 = 24 * 3600 * 1000;

/// While the issuer does not answer, keys are used this much longer. After that a key it withdrew could still be
/// accepted.
const STALE: i64 = 24 * 3600 * 1000;

/// Keys that are held are fetched again at most this often (milliseconds), whatever `kid`s strangers invent.
const SPACING: i64 = 30 * 1000;

/// No issuer publishes more; what is longer is not read.
const MAX_BYTES: usize = 256 * 1024;

/// The keys of one issuer.
pub(super) struct IssuerKeys {
    url: String,
    clock: Clock,
    /// Making a client can fail; then every fetch says why.
    http: Result<reqwest::Client>,
    state: Mutex<KeyCache>,
    /// Held by the one caller that asks the issuer.
    flight: tokio::sync::Mutex<()>,
}

type ByName = HashMap<String, Arc<DecodingKey>>;

#[derive(Clone, Default)]
struct KeyCache {
    held: Option<CachedKeys>,
    /// Finished requests; a caller that waited sees from it that the answer it waited for has come.
    attempts: u64,
    /// When the last one began, and how it failed.
    tried_at: i64,
    failure: Option<Error>,
}

#[derive(Clone)]
struct CachedKeys {
    keys: Arc<ByName>,
    fresh_until: i64,
}

#[derive(Deserialize)]
struct PublishedKeys {
    keys: Vec<PublishedKey>,
}

/// Members are optional: a set may hold keys of kinds we do not know, and those are passed over (RFC 7517 section 5).
#[derive(Deserialize)]
struct PublishedKey {
    kty: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    alg: Option<String>,
    kid: Option<String>,
    n: Option<String>,
    e: Option<String>,
}

impl IssuerKeys {
    pub(super) fn new(url: &str, clock: Clock) -> Self {
        let policy = reqwest::redirect::Policy::none();
        let http = reqwest::Client::builder().redirect(policy).timeout(TIMEOUT).build();
        let http = http.map_err(|e| Error::identity("no HTTP client was made", e.without_url()));
        Self { url: url.into(), clock, http, state: Mutex::default(), flight: tokio::sync::Mutex::default() }
    }

    /// The key of that name, `None` if the issuer publishes no such key.
    pub(super) async fn get(&self, kid: &str) -> Result<Option<Arc<DecodingKey>>> {
        let before = self.state().clone();
        let now = self.clock.now_ms();
        let found = before.usable(now).and_then(|keys| keys.get(kid).cloned());
        if found.is_some() && before.fresh(now) {
            return Ok(found);
        }
        // Without any keys there is nothing to spare: ask each time, but all who wait share one request.
        if before.usable(now).is_none() || before.rested(now) {
            self.refresh(before.attempts).await;
        }
        let after = self.state().clone();
        let found = after.usable(now).and_then(|keys| keys.get(kid).cloned());
        match (found, after.failure) {
            (Some(key), _) => Ok(Some(key)),
            // The key may be new, and whoever published it cannot be asked: no ground for a refusal.
            (None, Some(failure)) => Err(failure),
            (None, None) => Ok(None),
        }
    }

    fn state(&self) -> MutexGuard<'_, KeyCache> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fetches, unless somebody did since the caller looked.
    async fn refresh(&self, seen: u64) {
        let _one = self.flight.lock().await;
        if self.state().attempts != seen {
            return;
        }
        let began = self.clock.now_ms();
        let result = self.fetch().await;
        let mut state = self.state();
        state.attempts += 1;
        state.tried_at = began;
        match result {
            Ok((keys, life)) => {
                state.held = Some(CachedKeys { keys: Arc::new(keys), fresh_until: began + life });
                state.failure = None;
            }
            Err(failure) => {
                tracing::warn!(url = self.url, error = %chain(&failure), "keys not fetched");
                state.failure = Some(failure);
            }
        }
    }

    async fn fetch(&self) -> Result<(ByName, i64)> {
        let http = self.http.as_ref().map_err(Clone::clone)?;
        let keys = format!("the keys at {}", self.url);
        let unanswered = |e: reqwest::Error| Error::identity(format!("{keys} were not answered"), e.without_url());
        let mut answer = http.get(&self.url).send().await.and_then(|a| a.error_for_status()).map_err(unanswered)?;
        let life = life(answer.headers());
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(unanswered)? {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_BYTES {
                return Err(Error::Identity(format!("{keys} are too large a set").into()));
            }
        }
        let published: PublishedKeys =
            serde_json::from_slice(&body).map_err(|e| Error::identity(format!("{keys} are no set of keys"), e))?;
        let held: ByName = published.keys.into_iter().filter_map(usable).collect();
        // Taking an empty set would throw everybody out; no issuer means that.
        if held.is_empty() {
            return Err(Error::Identity(format!("{keys} hold none for RS256").into()));
        }
        Ok((held, life))
    }
}

impl KeyCache {
    fn usable(&self, now: i64) -> Option<&ByName> {
        self.held.as_ref().filter(|held| now < held.fresh_until + STALE).map(|held| &*held.keys)
    }

    fn fresh(&self, now: i64) -> bool {
        self.held.as_ref().is_some_and(|held| now < held.fresh_until)
    }

    /// A clock that was set back must not stop refetching, hence the absolute difference.
    fn rested(&self, now: i64) -> bool {
        (now - self.tried_at).abs() >= SPACING
    }
}

/// RSA keys of at least 2048 bits for RS256 signatures, under their names.
fn usable(key: PublishedKey) -> Option<(String, Arc<DecodingKey>)> {
    let fits = key.kty.as_deref() == Some("RSA")
        && key.usage.is_none_or(|usage| usage == "sig")
        && key.alg.is_none_or(|alg| alg == "RS256");
    let decode = |part: Option<String>| BASE64_URL_SAFE_NO_PAD.decode(part?).ok();
    let (n, e) = (decode(key.n)?, decode(key.e)?);
    let kid = key.kid.filter(|_| fits && n.len() >= 256)?;
    Some((kid, Arc::new(DecodingKey::from_rsa_raw_components(&n, &e))))
}

/// How long an answer may be kept, in milliseconds: `max-age` less `Age` (RFC 9111 section 4.2), within our bounds.
fn life(headers: &HeaderMap) -> i64 {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let directives = text(CACHE_CONTROL).to_ascii_lowercase();
    let max_age = directives.split(',').find_map(|part| part.trim().strip_prefix("max-age=")?.parse::<i64>().ok());
    let age = text(AGE).parse::<i64>().unwrap_or(0).max(0);
    let seconds = max_age.unwrap_or(0).saturating_sub(age);
    seconds.saturating_mul(1000).clamp(SHORTEST, LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_kept_as_long_as_the_issuer_says_within_bounds() {
        for (cache_control, age, minutes) in [
            ("public, max-age=19800, must-revalidate, no-transform", "", 330),
            ("Max-Age=3600", "600", 50),
            ("max-age=3600", "99999", 5),
            ("max-age=1", "", 5),
            ("no-store", "", 5),
            ("max-age=nonsense", "", 5),
            ("max-age=99999999999999999", "", 24 * 60),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(CACHE_CONTROL, cache_control.parse().unwrap());
            headers.insert(AGE, age.parse().unwrap());
            assert_eq!(life(&headers), minutes * 60_000, "{cache_control} {age}");
        }
    }
}
