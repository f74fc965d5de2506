//! What people may do to the policy of their organization: which sign-ins it demands.

use super::{Management, check_version};
use crate::{
    domain::step_up::StepUpPolicy,
    records::{AccessPolicyRow, Caller},
    refusal::{ChangeRefusal, ChangeResult},
};

impl Management {
    /// Gives an organization this policy. `version`: only if it still is this one. If the policy is the same already,
    /// nothing is changed and no entry is written.
    ///
    /// # Errors
    /// A refusal, or [`crate::Error::Records`].
    pub async fn set_access_policy(
        &self,
        caller: &Caller,
        step_up: Option<&StepUpPolicy>,
        version: Option<i64>,
    ) -> ChangeResult<AccessPolicyRow> {
        self.records
            .change(caller, async |change| {
                let before = change.lock_access_policy().await?.ok_or(ChangeRefusal::NotFound)?;
                check_version(version, before.version)?;
                if before.step_up().as_ref() == step_up {
                    return Ok(before);
                }
                let after = change.set_access_policy(step_up).await?.ok_or(ChangeRefusal::NotFound)?;
                let target = caller.tenant.to_string();
                change.audit("access_policy.changed", &target, before.describe(), after.describe());
                Ok(after)
            })
            .await
    }
}
