//! What people may do, and what is refused: to organizations, people, invitations, projects, API tokens, plans,
//! licenses, sessions, webhooks and alert rules. One file for each of these nouns.
//!
//! The rules stand here; the statements that read and write rows stand in [`crate::records`], in a file of the same
//! noun. A change is one transaction (`Records::change`): it is audited in it, and made once however often a request
//! with the same idempotency key comes. Reading needs no rule, and callers read from [`Records`] directly.
//!
//! A change of licenses or sessions also changes seats. It is committed first, and then the copies of its pools in
//! Redis are marked stale. If the process dies in between, grants are refused at once by their epoch, and the next
//! acquire or sweep repairs the copy.

mod access_policy;
mod alert_rules;
mod ending_sessions;
mod erasing;
mod granted_access;
mod invitations;
mod joining;
mod licenses;
mod looking;
mod organizations;
mod people;
mod plans;
mod projects;
mod registration;
mod seats;
mod seats_needed;
mod sessions;
mod tokens;
mod vendor_tokens;
mod voiding;
mod webhooks;

pub use alert_rules::AlertRuleEdit;
pub use ending_sessions::SessionsEnd;
pub use granted_access::GrantedAccess;
pub use invitations::IssuedInvitation;
pub use joining::{JoinRequest, NewMember};
pub use licenses::{
    ChangedLicense, EndingStep, IssuedLicense, KeyRotation, LicenseEdit, LicenseView, LivePool, NewLicense, PoolUse,
    RotatedKey,
};
pub use organizations::{MadeOrganization, OrganizationEdit, VendorOrganization};
pub use people::RoleChange;
pub use plans::UpsertedRow;
pub use projects::ProjectEdit;
pub use registration::{NewOrganization, RegistrationResult};
pub use seats::{SeatState, SeatView};
pub use seats_needed::{AdviceOutcome, AdviceWithheld, SeatsAdvice};
pub use sessions::{ClientPresence, EndedSessionRow, SessionEnd, SessionView};
pub use tokens::IssuedApiToken;
pub use vendor_tokens::IssuedVendorToken;
pub use voiding::VoidingResult;
pub use webhooks::{IssuedWebhook, TestedWebhook, WebhookEdit};

use crate::{
    Result,
    protocol::rebuild::PoolRebuilds,
    records::{PoolChange, Records},
    refusal::ChangeRefusal,
    seat_store::{PoolKey, SeatStore},
    steps::{FailPoints, Step},
};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Every change that people may ask for, in PostgreSQL alone. Cheap to clone.
///
/// A change of licenses or sessions leaves copies in Redis that are stale, and its outcome names them. Whoever may
/// change seats calls [`SeatManagement`], which marks them.
#[derive(Clone)]
pub struct Management {
    records: Records,
    /// One advice is computed at a time: each may take a processor for seconds.
    advising: Arc<Semaphore>,
}

impl Management {
    /// Changes in these records, which are opened as [`crate::records::DatabaseRole::Admin`].
    pub fn new(records: Records) -> Self {
        Self { records, advising: Arc::new(Semaphore::new(1)) }
    }
}

/// The changes that concern seats: made in PostgreSQL, and then told to Redis. Cheap to clone.
#[derive(Clone)]
pub struct SeatManagement {
    seats: SeatStore,
    records: Records,
    management: Management,
    rebuilds: PoolRebuilds,
    steps: FailPoints,
}

impl SeatManagement {
    /// Changes in these records, which are opened as [`crate::records::DatabaseRole::Admin`], and in the seat store.
    pub fn new(seats: SeatStore, records: Records) -> Self {
        let steps = FailPoints::default();
        let rebuilds = PoolRebuilds::new(seats.clone(), records.clone(), steps.clone());
        Self { seats, management: Management::new(records.clone()), records, rebuilds, steps }
    }

    /// The fail points of these operations.
    pub fn steps(&self) -> &FailPoints {
        &self.steps
    }

    /// Marks the copies of changed pools in Redis as stale. Trouble with one pool keeps no other from being marked; the
    /// caller hears of it, and may repeat the request.
    async fn mark_stale(&self, changes: &[PoolChange]) -> Result<()> {
        self.steps.done(Step::Change).await?;
        let mut outcome = Ok(());
        for change in changes {
            let pool = PoolKey { license: change.license, pool: change.pool.clone() };
            outcome = self.seats.invalidate(&pool, change.epoch_before).await.and(outcome);
        }
        outcome
    }
}

/// Refuses a change that was meant for another version than the present one; `None` as the present one: there is
/// nothing yet. A change that names no version is meant for any.
fn check_version(meant: Option<i64>, present: impl Into<Option<i64>>) -> std::result::Result<(), ChangeRefusal> {
    if meant.is_none() || meant == present.into() { Ok(()) } else { Err(ChangeRefusal::VersionMismatch) }
}
