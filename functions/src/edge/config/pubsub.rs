//! What the services that are pushed to need to know of Pub/Sub: who may push, and where the reaper publishes.

use super::env::{ConfigResult, Environment, is_loopback, without_slash, wrong};
use http::Uri;
use license_core::{domain::secret::Secret, identity};
use license_pubsub::TopicNames;

/// Who may push messages.
#[derive(Clone, Debug)]
pub struct PushConfig {
    /// `PUSH_ISSUER` (Google), `PUSH_AUDIENCE`, `PUSH_JWKS_URL` (Google's).
    pub trust: identity::IdentitySettings,
    /// `PUSH_EMAIL`: the exact service account.
    pub email: String,
}

impl PushConfig {
    /// Reads `PUSH_ISSUER`, `PUSH_AUDIENCE`, `PUSH_EMAIL` and `PUSH_JWKS_URL`.
    pub fn from_env(env: &Environment) -> ConfigResult<Self> {
        let mut trust =
            identity::IdentitySettings::google(env.required("PUSH_AUDIENCE", "the audience of the push subscription")?);
        trust.issuer = env.url("PUSH_ISSUER", Some(&trust.issuer))?;
        trust.jwks_url = env.url("PUSH_JWKS_URL", Some(&trust.jwks_url))?;
        Ok(Self { trust, email: env.required("PUSH_EMAIL", "the service account that the push subscription uses")? })
    }
}

/// Where events are published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PubSubConfig {
    /// `PUBSUB_PROJECT`.
    pub project: String,
    /// `PUBSUB_TOPIC_TICK`, `PUBSUB_TOPIC_REAP`, `PUBSUB_TOPIC_EVENTS`; `tick`, `reap` and `events` unless set.
    pub topics: TopicNames,
    /// `PUBSUB_EMULATOR_HOST`, as `host:port`: instead of Cloud Pub/Sub, without credentials. Refused on Cloud Run.
    pub emulator: Option<String>,
    /// The bus of `license-local` in place of either, where that is what runs here.
    pub bus: Option<BusConfig>,
}

/// The bus of a `license-local` that runs on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BusConfig {
    /// `PUBSUB_BUS_URL`: its address, `http:` on this machine, without a slash at its end.
    pub url: String,
    /// `PUBSUB_BUS_TOKEN`: what it knows its publishers by.
    pub token: Secret<String>,
}

impl PubSubConfig {
    /// Reads `PUBSUB_PROJECT`, `PUBSUB_TOPIC_…`, `PUBSUB_EMULATOR_HOST` and what belongs to a [`BusConfig`].
    pub fn from_env(env: &Environment) -> ConfigResult<Self> {
        let project = env.required("PUBSUB_PROJECT", "the Google Cloud project of the topics")?;
        let emulator = env.get("PUBSUB_EMULATOR_HOST");
        if emulator.is_some() && env.on_cloud_run() {
            return wrong("PUBSUB_EMULATOR_HOST", ASTRAY);
        }
        let name = |variable: &str, default: String| env.get(variable).unwrap_or(default);
        let TopicNames { tick, reap, events } = TopicNames::default();
        let topics = TopicNames {
            tick: name("PUBSUB_TOPIC_TICK", tick),
            reap: name("PUBSUB_TOPIC_REAP", reap),
            events: name("PUBSUB_TOPIC_EVENTS", events),
        };
        Ok(Self { project, topics, emulator, bus: BusConfig::from_env(env)? })
    }
}

const ASTRAY: &str = "is set, which is refused on Cloud Run: events would not reach Cloud Pub/Sub";

impl BusConfig {
    /// Reads `PUBSUB_BUS_URL` and `PUBSUB_BUS_TOKEN`; none where the first is not set.
    fn from_env(env: &Environment) -> ConfigResult<Option<Self>> {
        const NAME: &str = "PUBSUB_BUS_URL";
        let Some(url) = env.get(NAME) else { return Ok(None) };
        if env.on_cloud_run() {
            return wrong(NAME, ASTRAY);
        }
        let uri = url.parse::<Uri>().ok().filter(|uri| uri.scheme_str() == Some("http"));
        if !uri.is_some_and(|uri| uri.host().is_some_and(is_loopback)) {
            return wrong(
                NAME,
                format!("must be an http: URL of this machine, where license-local runs, and is {url:?}"),
            );
        }
        let token = env.required("PUBSUB_BUS_TOKEN", "what license-local wrote beside PUBSUB_BUS_URL")?;
        Ok(Some(Self { url: without_slash(url), token: Secret::new(token) }))
    }
}
