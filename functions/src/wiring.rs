//! Builds the modules of `license-core` from configuration. Nothing connects here: the port is open already, and stores
//! may be away.

use crate::edge::{
    config::{ConfigError, CredentialsConfig, RecordsConfig, RedisConfig, RootConfig, SessionConfig},
    credential_guesses::CredentialGuesses,
    rate::{ByAddress, NamedLimit},
    serve::{StartError, StoreCheck},
};
use license_core::{
    Clock,
    access_token::AccessTokens,
    domain::{
        lease::LeaseTiming,
        rate::{PoolRates, RateLimit},
        secret::KeyRing,
    },
    protocol::{ProtocolSettings, SeatProtocol},
    records::{DatabaseRole, Records, RecordsAddress},
    seat_store::{RedisAddress, SeatStore},
    signer::{self, LeaseSigner, RootSigner, kms::KmsRoot, local::LocalRoot},
};
use std::{sync::Arc, time::Duration};

/// The access tokens of this process: stores and signer share them. Nobody is asked before one is wanted.
pub(crate) fn access_tokens(token_source: &str, clock: &Clock) -> AccessTokens {
    AccessTokens::new(token_source, clock.clone())
}

pub(crate) fn seats(
    redis: &RedisConfig,
    timing: LeaseTiming,
    tokens: &AccessTokens,
    clock: Clock,
) -> Result<SeatStore, ConfigError> {
    let tokens = redis.auth.is_iam().then(|| tokens.clone());
    let address = RedisAddress::new(redis.url.reveal(), redis.ca.as_deref(), tokens);
    let address = address.map_err(|_| refused("REDIS_URL", "is not an address of Redis"))?;
    Ok(SeatStore::at(address, redis.replication_id, timing, clock))
}

pub(crate) fn records(
    settings: &RecordsConfig,
    role: DatabaseRole,
    tokens: &AccessTokens,
) -> Result<Records, ConfigError> {
    Ok(Records::new(records_address(settings, tokens)?, role, settings.pool_size))
}

/// Where the records are, and how a connection proves who it is.
pub(crate) fn records_address(settings: &RecordsConfig, tokens: &AccessTokens) -> Result<RecordsAddress, ConfigError> {
    let tokens = settings.auth.is_iam().then(|| tokens.clone());
    let address = RecordsAddress::new(settings.url.reveal(), settings.ca.as_deref(), tokens);
    address.map_err(|_| refused("DATABASE_URL", "is not an address of PostgreSQL"))
}

/// A limit for each address, in the Redis that every instance shares.
pub(crate) fn by_address(name: &'static str, rate: Option<RateLimit>, proxies: u8, seats: SeatStore) -> ByAddress {
    ByAddress::new(NamedLimit::new(name, rate, seats), proxies)
}

/// Different wrong credentials of each address.
pub(crate) fn credential_guesses(config: &CredentialsConfig, seats: SeatStore, clock: Clock) -> CredentialGuesses {
    let limit = by_address("credentials", config.wrong_credentials, config.proxies, seats.clone());
    CredentialGuesses::new(limit, seats, clock)
}

/// The cause is left out: it may repeat the address, which may hold a password.
fn refused(variable: &'static str, problem: &str) -> ConfigError {
    ConfigError { variable, problem: problem.to_owned() }
}

async fn signer(
    issuer: String,
    root: RootConfig,
    timing: &LeaseTiming,
    tokens: AccessTokens,
    clock: Clock,
) -> Result<LeaseSigner, StartError> {
    let mut settings = signer::SignerSettings::new(issuer);
    // The longest lease there is, after a rebuild, must fit into what certificates allow tokens to state.
    settings.max_token_ttl =
        settings.max_token_ttl.max(Duration::from_millis(timing.rebuild_lease_ms().unsigned_abs()));
    let root: Arc<dyn RootSigner> = match root {
        RootConfig::Local { key, next } => {
            let root = LocalRoot::open(key).await?;
            Arc::new(match next {
                Some(next) => root.with_other_key(next).await?,
                None => root,
            })
        }
        RootConfig::Kms(settings) => Arc::new(KmsRoot::new(settings, tokens)?),
    };
    Ok(LeaseSigner::new(root, settings, clock))
}

/// The seat protocol over the stores, as the service's role. `peppers` where they are shown license keys.
pub(crate) async fn seat_protocol(
    config: SessionConfig,
    peppers: Option<KeyRing>,
    rates: PoolRates,
    role: DatabaseRole,
    clock: Clock,
) -> Result<SeatProtocol, StartError> {
    let SessionConfig { stores, handles, issuer, root } = config;
    let timing = stores.timing;
    let settings = ProtocolSettings { timing, clock: clock.clone(), handles, peppers };
    let tokens = access_tokens(&stores.token_source, &clock);
    let seats = seats(&stores.redis, timing, &tokens, clock.clone())?.with_rates(rates);
    let records = records(&stores.records, role, &tokens)?;
    let signer = signer(issuer, root, &timing, tokens, clock).await?;
    Ok(SeatProtocol::new(seats, records, signer, settings))
}

/// What a service of the operations of clients needs in order to answer.
pub(crate) fn checks(protocol: &SeatProtocol) -> Vec<StoreCheck> {
    vec![StoreCheck::of_seats(protocol.seats().clone()), StoreCheck::of_records(protocol.records().clone())]
}
