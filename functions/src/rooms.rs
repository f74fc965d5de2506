//! Building the rooms of `license-core` from configuration. Nothing connects here: the port is open already, and stores may be away.

use crate::edge::{
    config::{self, ConfigError, Env},
    rate::{ByAddress, Limit},
    serve::{Check, StartError},
};
use license_core::{
    Clock,
    domain::{lease::Timing, rate::Rate},
    moves::{Moves, Settings},
    records::{Records, Role},
    seats::Seats,
    signer::{self, Root, Signer, kms::KmsRoot, local::LocalRoot},
};
use std::{sync::Arc, time::Duration};

pub(crate) fn seats(env: &Env, timing: Timing, clock: Clock) -> Result<Seats, ConfigError> {
    let redis = config::Redis::from_env(env)?;
    let seats = Seats::new(redis.url.reveal(), redis.replication_id, timing, clock);
    seats.map_err(|_| refused("REDIS_URL", "is not an address of Redis"))
}

pub(crate) fn records(env: &Env, role: Role) -> Result<Records, ConfigError> {
    let settings = config::Records::from_env(env)?;
    let records = Records::new(settings.url.reveal(), role, settings.pool_size);
    records.map_err(|_| refused("DATABASE_URL", "is not an address of PostgreSQL"))
}

/// A limit for each address, in the Redis that every instance shares.
pub(crate) fn by_address(
    env: &Env,
    name: &'static str,
    variable: &'static str,
    default: Rate,
    seats: Seats,
) -> Result<ByAddress, ConfigError> {
    Ok(ByAddress::new(Limit::new(name, config::rate(env, variable, default)?, seats), config::proxies(env)?))
}

/// The cause is left out: it may repeat the address, which may hold a password.
fn refused(variable: &'static str, problem: &str) -> ConfigError {
    ConfigError { variable, problem: problem.to_owned() }
}

async fn signer(env: &Env, timing: &Timing, clock: Clock) -> Result<Signer, StartError> {
    let mut settings = signer::Settings::new(config::issuer(env)?);
    // The longest lease there is, after a rebuild, must fit into what certificates allow tokens to state.
    settings.max_token_ttl =
        settings.max_token_ttl.max(Duration::from_millis(timing.rebuild_lease_ms().unsigned_abs()));
    let root: Arc<dyn Root> = match config::Root::from_env(env)? {
        config::Root::Local { key, next } => {
            let root = LocalRoot::open(key).await?;
            Arc::new(match next {
                Some(next) => root.beside(next).await?,
                None => root,
            })
        }
        config::Root::Kms(settings) => Arc::new(KmsRoot::new(settings, clock.clone())?),
    };
    Ok(Signer::new(root, settings, clock))
}

/// The moves of clients, as the service role.
pub(crate) async fn moves(env: &Env, clock: Clock) -> Result<Moves, StartError> {
    let timing = config::timing(env)?;
    let settings =
        Settings { timing, clock: clock.clone(), handles: config::handle_keys(env)?, peppers: config::peppers(env)? };
    let seats = seats(env, timing, clock.clone())?.limited(config::rates(env)?);
    let records = records(env, Role::Service)?;
    Ok(Moves::new(seats, records, signer(env, &timing, clock).await?, settings))
}

/// What a service of the client moves needs in order to answer.
pub(crate) fn checks(moves: &Moves) -> Vec<Check> {
    let (seats, records) = (moves.clone(), moves.clone());
    vec![
        Check::new("seats", move || {
            let moves = seats.clone();
            async move { moves.seats_ready().await }
        }),
        Check::new("records", move || {
            let moves = records.clone();
            async move { moves.records_ready().await }
        }),
    ]
}
