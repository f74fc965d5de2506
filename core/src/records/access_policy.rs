//! What an organization demands of its own people's sign-ins.

use super::{
    act::{ChangeRefusal, ChangeResult, open},
    caller::Caller,
    connect::{Records, failed},
};
use crate::{
    Result,
    domain::{
        id::TenantId,
        step_up::{SignIn, StepUpPolicy},
    },
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::PgConnection;

/// An organization's policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessPolicyRow {
    max_age: Option<i32>,
    acr_values: Option<Vec<String>>,
    /// The organization's: rises with every edit of it.
    pub version: i64,
}

impl AccessPolicyRow {
    /// What is demanded for what cannot be undone. `None`: nothing.
    pub fn step_up(&self) -> Option<StepUpPolicy> {
        let rule = StepUpPolicy {
            max_age: self.max_age.map(i32::unsigned_abs),
            acr_values: self.acr_values.clone().unwrap_or_default(),
        };
        (rule != StepUpPolicy::default()).then_some(rule)
    }

    fn written(&self) -> Value {
        json!({ "max_age": self.max_age, "acr_values": self.acr_values })
    }
}

impl Records {
    /// An organization's policy. `None`: there is none of that id.
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn access_policy(&self, tenant: TenantId) -> Result<Option<AccessPolicyRow>> {
        read(&mut *self.begin(tenant).await?, tenant, "").await.map_err(failed)
    }

    /// Gives an organization this policy. `version`: only if it still is this one. The policy that is there
    /// already stays as it is, unaudited.
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn set_access_policy(
        &self,
        act: &Caller,
        step_up: Option<&StepUpPolicy>,
        version: Option<i64>,
    ) -> ChangeResult<AccessPolicyRow> {
        let mut work = open!(self, act);
        let Some(before) = read(work.sql(), act.tenant, "for update").await.map_err(failed)? else {
            return Ok(Err(ChangeRefusal::NotFound));
        };
        if version.is_some_and(|version| version != before.version) {
            return Ok(Err(ChangeRefusal::Stale));
        }
        if before.step_up().as_ref() == step_up {
            return work.commit(before).await;
        }
        let acr_values = step_up.map(|rule| rule.acr_values.clone()).filter(|values| !values.is_empty());
        let sql = "update organizations set step_up_max_age = $2, step_up_acr_values = $3, version = version + 1
                   where tenant_id = $1";
        sqlx::query(sql)
            .bind(act.tenant.0)
            .bind(step_up.and_then(|rule| rule.max_age).map(|max| i32::try_from(max).unwrap_or(i32::MAX)))
            .bind(acr_values)
            .execute(work.sql())
            .await
            .map_err(failed)?;
        let Some(after) = read(work.sql(), act.tenant, "").await.map_err(failed)? else {
            return Ok(Err(ChangeRefusal::NotFound));
        };
        work.audit("access_policy.changed", &act.tenant.to_string(), before.written(), after.written());
        work.commit(after).await
    }
}

/// Whether somebody who signed in like this may do what cannot be undone.
pub(super) async fn allows(sql: &mut PgConnection, tenant: TenantId, sign_in: &SignIn) -> Result<bool> {
    let policy = read(sql, tenant, "").await.map_err(failed)?;
    Ok(policy.and_then(|policy| policy.step_up()).is_none_or(|rule| rule.is_met_by(sign_in)))
}

async fn read(sql: &mut PgConnection, tenant: TenantId, lock: &'static str) -> sqlx::Result<Option<AccessPolicyRow>> {
    let query = match lock {
        "" => "select step_up_max_age, step_up_acr_values, version from organizations where tenant_id = $1",
        _ => "select step_up_max_age, step_up_acr_values, version from organizations where tenant_id = $1 for update",
    };
    let row: Option<(Option<i32>, Option<Vec<String>>, i64)> =
        sqlx::query_as(query).bind(tenant.0).fetch_optional(sql).await?;
    Ok(row.map(|(max_age, acr_values, version)| AccessPolicyRow { max_age, acr_values, version }))
}
