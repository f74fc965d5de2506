//! PostgreSQL: the original of everything that is stored.
//!
//! What acquire, heartbeat, release and the reaper do to seats is one PL/pgSQL function each, which sets the tenant
//! itself: the methods `grant_seat`, `end_seats`, `resolve_session`, `rebuild_pool`, `find_license`, `count_grace`,
//! `record_usage`, `record_wants`, `enqueue_deliveries`, `take_deliveries`, `finish_delivery`, `judge_alert_rule`, `take_mails`,
//! `begin_mail`, `finish_mail`, `skip_mails`, `erase_step` for an
//! erasure and `export_step` for an export. Management changes an organization in a [`TenantTransaction`] with
//! the tenant set for it alone. Whatever else runs does so without a tenant: of the vendor's catalog `plan`, `product`
//! and `page_of`, of the reaper `to_do`, `pools_to_reap`, `waiting_events`, `seat_counts`, `events_waiting` and
//! `keep_history`, of notify `due_webhooks`, `due_mailers` and `due_alert_rules`, of the vendor's staff `find_organizations`, `read_organizations`,
//! `find_licenses`, `locate_licenses` and `locate_external_id`, of whoever asks `locate_license`, `memberships`,
//! `membership` and `staff_tokens_not_before`, and `register_in_new_transaction`, which makes an organization. Behind all of them stand row-level security and what each role may do at all
//! (migrations/README.md): seats, sessions, licenses and events are written by functions alone.
//! Nothing here knows Redis.
//!
//! * `connect.rs`: connections, and what is worth trying again · `role.rs`, `login.rs`: as whom, and how they prove it ·
//!   `connections.rs`: how many there are · `migrate/`: schema, roles and grants
//! * `seats.rs`: grant, end, resolve, rebuild · `sweep.rs`: which pools the reaper looks at · `seat_counts.rs`: how many seats
//!   are held · `outbox.rs`: events
//!   waiting to be published · `deliveries.rs`: events on their way to webhooks ·
//!   `mails.rs`: mails on their way · `history.rs`: ended sessions and published events by months
//! * `change.rs`: the transaction of a change that people ask for, audited and idempotent · `caller.rs`: who asks ·
//!   `page.rs`, `filtered.rs`: pages of long lists · `row.rs`: columns as types
//! * one file for each table that people manage: `organizations.rs` (`access_policy.rs`, `voiding.rs`), `people.rs`
//!   (`person.rs`, `joining.rs`), `invitations.rs`, `projects.rs`, `tokens.rs`, `sessions.rs`, `seat_list.rs`, `licenses/`, `plans.rs`,
//!   `registration.rs` · the vendor's own: `vendor_tokens.rs`, `labels.rs`, `staff_search.rs`
//! * `usage.rs`, `denials.rs`, `demand.rs`: how pools were used, and who wanted a seat in vain ·
//!   `webhooks.rs`: where events are sent · `delivery_log.rs`: what became of them · `alert_rules.rs`, `alerts.rs`: of
//!   what an organization wants to be told, and what was · `judging.rs`: which rules are due · `audit.rs`: the audit log · its chain: `chain/` and `audit_chain.rs` · staff's
//!   reads: `staff_reads.rs`
//! * `erasing.rs`: people and machines whose names are blanked (`subject.rs`: what they are known by) · `exporting.rs`:
//!   what an erasure of a person would blank
//!
//! What people may do, and what is refused, stands in [`crate::management`]; here are only statements and readers of
//! rows. Each statement that is not one call of an SQL function begins with its name as a comment, so that
//! `pg_stat_statements` and PostgreSQL's log say which one it was.

mod access_policy;
mod alert_rules;
mod alerts;
mod audit;
mod audit_chain;
mod caller;
mod chain;
mod change;
mod connect;
mod connections;
mod deliveries;
mod delivery_log;
mod demand;
mod denials;
mod erasing;
mod exporting;
mod filtered;
mod history;
mod invitations;
mod joining;
mod judging;
mod labels;
mod licenses;
mod login;
mod mails;
mod migrate;
mod organizations;
mod outbox;
mod page;
mod people;
mod person;
mod plans;
mod projects;
mod registration;
mod role;
mod row;
mod seat_counts;
mod seat_list;
mod seats;
mod sessions;
mod staff_reads;
mod staff_search;
mod subject;
mod sweep;
mod tokens;
mod usage;
mod vendor_tokens;
mod voiding;
mod webhooks;

pub use access_policy::AccessPolicyRow;
pub(crate) use alert_rules::RuleEnding;
pub use alert_rules::{AlertRuleRow, AlertRuleSettings};
pub use alerts::{AlertFilter, AlertRow};
pub use audit::{ACTIONS, AuditEntryRow, AuditFilter};
pub use audit_chain::{ChainCursor, CheckedStretch, ExportedStretch};
pub use caller::{Caller, Operation, Principal, RepeatableRequest};
pub use chain::{ChainFault, ChainHead, ChainLink, FaultKind};
pub(crate) use change::AuditedChange;
pub(crate) use connect::REPEAT;
pub use connect::{Records, TenantTransaction};
pub use connections::PoolConnections;
pub use deliveries::{DeliveryAttempt, TakeFrom, TakenDelivery};
pub use delivery_log::{AttemptRow, DeliveryFilter, DeliveryRow, ReplayedDeliveries};
pub use demand::{HistoryRead, MOST_ROWS, PoolHistory};
pub use denials::{DenialFilter, DenialRow};
pub use erasing::{ErasureCursor, ErasureReport};
pub use exporting::{ExportCursor, ExportedPart, ExportedRow};
pub use filtered::WINDOW;
pub use history::HistoryStep;
pub use invitations::{InvitationRow, InvitationState};
pub use joining::VerifiedPerson;
pub use judging::{DueRule, Judgement};
pub use labels::LabelledKind;
pub(crate) use licenses::{EndedSessions, LicenseInsert};
pub use licenses::{
    KeyMatch, LicenseFilter, LicenseInShort, LicenseKeyRow, LicenseRow, PoolChange, PoolInShort, PoolOf,
};
pub use login::RecordsAddress;
pub use mails::{BegunMail, InvitationMail, MailDetails, MailFate, TakenMail};
pub use migrate::{
    GrantReport, RoleGrant, SchemaConnection, SchemaError, SchemaErrorKind, SchemaResult, SchemaStatus, migrate,
};
pub use organizations::OrganizationRow;
pub use outbox::EventBatch;
pub use page::{ListedRows, PageCursor, PageRequest};
pub use people::MembershipRow;
pub use person::PersonRow;
pub use plans::{PlanRow, ProductRow, ProductSettings};
pub use projects::ProjectRow;
pub use registration::{FirstLicense, RegisteredTenant};
pub(crate) use registration::{RegistrationState, RegistrationStep};
pub use role::DatabaseRole;
pub use seat_counts::{PoolSeats, SeatCounts, WaitingEvents};
pub use seat_list::{ListedSeats, SeatRow, SeatedSession};
pub use seats::{EndOutcome, GrantOutcome, ResolveOutcome, SeatEnding};
pub(crate) use sessions::KickOutcome;
pub use sessions::{SessionFilter, SessionRow};
pub use staff_search::{FoundLicense, LicenseSearch, OrganizationSearch};
pub(crate) use subject::SubjectIdentifiers;
pub use subject::{ErasureSubject, SubjectAddress};
pub use sweep::{PoolToReap, ToDo};
pub use tokens::{ApiTokenRow, NewApiToken, NewToken, PresentedToken, TokenFate, TokenRow};
pub use usage::{UsageFilter, UsagePoint, UsageStep};
pub use vendor_tokens::{NewVendorToken, VendorTokenRow};
pub use webhooks::{ReplaySpan, WebhookRow, WebhookSettings};
