//! Configuration: read once, at start, one struct per service (`services.rs`) made of one per concern. A bad value
//! names its variable and stops the service.
//!
//! Values come from an [`Environment`], which is the process's environment in services and a map in tests and `local`.
//!
//! `env.rs`: the source of values and their shared forms · `variables.rs`: the table of all of them · the other files
//! hold one concern each.

mod driver;
mod env;
mod identity;
mod keys;
mod listen;
mod logs;
mod mail;
mod metrics;
mod migrate;
mod pubsub;
mod root;
mod seats;
mod security;
mod services;
mod staff_rules;
mod stores;
mod variable;
mod variables;

pub use driver::{REFUSED_VARIABLES, unmoved_by_the_driver};
pub use env::{ConfigError, ConfigResult, Environment};
pub use identity::{identity, staff, token_days};
pub use keys::{handle_keys, peppers, webhook_keys};
pub use listen::{ListenAddress, proxies};
pub use logs::{LayersConfig, LogConfig};
pub use mail::MailConfig;
pub use migrate::{MIGRATE_VARIABLES, MigrateConfig, RestoreConfig};
pub use pubsub::{BusConfig, PubSubConfig, PushConfig};
pub use root::{RootConfig, issuer};
pub use seats::{acquire_rates, heartbeat_rates, rate, start_patience, timing};
pub use security::SecurityTxt;
pub use services::{
    AcquireConfig, AdminConfig, CredentialsConfig, HeartbeatConfig, NotifyConfig, ProcessConfig, ReaperConfig,
    RegisterConfig, ReleaseConfig, SessionConfig, StoresConfig,
};
pub use staff_rules::StaffRules;
pub use stores::{RecordsConfig, RedisConfig, StoreAuth, token_source};
pub use variable::{DefaultValue, Variable, VariableReaders};
pub use variables::VARIABLES;
