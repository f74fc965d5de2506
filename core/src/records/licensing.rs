//! What is done to a license: made, edited, suspended, resumed, revoked, given a new key. Each outcome carries what
//! Redis must hear, so that a request that comes again tells it again: the first may have died before it did.

use super::{
    act::{AuditedChange, ChangeRefusal, ChangeResult, open},
    caller::Caller,
    connect::{Records, failed},
    licensed::{LicenseRow, read},
    licenses::{PoolChange, changes},
    plans::{NO_PLAN, TOO_LARGE, features_fit, read_plan, read_product},
};
use crate::{
    Error, Result,
    domain::{
        id::{LicenseId, LicenseNumber},
        key::LicenseKey,
        license::Status,
        secret::KeyRing,
        terms::{LicenseTerms, TermsEdit},
    },
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use uuid::Uuid;

/// A license after a change.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ChangedLicense {
    /// As it is now.
    pub license: LicenseRow,
    /// Whose copies in Redis are old.
    pub tell: Vec<PoolChange>,
}

/// What a new license is to be.
#[derive(Clone, Debug)]
pub struct NewLicense {
    /// A product of the vendor.
    pub product: String,
    /// The plan it takes its terms from.
    pub plan: String,
    /// What is otherwise than the plan says.
    pub but: TermsEdit,
}

/// A license that was made. Its key is known to nobody else.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct IssuedLicense {
    /// The license.
    pub license: LicenseRow,
    /// Its key, to be shown once.
    #[serde(with = "whole_key")]
    pub key: LicenseKey,
}

/// A key in full, for the sealed outcome of an idempotency key alone: there the same request is shown the same key
/// again.
pub(super) mod whole_key {
    use crate::domain::key::LicenseKey;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(in super::super) fn serialize<S: Serializer>(key: &LicenseKey, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&key.reveal())
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<LicenseKey, D::Error> {
        LicenseKey::parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

pub(super) const REVOKED: &str = "This license was revoked for good and changes no more. Make another one.";

impl Records {
    /// Makes a license for an organization: a plan's terms but for what was said, a first key, and a default pool with
    /// its seats.
    ///
    /// # Errors
    /// [`Error::Records`].
    pub async fn issue_license(
        &self,
        act: &Caller,
        new: &NewLicense,
        peppers: &KeyRing,
    ) -> ChangeResult<IssuedLicense> {
        let mut work = open!(self, act);
        work.take_time().await?;
        if read_product(work.sql(), &new.product).await?.is_none() {
            return Ok(Err(ChangeRefusal::Invalid("product", "is not a product of this server")));
        }
        let Some(terms) = work.first_terms(&new.plan).await? else {
            return Ok(Err(ChangeRefusal::Invalid("plan", NO_PLAN)));
        };
        let terms = match work.edited(terms, &new.but).await? {
            Ok(terms) => terms,
            Err(refused) => return Ok(Err(refused)),
        };
        let id = LicenseId(Uuid::now_v7());
        let key = work.make(id, new, &terms, peppers).await?;
        let license = work.license(id).await?;
        let after = json!({ "number": license.number, "product": license.product, "terms": value(&license.terms)? });
        work.audit("license.created", &id.to_string(), Value::Null, after);
        work.commit(IssuedLicense { license, key }).await
    }

    /// Changes what is agreed about a license; with `plan` it takes the tier, features and policies of that plan first.
    /// Nobody is thrown out. `version`: only if it still is this one. A change to what is already so is none.
    ///
    /// # Errors
    /// [`Error::Records`].
    pub async fn edit_license(
        &self,
        act: &Caller,
        id: LicenseId,
        plan: Option<&str>,
        edit: &TermsEdit,
        version: Option<i64>,
    ) -> ChangeResult<ChangedLicense> {
        let mut work = open!(self, act);
        work.take_time().await?;
        let license = match work.license_locked(id).await? {
            None => return Ok(Err(ChangeRefusal::NotFound)),
            Some(it) if version.is_some_and(|version| version != it.version) => return Ok(Err(ChangeRefusal::Stale)),
            Some(it) if it.status == Status::Revoked => return Ok(Err(ChangeRefusal::Conflict(REVOKED))),
            Some(it) => it,
        };
        let mut terms = license.terms.clone();
        if let Some(name) = plan {
            let Some(plan) = read_plan(work.sql(), name, "").await? else {
                return Ok(Err(ChangeRefusal::Invalid("plan", NO_PLAN)));
            };
            terms = terms.with_plan(name, &plan.terms);
        }
        let terms = match work.edited(terms, edit).await? {
            Ok(terms) => terms,
            Err(refused) => return Ok(Err(refused)),
        };
        let (before, after) = difference(&value(&license.terms)?, &value(&terms)?);
        if after.is_empty() {
            let tell = work.told(id).await?;
            return work.commit(ChangedLicense { license, tell }).await;
        }
        let tell = sqlx::query("select * from change_license($1, $2, $3, $4)")
            .bind(act.tenant.0)
            .bind(id.0)
            .bind(value(&terms)?)
            .bind(Value::from(after.clone()))
            .fetch_all(work.sql())
            .await
            .map_err(failed)?;
        work.audit("license.changed", &id.to_string(), before.into(), after.into());
        let license = work.license(id).await?;
        work.commit(ChangedLicense { license, tell: changes(&tell)? }).await
    }

    /// Suspends, resumes or revokes a license. What it already is changes nothing; a revoked one stays so for good.
    ///
    /// # Errors
    /// [`Error::Records`].
    pub async fn decide_license(&self, act: &Caller, id: LicenseId, status: Status) -> ChangeResult<ChangedLicense> {
        let mut work = open!(self, act);
        let before = match work.license_locked(id).await? {
            None => return Ok(Err(ChangeRefusal::NotFound)),
            Some(license) if license.status == status => {
                let tell = work.told(id).await?;
                return work.commit(ChangedLicense { license, tell }).await;
            }
            Some(license) if license.status == Status::Revoked => return Ok(Err(ChangeRefusal::Conflict(REVOKED))),
            Some(license) => license.status,
        };
        let (sql, action) = match status {
            Status::Suspended => ("select * from suspend_license($1, $2)", "license.suspended"),
            Status::Active => ("select * from resume_license($1, $2)", "license.resumed"),
            Status::Revoked => ("select * from revoke_license($1, $2)", "license.revoked"),
        };
        let tell = sqlx::query(sql).bind(act.tenant.0).bind(id.0).fetch_all(work.sql()).await.map_err(failed)?;
        work.audit(action, &id.to_string(), json!({ "status": before }), json!({ "status": status }));
        let license = work.license(id).await?;
        work.commit(ChangedLicense { license, tell: changes(&tell)? }).await
    }
}

impl AuditedChange<'_> {
    /// The rows of a large pool take longer to write than what the moves ask, but never longer than the request has.
    pub(super) async fn take_time(&mut self) -> Result<()> {
        let sql = "select set_config('statement_timeout', '4s', true)";
        sqlx::query(sql).execute(self.sql()).await.map(drop).map_err(failed)
    }

    /// A license, with its pools locked first, as every change does: grants wait, and two changes come one after the
    /// other.
    pub(super) async fn license_locked(&mut self, id: LicenseId) -> Result<Option<LicenseRow>> {
        let tenant = self.tenant();
        let lock = sqlx::query("select lock_license($1, $2)").bind(tenant.0).bind(id.0);
        lock.execute(self.sql()).await.map_err(failed)?;
        // A statement of its own, so that it sees what whoever held the lock has written.
        read(self.sql(), tenant, id).await
    }

    async fn license(&mut self, id: LicenseId) -> Result<LicenseRow> {
        let tenant = self.tenant();
        let found = read(self.sql(), tenant, id).await?;
        found.ok_or_else(|| Error::Internal("a license that was just written is not there".into()))
    }

    /// What Redis must hear where nothing changes: the epochs below the present ones are old, whoever made them so.
    async fn told(&mut self, id: LicenseId) -> Result<Vec<PoolChange>> {
        let sql = "select p.pool_id, p.name, l.number, greatest(p.epoch - 1, 0) as epoch_before
                   from pools p join licenses l on l.tenant_id = p.tenant_id and l.license_id = p.license_id
                   where p.tenant_id = $1 and p.license_id = $2";
        let tenant = self.tenant().0;
        changes(&sqlx::query(sql).bind(tenant).bind(id.0).fetch_all(self.sql()).await.map_err(failed)?)
    }

    /// The terms after an edit, or why there are none.
    async fn edited(
        &mut self,
        terms: LicenseTerms,
        edit: &TermsEdit,
    ) -> Result<std::result::Result<LicenseTerms, ChangeRefusal>> {
        let terms = match terms.edited(edit) {
            Ok(terms) => terms,
            Err((field, problem)) => return Ok(Err(ChangeRefusal::Invalid(field, problem))),
        };
        let fit = features_fit(self.sql(), &terms.features).await?;
        Ok(if fit { Ok(terms) } else { Err(ChangeRefusal::Invalid("features", TOO_LARGE)) })
    }

    /// What a license made from a plan begins with. `None`: no such plan.
    async fn first_terms(&mut self, name: &str) -> Result<Option<LicenseTerms>> {
        let Some(plan) = read_plan(self.sql(), name, "").await? else { return Ok(None) };
        let expires_at: Option<OffsetDateTime> =
            sqlx::query_scalar("select date_trunc('second', now()) + make_interval(days => $1)")
                .bind(plan.terms.trial_days.map(|days| days as i32))
                .fetch_one(self.sql())
                .await
                .map_err(failed)?;
        Ok(Some(LicenseTerms { expires_at, ..plan.terms.into_license(plan.name) }))
    }

    /// Writes a license down under a number that is free, and answers its key.
    async fn make(
        &mut self,
        id: LicenseId,
        new: &NewLicense,
        terms: &LicenseTerms,
        peppers: &KeyRing,
    ) -> Result<LicenseKey> {
        let tenant = self.tenant().0;
        loop {
            let key = LicenseKey::draw(LicenseNumber::draw());
            let made: bool = sqlx::query_scalar("select create_license($1, $2, $3, $4, $5, $6, $7, $8)")
                .bind(tenant)
                .bind(id.0)
                .bind(Uuid::now_v7())
                .bind(key.number().to_string())
                .bind(key.hash(peppers))
                .bind(&new.product)
                .bind(&new.plan)
                .bind(value(terms)?)
                .fetch_one(self.sql())
                .await
                .map_err(failed)?;
            // A number is taken once in 2^64.
            if made {
                return Ok(key);
            }
        }
    }
}

fn value(terms: &LicenseTerms) -> Result<Value> {
    serde_json::to_value(terms).map_err(|e| Error::internal("terms cannot be written down", e))
}

/// The fields that differ, before and after.
fn difference(before: &Value, after: &Value) -> (Map<String, Value>, Map<String, Value>) {
    let (mut was, mut is) = (Map::new(), Map::new());
    for (field, now) in after.as_object().into_iter().flatten() {
        if before[field] != *now {
            was.insert(field.clone(), before[field].clone());
            is.insert(field.clone(), now.clone());
        }
    }
    (was, is)
}
