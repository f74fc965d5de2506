//! How log lines look, where problems point to, and how patient a start is.

use super::{
    env::{ConfigResult, Environment, without_slash, wrong},
    metrics::metrics_token,
    seats::start_patience,
    security::SecurityTxt,
};
use license_core::domain::secret::Secret;
use std::time::Duration;

/// How log lines look and which are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// `RUST_LOG`, else `LOG_LEVEL`, else `info`: filter directives of `tracing-subscriber`.
    pub filter: String,
    /// `LOG_FORMAT`: `json` (default, Cloud Logging) or `text` (for people).
    pub text: bool,
    /// `GOOGLE_CLOUD_PROJECT`: makes trace ids links. Cloud Run does not set it by itself.
    pub project: Option<String>,
}

impl LogConfig {
    /// Reads `RUST_LOG`, `LOG_LEVEL`, `LOG_FORMAT` and `GOOGLE_CLOUD_PROJECT`.
    pub fn from_env(env: &Environment) -> ConfigResult<Self> {
        let name = if env.get("RUST_LOG").is_some() { "RUST_LOG" } else { "LOG_LEVEL" };
        let filter = env.get(name).unwrap_or_else(|| "info".into());
        if let Err(problem) = filter.parse::<tracing_subscriber::filter::Targets>() {
            return wrong(
                name,
                format!("must be a level (error, warn, info, debug, trace) or target=level list: {problem}"),
            );
        }
        let text = match env.get("LOG_FORMAT").as_deref() {
            None | Some("json") => false,
            Some("text") => true,
            Some(other) => return wrong("LOG_FORMAT", format!("must be json or text, and is {other:?}")),
        };
        Ok(Self { filter, text, project: env.get("GOOGLE_CLOUD_PROJECT") })
    }
}

/// What the layers around every service need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayersConfig {
    /// The address under which `<code>` explains each code; the `type` of problems: `DOCS_URL` and `/errors`, else
    /// `PUBLIC_URL` and `/problems`, else `/problems` at whatever address this was asked at. No slash at its end.
    pub problems: String,
    /// `PUBLIC_URL`: where all functions are reached together; empty where it is not set. No slash at its end.
    pub front: String,
    /// Whom to tell of a weakness; `None`: nobody is named.
    pub security: Option<SecurityTxt>,
    /// `START_PATIENCE_SECONDS`: how long a start waits for stores that do not answer.
    pub start_patience: Duration,
    /// `METRICS_TOKEN`: what a scrape of `/metrics` brings; `None`: there is no such page.
    pub metrics_token: Option<Secret<String>>,
}

impl Default for LayersConfig {
    fn default() -> Self {
        let start_patience = Duration::from_secs(2);
        Self { problems: "/problems".into(), front: String::new(), security: None, start_patience, metrics_token: None }
    }
}

impl LayersConfig {
    /// The same where all functions are reached together at an address that nothing had to say; what was said counts.
    pub fn reached_at(&mut self, front: &str) {
        if self.front.is_empty() {
            if self.problems == Self::default().problems {
                self.problems = format!("{front}/problems");
            }
            front.clone_into(&mut self.front);
        }
    }

    /// Reads `DOCS_URL`, `PUBLIC_URL`, `SECURITY_CONTACT` and what belongs to it, `START_PATIENCE_SECONDS` and
    /// `METRICS_TOKEN`.
    pub fn from_env(env: &Environment) -> ConfigResult<Self> {
        let url = |name| match env.get(name) {
            Some(url) => env.safe_url(name, url).map(|url| Some(without_slash(url))),
            None => Ok(None),
        };
        let front = url("PUBLIC_URL")?.unwrap_or_default();
        let problems = match url("DOCS_URL")? {
            Some(docs) => docs + "/errors",
            None => format!("{front}/problems"),
        };
        Ok(Self {
            problems,
            front,
            security: SecurityTxt::from_env(env)?,
            start_patience: start_patience(env)?,
            metrics_token: metrics_token(env)?,
        })
    }
}
