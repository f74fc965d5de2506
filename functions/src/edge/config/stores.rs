//! Where the two stores are.

use super::env::{ConfigResult, Environment, wrong};
use license_core::{domain::secret::Secret, seat_store::ReplicationId};

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
