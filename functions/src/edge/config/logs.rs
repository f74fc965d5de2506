//! How log lines look, where problems point to, and how patient a start is.

use super::{
    env::{ConfigResult, Environment, without_slash, wrong},
    seats::start_patience,
    security::SecurityTxt,
};
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
    /// `DOCS_URL`: the address under which `errors/<code>` explains each code; the `type` of problems. No slash at its
    /// end.
    pub url: String,
    /// Whom to tell of a weakness; `None`: nobody is named.
    pub security: Option<SecurityTxt>,
    /// `START_PATIENCE_SECONDS`: how long a start waits for stores that do not answer.
    pub start_patience: Duration,
}

impl Default for LayersConfig {
    fn default() -> Self {
        let start_patience = Duration::from_secs(2);
        Self { url: "https://docs.example/license-server".into(), security: None, start_patience }
    }
}

impl LayersConfig {
    /// Reads `DOCS_URL`, `SECURITY_CONTACT` and what belongs to it, and `START_PATIENCE_SECONDS`.
    pub fn from_env(env: &Environment) -> ConfigResult<Self> {
        let url = match env.get("DOCS_URL") {
            Some(url) => without_slash(env.safe_url("DOCS_URL", url)?),
            None => Self::default().url,
        };
        Ok(Self { url, security: SecurityTxt::from_env(env)?, start_patience: start_patience(env)? })
    }
}
