//! Building the rooms of `license-core` from configuration. Nothing connects here: the port is open already, and stores
//! may be away.

use crate::edge::{
    config::{ConfigError, CredentialsConfig, RecordsConfig, RedisConfig, RootConfig, SessionConfig},
    credential_guesses::CredentialGuesses,
    rate::{ByAddress, NamedLimit},
    serve::{StartError, StoreCheck},
};
use license_core::{
    Clock,
    domain::{
        lease::LeaseTiming,
        rate::{PoolRates, RateLimit},
        secret::KeyRing,
    },
    error::StoreName,
    protocol::{ProtocolSettings, SeatProtocol},
    records::{DatabaseRole, Records, SchemaConnection, SchemaResult},
    seat_store::SeatStore,
    signer::{self, LeaseSigner, RootSigner, kms::KmsRoot, local::LocalRoot},
};
use std::{sync::Arc, time::Duration};

pub(crate) fn seats(redis: RedisConfig, timing: LeaseTiming, clock: Clock) -> Result<SeatStore, ConfigError> {
    let seats = SeatStore::new(redis.url.reveal(), redis.replication_id, timing, clock);
    seats.map_err(|_| refused("REDIS_URL", "is not an address of Redis"))
}

pub(crate) fn records(settings: &RecordsConfig, role: DatabaseRole) -> Result<Records, ConfigError> {
    let records = Records::new(settings.url.reveal(), role, settings.pool_size);
    records.map_err(|_| refused("DATABASE_URL", "is not an address of PostgreSQL"))
}

/// A connection of whoever may change the schema: the user of `DATABASE_URL` itself.
pub(crate) async fn schema(settings: &RecordsConfig, patience: Duration) -> SchemaResult<SchemaConnection> {
    SchemaConnection::open(settings.url.reveal(), patience).await
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
                Some(next) => root.beside(next).await?,
                None => root,
            })
        }
        RootConfig::Kms(settings) => Arc::new(KmsRoot::new(settings, clock.clone())?),
    };
    Ok(LeaseSigner::new(root, settings, clock))
}

/// The moves of clients, as the service's role. `peppers` where they are shown license keys.
pub(crate) async fn moves(
    config: SessionConfig,
    peppers: Option<KeyRing>,
    rates: PoolRates,
    role: DatabaseRole,
    clock: Clock,
) -> Result<SeatProtocol, StartError> {
    let SessionConfig { stores, handles, issuer, root } = config;
    let timing = stores.timing;
    let settings = ProtocolSettings { timing, clock: clock.clone(), handles, peppers };
    let seats = seats(stores.redis, timing, clock.clone())?.with_rates(rates);
    let records = records(&stores.records, role)?;
    Ok(SeatProtocol::new(seats, records, signer(issuer, root, &timing, clock).await?, settings))
}

/// What a service of the client moves needs in order to answer.
pub(crate) fn checks(moves: &SeatProtocol) -> Vec<StoreCheck> {
    let (seats, records) = (moves.clone(), moves.clone());
    vec![
        StoreCheck::new(StoreName::Seats, move || {
            let moves = seats.clone();
            async move { moves.seats_ready().await }
        }),
        StoreCheck::new(StoreName::Records, move || {
            let moves = records.clone();
            async move { moves.records_ready().await }
        }),
    ]
}
