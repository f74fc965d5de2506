//! How many connections there are.

use super::Records;

/// The connections of a pool to PostgreSQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolConnections {
    /// How many are open, idle or not.
    pub open: u32,
    /// How many of them wait for a call.
    pub idle: usize,
}

impl Records {
    /// The connections that this instance has now. PostgreSQL is not asked.
    pub fn connections(&self) -> PoolConnections {
        let (open, idle) = self.pool_size();
        PoolConnections { open, idle }
    }
}
