//! What the protocol of seats goes by: its times and its limits.

use super::env::{ConfigResult, Environment, wrong};
use license_core::domain::{
    lease::LeaseTiming,
    rate::{PoolRates, RateLimit},
};
use std::time::Duration;

/// Reads the protocol's times: `SEAT_TTL_SECONDS` (360), `SEAT_DRAIN_SECONDS` (45), `HEARTBEAT_SECONDS` (30 % of the
/// lease).
pub fn timing(env: &Environment) -> ConfigResult<LeaseTiming> {
    let ttl = env.seconds("SEAT_TTL_SECONDS", 360, 2, 86_400)?;
    // A shorter drain lets an answer of a deposed Redis primary arrive after a rebuild's leases; only test machines may
    // risk it.
    let least = (LeaseTiming::MAX_CONNECTION_AGE + LeaseTiming::DEADLINE).as_secs();
    let drain = env.seconds(
        "SEAT_DRAIN_SECONDS",
        LeaseTiming::DRAIN.as_secs(),
        if env.on_cloud_run() { least } else { 0 },
        3600,
    )?;
    let mut timing = LeaseTiming::with_ttl(Duration::from_secs(ttl));
    timing.drain = Duration::from_secs(drain);
    if env.get("HEARTBEAT_SECONDS").is_some() {
        // At most half the lease: one lost heartbeat must not cost the seat.
        timing.heartbeat = Duration::from_secs(env.seconds("HEARTBEAT_SECONDS", 1, 1, ttl / 2)?);
    }
    Ok(timing)
}

/// Reads `START_PATIENCE_SECONDS` (2): how long a start waits for stores that do not answer.
pub fn start_patience(env: &Environment) -> ConfigResult<Duration> {
    Ok(Duration::from_secs(env.seconds("START_PATIENCE_SECONDS", 2, 0, 600)?))
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

/// Reads what acquire limits.
///
/// That is `RATE_ACQUIRE` (120 a minute for each holder, 40 at once) and `RATE_LICENSE` (new sessions of a license, for
/// each of its seats: as many as a holder's unless set).
pub fn acquire_rates(env: &Environment) -> ConfigResult<PoolRates> {
    let acquire = rate(env, "RATE_ACQUIRE", RateLimit { per_minute: 120, burst: 40 })?;
    let license = if env.get("RATE_LICENSE").is_none() {
        acquire
    } else {
        rate(env, "RATE_LICENSE", RateLimit { per_minute: 120, burst: 40 })?
    };
    Ok(PoolRates { acquire, license, ..PoolRates::default() })
}

/// Reads what heartbeat limits: `RATE_HEARTBEAT` (30 a minute for each session).
pub fn heartbeat_rates(env: &Environment) -> ConfigResult<PoolRates> {
    Ok(PoolRates { heartbeat: rate(env, "RATE_HEARTBEAT", RateLimit::per_minute(30))?, ..PoolRates::default() })
}
