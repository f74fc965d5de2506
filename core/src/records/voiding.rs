//! From when on ID tokens must be: what an organization's admins and the vendor's staff do when tokens of theirs are in
//! wrong hands.
//!
//! An ID token is good for whoever has it until its time is over, and its provider cannot take it back. Here one time
//! for all people of an organization makes every earlier one worth nothing to that organization; whoever is who they
//! say signs in again. API tokens do not come from a provider and are revoked one by one, or all of them in the same
//! step if asked.

use super::{
    act::{ChangeRefusal, ChangeResult, open},
    caller::Caller,
    connect::{Records, failed},
    plans::{StaffAct, log},
};
use crate::{Result, domain::id::TenantId};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::Row;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use uuid::Uuid;

/// What is worth nothing any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VoidingResult {
    /// ID tokens that were issued before this are refused.
    #[serde(with = "time::serde::rfc3339")]
    pub not_before: OffsetDateTime,
    /// The API tokens that were revoked with them.
    pub api_tokens: Vec<Uuid>,
}

impl Records {
    /// From when on the ID tokens of an organization's people must be. `None`: never said, or there is no such
    /// organization.
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn tokens_not_before(&self, tenant: TenantId) -> Result<Option<OffsetDateTime>> {
        let mut transaction = self.begin(tenant).await?;
        let sql = "select tokens_not_before from organizations where tenant_id = $1";
        let found: Option<Option<OffsetDateTime>> =
            sqlx::query_scalar(sql).bind(tenant.0).fetch_optional(&mut *transaction).await.map_err(failed)?;
        Ok(found.flatten())
    }

    /// Voids every ID token of an organization's people that was issued before now, by the records' clock; with
    /// `api_tokens` its API tokens too.
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn void_tokens(&self, act: &Caller, api_tokens: bool) -> ChangeResult<VoidingResult> {
        let mut work = open!(self, act);
        let sql = "select tokens_not_before from organizations where tenant_id = $1 for update";
        let before: Option<Option<OffsetDateTime>> =
            sqlx::query_scalar(sql).bind(act.tenant.0).fetch_optional(work.sql()).await.map_err(failed)?;
        let Some(before) = before else { return Ok(Err(ChangeRefusal::NotFound)) };
        // Not the transaction's time: it may have waited for the row.
        let sql = "update organizations
                   set tokens_not_before = greatest(tokens_not_before, date_trunc('milliseconds', \
                   clock_timestamp())), version = version + 1
                   where tenant_id = $1 returning tokens_not_before";
        let not_before: OffsetDateTime =
            sqlx::query_scalar(sql).bind(act.tenant.0).fetch_one(work.sql()).await.map_err(failed)?;
        let after = json!({ "tokens_not_before": text(Some(not_before)), "api_tokens": api_tokens });
        let known = json!({ "tokens_not_before": text(before) });
        work.audit("organization.tokens_voided", &act.tenant.to_string(), known, after);
        let mut revoked = Vec::new();
        if api_tokens {
            let sql = "update api_tokens set revoked_at = now() where tenant_id = $1 and revoked_at is null
                       returning token_id, name, scopes";
            let rows = sqlx::query(sql).bind(act.tenant.0).fetch_all(work.sql()).await.map_err(failed)?;
            for row in rows {
                let id: Uuid = row.try_get("token_id").map_err(failed)?;
                let name: String = row.try_get("name").map_err(failed)?;
                let scopes: Vec<String> = row.try_get("scopes").map_err(failed)?;
                let before = json!({ "name": name, "scopes": scopes });
                work.audit("api_token.revoked", &id.to_string(), before, json!(null));
                revoked.push(id);
            }
        }
        work.commit(VoidingResult { not_before, api_tokens: revoked }).await
    }

    /// From when on ID tokens of the vendor's staff must be. `None`: never said.
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn staff_tokens_not_before(&self) -> Result<Option<OffsetDateTime>> {
        self.repeat(|pool| async move {
            sqlx::query_scalar("select not_before from catalog.staff_tokens").fetch_one(&pool).await
        })
        .await
    }

    /// Voids every ID token of the vendor's staff that was issued before now, by the records' clock. Written into the
    /// staff's log.
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn void_staff_tokens(&self, act: &StaffAct) -> Result<OffsetDateTime> {
        let mut transaction = self.repeat(|pool| async move { pool.begin().await }).await?;
        let sql = &mut *transaction;
        let before: Option<OffsetDateTime> =
            sqlx::query_scalar("select not_before from catalog.staff_tokens for update")
                .fetch_one(&mut *sql)
                .await
                .map_err(failed)?;
        let update = "update catalog.staff_tokens set not_before = greatest(not_before, date_trunc('milliseconds', \
            clock_timestamp()))
                      returning not_before";
        let not_before: OffsetDateTime = sqlx::query_scalar(update).fetch_one(&mut *sql).await.map_err(failed)?;
        let said = |at| json!({ "not_before": text(at) });
        log(sql, act, self.peppers.as_deref(), "staff.tokens_voided", "staff", said(before), said(Some(not_before)))
            .await?;
        transaction.commit().await.map_err(failed)?;
        Ok(not_before)
    }
}

fn text(at: Option<OffsetDateTime>) -> Option<String> {
    at.and_then(|at| at.format(&Rfc3339).ok())
}
