//! Limits on how often something may be asked: <https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/>

use super::{Problem, address};
use axum::response::Response;
use http::{HeaderName, HeaderValue, request::Parts};
use license_core::{
    Error, ProblemCode,
    domain::rate::{LimitKind, RateDecision, RateLimit, RateLimited},
    error::{StoreName, chain},
    identity::VerifiedClaims,
    protocol::guesses::SecretGuesser,
    seat_store::SeatStore,
};
use std::{future::Future, net::IpAddr, time::Duration};

/// How long a request waits for a seat store that is silent before it goes on without a limit.
const PATIENCE: Duration = Duration::from_millis(250);

/// A limit by its name, counted for all instances together.
#[derive(Clone)]
pub struct NamedLimit {
    name: &'static str,
    kept: Option<(RateLimit, SeatStore)>,
}

/// What a request that was let through is told of the limit.
#[derive(Clone, Copy, Debug)]
pub struct RateHeaders {
    name: &'static str,
    rate: RateLimit,
    left: u32,
}

impl NamedLimit {
    /// A limit of that name; none at all if `rate` is `None`.
    pub fn new(name: &'static str, rate: Option<RateLimit>, seats: SeatStore) -> Self {
        Self { name, kept: rate.map(|rate| (rate, seats)) }
    }

    /// No limit.
    pub fn off() -> Self {
        Self { name: "off", kept: None }
    }

    /// Lets one more request of `subject` through, or refuses it with 429. With Redis away everybody is let through: a
    /// limit protects the service from its callers, and must not take it from them.
    pub async fn admit(&self, subject: &str) -> Result<Option<RateHeaders>, Problem> {
        let Some((rate, seats)) = &self.kept else { return Ok(None) };
        let decision = async { seats.take_token(self.name, subject, *rate).await.map(Some) };
        self.decide("requests", *rate, decision).await
    }

    /// Lets `subject` hear that what it `tried` is wrong, or refuses that with 429. The same again within a minute is
    /// not counted: whoever repeats a wrong key learns nothing from it, and a guesser gets no guess more.
    pub async fn guess(&self, subject: &str, tried: &str) -> Result<(), Problem> {
        let Some((rate, seats)) = &self.kept else { return Ok(()) };
        let what = "different wrong credentials from your address";
        self.decide(what, *rate, seats.take_guess_token(self.name, subject, tried, *rate)).await.map(drop)
    }

    async fn decide(
        &self,
        what: &str,
        rate: RateLimit,
        decision: impl Future<Output = license_core::Result<Option<RateDecision>>>,
    ) -> Result<Option<RateHeaders>, Problem> {
        match tokio::time::timeout(PATIENCE, decision).await.unwrap_or(Err(Error::Deadline(StoreName::Seats))) {
            Ok(Some(RateDecision::Allowed { left })) => Ok(Some(RateHeaders { name: self.name, rate, left })),
            Ok(Some(RateDecision::Wait(ms))) => Err(limited(self.name, what, rate, ms)),
            Ok(None) => Ok(None),
            Err(error) => {
                tracing::warn!(error = %chain(&error), limit = self.name, "not limited while the seat store is away");
                Ok(None)
            }
        }
    }
}

/// A limit for each address that requests come from, where no better name is known for who asks.
#[derive(Clone)]
pub struct ByAddress {
    limit: NamedLimit,
    proxies: u8,
}

impl ByAddress {
    /// That limit, behind so many proxies of ours.
    pub fn new(limit: NamedLimit, proxies: u8) -> Self {
        Self { limit, proxies }
    }

    /// From where a request comes, as far as it is known.
    pub fn address(&self, parts: &Parts) -> Option<IpAddr> {
        address::of(parts, self.proxies)
    }

    /// Lets one more request from where `parts` came from through, or refuses it with 429. What came over no network is
    /// not limited.
    pub async fn admit(&self, parts: &Parts) -> Result<Option<RateHeaders>, Problem> {
        match self.address(parts) {
            Some(ip) => self.limit.admit(&address::client_bucket(ip)).await,
            None => Ok(None),
        }
    }

    /// Who tries a secret, by where `parts` came from. `None`: nobody counts their wrong ones.
    pub fn guesser(&self, parts: &Parts) -> Option<SecretGuesser> {
        let (rate, _) = self.limit.kept.as_ref()?;
        Some(SecretGuesser {
            limit: self.limit.name,
            subject: address::client_bucket(self.address(parts)?),
            rate: *rate,
        })
    }

    /// [`NamedLimit::guess`] by where `parts` came from.
    pub async fn guess(&self, parts: &Parts, tried: &str) -> Result<(), Problem> {
        match self.address(parts) {
            Some(ip) => self.limit.guess(&address::client_bucket(ip), tried).await,
            None => Ok(()),
        }
    }

    /// The same limit for a person who signed in: many of them may sit behind one address.
    pub async fn admit_person(&self, claims: &VerifiedClaims) -> Result<Option<RateHeaders>, Problem> {
        self.limit.admit(&format!("{} {}", claims.issuer, claims.subject)).await
    }
}

/// 429 with when to come back. `what` there were too many of, such as requests.
pub fn limited(name: &'static str, what: &str, rate: RateLimit, wait_ms: u64) -> Problem {
    let seconds = wait_ms.div_ceil(1000).max(1);
    let detail = format!(
        "More than {} {what} a minute ({} at once). This one was not looked at; come back in {seconds} s.",
        rate.per_minute, rate.burst
    );
    let problem = Problem::new(ProblemCode::RateLimited, detail).retry_after(seconds);
    problem.header(POLICY, policy(name, rate)).header(LIMIT, format!("\"{name}\";r=0;t={seconds}"))
}

/// 429 for an acquire or a validate.
pub fn not_looked_at(RateLimited { by, wait_ms, rate }: RateLimited) -> Problem {
    let (name, what) = match by {
        LimitKind::Holder => ("acquire", "requests of this machine or process"),
        LimitKind::License => ("license", "new sessions of this license"),
        LimitKind::Guesses => ("unknown-keys", "different wrong license keys from your address"),
    };
    limited(name, what, rate, wait_ms)
}

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// So many (`q`) within so many seconds (`w`).
fn policy(name: &str, rate: RateLimit) -> String {
    let window = u64::from(rate.burst) * 60 / u64::from(rate.per_minute.max(1));
    format!("\"{name}\";q={};w={}", rate.burst, window.max(1))
}

impl RateHeaders {
    /// Says in the headers how many requests are left (`r`), and in how many seconds all are there again (`t`).
    pub fn write(self, response: &mut Response) {
        let used = u64::from(self.rate.burst.saturating_sub(self.left));
        let again = (used * self.rate.interval().as_millis() as u64).div_ceil(1000);
        let lines =
            [(POLICY, policy(self.name, self.rate)), (LIMIT, format!("\"{}\";r={};t={again}", self.name, self.left))];
        for (name, value) in lines {
            if let Ok(value) = HeaderValue::from_str(&value) {
                response.headers_mut().insert(name, value);
            }
        }
    }
}
