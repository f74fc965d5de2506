//! How many connections there are.

use super::Records;
use crate::Result;

/// The connections of a pool to PostgreSQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolConnections {
    /// How many are open, idle or not.
    pub open: u32,
    /// How many of them wait for a call.
    pub idle: usize,
}

impl Records {
    /// The connections that this instance has now.
    ///
    /// # Errors
    /// If the pool has no password to connect with.
    pub async fn connections(&self) -> Result<PoolConnections> {
        let pool = self.pool().await?;
        Ok(PoolConnections { open: pool.size(), idle: pool.num_idle() })
    }
}
