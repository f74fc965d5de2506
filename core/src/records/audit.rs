//! The audit log: read here, written by every change (`act.rs`).

use super::{
    connect::{Records, failed},
    page::{Listed, Page, first_id_of},
};
use crate::{Result, domain::id::TenantId};
use serde_json::Value;
use sqlx::{AssertSqlSafe, Row, postgres::PgRow};
use time::OffsetDateTime;
use uuid::Uuid;

/// What somebody did.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Rises with time.
    pub id: Uuid,
    /// When, to the millisecond.
    pub at: OffsetDateTime,
    /// `person`, `token` or `staff`.
    pub actor_kind: String,
    /// The person's or token's id; of staff, who they are at the staff's identity provider.
    pub actor: String,
    /// The address or the token's name, as it was then.
    pub actor_name: String,
    /// What was done: `noun.verb`.
    pub action: String,
    /// The id of what it was done to.
    pub target: String,
    /// What changed, as it was.
    pub before: Option<Value>,
    /// What changed, as it is since.
    pub after: Option<Value>,
    /// From where.
    pub from_address: Option<String>,
    /// The request's id.
    pub request_id: Option<String>,
}

/// Everything that is ever done, as entries spell it.
pub const ACTIONS: [&str; 22] = [
    "organization.created",
    "organization.renamed",
    "access_policy.changed",
    "person.invited",
    "person.joined",
    "person.role_changed",
    "person.removed",
    "person.left",
    "invitation.revoked",
    "api_token.created",
    "api_token.revoked",
    "license.created",
    "license.changed",
    "license.suspended",
    "license.resumed",
    "license.revoked",
    "license.key_rotated",
    "session.ended",
    "project.created",
    "project.edited",
    "person.erased",
    "machine.erased",
];

/// Which entries of the audit log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Which {
    /// Only those about this.
    pub about: Option<About>,
    /// Only those at or after this time.
    pub from: Option<OffsetDateTime>,
    /// Only those before this time.
    pub to: Option<OffsetDateTime>,
}

/// What entries of the audit log can be found by; each has an index, and no two together have one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum About {
    /// What was done.
    Action(String),
    /// The id of who did it.
    Actor(String),
    /// The id of what it was done to.
    Target(String),
}

impl Records {
    /// The audit log of an organization, the newest first.
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn audit_log(&self, tenant: TenantId, which: &Which, page: Page) -> Result<Listed<Entry>> {
        let (about, value) = match &which.about {
            None => ("", None),
            Some(About::Action(action)) => ("and action = $5", Some(action)),
            Some(About::Actor(id)) => ("and actor = $5", Some(id)),
            Some(About::Target(id)) => ("and target = $5", Some(id)),
        };
        // Ids tell the time: a stretch of time is one of the index.
        let from = which.from.map_or(Uuid::nil(), first_id_of);
        let below = which.to.map_or(page.below(), |to| first_id_of(to).min(page.below()));
        let sql = format!(
            "select id, at, actor_kind, actor, actor_name, action, target, before, after, from_address, request_id from audit_log
             where tenant_id = $1 and id >= $2 and id < $3 {about} order by id desc limit $4"
        );
        let mut query = sqlx::query(AssertSqlSafe(sql)).bind(tenant.0).bind(from).bind(below).bind(page.fetch());
        if let Some(value) = value {
            query = query.bind(value);
        }
        let mut transaction = self.begin(tenant).await?;
        let rows = query.fetch_all(&mut *transaction).await.map_err(failed)?;
        page.cut(rows, |entry: &Entry| entry.id, entry)
    }

    /// Whether the audit log of an organization has an entry about this, whenever it was made.
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn is_in_audit_log(&self, tenant: TenantId, which: &Which) -> Result<bool> {
        let ever = Which { about: which.about.clone(), from: None, to: None };
        let found = self.audit_log(tenant, &ever, Page { limit: 1, ..Page::FIRST }).await?;
        Ok(!found.items.is_empty())
    }
}

fn entry(row: &PgRow) -> sqlx::Result<Entry> {
    Ok(Entry {
        id: row.try_get("id")?,
        at: row.try_get("at")?,
        actor_kind: row.try_get("actor_kind")?,
        actor: row.try_get("actor")?,
        actor_name: row.try_get("actor_name")?,
        action: row.try_get("action")?,
        target: row.try_get("target")?,
        before: row.try_get("before")?,
        after: row.try_get("after")?,
        from_address: row.try_get("from_address")?,
        request_id: row.try_get("request_id")?,
    })
}
