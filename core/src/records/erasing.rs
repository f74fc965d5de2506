//! Erasing a person or a machine: names, addresses and labels are blanked wherever the records have them; ids, times
//! and counts stay (`migrations/0310_erase_names.sql` to `0319_erase_deliveries.sql`,
//! `0340_erase_mails.sql`).
//!
//! It is written into the audit log first. Then come short calls one after the other, each a transaction of its own
//! over a bounded number of rows, so that nobody who asks for a seat waits for it; a request makes as many as fit into
//! its time, and says where the next one goes on. Blanking what is blank changes nothing, so an erasure that was cut is
//! simply asked for again.

use super::{
    audit::{AuditStatement, seal_blanked, write},
    change::AuditedChange,
    connect::{Records, worth_repeating},
    licenses::{PoolChange, changed_pools},
    subject::SubjectIdentifiers,
};
use crate::{
    Result,
    domain::{
        id::TenantId,
        secret::{self, KeyRing},
    },
    refusal::UnreadableText,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{Connection, PgConnection, PgPool, Row, postgres::PgRow, types::Json};
use std::str::FromStr;
use uuid::Uuid;

/// What was blanked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErasureReport {
    /// The entry of the audit log that says who erased, and when.
    pub id: Uuid,
    /// Sessions, open and ended.
    pub sessions: i64,
    /// Wants of a seat that were refused.
    #[serde(default)]
    pub denials: i64,
    /// Events, waiting and published.
    pub events: i64,
    /// Deliveries of events, of which the receiver's answers were blanked.
    #[serde(default)]
    pub deliveries: i64,
    /// Mails that were not sent, because they were to the person or named them.
    #[serde(default)]
    pub mails: i64,
    /// Entries of the audit log.
    pub audit_entries: i64,
    /// People who left.
    pub people: i64,
    /// Invitations.
    pub invitations: i64,
    /// API tokens.
    pub api_tokens: i64,
    /// Projects.
    pub projects: i64,
    /// Webhooks.
    #[serde(default)]
    pub webhooks: i64,
    /// Alert rules.
    #[serde(default)]
    pub alert_rules: i64,
    /// Licenses, whose name, note, external id or metadata named the person.
    #[serde(default)]
    pub licenses: i64,
    /// 1 if the organization's name, external id or metadata named the person.
    pub organizations: i64,
    /// Where the next request goes on; `None`: all is done.
    pub next: Option<ErasureCursor>,
    /// Pools whose copies in Redis have labels that were blanked.
    pub changed_pools: Vec<PoolChange>,
}

/// How far an erasure has come. It contains no name and no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErasureCursor {
    /// The entry of the audit log under which the erasure began.
    pub(crate) erasure: Uuid,
    stage: ErasureStage,
    /// Which of the subject's identifiers.
    key: u8,
    after: Uuid,
}

/// What is searched, in this order. Open sessions come before ended ones, so that a session that ends meanwhile is
/// found among the ended ones. Answers of receivers come after the events, of which many of them are copies. People
/// come last, because the other rows are found by their addresses and names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum ErasureStage {
    Open,
    Ended,
    Denials,
    Events,
    Deliveries,
    Mails,
    Entries,
    Acts,
    People,
}

const STAGES: [ErasureStage; 9] = [
    ErasureStage::Open,
    ErasureStage::Ended,
    ErasureStage::Denials,
    ErasureStage::Events,
    ErasureStage::Deliveries,
    ErasureStage::Mails,
    ErasureStage::Entries,
    ErasureStage::Acts,
    ErasureStage::People,
];

impl ErasureCursor {
    /// Where an erasure begins.
    pub(crate) fn first(erasure: Uuid) -> Self {
        Self { erasure, stage: ErasureStage::Open, key: 0, after: Uuid::nil() }
    }

    /// Whether only the people themselves are left, who stay known until everything else is blanked.
    pub(crate) fn is_at_people(&self) -> bool {
        self.stage == ErasureStage::People
    }

    /// Where the next call begins: further in the same rows (`after`), at the next of `keys` identifiers, or at the
    /// next stage.
    fn next(self, after: Option<Uuid>, keys: usize) -> Self {
        let index = STAGES.iter().position(|it| *it == self.stage).unwrap_or_default();
        match after {
            Some(after) => Self { after, ..self },
            None if usize::from(self.key) + 1 < keys => Self { key: self.key + 1, after: Uuid::nil(), ..self },
            None => Self { stage: STAGES[index + 1], key: 0, after: Uuid::nil(), ..self },
        }
    }
}

impl std::fmt::Display for ErasureCursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let head = [self.stage as u8, self.key];
        f.write_str(&secret::base64url(&[&head[..], self.erasure.as_bytes(), self.after.as_bytes()].concat()))
    }
}

impl FromStr for ErasureCursor {
    type Err = UnreadableText;

    fn from_str(text: &str) -> std::result::Result<Self, UnreadableText> {
        let read = || {
            let bytes: [u8; 34] = secret::from_base64url(text)?.try_into().ok()?;
            let id = |at: usize| Uuid::from_slice(&bytes[at..at + 16]).ok();
            let stage = *STAGES.get(usize::from(bytes[0]))?;
            Some(Self { stage, key: bytes[1], erasure: id(2)?, after: id(18)? })
        };
        read().ok_or(UnreadableText::ErasureCursor)
    }
}

impl AuditedChange<'_> {
    /// Writes into the audit log that an erasure begins, and answers the entry's id, which names the erasure. What the
    /// same request has begun before goes on under its entry.
    pub(crate) async fn begin_erasure(
        &mut self,
        action: &'static str,
        target: String,
        peppers: &KeyRing,
    ) -> Result<Uuid> {
        self.mark_audited();
        if let Some(begun) = self.begun() {
            return Ok(begun);
        }
        let entry = AuditStatement { action, target, before: Value::Null, after: Value::Null };
        let caller = self.caller();
        let id = write(self.sql(), caller, entry, Some(peppers)).await?;
        self.keep_begun(id).await?;
        Ok(id)
    }
}

impl Records {
    /// Whether this entry of the audit log began an erasure of this subject within the last day.
    pub(crate) async fn is_erasure_of(
        sql: &mut PgConnection,
        tenant: TenantId,
        erasure: Uuid,
        action: &str,
        target: &str,
    ) -> Result<bool> {
        let text = "-- is_erasure_of
            select exists (select from audit_log where tenant_id = $1 and id = $2 and action = $3 and target = $4
              and at > now() - interval '23 hours')";
        let query = sqlx::query_scalar(text).bind(tenant.0).bind(erasure).bind(action).bind(target);
        Ok(query.fetch_one(sql).await?)
    }

    /// Blanks a person in what people manage (invitations, API tokens, projects, webhooks, alert rules, and what the
    /// vendor wrote beside licenses and the organization) and counts it into the report.
    pub(crate) async fn erase_things(
        &self,
        tenant: TenantId,
        known: &SubjectIdentifiers,
        report: &mut ErasureReport,
    ) -> Result<()> {
        let mut transaction = self.begin_patiently(tenant).await?;
        let sql = "select invitations, api_tokens, projects, webhooks, alert_rules, licenses, organizations
            from history.erase_things($1, $2, $3, $4, $5)";
        let row = sqlx::query(sql)
            .bind(tenant.0)
            .bind(report.id)
            .bind(&known.keys)
            .bind(&known.names)
            .bind(&known.users)
            .fetch_one(&mut *transaction)
            .await?;
        transaction.commit().await?;
        (report.invitations, report.api_tokens) = (row.try_get("invitations")?, row.try_get("api_tokens")?);
        (report.projects, report.webhooks) = (row.try_get("projects")?, row.try_get("webhooks")?);
        (report.alert_rules, report.licenses) = (row.try_get("alert_rules")?, row.try_get("licenses")?);
        report.organizations = row.try_get("organizations")?;
        Ok(())
    }

    /// Makes one short call, in a transaction of its own, and answers where the next one begins. `None`: nothing
    /// happened, because another transaction was in the way; the same call can be made again.
    pub(crate) async fn erase_step(
        &self,
        tenant: TenantId,
        known: &SubjectIdentifiers,
        report: &mut ErasureReport,
        at: ErasureCursor,
        peppers: &KeyRing,
    ) -> Result<Option<ErasureCursor>> {
        let Some(call) = ErasureCall::of(known, at) else { return Ok(Some(at.next(None, 0))) };
        let pool = self.pool().await?;
        let row = match call_and_seal(&pool, &call, tenant, known, at, peppers).await {
            Ok(row) => row,
            // A lock was not granted in time, a row was moved to the table of its month, or rows of the history are
            // being moved.
            Err(e) if worth_repeating(&e) => return Ok(None),
            Err(e) => return Err(e.into()),
        };
        report.sessions += count(&row, "sessions");
        report.denials += count(&row, "denials");
        report.events += count(&row, "events");
        report.deliveries += count(&row, "deliveries");
        report.mails += count(&row, "mails");
        report.audit_entries += count(&row, "entries");
        if at.stage == ErasureStage::Open && row.try_get::<Option<Uuid>, _>("pool_id")?.is_some() {
            let changed = changed_pools(std::slice::from_ref(&row))?;
            // The newest epoch of each pool is enough: every copy of it or of an earlier epoch is stale.
            report.changed_pools.retain(|before| changed.iter().all(|now| now.pool_id != before.pool_id));
            report.changed_pools.extend(changed);
            return Ok(Some(at)); // until none is left
        }
        Ok(Some(at.next(row.try_get("after")?, call.keys)))
    }
}

/// Makes the call and seals the entries of the audit log that it blanked, in one transaction.
async fn call_and_seal(
    pool: &PgPool,
    call: &ErasureCall,
    tenant: TenantId,
    known: &SubjectIdentifiers,
    at: ErasureCursor,
    peppers: &KeyRing,
) -> sqlx::Result<PgRow> {
    let query = call.bind(sqlx::query(call.sql).bind(tenant.0).bind(at.erasure), known, at);
    let mut transaction = pool.begin().await?;
    let row = query.fetch_one(&mut *transaction).await?;
    let blanked = row.try_get::<Vec<i64>, _>("blanked").unwrap_or_default();
    let earlier = row.try_get::<Json<Vec<_>>, _>("earlier").map(|it| it.0).unwrap_or_default();
    seal_blanked(&mut transaction, tenant, at.erasure, &blanked, &earlier, peppers).await?;
    transaction.commit().await?;
    Ok(row)
}

impl AuditedChange<'_> {
    /// Blanks the rows of the people themselves and answers how many. `None`: another transaction was in the way, and
    /// nothing happened.
    pub(crate) async fn erase_people(&mut self, erasure: Uuid, known: &SubjectIdentifiers) -> Result<Option<i64>> {
        let tenant = self.tenant().0;
        let mut savepoint = self.sql().begin().await?;
        let query = sqlx::query_scalar("select people from history.erase_people($1, $2, $3)");
        match query.bind(tenant).bind(erasure).bind(&known.users).fetch_one(&mut *savepoint).await {
            Ok(people) => {
                savepoint.commit().await?;
                Ok(Some(people))
            }
            Err(e) if worth_repeating(&e) => {
                savepoint.rollback().await?;
                Ok(None)
            }
            Err(e) => Err(e.into()),
        }
    }
}

/// The call of one step: which function, and over how many identifiers of the subject it goes.
struct ErasureCall {
    sql: &'static str,
    keys: usize,
}

impl ErasureCall {
    /// `None`: this stage has nothing to look for.
    fn of(known: &SubjectIdentifiers, at: ErasureCursor) -> Option<Self> {
        let (sql, keys) = match at.stage {
            ErasureStage::Open => (
                "select pool_id, name, number, epoch_before, sessions, events, null::uuid as after
                 from history.erase_open($1, $2, $3, $4)",
                known.keys.len(),
            ),
            ErasureStage::Ended => {
                ("select after, sessions, events from history.erase_ended($1, $2, $3, $4, $5)", known.keys.len())
            }
            ErasureStage::Denials => {
                ("select after, denials from history.erase_denials($1, $2, $3, $4, $5)", known.keys.len())
            }
            ErasureStage::Events => ("select after, events from history.erase_events($1, $2, $3, $4, $5)", 1),
            ErasureStage::Deliveries => {
                ("select after, deliveries from history.erase_deliveries($1, $2, $3, $4, $5, $6)", 1)
            }
            ErasureStage::Mails => ("select after, mails from history.erase_mails($1, $2, $3, $4, $5, $6, $7)", 1),
            ErasureStage::Entries => {
                ("select after, entries, blanked, earlier from history.erase_entries($1, $2, $3, $4, $5, $6, $7)", 1)
            }
            ErasureStage::Acts if known.users.get(usize::from(at.key)).is_none() => return None,
            ErasureStage::Acts | ErasureStage::People => {
                ("select after, entries, blanked, earlier from history.erase_acts($1, $2, $3, $4)", known.users.len())
            }
        };
        Some(Self { sql, keys })
    }

    fn bind<'q>(&self, query: PgQuery<'q>, known: &'q SubjectIdentifiers, at: ErasureCursor) -> PgQuery<'q> {
        let column = if known.hw.is_some() { "hw" } else { "person" };
        let key = known.keys.get(usize::from(at.key));
        let people = if known.hw.is_some() { &[][..] } else { &known.keys };
        match at.stage {
            ErasureStage::Open => query.bind(column).bind(key),
            ErasureStage::Ended | ErasureStage::Denials => query.bind(column).bind(key).bind(at.after),
            ErasureStage::Events => query.bind(people).bind(&known.hw).bind(at.after),
            ErasureStage::Deliveries => query.bind(people).bind(&known.names).bind(&known.hw).bind(at.after),
            ErasureStage::Mails => {
                query.bind(people).bind(&known.names).bind(&known.users).bind(&known.hw).bind(at.after)
            }
            ErasureStage::Entries => {
                let users: Vec<String> = known.users.iter().map(Uuid::to_string).collect();
                query.bind(people).bind(&known.names).bind(users).bind(&known.hw).bind(at.after)
            }
            ErasureStage::Acts | ErasureStage::People => {
                query.bind(known.users.get(usize::from(at.key)).map(Uuid::to_string)).bind(at.after)
            }
        }
    }
}

type PgQuery<'q> = sqlx::query::Query<'q, sqlx::Postgres, sqlx::postgres::PgArguments>;

/// A number of the row, where it has one of this name.
fn count(row: &PgRow, name: &str) -> i64 {
    row.try_get::<Option<i64>, _>(name).ok().flatten().unwrap_or(0)
}
