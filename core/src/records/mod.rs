//! PostgreSQL: what is true.
//!
//! What acquire, heartbeat, release and the reaper do to seats is one PL/pgSQL function each, called as one autocommit
//! statement ([`Records`]' methods, the hot path). Management changes an organization in a [`TenantTransaction`] with the
//! tenant set for it alone. Without a tenant are only the vendor's plans and products, the reaper's sweep and outbox, and
//! the lookups that find out which tenant it is. Behind all of them stand row-level security and what each role may do
//! at all (migrations/README.md): seats, sessions, licenses and events are written by functions alone. Nothing here
//! knows Redis.
//!
//! * `connect.rs`: connections, and what is worth trying again · `migrate.rs`: schema and roles
//! * `seats.rs`: grant, end, resolve, rebuild · `licenses.rs`: find, resize, kick, suspend, rotate · `tenants.rs`:
//!   registration
//! * `act.rs`: a change that people ask for, audited and idempotent · `caller.rs`: who asks · `page.rs`: pages of long
//!   lists
//! * one file a table for what people manage: `organizations.rs` `people.rs` `invitations.rs` (`joining.rs`)
//!   `sessions.rs` `projects.rs` `tokens.rs` (`delegation.rs`: what ends with whoever asked for it) `audit.rs` (its
//!   chain: `chain.rs` and `verifying.rs`; staff's reads: `reading.rs`); of licenses `licensed.rs` reads and
//!   `licensing.rs` and `rotation.rs` write
//! * `plans.rs`: the vendor's catalog, without a tenant · `voiding.rs`: from when on ID tokens must be
//! * `outbox.rs`: events waiting to be published · `sweep.rs`: which pools the reaper looks at · `history.rs`: what is
//!   over · `erasing.rs`: people and machines whose names are blanked (`subject.rs`: what they are known by)

mod access_policy;
mod act;
mod audit;
mod caller;
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
mod person;
mod plans;
mod projects;
mod reading;
mod rotation;
mod seats;
mod sessions;
mod subject;
mod sweep;
mod tenants;
mod tokens;
mod verifying;
mod voiding;

pub use access_policy::AccessPolicyRow;
pub use act::{ChangeRefusal, ChangeResult};
pub use audit::{ACTIONS, AuditEntryRow, AuditFilter, AuditSubject};
pub use caller::{Caller, Operation, Principal, RepeatableRequest};
pub use chain::{ChainFault, ChainHead, ChainLink, FaultKind};
pub use connect::{DatabaseRole, Records, TenantTransaction};
pub use delegation::{DelegatedAccess, TokenFate};
pub use erasing::{ErasureCursor, ErasureReport, ErasureSubject};
pub use history::HistoryStep;
pub use invitations::{InvitationRow, InvitationState, IssuedInvitation};
pub use joining::{JoinRequest, NewMember};
pub use licensed::{LicenseFilter, LicenseRow, PoolOf};
pub use licenses::{KeyMatch, PoolChange};
pub use licensing::{ChangedLicense, IssuedLicense, NewLicense};
pub use migrate::migrate;
pub use organizations::OrganizationRow;
pub use outbox::EventBatch;
pub use page::{ListedRows, PageCursor, PageRequest};
pub use people::{EditedPersonRow, MembershipRow};
pub use person::PersonRow;
pub use plans::{PlanRow, ProductRow, StaffAct, UpsertedRow};
pub use projects::{ProjectEdit, ProjectRow};
pub use rotation::{EndedSessions, KeyRotation, RotatedKeyRow};
pub use seats::{EndOutcome, GrantOutcome, ResolveOutcome, SeatEnding};
pub use sessions::{SessionEnd, SessionFilter, SessionRow, WINDOW};
pub use subject::SubjectAddress;
pub use sweep::{PoolToReap, PoolUsage, ToDo};
pub use tenants::{FirstLicense, NewOrganization, RegisteredTenant, RegistrationOutcome};
pub use tokens::{ApiTokenRow, IssuedApiToken, NewApiToken, PresentedToken};
pub use verifying::{ChainCursor, CheckedStretch, ExportedStretch};
pub use voiding::VoidingResult;
