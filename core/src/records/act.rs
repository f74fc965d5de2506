//! A change that a person, a script or the vendor's staff asks for: one transaction with the tenant set, audited inside
//! it, and done once however often it is asked for with the same idempotency key.

use super::{
    audit::{AuditStatement, write},
    caller::{Caller, Principal},
    connect::{Records, TenantTransaction, failed},
    reading,
};
use crate::{
    Error, Result,
    domain::{access::PersonRole, id::TenantId, secret::KeyRing},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use sqlx::{PgConnection, Row};
use std::sync::Arc;

/// For how long the outcome of an idempotency key is kept, in hours (Stripe: 24).
const REPEAT_HOURS: i32 = 24;
const ANSWER_ERASED: &str = "This request was carried out, but what it was answered has been erased together with \
    somebody whom it may have named. \
                             Look at what is there now, and draw a new key for anything else you want done.";
/// How many outcomes that are over one request takes away: more than the one it brings, and few enough for nobody to
/// wait.
const FORGOTTEN_AT_ONCE: i64 = 10;

/// Why a change was not made. Nothing was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeRefusal {
    /// Nothing of that id in this organization.
    NotFound,
    /// Somebody changed it since it was read: `If-Match` names another version.
    Stale,
    /// The state of things does not allow it; a sentence that says what to do.
    Conflict(&'static str),
    /// A field says something that can only be known to be wrong here.
    Invalid(&'static str, &'static str),
    /// More than the role of who asks.
    Role(PersonRole),
    /// The idempotency key was used for another request.
    KeyReused,
}

/// A refusal is an answer; an error means that nobody knows.
pub type ChangeResult<T> = Result<std::result::Result<T, ChangeRefusal>>;

/// A change under way. Rolled back when dropped.
pub(super) struct AuditedChange<'a> {
    act: &'a Caller,
    transaction: TenantTransaction,
    peppers: Option<Arc<KeyRing>>,
    /// What will be written into the audit log, last of all: whoever has the end of its chain keeps it until the end of
    /// the transaction, and must wait for nobody then.
    said: Vec<AuditStatement>,
    /// True where the audit log was told by another transaction of the same request.
    told: bool,
}

/// A change is to be made, or was made by an earlier request.
pub(super) enum OpenedChange<'a, T> {
    New(AuditedChange<'a>),
    Before(std::result::Result<T, ChangeRefusal>),
}

/// Begins a change, or answers at once what the same request was answered before.
macro_rules! open {
    ($records:expr, $act:expr) => {
        match $records.open($act).await? {
            crate::records::act::OpenedChange::New(work) => work,
            crate::records::act::OpenedChange::Before(answer) => return Ok(answer),
        }
    };
}
pub(super) use open;

impl Records {
    /// Begins a change. Use it through the macro of the same name.
    pub(super) async fn open<'a, T: DeserializeOwned>(&self, act: &'a Caller) -> Result<OpenedChange<'a, T>> {
        let transaction = self.patient(act.tenant).await?;
        let mut work = self.work(act, transaction);
        Ok(match work.before().await? {
            Some(answer) => OpenedChange::Before(answer),
            None => OpenedChange::New(work),
        })
    }
}

impl Records {
    /// A change in a transaction that has begun, where repeating it is known otherwise than by an idempotency key.
    pub(super) fn work<'a>(&self, act: &'a Caller, transaction: TenantTransaction) -> AuditedChange<'a> {
        AuditedChange { act, transaction, peppers: self.peppers.clone(), said: Vec::new(), told: false }
    }

    /// A transaction for somebody who waits longer than a client that asks for a seat: behind a stream of grants the
    /// pool's row is not had at once.
    pub(super) async fn patient(&self, tenant: TenantId) -> Result<TenantTransaction> {
        let mut transaction = self.begin(tenant).await?;
        sqlx::query("select set_config('lock_timeout', '2s', true)")
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        Ok(transaction)
    }
}

impl AuditedChange<'_> {
    /// The organization.
    pub(super) fn tenant(&self) -> TenantId {
        self.act.tenant
    }

    /// Who asks, as they were at the door.
    pub(super) fn by(&self) -> &Principal {
        &self.act.by
    }

    /// The connection, with the tenant set.
    pub(super) fn sql(&mut self) -> &mut PgConnection {
        &mut self.transaction
    }

    /// Takes everything back and lets go of the idempotency key at once.
    pub(super) async fn abandon(self) -> Result<()> {
        self.transaction.rollback().await.map_err(failed)
    }

    /// What the same request did before, if it did; else its key is taken, and whoever else asks with it waits for this
    /// one's end.
    async fn before<T: DeserializeOwned>(&mut self) -> Result<Option<std::result::Result<T, ChangeRefusal>>> {
        let Some(repeat) = &self.act.repeat else { return Ok(None) };
        let principal = format!("{} {}", self.act.by.kind(), self.act.by.id());
        // An old entry is taken over; `taken` is null where a young one stays as it is.
        let sql = "insert into idempotency_keys as k (tenant_id, principal, key_hash, request_hash) values ($1, $2, \
            $3, $4)
                   on conflict (tenant_id, principal, key_hash) do update set request_hash = excluded.request_hash, \
                   outcome = null, created_at = now()
                   where k.created_at < now() - make_interval(hours => $5) returning true";
        let taken: Option<bool> = sqlx::query_scalar(sql)
            .bind(self.act.tenant.0)
            .bind(&principal)
            .bind(&repeat.key_hash)
            .bind(&repeat.request_hash)
            .bind(REPEAT_HOURS)
            .fetch_optional(&mut *self.transaction)
            .await
            .map_err(failed)?;
        if taken.is_some() {
            self.forget_old_outcomes().await?;
            return Ok(None);
        }
        let sql = "select request_hash, outcome from idempotency_keys where tenant_id = $1 and principal = $2 and \
            key_hash = $3";
        let row = sqlx::query(sql)
            .bind(self.act.tenant.0)
            .bind(&principal)
            .bind(&repeat.key_hash)
            .fetch_one(&mut *self.transaction)
            .await
            .map_err(failed)?;
        if row.try_get::<String, _>("request_hash").map_err(failed)? != repeat.request_hash {
            return Ok(Some(Err(ChangeRefusal::KeyReused)));
        }
        let unreadable = || Error::Internal("the outcome of an idempotency key cannot be read".into());
        let Some(outcome) = row.try_get::<Option<String>, _>("outcome").map_err(failed)? else {
            return Ok(Some(Err(ChangeRefusal::Conflict(ANSWER_ERASED))));
        };
        let outcome = repeat.unseal(&outcome).ok_or_else(unreadable)?;
        serde_json::from_slice(&outcome).map(|value| Some(Ok(value))).map_err(|_| unreadable())
    }

    /// Each request with a key takes some of its organization's away that are over, so that no more are kept than a day
    /// brings.
    async fn forget_old_outcomes(&mut self) -> Result<()> {
        let sql = "delete from idempotency_keys where tenant_id = $1 and (principal, key_hash) in (
                     select principal, key_hash from idempotency_keys
                     where tenant_id = $1 and created_at < now() - make_interval(hours => $2)
                     order by created_at limit $3 for update skip locked)";
        let query = sqlx::query(sql).bind(self.act.tenant.0).bind(REPEAT_HOURS).bind(FORGOTTEN_AT_ONCE);
        query.execute(&mut *self.transaction).await.map(drop).map_err(failed)
    }

    /// Says what is being done, which goes into the audit log with the commit. `before` and `after` hold what changed
    /// and never a secret.
    pub(super) fn audit(&mut self, action: &'static str, target: &str, before: Value, after: Value) {
        self.said.push(AuditStatement { action, target: target.to_owned(), before, after });
    }

    /// Writes an event into the outbox, for whoever listens outside: of a kind that the database knows people's acts to
    /// tell (migrations/0250_tell.sql). No secret in it either.
    pub(super) async fn tell(&mut self, kind: &str, payload: Value) -> Result<()> {
        sqlx::query("select tell($1, $2, $3)")
            .bind(self.act.tenant.0)
            .bind(kind)
            .bind(payload)
            .execute(&mut *self.transaction)
            .await
            .map(drop)
            .map_err(failed)
    }

    /// Says that the audit log has been told already, by another transaction.
    pub(super) fn is_told(&mut self) {
        self.told = true;
    }

    /// Commits, and keeps `outcome` for the same request when it comes again. Where nothing changed, whoever asked has
    /// read what it answers.
    pub(super) async fn commit<T: Serialize>(mut self, outcome: T) -> ChangeResult<T> {
        if let Some(repeat) = &self.act.repeat {
            let text = serde_json::to_vec(&outcome).map_err(|e| Error::internal("an outcome cannot be kept", e))?;
            let sealed = repeat.seal(&text).ok_or_else(|| Error::Internal("an outcome cannot be sealed".into()))?;
            let sql =
                "update idempotency_keys set outcome = $4 where tenant_id = $1 and principal = $2 and key_hash = $3";
            sqlx::query(sql)
                .bind(self.act.tenant.0)
                .bind(format!("{} {}", self.act.by.kind(), self.act.by.id()))
                .bind(&repeat.key_hash)
                .bind(sealed)
                .execute(&mut *self.transaction)
                .await
                .map_err(failed)?;
        }
        let said = std::mem::take(&mut self.said);
        if said.is_empty() && !self.told {
            reading::write_down(&mut self.transaction, self.act, self.peppers.as_deref()).await?;
        }
        for said in said {
            write(&mut self.transaction, self.act, said, self.peppers.as_deref()).await?;
        }
        self.transaction.commit().await.map_err(failed)?;
        Ok(Ok(outcome))
    }
}
