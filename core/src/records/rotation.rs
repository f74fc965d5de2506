//! A license's new key, and the end of the sessions that began with an old one.

use super::{
    act::{AuditedChange, ChangeRefusal, ChangeResult, open},
    caller::Caller,
    connect::{Records, failed},
    licenses::{PoolChange, changes},
    licensing::{REVOKED, whole_key},
};
use crate::{
    Result,
    domain::{
        access::PersonRole,
        id::{KeyId, LicenseId},
        key::LicenseKey,
        license::Status,
        secret::KeyRing,
    },
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::Row;
use time::OffsetDateTime;
use uuid::Uuid;

/// How many earlier keys of a license may be good at a time: each acquire and validate compares with all of them.
const OLD_KEYS: i64 = 32;
const TOO_MANY_KEYS: &str = "Thirty-two earlier keys of this license are still good. Wait until one has run out, or \
    end them all: rotate with old_valid_for_in 0.";
/// On how many seats one transaction ends sessions: those who ask for a seat meanwhile wait no longer than for any
/// other change.
const SEATS_AT_ONCE: i32 = 200;

/// How a license's key is replaced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyRotation {
    /// For how many seconds more old keys are good, and never longer than they were to be.
    pub old_for: u32,
    /// Whether sessions that began with an old key end too; only together with `old_for` 0.
    pub end_sessions: bool,
}

/// A license's new key.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RotatedKeyRow {
    /// To be shown once.
    #[serde(with = "whole_key")]
    pub key: LicenseKey,
    /// What names it; opens nothing.
    pub id: KeyId,
    /// What names the one before.
    pub old_id: Option<KeyId>,
    /// Until when the one before is good.
    #[serde(with = "time::serde::rfc3339")]
    pub old_until: OffsetDateTime,
    /// Whose copies in Redis are old.
    pub tell: Vec<PoolChange>,
    /// How many sessions ended in the same transaction.
    pub ended: u64,
    /// How many were still to end after it.
    pub remaining: u64,
}

/// What one step of ending sessions did.
#[derive(Clone, Debug, Default)]
pub struct EndedSessions {
    /// How many ended; 0: there are none left.
    pub count: u64,
    /// Whose copies in Redis are old.
    pub tell: Vec<PoolChange>,
}

impl Records {
    /// Gives a license a new key; old ones are good for `old_for` seconds more, and never longer than they were to be.
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn renew_key(
        &self,
        act: &Caller,
        id: LicenseId,
        old_for: u32,
        peppers: &KeyRing,
    ) -> ChangeResult<RotatedKeyRow> {
        self.replace_key(act, id, KeyRotation { old_for, end_sessions: false }, peppers).await
    }

    /// The same, and where it is asked for the end of sessions that began with an old key: those of up to 200 seats in
    /// the transaction that makes the new one. [`Records::end_old_sessions`] goes on with the others.
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn replace_key(
        &self,
        act: &Caller,
        id: LicenseId,
        how: KeyRotation,
        peppers: &KeyRing,
    ) -> ChangeResult<RotatedKeyRow> {
        if how.end_sessions && how.old_for > 0 {
            return Ok(Err(ChangeRefusal::Invalid(
                "end_sessions",
                "must be false where the old key stays good for a while",
            )));
        }
        let mut work = open!(self, act);
        match work.standing().await? {
            Err(refused) => return Ok(Err(refused)),
            Ok(by) if by.person().is_some() && !by.may_grant(PersonRole::Admin) => {
                return Ok(Err(ChangeRefusal::Role(PersonRole::Admin)));
            }
            Ok(_) => {}
        }
        if how.end_sessions {
            work.take_time().await?;
        }
        let license = match work.license_locked(id).await? {
            None => return Ok(Err(ChangeRefusal::NotFound)),
            Some(license) if license.status == Status::Revoked => return Ok(Err(ChangeRefusal::Conflict(REVOKED))),
            Some(license) => license,
        };
        if how.old_for > 0 && work.good_keys(id).await? > OLD_KEYS {
            return Ok(Err(ChangeRefusal::Conflict(TOO_MANY_KEYS)));
        }
        let old_id = work.current_key(id).await?;
        let key = LicenseKey::draw(license.number);
        let old_until: OffsetDateTime = sqlx::query_scalar("select now() + make_interval(secs => $1)")
            .bind(f64::from(how.old_for))
            .fetch_one(work.sql())
            .await
            .map_err(failed)?;
        let rotated = sqlx::query("select * from rotate_license_key($1, $2, $3, $4)")
            .bind(act.tenant.0)
            .bind(id.0)
            .bind(key.hash(peppers))
            .bind(old_until)
            .fetch_all(work.sql())
            .await
            .map_err(failed)?;
        let new = work.current_key(id).await?;
        let new = new.ok_or_else(|| crate::Error::Internal("a license key that was just made is not there".into()))?;
        let mut after = json!({ "old_valid_for_in": how.old_for, "key": new });
        if how.end_sessions {
            after["end_sessions"] = true.into();
        }
        work.audit("license.key_rotated", &id.to_string(), json!({ "key": old_id }), after);
        let mut tell = changes(&rotated)?;
        let (mut ended, mut remaining) = (EndedSessions::default(), 0);
        if how.end_sessions {
            ended = work.end_some(id).await?;
            // A pool that changed twice is told of once, with its last epoch.
            tell.retain(|it| !ended.tell.iter().any(|other| other.pool_id == it.pool_id));
            tell.append(&mut ended.tell);
            remaining = work.old_sessions(id).await?;
        }
        work.commit(RotatedKeyRow { key, id: new, old_id, old_until, tell, ended: ended.count, remaining }).await
    }

    /// Ends sessions of a license that began with a key that is good no more, on up to 200 seats, in a transaction of
    /// its own.
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn end_old_sessions(&self, act: &Caller, id: LicenseId) -> Result<EndedSessions> {
        // What makes a request the same belongs to the rotation, which is done.
        let act = Caller { repeat: None, ..act.clone() };
        let mut work = self.work(&act, self.patient(act.tenant).await?);
        work.take_time().await?;
        let ended = work.end_some(id).await?;
        if ended.count > 0 {
            let _done: std::result::Result<(), ChangeRefusal> = work.commit(()).await?;
        }
        Ok(ended)
    }
}

impl AuditedChange<'_> {
    /// What names the one key of a license that has no end.
    async fn current_key(&mut self, id: LicenseId) -> Result<Option<KeyId>> {
        let sql = "select key_id from license_keys where tenant_id = $1 and license_id = $2 and valid_until is null";
        let tenant = self.tenant().0;
        let found: Option<Uuid> =
            sqlx::query_scalar(sql).bind(tenant).bind(id.0).fetch_optional(self.sql()).await.map_err(failed)?;
        Ok(found.map(KeyId))
    }

    /// How many keys of a license are good now, the current one among them.
    async fn good_keys(&mut self, id: LicenseId) -> Result<i64> {
        let tenant = self.tenant().0;
        let sql = "select cardinality(good_keys($1, $2))::bigint";
        sqlx::query_scalar(sql).bind(tenant).bind(id.0).fetch_one(self.sql()).await.map_err(failed)
    }

    /// How many open sessions of a license began with a key that is good no more.
    async fn old_sessions(&mut self, id: LicenseId) -> Result<u64> {
        let sql = "select count(*) from sessions s where s.tenant_id = $1 and s.license_id = $2 and s.ended_at is null
                     and (s.key_id is null or s.key_id <> all (good_keys($1, $2)))";
        let tenant = self.tenant().0;
        let count: i64 = sqlx::query_scalar(sql).bind(tenant).bind(id.0).fetch_one(self.sql()).await.map_err(failed)?;
        Ok(count as u64)
    }

    async fn end_some(&mut self, id: LicenseId) -> Result<EndedSessions> {
        let (tenant, by) = (self.tenant().0, format!("{} {}", self.by().kind(), self.by().name()));
        let rows = sqlx::query("select * from end_sessions_of_old_keys($1, $2, $3, $4)")
            .bind(tenant)
            .bind(id.0)
            .bind(SEATS_AT_ONCE)
            .bind(by)
            .fetch_all(self.sql())
            .await
            .map_err(failed)?;
        let mut done = EndedSessions { count: 0, tell: changes(&rows)? };
        for row in &rows {
            let number: String = row.try_get("number").map_err(failed)?;
            let ended: Vec<Value> = row.try_get::<sqlx::types::Json<_>, _>("ended").map_err(failed)?.0;
            done.count += ended.len() as u64;
            for mut it in ended {
                let session = it["id"].take();
                it["license"] = number.clone().into();
                if let Some(was) = it.as_object_mut() {
                    was.remove("id");
                }
                let after = json!({ "reason": "kicked", "force": false, "because": "license.key_rotated" });
                self.audit("session.ended", session.as_str().unwrap_or_default(), it, after);
            }
        }
        Ok(done)
    }
}
