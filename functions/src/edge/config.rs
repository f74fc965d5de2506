//! Configuration: read once, at start, one struct per concern. A bad value names its variable and stops the service.
//!
//! Values come from an [`Env`], which is the process's environment in services and a map in tests and `local`.

pub use super::{
    keys::{handle_keys, peppers},
    listen::ListenAddress,
    pubsub::{BusConfig, PubSub, PushConfig},
};

use super::listen::no_demo_issuer;
use http::Uri;
use license_core::{
    domain::{
        lease::LeaseTiming,
        rate::{PoolRates, RateLimit},
        secret::Secret,
    },
    identity,
    seat_store::ReplicationId,
    signer::kms,
};
use std::{collections::BTreeMap, fmt, net::IpAddr, path::PathBuf, time::Duration};

type VariableLookup = Box<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// Where configuration values come from.
pub struct Environment(VariableLookup);

/// What is wrong with which variable: a sentence that says what to do, without secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The variable's name.
    pub variable: &'static str,
    /// What is wrong with it.
    pub problem: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}.", self.variable, self.problem)
    }
}

impl std::error::Error for ConfigError {}

/// Shorthand for configuration that may be wrong.
pub type ConfigResult<T> = std::result::Result<T, ConfigError>;

pub(super) fn wrong<T>(variable: &'static str, problem: impl Into<String>) -> ConfigResult<T> {
    Err(ConfigError { variable, problem: problem.into() })
}

impl Environment {
    /// The environment of this process: the one place that reads it.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    pub fn process() -> Self {
        Self(Box::new(|name| std::env::var(name).ok()))
    }

    /// Values from a map, for `local` and tests.
    pub fn map(values: BTreeMap<String, String>) -> Self {
        Self(Box::new(move |name| values.get(name).cloned()))
    }

    /// A value; an empty or blank one counts as absent, since templates often leave `NAME=`.
    pub fn get(&self, name: &str) -> Option<String> {
        (self.0)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    /// True on Cloud Run, which sets `K_SERVICE`: what is fine on one machine is refused there.
    pub fn on_cloud_run(&self) -> bool {
        self.get("K_SERVICE").is_some()
    }

    pub(super) fn required(&self, name: &'static str, what: &str) -> ConfigResult<String> {
        self.get(name).map_or_else(|| wrong(name, format!("is not set; it must be {what}")), Ok)
    }

    /// A whole number within bounds, or the default.
    pub(super) fn number(&self, name: &'static str, default: u64, from: u64, to: u64, unit: &str) -> ConfigResult<u64> {
        let Some(text) = self.get(name) else { return Ok(default) };
        match text.parse() {
            Ok(number) if (from..=to).contains(&number) => Ok(number),
            _ => wrong(name, format!("must be a whole number{unit} from {from} to {to}, and is {text:?}")),
        }
    }

    fn seconds(&self, name: &'static str, default: u64, from: u64, to: u64) -> ConfigResult<u64> {
        self.number(name, default, from, to, " of seconds")
    }

    /// An absolute `https:` URL; `http:` is allowed to this machine, and this machine is refused on Cloud Run.
    fn safe_url(&self, name: &'static str, text: String) -> ConfigResult<String> {
        let uri = text.parse::<Uri>().ok().filter(|uri| uri.host().is_some_and(|host| !host.is_empty()));
        let Some(uri) = uri else {
            return wrong(name, format!("must be an absolute URL such as https://example.com/path, and is {text:?}"));
        };
        let loopback = uri.host().is_some_and(is_loopback);
        match uri.scheme_str() {
            Some("https" | "http") if loopback && self.on_cloud_run() => {
                wrong(name, format!("points to the machine itself ({text}), which is refused on Cloud Run"))
            }
            Some("https") => Ok(text),
            Some("http") if loopback => Ok(text),
            _ => wrong(name, format!("must be an https: URL (http: only to this machine), and is {text:?}")),
        }
    }

    pub(super) fn url(&self, name: &'static str, default: Option<&str>) -> ConfigResult<String> {
        let text = match (self.get(name), default) {
            (Some(text), _) => text,
            (None, Some(default)) => default.to_owned(),
            (None, None) => return wrong(name, "is not set; it must be an https: URL"),
        };
        self.safe_url(name, text)
    }
}

pub(super) fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Reads the protocol's times: `SEAT_TTL_SECONDS` (360), `SEAT_DRAIN_SECONDS` (45), `HEARTBEAT_SECONDS` (30 % of the lease).
pub fn timing(env: &Environment) -> ConfigResult<LeaseTiming> {
    let ttl = env.seconds("SEAT_TTL_SECONDS", 360, 2, 86_400)?;
    // A shorter drain lets an answer of a deposed Redis primary arrive after a rebuild's leases; only test machines may risk it.
    let least = (LeaseTiming::MAX_CONNECTION_AGE + LeaseTiming::DEADLINE).as_secs();
    let drain = env.seconds("SEAT_DRAIN_SECONDS", 45, if env.on_cloud_run() { least } else { 0 }, 3600)?;
    let mut timing = LeaseTiming::with_ttl(Duration::from_secs(ttl));
    timing.drain = Duration::from_secs(drain);
    if env.get("HEARTBEAT_SECONDS").is_some() {
        // At most half the lease: one lost heartbeat must not cost the seat.
        timing.heartbeat = Duration::from_secs(env.seconds("HEARTBEAT_SECONDS", 1, 1, ttl / 2)?);
    }
    Ok(timing)
}

/// The seat store.
#[derive(Clone, Debug)]
pub struct RedisConfig {
    /// `REDIS_URL`: `redis://host:port` or `redis+unix:///path`. A secret because it may carry a password.
    pub url: Secret<String>,
    /// `REDIS_REPLID_SOURCE`: `script` (default) or `connection`.
    pub replication_id: ReplicationId,
}

impl RedisConfig {
    /// Reads `REDIS_URL` and `REDIS_REPLID_SOURCE`.
    pub fn from_env(env: &Environment) -> ConfigResult<Self> {
        let url = env.required("REDIS_URL", "redis://host:port or redis+unix:///path/to/socket")?;
        if !["redis://", "redis+unix://", "unix://"].iter().any(|scheme| url.starts_with(scheme)) {
            return wrong("REDIS_URL", "must begin with redis:// or redis+unix:// (TLS to Redis is not built in)");
        }
        let replication_id = match env.get("REDIS_REPLID_SOURCE").as_deref() {
            None | Some("script") => ReplicationId::Script,
            Some("connection") => ReplicationId::Connection,
            Some(other) => {
                return wrong("REDIS_REPLID_SOURCE", format!("must be script or connection, and is {other:?}"));
            }
        };
        Ok(Self { url: Secret::new(url), replication_id })
    }
}

/// The records.
#[derive(Clone, Debug)]
pub struct RecordsConfig {
    /// `DATABASE_URL`: `postgres://…`. A secret because it may carry a password.
    pub url: Secret<String>,
    /// `DATABASE_POOL_SIZE`: connections this instance may hold, 4 unless set.
    pub pool_size: u32,
}

impl RecordsConfig {
    /// Reads `DATABASE_URL` and `DATABASE_POOL_SIZE`.
    pub fn from_env(env: &Environment) -> ConfigResult<Self> {
        let url = env.required("DATABASE_URL", "postgres://user@host/database")?;
        if !["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme)) {
            return wrong("DATABASE_URL", "must begin with postgres://");
        }
        let pool_size = env.number("DATABASE_POOL_SIZE", 4, 1, 1000, " of connections")?;
        Ok(Self { url: Secret::new(url), pool_size: u32::try_from(pool_size).unwrap_or(4) })
    }
}

/// The root that certifies instance keys.
#[derive(Clone, Debug)]
pub enum RootConfig {
    /// `ROOT_KEY=local:<path>`: an RSA-4096 key in a file, for one machine.
    Local {
        /// The file, made if it is missing.
        key: PathBuf,
        /// `ROOT_KEY_NEXT=local:<path>`: published beside it, as with Cloud KMS.
        next: Option<PathBuf>,
    },
    /// `ROOT_KEY=kms:<name>`: a Cloud KMS key version. `ROOT_KEY_NEXT` is published beside it, so that clients can pin it before it
    /// signs; `KMS_ENDPOINT` and `GCE_METADATA_HOST` are Google's unless set.
    Kms(kms::KmsSettings),
}

const ROOT_FORM: &str = "local:<path of a file> or kms:projects/…/cryptoKeyVersions/<number>";

impl RootConfig {
    /// Reads `ROOT_KEY` and what belongs to it. A local key is refused on Cloud Run, where its file would not last.
    pub fn from_env(env: &Environment) -> ConfigResult<Self> {
        let key = env.required("ROOT_KEY", ROOT_FORM)?;
        let next = env.get("ROOT_KEY_NEXT");
        match key.split_once(':') {
            Some(("local", _)) if env.on_cloud_run() => {
                wrong("ROOT_KEY", "is a local key, which is refused on Cloud Run; name a key version: kms:projects/…")
            }
            Some(("local", path)) if !path.is_empty() => {
                let next = next.map(|next| match next.strip_prefix("local:") {
                    Some(path) if !path.is_empty() => Ok(path.into()),
                    _ => wrong("ROOT_KEY_NEXT", "must be local:<path of a file>, as ROOT_KEY is"),
                });
                Ok(Self::Local { key: path.into(), next: next.transpose()? })
            }
            Some(("kms", version)) if is_key_version(version) => Ok(Self::Kms(kms_settings(env, version, next)?)),
            _ => wrong("ROOT_KEY", format!("must be {ROOT_FORM}")),
        }
    }
}

fn kms_settings(env: &Environment, version: &str, next: Option<String>) -> ConfigResult<kms::KmsSettings> {
    let next = next.map(|next| match next.strip_prefix("kms:") {
        Some(version) if is_key_version(version) => Ok(version.to_owned()),
        _ => wrong("ROOT_KEY_NEXT", "must be kms:projects/…/cryptoKeyVersions/<number>"),
    });
    let mut settings = kms::KmsSettings::new(version, next.transpose()?);
    settings.endpoint = without_slash(env.url("KMS_ENDPOINT", Some(&settings.endpoint))?);
    if let Some(host) = env.get("GCE_METADATA_HOST") {
        settings.metadata = format!("http://{host}");
    }
    Ok(settings)
}

fn is_key_version(name: &str) -> bool {
    const WORDS: [&str; 5] = ["projects", "locations", "keyRings", "cryptoKeys", "cryptoKeyVersions"];
    let parts: Vec<&str> = name.split('/').collect();
    parts.len() == 10
        && parts.iter().step_by(2).eq(WORDS.iter())
        && parts.iter().all(|part| !part.is_empty())
        && parts[9].bytes().all(|b| b.is_ascii_digit())
}

/// Reads `TOKEN_ISSUER` (or, where that is not set, `PUBLIC_URL`): the `iss` of every token, without a slash at its end.
pub fn issuer(env: &Environment) -> ConfigResult<String> {
    let name = if env.get("TOKEN_ISSUER").is_none() && env.get("PUBLIC_URL").is_some() {
        "PUBLIC_URL"
    } else {
        "TOKEN_ISSUER"
    };
    Ok(without_slash(env.url(name, None)?))
}

pub(super) fn without_slash(url: String) -> String {
    url.trim_end_matches('/').to_owned()
}

/// Reads `IDENTITY_ISSUER`, `IDENTITY_AUDIENCE`, `IDENTITY_JWKS_URL` and `IDENTITY_TOKEN_SECONDS`: who says who a person is, and for how
/// long.
pub fn identity(env: &Environment) -> ConfigResult<identity::IdentitySettings> {
    let issuer = env.url("IDENTITY_ISSUER", None)?;
    no_demo_issuer(env, "IDENTITY_ISSUER", &issuer)?;
    let audience =
        env.required("IDENTITY_AUDIENCE", "the audience of the ID tokens (the project, for Identity Platform)")?;
    let project = issuer.strip_prefix("https://securetoken.google.com/");
    let default = project.map(|project| identity::IdentitySettings::identity_platform(project).jwks_url);
    let jwks_url = env.url("IDENTITY_JWKS_URL", default.as_deref())?;
    Ok(identity::IdentitySettings {
        issuer,
        audience,
        jwks_url,
        longest_life: longest_life(env, "IDENTITY_TOKEN_SECONDS")?,
    })
}

/// The longest time from `iat` to `exp`: twelve hours unless set.
fn longest_life(env: &Environment, name: &'static str) -> ConfigResult<u32> {
    let seconds = env.seconds(name, u64::from(identity::LONGEST_LIFE), 60, 7 * 86_400)?;
    Ok(u32::try_from(seconds).unwrap_or(identity::LONGEST_LIFE))
}

/// Reads `STAFF_IDENTITY_ISSUER`, `STAFF_IDENTITY_AUDIENCE`, `STAFF_IDENTITY_JWKS_URL` and `STAFF_IDENTITY_TOKEN_SECONDS`: who says who
/// the vendor's staff is. Everybody with a token of that audience is staff, so it must be one that customers cannot sign in to. `None`:
/// staff is served by another deployment.
pub fn staff(env: &Environment) -> ConfigResult<Option<identity::IdentitySettings>> {
    if env.get("STAFF_IDENTITY_AUDIENCE").is_none() {
        return Ok(None);
    }
    let audience = env.required("STAFF_IDENTITY_AUDIENCE", "the audience of the staff's ID tokens")?;
    if env.get("IDENTITY_AUDIENCE").as_deref() == Some(&audience) {
        return wrong(
            "STAFF_IDENTITY_AUDIENCE",
            "is the audience of customers too; it must be another, or every customer is staff",
        );
    }
    let issuer = env.url("STAFF_IDENTITY_ISSUER", None)?;
    no_demo_issuer(env, "STAFF_IDENTITY_ISSUER", &issuer)?;
    let project = issuer.strip_prefix("https://securetoken.google.com/");
    let default = project.map(|project| identity::IdentitySettings::identity_platform(project).jwks_url);
    let jwks_url = env.url("STAFF_IDENTITY_JWKS_URL", default.as_deref())?;
    let longest_life = longest_life(env, "STAFF_IDENTITY_TOKEN_SECONDS")?;
    Ok(Some(identity::IdentitySettings { issuer, audience, jwks_url, longest_life }))
}

/// Reads `TRUSTED_PROXIES`: how many proxies of ours stand in front, each of which adds to `X-Forwarded-For` (or `Forwarded`) whom it heard
/// from. 0 unless set.
pub fn proxies(env: &Environment) -> ConfigResult<u8> {
    Ok(u8::try_from(env.number("TRUSTED_PROXIES", 0, 0, 10, " of proxies")?).unwrap_or(0))
}

/// Reads `API_TOKEN_DAYS`: how long an API token is good for where nobody says when it ends (30, what GitHub proposes).
pub fn token_days(env: &Environment) -> ConfigResult<u16> {
    Ok(u16::try_from(env.number("API_TOKEN_DAYS", 30, 1, 3650, " of days")?).unwrap_or(30))
}

/// Reads a limit such as `RATE_ADMIN`: `60` (a minute), `120/40` (and so many at once) or `off`; `default` unless set.
pub fn rate(env: &Environment, name: &'static str, default: RateLimit) -> ConfigResult<Option<RateLimit>> {
    match env.get(name).as_deref() {
        None => Ok(Some(default)),
        Some("off") => Ok(None),
        Some(text) => {
            text.parse().map(Some).or_else(|problem| wrong(name, format!("{problem}, or off; it is {text:?}")))
        }
    }
}

/// Reads `RATE_ACQUIRE` (120 a minute for each holder, 40 at once), `RATE_LICENSE` (new sessions of a license, for each of its seats: as many
/// as a holder's unless set) and
/// `RATE_HEARTBEAT` (30 a minute for each session).
pub fn rates(env: &Environment) -> ConfigResult<PoolRates> {
    let acquire = rate(env, "RATE_ACQUIRE", RateLimit { per_minute: 120, burst: 40 })?;
    let license = if env.get("RATE_LICENSE").is_none() {
        acquire
    } else {
        rate(env, "RATE_LICENSE", RateLimit { per_minute: 120, burst: 40 })?
    };
    Ok(PoolRates { acquire, license, heartbeat: rate(env, "RATE_HEARTBEAT", RateLimit::per_minute(30))? })
}

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
    /// `DOCS_URL`: the address under which `errors/<code>` explains each code; the `type` of problems. No slash at its end.
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
