//! Access tokens of the service account this instance runs as, from the metadata server.
//! <https://cloud.google.com/compute/docs/access/authenticate-workloads#applications>

use crate::{Clock, domain::secret::Secret, error::ErrorContext};
use serde::Deserialize;
use std::time::Duration;
use tokio::sync::Mutex;

const PATH: &str = "/computeMetadata/v1/instance/service-accounts/default/token";

/// A token with less than this left (seconds) is not used. The metadata server hands out a new one when 300 s are left.
const MARGIN: i64 = 60;

/// Fetches tokens and keeps the last one until shortly before its end.
pub(super) struct MetadataServer {
    http: reqwest::Client,
    url: String,
    clock: Clock,
    held: Mutex<Option<CachedToken>>,
}

struct CachedToken {
    token: Secret<String>,
    until: i64,
}

#[derive(Deserialize)]
struct MetadataToken {
    access_token: String,
    expires_in: i64,
}

impl MetadataServer {
    /// Asks at `endpoint`, without proxies: the server is on this machine's own link.
    pub(super) fn new(endpoint: &str, timeout: Duration, clock: Clock) -> reqwest::Result<Self> {
        let policy = reqwest::redirect::Policy::none();
        let http = reqwest::Client::builder().no_proxy().redirect(policy).timeout(timeout).build()?;
        Ok(Self { http, url: format!("{}{PATH}", endpoint.trim_end_matches('/')), clock, held: Mutex::default() })
    }

    /// A token that is good for another minute. Callers that come at the same time share one request.
    pub(super) async fn token(&self) -> Result<Secret<String>, ErrorContext> {
        let mut held = self.held.lock().await;
        let now = self.clock.now_seconds();
        if let Some(held) = held.as_ref().filter(|held| now < held.until) {
            return Ok(held.token.clone());
        }
        let answer = self.fetch().await.map_err(unanswered)?;
        let token = Secret::new(answer.access_token);
        *held = Some(CachedToken { token: token.clone(), until: now.saturating_add(answer.expires_in) - MARGIN });
        Ok(token)
    }

    /// Forgets the token, after it was refused.
    pub(super) async fn forget(&self) {
        *self.held.lock().await = None;
    }

    async fn fetch(&self) -> reqwest::Result<MetadataToken> {
        let request = self.http.get(&self.url).header("Metadata-Flavor", "Google");
        request.send().await?.error_for_status()?.json().await
    }
}

/// Why there is no token. An answer that cannot be read is named without its cause: the parser quotes what it found, and
/// that may be the token.
fn unanswered(error: reqwest::Error) -> ErrorContext {
    if error.is_decode() {
        return ErrorContext::from("no access token from the metadata server: its answer cannot be read");
    }
    ErrorContext::new("no access token from the metadata server", error.without_url())
}
