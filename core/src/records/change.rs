//! A change that a person, a script or the vendor's staff asks for: one transaction with the tenant set, audited inside
//! it, and done once however often it is asked for with the same idempotency key.

use super::{
    audit::{AuditStatement, append},
    caller::{Caller, Principal, RepeatableRequest},
    connect::{Records, TenantTransaction},
    staff_reads,
};
use crate::{
    Error, Result,
    domain::{id::TenantId, secret::KeyRing},
    refusal::{ChangeRefusal, ChangeResult},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use sqlx::{PgConnection, Row};
use std::sync::Arc;
use uuid::Uuid;

/// For how long the outcome of an idempotency key is kept, in hours (Stripe: 24).
const REPEAT_HOURS: i32 = 24;
/// How many expired outcomes one request deletes: more than the one that it adds, and so few that no request becomes
/// slow by it.
const FORGOTTEN_AT_ONCE: i64 = 10;

/// A change under way: a transaction with the tenant set. It is rolled back when dropped.
pub(crate) struct AuditedChange<'a> {
    caller: &'a Caller,
    /// The organization that is changed: the caller's, or one that this change makes for the vendor.
    tenant: TenantId,
    transaction: TenantTransaction,
    peppers: Option<Arc<KeyRing>>,
    /// The entries of the audit log that the commit writes, last of all: the transaction that holds the end of the
    /// log's chain keeps it until it ends, and must wait for nothing else by then.
    entries: Vec<AuditStatement>,
    /// True where this transaction or another one of the same request has written the entry already.
    is_audited: bool,
    /// The entry of the audit log under which an earlier request with the same idempotency key began a change that
    /// takes several transactions, and did not end it.
    begun: Option<Uuid>,
}

impl Records {
    /// Makes one change: begins a transaction for the caller, runs `make` in it, writes the audit log and commits. If
    /// `make` refuses or fails, nothing is written. A request that comes again with the same idempotency key is
    /// answered with its first outcome, and `make` does not run.
    ///
    /// # Errors
    /// The refusal of `make`, [`ChangeRefusal::IdempotencyKeyReused`] or [`Error::Records`].
    pub(crate) async fn change<T, F>(&self, caller: &Caller, make: F) -> ChangeResult<T>
    where
        T: Serialize + DeserializeOwned,
        F: AsyncFnOnce(&mut AuditedChange<'_>) -> ChangeResult<T>,
    {
        let (mut change, made_before) = self.begin_change(caller).await?;
        if let Some(outcome) = made_before {
            return Ok(outcome);
        }
        let outcome = make(&mut change).await?;
        change.keep_outcome(&outcome).await?;
        change.commit().await?;
        Ok(outcome)
    }

    /// The same in a transaction that has begun, for a change that is recognized otherwise than by an idempotency key.
    ///
    /// # Errors
    /// As [`Records::change`].
    pub(crate) async fn change_in<T, F>(
        &self,
        transaction: TenantTransaction,
        caller: &Caller,
        make: F,
    ) -> ChangeResult<T>
    where
        F: AsyncFnOnce(&mut AuditedChange<'_>) -> ChangeResult<T>,
    {
        let mut change = self.audited(caller, transaction);
        let outcome = make(&mut change).await?;
        change.commit().await?;
        Ok(outcome)
    }

    /// The outcome of the same request before, if there is one. The idempotency key stays free for the change itself.
    ///
    /// # Errors
    /// [`ChangeRefusal::IdempotencyKeyReused`] or [`Error::Records`].
    pub(crate) async fn earlier_outcome<T: DeserializeOwned>(&self, caller: &Caller) -> ChangeResult<Option<T>> {
        let (change, made_before) = self.begin_change(caller).await?;
        // At once, not when the connection is cleaned: the change itself asks for the same key.
        change.transaction.rollback().await?;
        Ok(made_before)
    }

    /// Begins the transaction of a change, and answers the outcome of the same request before, if there is one. Only
    /// for a change that takes several transactions: every other one goes through [`Records::change`].
    ///
    /// # Errors
    /// As [`Records::earlier_outcome`].
    pub(crate) async fn begin_change<'a, T: DeserializeOwned>(
        &self,
        caller: &'a Caller,
    ) -> ChangeResult<(AuditedChange<'a>, Option<T>)> {
        let transaction = self.begin_patiently(caller.tenant).await?;
        let mut change = self.audited(caller, transaction);
        let made_before = change.outcome_before().await?;
        Ok((change, made_before))
    }

    fn audited<'a>(&self, caller: &'a Caller, transaction: TenantTransaction) -> AuditedChange<'a> {
        let peppers = self.peppers.clone();
        let tenant = caller.tenant;
        AuditedChange { caller, tenant, transaction, peppers, entries: Vec::new(), is_audited: false, begun: None }
    }

    /// A transaction that waits longer for locks than one of a client that asks for a seat: behind a stream of grants
    /// the pool's row is not free at once.
    ///
    /// # Errors
    /// [`Error::Records`].
    pub(crate) async fn begin_patiently(&self, tenant: TenantId) -> Result<TenantTransaction> {
        let mut transaction = self.begin(tenant).await?;
        sqlx::query("select set_config('lock_timeout', '2s', true)").execute(&mut *transaction).await?;
        Ok(transaction)
    }
}

impl<'a> AuditedChange<'a> {
    /// The organization.
    pub(crate) fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// Says that the transaction goes on as another organization, which a statement of this change made: its audit log
    /// gets the entries. What the idempotency key did is kept with the caller's.
    pub(crate) fn goes_on_in(&mut self, tenant: TenantId) {
        self.tenant = tenant;
    }

    async fn set_tenant(&mut self, tenant: TenantId) -> Result<()> {
        let sql = "select set_config('app.tenant_id', $1, true)";
        sqlx::query(sql).bind(tenant.to_string()).execute(&mut *self.transaction).await?;
        Ok(())
    }

    /// The request.
    pub(crate) fn caller(&self) -> &'a Caller {
        self.caller
    }

    /// Who asks, as their credential was checked.
    pub(crate) fn principal(&self) -> &'a Principal {
        &self.caller.principal
    }

    /// The connection, with the tenant set.
    pub(crate) fn sql(&mut self) -> &mut PgConnection {
        &mut self.transaction
    }

    /// The outcome of the same request before. If there is none, the idempotency key is taken for this change, and
    /// another request with it waits until this one ends.
    async fn outcome_before<T: DeserializeOwned>(&mut self) -> ChangeResult<Option<T>> {
        let Some(repeat) = &self.caller.repeat else { return Ok(None) };
        let principal = self.caller.principal.kind_and_id();
        // The row of an expired outcome is used again. `taken` is null if there is a row that has not expired, which
        // stays as it is.
        let sql = "-- take_idempotency_key
            insert into idempotency_keys as k (tenant_id, principal, key_hash, request_hash) values ($1, $2, $3, $4)
            on conflict (tenant_id, principal, key_hash) do update
              set request_hash = excluded.request_hash, begun = null, outcome = null, created_at = now()
              where k.created_at < now() - make_interval(hours => $5) returning true";
        let taken: Option<bool> = sqlx::query_scalar(sql)
            .bind(self.caller.tenant.0)
            .bind(&principal)
            .bind(&repeat.key_hash)
            .bind(&repeat.request_hash)
            .bind(REPEAT_HOURS)
            .fetch_optional(&mut *self.transaction)
            .await?;
        if taken.is_some() {
            self.forget_old_outcomes().await?;
            return Ok(None);
        }
        let sql = "-- outcome_before
            select request_hash, begun, outcome from idempotency_keys
            where tenant_id = $1 and principal = $2 and key_hash = $3";
        let row = sqlx::query(sql)
            .bind(self.caller.tenant.0)
            .bind(&principal)
            .bind(&repeat.key_hash)
            .fetch_one(&mut *self.transaction)
            .await?;
        if row.try_get::<String, _>("request_hash")? != repeat.request_hash {
            return Err(ChangeRefusal::IdempotencyKeyReused.into());
        }
        self.begun = row.try_get("begun")?;
        match (row.try_get::<Option<String>, _>("outcome")?, self.begun) {
            (Some(outcome), _) => Ok(Some(read_outcome(repeat, &outcome)?)),
            // The earlier request was cut, or an erasure of somebody else blanked what it was answered: both times the
            // same request goes on with what has begun, which does nothing that is done.
            (None, Some(_)) => Ok(None),
            (None, None) => Err(ChangeRefusal::OutcomeErased.into()),
        }
    }

    /// Deletes some expired outcomes of the organization. Every request with a key does so, so that no more are kept
    /// than a day brings.
    async fn forget_old_outcomes(&mut self) -> Result<()> {
        let sql = "-- forget_old_outcomes
            delete from idempotency_keys where tenant_id = $1 and (principal, key_hash) in (
              select principal, key_hash from idempotency_keys
              where tenant_id = $1 and created_at < now() - make_interval(hours => $2)
              order by created_at limit $3 for update skip locked)";
        let query = sqlx::query(sql).bind(self.caller.tenant.0).bind(REPEAT_HOURS).bind(FORGOTTEN_AT_ONCE);
        query.execute(&mut *self.transaction).await?;
        Ok(())
    }

    /// Adds an entry to the audit log, which the commit writes. `before` and `after` hold what changed and never a
    /// secret.
    pub(crate) fn audit(&mut self, action: &'static str, target: &str, before: Value, after: Value) {
        self.entries.push(AuditStatement { action, target: target.to_owned(), before, after });
    }

    /// Writes an event into the outbox, for subscribers outside: of a kind that the database lets people's changes
    /// write (`migrations/0250_write_event.sql`), and answers its id. The payload holds no secret either.
    pub(crate) async fn write_event(&mut self, kind: &str, payload: Value) -> Result<Uuid> {
        let statement =
            sqlx::query_scalar("select write_event($1, $2, $3)").bind(self.tenant.0).bind(kind).bind(payload);
        Ok(statement.fetch_one(&mut *self.transaction).await?)
    }

    /// Says that this transaction or another one of the same request has written the entry of the audit log.
    pub(crate) fn mark_audited(&mut self) {
        self.is_audited = true;
    }

    /// The entry of the audit log under which the same request began this change before, if it was cut.
    pub(crate) fn begun(&self) -> Option<Uuid> {
        self.begun
    }

    /// Keeps the entry of the audit log under which this change begins, so that the same request, when it comes again,
    /// goes on with the change and writes no second entry.
    pub(crate) async fn keep_begun(&mut self, entry: Uuid) -> Result<()> {
        let Some(repeat) = &self.caller.repeat else { return Ok(()) };
        let sql = "-- keep_begun
            update idempotency_keys set begun = $4 where tenant_id = $1 and principal = $2 and key_hash = $3";
        sqlx::query(sql)
            .bind(self.caller.tenant.0)
            .bind(self.caller.principal.kind_and_id())
            .bind(&repeat.key_hash)
            .bind(entry)
            .execute(&mut *self.transaction)
            .await?;
        Ok(())
    }

    /// Writes the audit log and commits. Where nothing changed, the caller has read what the outcome says, which is
    /// written down as a read.
    pub(crate) async fn commit(mut self) -> Result<()> {
        let peppers = self.peppers.as_deref();
        if self.entries.is_empty() && !self.is_audited {
            staff_reads::write_down(&mut self.transaction, self.caller, peppers).await?;
        }
        let entries = std::mem::take(&mut self.entries);
        if self.tenant == self.caller.tenant {
            for entry in entries {
                append(&mut self.transaction, self.caller, entry, peppers).await?;
            }
        } else {
            let caller = Caller { tenant: self.tenant, ..self.caller.clone() };
            for entry in entries {
                append(&mut self.transaction, &caller, entry, peppers).await?;
            }
        }
        self.transaction.commit().await?;
        Ok(())
    }

    /// Keeps the outcome for the same request when it comes again.
    async fn keep_outcome<T: Serialize>(&mut self, outcome: &T) -> Result<()> {
        let Some(repeat) = &self.caller.repeat else { return Ok(()) };
        let text = serde_json::to_vec(outcome).map_err(|e| Error::internal("an outcome cannot be kept", e))?;
        let sealed = repeat.seal(&text).ok_or_else(|| Error::Internal("an outcome cannot be sealed".into()))?;
        let elsewhere = self.tenant != self.caller.tenant;
        if elsewhere {
            self.set_tenant(self.caller.tenant).await?;
        }
        let sql = "-- keep_outcome
            update idempotency_keys set outcome = $4 where tenant_id = $1 and principal = $2 and key_hash = $3";
        sqlx::query(sql)
            .bind(self.caller.tenant.0)
            .bind(self.caller.principal.kind_and_id())
            .bind(&repeat.key_hash)
            .bind(sealed)
            .execute(&mut *self.transaction)
            .await?;
        if elsewhere {
            self.set_tenant(self.tenant).await?;
        }
        Ok(())
    }
}

/// An outcome that was kept. One that cannot be read is refused and its request is not made again: it was carried out,
/// by a version of the server that keeps outcomes in another form, or under a pepper that is no longer accepted.
fn read_outcome<T: DeserializeOwned>(repeat: &RepeatableRequest, kept: &str) -> ChangeResult<T> {
    let unreadable = |why: &str| {
        tracing::warn!(why, "the outcome of an idempotency key cannot be read; its request is not made again");
        ChangeRefusal::OutcomeUnreadable.into()
    };
    let text = repeat.unseal(kept).ok_or_else(|| unreadable("it is sealed with no pepper that is accepted"))?;
    // What serde says quotes the outcome, which may hold a secret that is shown once.
    serde_json::from_slice(&text).map_err(|_| unreadable("another version of the server wrote it in another form"))
}
