//! What an organization demands of its own people's sign-ins.

use super::{change::AuditedChange, connect::Records};
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
    /// The version of the organization, which rises with every edit of it.
    pub version: i64,
}

impl AccessPolicyRow {
    /// What is demanded of a sign-in before an operation that gives or takes away rights. `None`: nothing.
    pub fn step_up(&self) -> Option<StepUpPolicy> {
        let rule = StepUpPolicy {
            max_age: self.max_age.map(i32::unsigned_abs),
            acr_values: self.acr_values.clone().unwrap_or_default(),
        };
        (rule != StepUpPolicy::default()).then_some(rule)
    }

    /// The policy as the audit log shows it.
    pub(crate) fn describe(&self) -> Value {
        json!({ "max_age": self.max_age, "acr_values": self.acr_values })
    }
}

impl Records {
    /// An organization's policy. `None`: there is none of that id.
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn access_policy(&self, tenant: TenantId) -> Result<Option<AccessPolicyRow>> {
        Ok(read(&mut *self.begin(tenant).await?, tenant, "").await?)
    }
}

impl AuditedChange<'_> {
    /// The organization's policy, locked. `None`: there is no such organization.
    pub(crate) async fn lock_access_policy(&mut self) -> Result<Option<AccessPolicyRow>> {
        let tenant = self.tenant();
        Ok(read(self.sql(), tenant, "for update").await?)
    }

    /// Writes another policy of the organization and answers it. `None`: there is no such organization.
    pub(crate) async fn set_access_policy(
        &mut self,
        step_up: Option<&StepUpPolicy>,
    ) -> Result<Option<AccessPolicyRow>> {
        let acr_values = step_up.map(|rule| rule.acr_values.clone()).filter(|values| !values.is_empty());
        let max_age = step_up.and_then(|rule| rule.max_age).map(|max| i32::try_from(max).unwrap_or(i32::MAX));
        let sql = "-- set_access_policy
            update organizations set step_up_max_age = $2, step_up_acr_values = $3, version = version + 1
            where tenant_id = $1";
        let tenant = self.tenant();
        sqlx::query(sql).bind(tenant.0).bind(max_age).bind(acr_values).execute(self.sql()).await?;
        Ok(read(self.sql(), tenant, "").await?)
    }
}

/// Whether somebody who signed in like this may do what cannot be undone.
pub(super) async fn allows(sql: &mut PgConnection, tenant: TenantId, sign_in: &SignIn) -> Result<bool> {
    let policy = read(sql, tenant, "").await?;
    Ok(policy.and_then(|policy| policy.step_up()).is_none_or(|rule| rule.is_met_by(sign_in)))
}

async fn read(sql: &mut PgConnection, tenant: TenantId, lock: &'static str) -> sqlx::Result<Option<AccessPolicyRow>> {
    let query = match lock {
        "" => {
            "-- access_policy
            select step_up_max_age, step_up_acr_values, version from organizations where tenant_id = $1"
        }
        _ => {
            "-- lock_access_policy
            select step_up_max_age, step_up_acr_values, version from organizations where tenant_id = $1 for update"
        }
    };
    let row: Option<(Option<i32>, Option<Vec<String>>, i64)> =
        sqlx::query_as(query).bind(tenant.0).fetch_optional(sql).await?;
    Ok(row.map(|(max_age, acr_values, version)| AccessPolicyRow { max_age, acr_values, version }))
}
