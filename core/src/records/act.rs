//! A change that a person, a script or the vendor's staff asks for: one transaction with the tenant set, audited inside
//! it, and done once however often it is asked for with the same idempotency key.

use super::{
    audit::{AuditStatement, write},
    connect::{Records, TenantTransaction, failed},
    reading,
};
use crate::{
    Error, Result,
    domain::{
        access::{PersonRole, Scope},
        id::{TenantId, UserId},
        secret::{self, KeyRing},
    },
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use sqlx::{PgConnection, Row};
use std::{net::IpAddr, sync::Arc};
use uuid::Uuid;

/// For how long the outcome of an idempotency key is kept, in hours (Stripe: 24).
const REPEAT_HOURS: i32 = 24;
const ANSWER_ERASED: &str = "This request was carried out, but what it was answered has been erased together with somebody whom it may have named. \
                             Look at what is there now, and draw a new key for anything else you want done.";
/// How many outcomes that are over one request takes away: more than the one it brings, and few enough for nobody to
/// wait.
const FORGOTTEN_AT_ONCE: i64 = 10;

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Principal {
    /// Somebody of the organization.
    Person {
        /// The person.
        user: UserId,
        /// The verified address, in small letters.
        email: String,
        /// What the person is in this organization.
        role: PersonRole,
    },
    /// A script of the organization.
    Token {
        /// Its API token.
        id: Uuid,
        /// The token's name.
        name: String,
        /// What it is good for.
        scopes: Vec<Scope>,
    },
    /// Somebody of the vendor.
    Staff {
        /// Who, at the staff's identity provider.
        subject: String,
        /// The verified address.
        email: String,
    },
}

impl Principal {
    /// `person`, `token` or `staff`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Person { .. } => "person",
            Self::Token { .. } => "token",
            Self::Staff { .. } => "staff",
        }
    }

    /// The id it is known by for good.
    pub fn id(&self) -> String {
        match self {
            Self::Person { user, .. } => user.to_string(),
            Self::Token { id, .. } => id.to_string(),
            Self::Staff { subject, .. } => subject.clone(),
        }
    }

    /// The name people know it by.
    pub fn name(&self) -> &str {
        match self {
            Self::Person { email, .. } | Self::Staff { email, .. } => email,
            Self::Token { name, .. } => name,
        }
    }

    /// The person, if it is one of the organization.
    pub const fn person(&self) -> Option<UserId> {
        match self {
            Self::Person { user, .. } => Some(*user),
            Self::Token { .. } | Self::Staff { .. } => None,
        }
    }

    /// True if it may make a person this, or what this is something else: only owners make owners.
    pub fn may_grant(&self, role: PersonRole) -> bool {
        match self {
            Self::Person { role: own, .. } => own.may_grant(role),
            Self::Token { .. } => false,
            Self::Staff { .. } => true,
        }
    }
}

/// An operation of the management API, as the log of what staff read names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Its method and path, without what the path of each begins with.
    pub name: String,
    /// The id of what it is about.
    pub target: String,
}

/// A request of somebody to one organization.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The organization.
    pub tenant: TenantId,
    /// Who asks.
    pub by: Principal,
    /// From where, as far as it is known.
    pub from: Option<IpAddr>,
    /// The request's id, which its log lines carry too.
    pub request_id: Option<String>,
    /// Set where the same request may come again and must then do nothing.
    pub repeat: Option<RepeatableRequest>,
    /// What is asked for; `None` where nobody asked by the API.
    pub operation: Option<Operation>,
}

/// What makes two requests the same: `Idempotency-Key` and everything that was asked.
#[derive(Clone)]
pub struct RepeatableRequest {
    key_hash: String,
    request_hash: String,
    /// What the outcome is sealed with, and after it what it may have been sealed with before the pepper was replaced:
    /// it may hold a secret that is shown once, and only who knows the idempotency key may hear it again.
    seals: Vec<[u8; 32]>,
}

impl RepeatableRequest {
    /// Of a request (`request`: its method, path and body) that carries the idempotency key `key`.
    pub fn new(key: &str, request: &[&[u8]], peppers: &KeyRing) -> Self {
        Self {
            key_hash: secret::base64url(&secret::hash("idempotency-key-v1", &[key.as_bytes()])),
            request_hash: secret::base64url(&secret::hash("idempotency-request-v1", request)),
            seals: peppers.all().map(|pepper| pepper.sign(&[b"idempotency-v1", key.as_bytes()].concat())).collect(),
        }
    }

    fn seal(&self, outcome: &[u8]) -> Option<String> {
        secret::seal(self.seals.first()?, outcome)
    }

    fn unseal(&self, sealed: &str) -> Option<Vec<u8>> {
        self.seals.iter().find_map(|seal| secret::unseal(seal, sealed))
    }
}

impl std::fmt::Debug for RepeatableRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Repeat({})", self.key_hash)
    }
}

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
        let sql = "insert into idempotency_keys as k (tenant_id, principal, key_hash, request_hash) values ($1, $2, $3, $4)
                   on conflict (tenant_id, principal, key_hash) do update set request_hash = excluded.request_hash, outcome = null, created_at = now()
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
        let sql = "select request_hash, outcome from idempotency_keys where tenant_id = $1 and principal = $2 and key_hash = $3";
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
            let text =
                serde_json::to_vec(&outcome).map_err(|e| Error::Internal(format!("an outcome cannot be kept: {e}")))?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::secret::{KeyVersion, Secret};

    #[test]
    fn what_was_answered_opens_while_its_pepper_is_accepted_and_only_with_its_key() {
        let pepper = |version, byte| KeyVersion { version, key: Secret::new(vec![byte; 32]) };
        let ring = |current, previous| KeyRing { current, previous };
        let (before, under_way, after) =
            (ring(pepper(1, 1), None), ring(pepper(2, 2), Some(pepper(1, 1))), ring(pepper(2, 2), None));
        let repeat = |key: &str, peppers: &KeyRing| RepeatableRequest::new(key, &[b"POST"], peppers);
        let old = repeat("k", &before).seal(b"a secret").unwrap();
        let new = repeat("k", &under_way).seal(b"a secret").unwrap();
        assert_eq!(repeat("k", &under_way).unseal(&old).as_deref(), Some(&b"a secret"[..]));
        assert_eq!(
            repeat("k", &after).unseal(&new).as_deref(),
            Some(&b"a secret"[..]),
            "sealed with the new one at once"
        );
        assert_eq!(repeat("k", &after).unseal(&old), None);
        assert_eq!(repeat("another", &under_way).unseal(&old), None);
    }
}
