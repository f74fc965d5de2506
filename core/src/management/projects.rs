//! What people may do with projects: make, rename, tie to licenses and archive them.

use super::{Management, check_version};
use crate::{
    domain::{
        id::{LicenseId, ProjectId},
        name::DisplayName,
    },
    records::{AuditedChange, Caller, ProjectRow},
    refusal::{ChangeRefusal, ChangeResult},
};
use serde_json::{Value, json};

/// What to change about a project; what is `None` stays.
#[derive(Clone, Debug, Default)]
pub struct ProjectEdit {
    /// Another name.
    pub name: Option<DisplayName>,
    /// Other licenses, instead of those it is tied to.
    pub licenses: Option<Vec<LicenseId>>,
    /// Archived, or brought back.
    pub archived: Option<bool>,
}

impl Management {
    /// Makes a project. Its name must be free, its licenses the organization's.
    ///
    /// # Errors
    /// A refusal, or [`crate::Error::Records`].
    pub async fn create_project(
        &self,
        caller: &Caller,
        name: &DisplayName,
        licenses: &[LicenseId],
    ) -> ChangeResult<ProjectRow> {
        self.records
            .change(caller, async |change| {
                change.require_licenses(licenses).await?;
                let project = change.insert_project(name, licenses).await?.ok_or(ChangeRefusal::ProjectNameTaken)?;
                let after = json!({ "name": project.name, "license_ids": project.licenses });
                change.audit("project.created", &project.id.to_string(), json!(null), after);
                Ok(project)
            })
            .await
    }

    /// Renames a project, ties it to other licenses, archives it or brings it back. `version`: only if it still is this
    /// one.
    ///
    /// # Errors
    /// A refusal, or [`crate::Error::Records`].
    pub async fn edit_project(
        &self,
        caller: &Caller,
        id: ProjectId,
        edit: &ProjectEdit,
        version: Option<i64>,
    ) -> ChangeResult<ProjectRow> {
        self.records
            .change(caller, async |change| {
                let before = change.lock_project(id).await?.ok_or(ChangeRefusal::NotFound)?;
                check_version(version, before.version)?;
                let name = edit.name.as_ref().map_or(before.name.as_str(), DisplayName::as_str);
                let licenses = edit.licenses.as_ref().unwrap_or(&before.licenses);
                let archived = edit.archived.unwrap_or(before.archived_at.is_some());
                if (name, licenses, archived) == (&*before.name, &before.licenses, before.archived_at.is_some()) {
                    return Ok(before);
                }
                change.require_licenses(licenses).await?;
                let after = change.update_project(id, name, licenses, archived).await?;
                let after = after.ok_or(ChangeRefusal::ProjectNameTaken)?;
                change.audit("project.edited", &id.to_string(), describe(&before), describe(&after));
                Ok(after)
            })
            .await
    }
}

impl AuditedChange<'_> {
    async fn require_licenses(&mut self, licenses: &[LicenseId]) -> ChangeResult<()> {
        if self.has_licenses(licenses).await? { Ok(()) } else { Err(ChangeRefusal::UnknownLicenses.into()) }
    }
}

/// A project as the audit log shows it.
fn describe(project: &ProjectRow) -> Value {
    json!({ "name": project.name, "license_ids": project.licenses, "archived": project.archived_at.is_some() })
}
