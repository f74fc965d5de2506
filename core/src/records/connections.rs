//! How many connections there are.

use super::Records;

/// The connections of a pool to PostgreSQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolConnections {
    /// How many are open, idle or not.
    pub open: u32,
    /// How many of them wait for a call.
    pub idle: usize,
    /// How many there may be.
    pub most: u32,
}

impl Records {
    /// The connections that this instance has now. PostgreSQL is not asked.
    pub fn connections(&self) -> PoolConnections {
        let (open, idle, most) = self.pool_size();
        PoolConnections { open, idle, most }
    }

    /// As whom these connections log in.
    pub fn role(&self) -> super::DatabaseRole {
        self.role
    }
}
