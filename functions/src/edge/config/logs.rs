//! How log lines look, and where problems point to.

use super::env::{ConfigResult, Environment, without_slash, wrong};

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
}

impl Default for LayersConfig {
    fn default() -> Self {
        Self { url: "https://docs.example/license-server".into() }
    }
}

impl LayersConfig {
    /// Reads `DOCS_URL`.
    pub fn from_env(env: &Environment) -> ConfigResult<Self> {
        match env.get("DOCS_URL") {
            Some(url) => Ok(Self { url: without_slash(env.safe_url("DOCS_URL", url)?) }),
            None => Ok(Self::default()),
        }
    }
}
