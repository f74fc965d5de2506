//! What each service is configured with: one struct a service, read in one call.

use super::{
    env::{ConfigResult, Environment, wrong},
    identity::{identity, staff, token_days},
    keys::{handle_keys, peppers, webhook_keys},
    listen::{ListenAddress, proxies},
    logs::{LayersConfig, LogConfig},
    mail::MailConfig,
    pubsub::{PubSubConfig, PushConfig},
    root::{RootConfig, issuer},
    seats::{acquire_rates, heartbeat_rates, rate, timing},
    staff_rules::StaffRules,
    stores::{RecordsConfig, RedisConfig, token_source},
};
use license_core::{
    domain::{
        lease::LeaseTiming,
        rate::{PoolRates, RateLimit},
        secret::{KeyRing, Secret},
    },
    identity::IdentitySettings,
};
use url::Url;

/// What every binary is configured with, whichever service it runs.
#[derive(Clone, Debug)]
pub struct ProcessConfig {
    /// How log lines look.
    pub logging: LogConfig,
    /// What the layers around the service need.
    pub layers: LayersConfig,
    /// How many proxies of ours stand in front.
    pub proxies: u8,
    /// Where it listens.
    pub listen: ListenAddress,
}

impl ProcessConfig {
    /// Reads everything that every binary is configured with.
    pub fn from_env(env: &Environment) -> ConfigResult<Self> {
        let (logging, layers) = (LogConfig::from_env(env)?, LayersConfig::from_env(env)?);
        Ok(Self { logging, layers, proxies: proxies(env)?, listen: ListenAddress::from_env(env)? })
    }
}

/// Both stores, and the times that the seat store goes by.
#[derive(Clone, Debug)]
pub struct StoresConfig {
    /// The seat store.
    pub redis: RedisConfig,
    /// The records.
    pub records: RecordsConfig,
    /// Who gives access tokens.
    pub token_source: String,
    /// The protocol's times.
    pub timing: LeaseTiming,
}

impl StoresConfig {
    fn from_env(env: &Environment) -> ConfigResult<Self> {
        let timing = timing(env)?;
        let (redis, records) = (RedisConfig::from_env(env)?, RecordsConfig::from_env(env)?);
        Ok(Self { redis, records, token_source: token_source(env), timing })
    }
}

/// What acquire and heartbeat are configured with: sessions, and what is signed about them.
#[derive(Clone, Debug)]
pub struct SessionConfig {
    /// Both stores.
    pub stores: StoresConfig,
    /// What session handles are signed with.
    pub handles: KeyRing,
    /// The `iss` of every token.
    pub issuer: String,
    /// What certifies the keys of instances.
    pub root: RootConfig,
}

impl SessionConfig {
    fn from_env(env: &Environment) -> ConfigResult<Self> {
        let ReleaseConfig { stores, handles } = ReleaseConfig::from_env(env)?;
        Ok(Self { stores, handles, issuer: issuer(env)?, root: RootConfig::from_env(env)? })
    }
}

/// What acquire is configured with.
#[derive(Clone, Debug)]
pub struct AcquireConfig {
    /// What the operations on sessions need.
    pub sessions: SessionConfig,
    /// What license keys are hashed with.
    pub peppers: KeyRing,
    /// How often seats may be asked for.
    pub rates: PoolRates,
    /// `RATE_UNKNOWN_KEYS`: different wrong keys of each address; 10 a minute unless set.
    pub unknown_keys: Option<RateLimit>,
    /// How many proxies of ours stand in front.
    pub proxies: u8,
}

impl AcquireConfig {
    /// Reads everything that acquire is configured with.
    pub fn from_env(env: &Environment) -> ConfigResult<Self> {
        let (sessions, peppers) = (SessionConfig::from_env(env)?, peppers(env)?);
        let unknown_keys = rate(env, "RATE_UNKNOWN_KEYS", RateLimit::per_minute(10))?;
        Ok(Self { sessions, peppers, rates: acquire_rates(env)?, unknown_keys, proxies: proxies(env)? })
    }
}

/// What heartbeat is configured with. It is shown no license key.
#[derive(Clone, Debug)]
pub struct HeartbeatConfig {
    /// What the operations on sessions need.
    pub sessions: SessionConfig,
    /// How often a session may come.
    pub rates: PoolRates,
}

impl HeartbeatConfig {
    /// Reads everything that heartbeat is configured with.
    pub fn from_env(env: &Environment) -> ConfigResult<Self> {
        Ok(Self { sessions: SessionConfig::from_env(env)?, rates: heartbeat_rates(env)? })
    }
}

/// What release is configured with. It signs nothing and limits nobody.
#[derive(Clone, Debug)]
pub struct ReleaseConfig {
    /// Both stores.
    pub stores: StoresConfig,
    /// What session handles are signed with.
    pub handles: KeyRing,
}

impl ReleaseConfig {
    /// Reads everything that release is configured with.
    pub fn from_env(env: &Environment) -> ConfigResult<Self> {
        Ok(Self { stores: StoresConfig::from_env(env)?, handles: handle_keys(env)? })
    }
}

/// What is asked of people's credentials, by register and admin alike.
#[derive(Clone, Debug)]
pub struct CredentialsConfig {
    /// Who says who a person is.
    pub identity: IdentitySettings,
    /// `RATE_CREDENTIALS`: different wrong credentials of each address; 10 a minute unless set.
    pub wrong_credentials: Option<RateLimit>,
    /// How many proxies of ours stand in front.
    pub proxies: u8,
}

impl CredentialsConfig {
    fn from_env(env: &Environment) -> ConfigResult<Self> {
        let identity = identity(env)?;
        let wrong_credentials = rate(env, "RATE_CREDENTIALS", RateLimit::per_minute(10))?;
        Ok(Self { identity, wrong_credentials, proxies: proxies(env)? })
    }
}

/// What register is configured with.
#[derive(Clone, Debug)]
pub struct RegisterConfig {
    /// Both stores.
    pub stores: StoresConfig,
    /// What license keys are hashed with.
    pub peppers: KeyRing,
    /// What is asked of people's credentials.
    pub credentials: CredentialsConfig,
    /// `RATE_REGISTER`: registrations from each address; 5 a minute unless set.
    pub limit: Option<RateLimit>,
}

impl RegisterConfig {
    /// Reads everything that register is configured with.
    pub fn from_env(env: &Environment) -> ConfigResult<Self> {
        let peppers = peppers(env)?;
        let (stores, credentials) = (StoresConfig::from_env(env)?, CredentialsConfig::from_env(env)?);
        Ok(Self { stores, peppers, credentials, limit: rate(env, "RATE_REGISTER", RateLimit::per_minute(5))? })
    }
}

/// What admin is configured with.
#[derive(Clone, Debug)]
pub struct AdminConfig {
    /// Both stores.
    pub stores: StoresConfig,
    /// What license keys are hashed with.
    pub peppers: KeyRing,
    /// What the secrets of webhooks are sealed with.
    pub webhook_keys: KeyRing,
    /// What is asked of people's credentials.
    pub credentials: CredentialsConfig,
    /// Who says who the vendor's staff is; `None` where staff is served by another deployment.
    pub staff: Option<IdentitySettings>,
    /// What is demanded of staff besides an ID token of theirs.
    pub staff_rules: StaffRules,
    /// How many days an API token is good for where nobody says when it ends.
    pub token_days: u16,
    /// `RATE_ADMIN`: requests of each API token; 60 a minute unless set.
    pub token_limit: Option<RateLimit>,
    /// `RATE_VENDOR`: requests of each vendor token; 600 a minute, 240 at once, unless set.
    pub vendor_limit: Option<RateLimit>,
    /// `RATE_PEOPLE`: requests of each person and of each member of staff; 300 a minute, 120 at once, unless set.
    pub people_limit: Option<RateLimit>,
}

impl AdminConfig {
    /// Reads everything that admin is configured with.
    pub fn from_env(env: &Environment) -> ConfigResult<Self> {
        let (peppers, webhook_keys) = (peppers(env)?, webhook_keys(env)?);
        let (stores, credentials) = (StoresConfig::from_env(env)?, CredentialsConfig::from_env(env)?);
        let (staff, token_days) = (staff(env)?, token_days(env)?);
        let token_limit = rate(env, "RATE_ADMIN", RateLimit::per_minute(60))?;
        let vendor_limit = rate(env, "RATE_VENDOR", RateLimit { per_minute: 600, burst: 240 })?;
        let people_limit = rate(env, "RATE_PEOPLE", RateLimit { per_minute: 300, burst: 120 })?;
        let staff_rules = StaffRules::from_env(env)?;
        Ok(Self {
            stores,
            peppers,
            webhook_keys,
            credentials,
            staff,
            staff_rules,
            token_days,
            token_limit,
            vendor_limit,
            people_limit,
        })
    }
}

/// What the reaper is configured with.
#[derive(Clone, Debug)]
pub struct ReaperConfig {
    /// Both stores.
    pub stores: StoresConfig,
    /// Who may push to it.
    pub push: PushConfig,
    /// Where it publishes.
    pub publish: PubSubConfig,
}

impl ReaperConfig {
    /// Reads everything that the reaper is configured with.
    pub fn from_env(env: &Environment) -> ConfigResult<Self> {
        let publish = PubSubConfig::from_env(env)?;
        Ok(Self { stores: StoresConfig::from_env(env)?, push: PushConfig::from_env(env)?, publish })
    }
}

/// What notify is configured with. It has no seat store.
#[derive(Clone, Debug)]
pub struct NotifyConfig {
    /// The records.
    pub records: RecordsConfig,
    /// Who gives access tokens.
    pub token_source: String,
    /// Who may push to it.
    pub push: PushConfig,
    /// What the secrets of webhooks are sealed with.
    pub webhook_keys: KeyRing,
    /// `WEBHOOK_PROXY`: the HTTP proxy that requests to webhooks go through. A secret because it may carry a password.
    pub proxy: Option<Secret<Url>>,
    /// What mail is sent with.
    pub mail: MailConfig,
}

impl NotifyConfig {
    /// Reads everything that notify is configured with.
    pub fn from_env(env: &Environment) -> ConfigResult<Self> {
        let (records, token_source) = (RecordsConfig::from_env(env)?, token_source(env));
        let (push, webhook_keys) = (PushConfig::from_env(env)?, webhook_keys(env)?);
        Ok(Self { records, token_source, push, webhook_keys, proxy: proxy(env)?, mail: MailConfig::from_env(env)? })
    }
}

fn proxy(env: &Environment) -> ConfigResult<Option<Secret<Url>>> {
    const NAME: &str = "WEBHOOK_PROXY";
    let Some(text) = env.get(NAME) else { return Ok(None) };
    match Url::parse(&text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(Some(Secret::new(url))),
        // It may have a password in it, and is not repeated.
        _ => wrong(NAME, "must be the URL of an HTTP proxy, such as http://proxy.example.com:3128"),
    }
}
