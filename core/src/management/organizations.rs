//! What people may do to their organization itself: give it another name.

use super::{Management, check_version};
use crate::{
    records::{Caller, OrganizationRow},
    refusal::{ChangeRefusal, ChangeResult},
};
use serde_json::json;

impl Management {
    /// Gives an organization another name. `version`: only if it still is this one.
    ///
    /// # Errors
    /// A refusal, or [`crate::Error::Records`].
    pub async fn rename_organization(
        &self,
        caller: &Caller,
        name: &str,
        version: Option<i64>,
    ) -> ChangeResult<OrganizationRow> {
        self.records
            .change(caller, async |change| {
                let (before, present) = change.lock_organization().await?.ok_or(ChangeRefusal::NotFound)?;
                check_version(version, present)?;
                change.set_organization_name(name).await?;
                let (before, after) = (json!({ "name": before }), json!({ "name": name }));
                change.audit("organization.renamed", &caller.tenant.to_string(), before, after);
                Ok(change.organization().await?.ok_or(ChangeRefusal::NotFound)?)
            })
            .await
    }
}
