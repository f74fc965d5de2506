//! As whom a service connects to PostgreSQL.

/// The roles that serve. None owns a table, none bypasses row-level security (migrations/roles.sql).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatabaseRole {
    /// acquire, heartbeat, release.
    Service,
    /// reaper.
    Reaper,
    /// notify.
    Notify,
    /// register, admin.
    Admin,
}

impl DatabaseRole {
    /// The role's name in the database.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::Reaper => "reaper",
            Self::Notify => "notify",
            Self::Admin => "admin",
        }
    }
}
