//! PostgreSQL: what is true.
//!
//! Every move is one PL/pgSQL function called as one autocommit statement ([`Records`]' methods, the hot path); everything else is a
//! [`Transaction`] with the tenant set for it alone. There is no third door: no query without a tenant. Row-level security stands behind
//! both (migrations/0006_rights.sql). Nothing here knows Redis.
//!
//! * `connect.rs`: connections, and what is worth trying again · `migrate.rs`: schema and roles
//! * `seats.rs`: grant, end, resolve, rebuild · `licenses.rs`: find, resize, kick, suspend, rotate · `tenants.rs`: registration
//! * `outbox.rs`: events waiting to be published · `sweep.rs`: which pools the reaper looks at

mod connect;
mod licenses;
mod migrate;
mod outbox;
mod seats;
mod sweep;
mod tenants;

pub use connect::{Records, Role, Transaction};
pub use licenses::{Change, Found};
pub use migrate::migrate;
pub use outbox::Batch;
pub use seats::{EndOutcome, Ending, Grant, GrantOutcome, ResolveOutcome};
pub use sweep::{PoolToReap, Usage};
pub use tenants::{License, NewOrganization, Registered, Registration};
