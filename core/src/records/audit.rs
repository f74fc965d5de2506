//! The audit log: read and appended to here; every change says what it does (`change.rs`).

use super::{
    caller::Caller,
    chain::{self, EarlierErasure},
    connect::Records,
    filtered::{FilterValue, FilteredList, Sought},
    page::{ListedRows, PageRequest, first_id_of},
};
use crate::{
    Result,
    domain::{id::TenantId, secret::KeyRing},
};
use serde_json::Value;
use sqlx::{PgConnection, Row, postgres::PgRow};
use std::collections::HashMap;
use time::OffsetDateTime;
use uuid::Uuid;

/// An entry of the audit log: one act of a person, an API token or staff.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditEntryRow {
    /// The id of the entry, which rises with time.
    pub id: Uuid,
    /// When, to the millisecond.
    pub at: OffsetDateTime,
    /// `person`, `token`, `staff` or `vendor_token`.
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
    /// The address that the request came from.
    pub from_address: Option<String>,
    /// The request's id.
    pub request_id: Option<String>,
}

/// Every action that an entry of an organization's audit log can have.
pub const ACTIONS: [&str; 35] = [
    "organization.created",
    "organization.renamed",
    "organization.tokens_voided",
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
    "webhook.created",
    "webhook.edited",
    "webhook.deleted",
    "webhook.secret_rotated",
    "webhook.tested",
    "webhook.replayed",
    "alert_rule.created",
    "alert_rule.edited",
    "alert_rule.deleted",
    "person.erased",
    "machine.erased",
    "staff.read",
    "organization.changed",
    "person.mail_changed",
];

/// Which entries of the audit log are asked for: those of which everything that is given is true.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// What was done.
    pub action: Option<String>,
    /// The id of who did it.
    pub actor: Option<String>,
    /// The id of what it was done to.
    pub target: Option<String>,
    /// At this time or later.
    pub from: Option<OffsetDateTime>,
    /// Before this time.
    pub to: Option<OffsetDateTime>,
}

impl AuditFilter {
    /// What is filtered by besides time; the first drives. A thing has the fewest entries, an action the most.
    fn sought(&self) -> Sought {
        let all = [("target", &self.target), ("actor", &self.actor), ("action", &self.action)];
        all.into_iter().filter_map(|(column, it)| Some((column, FilterValue::Text(it.clone()?)))).collect()
    }
}

const AUDIT_LOG: FilteredList = FilteredList {
    name: "-- audit_log
",
    columns: "id, at, actor_kind, actor, actor_name, action, target, before, after, from_address, request_id",
    table: "audit_log",
    id: "id",
    only: "true",
};

impl Records {
    /// The audit log of an organization, the newest first. A page of several filters may hold fewer than its limit, also
    /// none, although another follows: it looks through at most [`super::WINDOW`] entries.
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn audit_log(
        &self,
        tenant: TenantId,
        which: &AuditFilter,
        page: PageRequest,
    ) -> Result<ListedRows<AuditEntryRow>> {
        // An id begins with the time, so the entries of a span of time are neighbours in the index.
        let from = which.from.map_or(Uuid::nil(), first_id_of);
        let below = which.to.map_or(page.below(), |to| first_id_of(to).min(page.below()));
        let mut transaction = self.begin(tenant).await?;
        let found = AUDIT_LOG.fetch(&mut transaction, tenant, &which.sought(), [from, below], page).await?;
        let listed = page.cut(found.rows, |entry: &AuditEntryRow| entry.id, entry)?;
        Ok(ListedRows { next: listed.next.or(found.looked_through_to), ..listed })
    }

    /// Whether the audit log of an organization has an entry about this, whenever it was made.
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn is_in_audit_log(&self, tenant: TenantId, which: &AuditFilter) -> Result<bool> {
        let found = self.audit_log(tenant, which, PageRequest { limit: 1, ..PageRequest::FIRST }).await?;
        Ok(!found.items.is_empty())
    }
}

/// What the audit log says of a change besides who made it.
pub(super) struct AuditStatement {
    pub(super) action: &'static str,
    pub(super) target: String,
    pub(super) before: Value,
    pub(super) after: Value,
}

/// Appends an entry to the audit log of the caller's organization, or to the staff's log for changes to the vendor's
/// catalog.
pub(super) async fn append(
    sql: &mut PgConnection,
    caller: &Caller,
    entry: AuditStatement,
    peppers: Option<&KeyRing>,
) -> Result<()> {
    match caller.tenant {
        TenantId::VENDOR => append_to_staff_log(sql, caller, entry, peppers).await,
        _ => write(sql, caller, entry, peppers).await.map(drop),
    }
}

/// Appends an entry to the staff's log and seals it.
async fn append_to_staff_log(
    sql: &mut PgConnection,
    caller: &Caller,
    entry: AuditStatement,
    peppers: Option<&KeyRing>,
) -> Result<()> {
    let row = sqlx::query("select seq, hash from history.staff_append($1, $2, $3, $4, $5, $6, $7, $8, $9)")
        .bind(caller.principal.kind())
        .bind(caller.principal.id())
        .bind(caller.principal.name())
        .bind(entry.action)
        .bind(entry.target)
        .bind(entry.before)
        .bind(entry.after)
        .bind(caller.address.map(|address| address.to_string()))
        .bind(&caller.request_id)
        .fetch_one(&mut *sql)
        .await?;
    let Some(peppers) = peppers else { return Ok(()) };
    let (seq, hash): (i64, Vec<u8>) = (row.try_get("seq")?, row.try_get("hash")?);
    let seal = chain::seal(peppers, TenantId::VENDOR, seq, &hash);
    sqlx::query("select history.staff_seal($1, $2)").bind(seq).bind(seal).execute(sql).await?;
    Ok(())
}

/// Appends an entry to the audit log in the transaction of the change that it describes, seals it, and answers its id.
/// From here to the end of the transaction every other transaction that appends to the log of this organization waits,
/// so no statement that waits for a lock may come after this one.
pub(super) async fn write(
    sql: &mut PgConnection,
    caller: &Caller,
    said: AuditStatement,
    peppers: Option<&KeyRing>,
) -> Result<Uuid> {
    let AuditStatement { action, target, before, after } = said;
    debug_assert!(ACTIONS.contains(&action), "{action} is missing from the list that filters know");
    let row = sqlx::query("select id, seq, hash from history.audit_append($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)")
        .bind(caller.tenant.0)
        .bind(caller.principal.kind())
        .bind(caller.principal.id())
        .bind(caller.principal.name())
        .bind(action)
        .bind(target)
        .bind(before)
        .bind(after)
        .bind(caller.address.map(|address| address.to_string()))
        .bind(&caller.request_id)
        .fetch_one(&mut *sql)
        .await?;
    if let Some(peppers) = peppers {
        let (seq, hash): (i64, Vec<u8>) = (row.try_get("seq")?, row.try_get("hash")?);
        sqlx::query("select history.audit_seal($1, $2, $3)")
            .bind(caller.tenant.0)
            .bind(seq)
            .bind(chain::seal(peppers, caller.tenant, seq, &hash))
            .execute(sql)
            .await?;
    }
    Ok(row.try_get("id")?)
}

/// Seals what was left of entries of the audit log at these places of its chain, in the transaction that blanked them.
/// `earlier`: those of them that other erasures had blanked before.
pub(super) async fn seal_blanked(
    sql: &mut PgConnection,
    tenant: TenantId,
    erasure: Uuid,
    places: &[i64],
    earlier: &[EarlierErasure],
    peppers: &KeyRing,
) -> sqlx::Result<()> {
    if places.is_empty() {
        return Ok(());
    }
    let left = "-- seal_blanked
        select e.seq, e.erased_hash from unnest($2) n (seq), lateral (
          select a.seq, a.erased_hash from audit_log a
          where a.tenant_id = $1 and a.seq >= n.seq and a.seq <= n.seq order by a.seq limit 1) e";
    let rows: Vec<(i64, Vec<u8>)> = sqlx::query_as(left).bind(tenant.0).bind(places).fetch_all(&mut *sql).await?;
    let earlier: HashMap<i64, &EarlierErasure> = earlier.iter().map(|it| (it.seq, it)).collect();
    let seal = |(seq, hash): &(i64, Vec<u8>)| {
        let seal = chain::seal_erased(peppers, tenant, *seq, erasure, hash);
        let seal = match earlier.get(seq) {
            Some(was) => chain::seal_erased_again(peppers, tenant, was, seal)?,
            None => seal,
        };
        Some((*seq, seal))
    };
    let (places, seals): (Vec<i64>, Vec<String>) = rows.iter().filter_map(seal).unzip();
    let write = "select history.audit_seal_erased($1, $2, $3, $4)";
    sqlx::query(write).bind(tenant.0).bind(erasure).bind(places).bind(seals).execute(sql).await.map(drop)
}

fn entry(row: &PgRow) -> sqlx::Result<AuditEntryRow> {
    Ok(AuditEntryRow {
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
