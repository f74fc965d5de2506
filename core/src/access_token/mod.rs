//! Access tokens of the service account that this instance runs as, from Google's metadata server.
//!
//! The signer shows them to Cloud KMS, and both stores take them as passwords where they are told to (`DATABASE_AUTH`
//! and `REDIS_AUTH`).
//! <https://cloud.google.com/compute/docs/access/authenticate-workloads#applications>
//!
//! Why not Google's own library: docs/decisions/2026-11-28-access-tokens-without-a-library.md.

use crate::{Clock, domain::secret::Secret, error::ErrorContext};
use serde::Deserialize;
use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::{Mutex, OnceCell};

const PATH: &str = "/computeMetadata/v1/instance/service-accounts/default/token";

/// A token with less than this left (seconds) is replaced. The metadata server hands out a new one when 300 s are left.
const MARGIN: i64 = 60;
/// How long the metadata server may take. It is on this machine's own link; a token and two requests to Cloud KMS must
/// fit into a request's deadline of 5 s.
const TIMEOUT: Duration = Duration::from_millis(1500);
/// How long after a request that was of no use the next one is made: one that failed, one whose token is nearly over, or
/// one that gave the very token that was refused. Callers in between share what it brought.
const PAUSE: Duration = Duration::from_millis(500);

/// Fetches access tokens, and keeps the last one until shortly before its end. Cheap to clone; clones share the token.
/// Nothing is asked before a token is wanted.
#[derive(Clone)]
pub struct AccessTokens(Arc<MetadataServer>);

struct MetadataServer {
    http: OnceCell<reqwest::Client>,
    url: String,
    clock: Clock,
    state: Mutex<TokenState>,
}

#[derive(Default)]
struct TokenState {
    held: Option<CachedToken>,
    /// When the last request failed, and why.
    failed: Option<(Instant, ErrorContext)>,
    /// The token that was refused last, and when it was given up.
    refused: Option<(Instant, Secret<String>)>,
}

struct CachedToken {
    token: Secret<String>,
    /// By [`Clock::monotonic_ms`]: where a test moves the clock, the token ages with it.
    fetched_ms: i64,
    ends: i64,
}

impl CachedToken {
    /// Whether it is used without a look for another one, of which there may be none that is better.
    fn is_fresh(&self, left: i64, clock: &Clock) -> bool {
        left > MARGIN || clock.monotonic_ms() - self.fetched_ms < PAUSE.as_millis() as i64
    }
}

#[derive(Deserialize)]
struct MetadataToken {
    access_token: String,
    expires_in: i64,
}

impl AccessTokens {
    /// Tokens from the metadata server at `endpoint`, such as `http://metadata.google.internal`.
    pub fn new(endpoint: &str, clock: Clock) -> Self {
        let url = format!("{}{PATH}", endpoint.trim_end_matches('/'));
        Self(Arc::new(MetadataServer { http: OnceCell::new(), url, clock, state: Mutex::default() }))
    }

    /// A token that is good for another minute. Callers that come at the same time share one request. While the server
    /// does not answer, the token that is held is used to its very end.
    ///
    /// # Errors
    /// Why there is none, without the token.
    pub async fn token(&self) -> Result<Secret<String>, ErrorContext> {
        let clock = &self.0.clock;
        let mut state = self.0.state.lock().await;
        let now = clock.now_seconds();
        let left = state.held.as_ref().map_or(0, |held| held.ends.saturating_sub(now));
        if let Some(held) = state.held.as_ref().filter(|held| held.is_fresh(left, clock)) {
            return Ok(held.token.clone());
        }
        let rests = state.failed.as_ref().filter(|(at, _)| at.elapsed() < PAUSE).map(|(_, error)| error.clone());
        let error = match rests {
            Some(error) => error,
            None => match self.0.fetch().await {
                Ok(answer) => {
                    let (token, ends) = (Secret::new(answer.access_token), now.saturating_add(answer.expires_in));
                    state.held = Some(CachedToken { token: token.clone(), fetched_ms: clock.monotonic_ms(), ends });
                    state.failed = None;
                    return Ok(token);
                }
                Err(error) => {
                    state.failed = Some((Instant::now(), error.clone()));
                    error
                }
            },
        };
        state.held.as_ref().filter(|_| left > 0).map(|held| held.token.clone()).ok_or(error)
    }

    /// Forgets a token after it was refused. One that replaced it meanwhile is kept. So is, for a moment, one that the
    /// server gave although it had been refused already: where a login has no right, every request would fetch one.
    pub async fn forget(&self, refused: &Secret<String>) {
        let mut state = self.0.state.lock().await;
        let again = state.refused.as_ref().is_some_and(|(at, before)| before == refused && at.elapsed() < PAUSE);
        if !again && state.held.as_ref().is_some_and(|held| held.token == *refused) {
            state.held = None;
            state.refused = Some((Instant::now(), refused.clone()));
        }
    }
}

impl MetadataServer {
    async fn fetch(&self) -> Result<MetadataToken, ErrorContext> {
        let http = self.http.get_or_try_init(|| async { client() }).await;
        let http = http.map_err(|e| ErrorContext::new("no HTTP client was made", e.without_url()))?;
        let request = http.get(&self.url).header("Metadata-Flavor", "Google");
        let answer = async { request.send().await?.error_for_status()?.json().await };
        let answer: MetadataToken = answer.await.map_err(unanswered)?;
        // Tokens are printable ASCII (RFC 6749, appendix A.12). Anything else would be kept for an hour, and refused.
        if answer.access_token.is_empty() || !answer.access_token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(ErrorContext::from("no access token from the metadata server: what it gave is none"));
        }
        Ok(answer)
    }
}

/// Neither proxies nor redirects: the server is on this machine's own link. It has no TLS, so no roots are read.
fn client() -> reqwest::Result<reqwest::Client> {
    let policy = reqwest::redirect::Policy::none();
    reqwest::Client::builder().no_proxy().redirect(policy).tls_certs_only([]).timeout(TIMEOUT).build()
}

/// Why there is no token. An answer that cannot be read is named without its cause: the parser quotes what it found,
/// and that may be the token.
fn unanswered(error: reqwest::Error) -> ErrorContext {
    if error.is_decode() {
        return ErrorContext::from("no access token from the metadata server: its answer cannot be read");
    }
    ErrorContext::new("no access token from the metadata server", error.without_url())
}

impl fmt::Debug for AccessTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AccessTokens({})", self.0.url)
    }
}
