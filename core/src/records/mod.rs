//! PostgreSQL: what is true.
//!
//! Every move is one PL/pgSQL function called as one autocommit statement ([`Records`]' methods, the hot path); everything else is a
//! [`Transaction`] with the tenant set for it alone. There is no third door: no query without a tenant. Behind both
//! stand row-level security and what each role may do at all (migrations/README.md): seats, sessions, licenses and events are written by
//! functions alone. Nothing here knows Redis.
//!
//! * `connect.rs`: connections, and what is worth trying again · `migrate.rs`: schema and roles
//! * `seats.rs`: grant, end, resolve, rebuild · `licenses.rs`: find, resize, kick, suspend, rotate · `tenants.rs`: registration
//! * `act.rs`: a change that people ask for, audited and idempotent · `page.rs`: pages of long lists
//! * one file a table for what people manage: `organizations.rs` `people.rs` `invitations.rs` (`joining.rs`) `sessions.rs` `projects.rs`
//!   `tokens.rs` (`delegation.rs`: what ends with whoever asked for it) `audit.rs` (its chain: `chain.rs` and `verifying.rs`; staff's
//!   reads: `reading.rs`); of licenses `licensed.rs` reads and `licensing.rs` and `rotation.rs` write
//! * `plans.rs`: the vendor's catalog, without a tenant · `voiding.rs`: from when on ID tokens must be
//! * `outbox.rs`: events waiting to be published · `sweep.rs`: which pools the reaper looks at · `history.rs`: what is over ·
//!   `erasing.rs`: people and machines whose names are blanked

mod access_policy;
mod act;
mod audit;
mod chain;
mod connect;
mod delegation;
mod erasing;
mod history;
mod invitations;
mod joining;
mod licensed;
mod licenses;
mod licensing;
mod migrate;
mod organizations;
mod outbox;
mod page;
mod people;
mod plans;
mod projects;
mod reading;
mod rotation;
mod seats;
mod sessions;
mod sweep;
mod tenants;
mod tokens;
mod verifying;
mod voiding;

pub use access_policy::AccessPolicy;
pub use act::{Act, Answer, Principal, Refused, Repeat};
pub use audit::{ACTIONS, About, Entry, Which};
pub use chain::{Fault, FaultKind, Head, Link};
pub use connect::{Records, Role, Transaction};
pub use delegation::{Delegated, TokenFate};
pub use erasing::{Address, Erased, ErasureCursor, Whom};
pub use history::HistoryStep;
pub use invitations::{Invitation, InvitationState, Invited};
pub use joining::{Joined, Joining};
pub use licensed::{LicenseFilter, Licensed, PoolOf};
pub use licenses::{Change, Found};
pub use licensing::{Changed, IssuedLicense, NewLicense};
pub use migrate::migrate;
pub use organizations::Organization;
pub use outbox::Batch;
pub use page::{Cursor, Listed, Page};
pub use people::{EditedPerson, Membership, Person};
pub use plans::{Plan, Product, Put, StaffAct};
pub use projects::{Project, ProjectEdit};
pub use rotation::{EndedSessions, NewKey, Rotation};
pub use seats::{EndOutcome, Ending, Grant, GrantOutcome, ResolveOutcome};
pub use sessions::{Session, SessionEnd, SessionFilter, WINDOW};
pub use sweep::{PoolToReap, ToDo, Usage};
pub use tenants::{License, NewOrganization, Registered, Registration};
pub use tokens::{ApiToken, NewApiToken, Presented, Tokened};
pub use verifying::{ChainCursor, Checked, Exported};
pub use voiding::Voided;
