//! A license is edited, suspended, resumed or revoked. Each outcome carries the pools whose copies in Redis are stale,
//! so that a request that comes again marks them again: the first may have died before it did.

use super::{json, named};
use crate::{
    domain::{id::LicenseId, labels::LabelsEdit, license::Status, naming::NamingEdit, terms::TermsEdit},
    management::{Management, SeatManagement, check_version},
    records::{AuditedChange, Caller, LabelledKind, LicenseRow, PoolChange},
    refusal::{ChangeRefusal, ChangeResult, PlanField},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json as object};

/// What is to change about a license.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LicenseEdit {
    /// The plan whose tier, features and policies it takes first.
    pub plan: Option<String>,
    /// Its terms.
    pub terms: TermsEdit,
    /// What the vendor's systems know it by.
    pub labels: LabelsEdit,
    /// What people call it, and their note.
    pub naming: NamingEdit,
}

impl LicenseEdit {
    /// True if it changes a name or a note at most, and nothing that is the vendor's.
    pub fn is_naming_alone(&self) -> bool {
        *self == Self { naming: self.naming.clone(), ..Self::default() }
    }
}

impl From<TermsEdit> for LicenseEdit {
    fn from(terms: TermsEdit) -> Self {
        Self { terms, ..Self::default() }
    }
}

/// A license after a change.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ChangedLicense {
    /// As it is now.
    pub license: LicenseRow,
    /// The pools whose copies in Redis are stale.
    pub changed_pools: Vec<PoolChange>,
}

impl Management {
    /// Changes what is agreed about a license, what the vendor's systems know it by, and what people call it. With a
    /// plan it takes the tier, features and policies of that plan first. The next acquire goes by what is agreed, and
    /// every client hears of it at its next heartbeat; no session is ended. `version`: only if it still is this one. If
    /// nothing differs, nothing is written.
    ///
    /// # Errors
    /// A refusal, or [`crate::Error::Records`].
    pub async fn edit_license(
        &self,
        caller: &Caller,
        id: LicenseId,
        edit: &LicenseEdit,
        version: Option<i64>,
    ) -> ChangeResult<ChangedLicense> {
        self.records.change(caller, async |change| change.edit_license(id, edit, version).await).await
    }

    /// Suspends, resumes or revokes a license: no new seat at once unless it is active, and every client hears of it at
    /// its next heartbeat. If the license has this status already, nothing changes; a revoked one stays revoked.
    ///
    /// # Errors
    /// A refusal, or [`crate::Error::Records`].
    pub async fn set_license_status(
        &self,
        caller: &Caller,
        id: LicenseId,
        status: Status,
    ) -> ChangeResult<ChangedLicense> {
        self.records.change(caller, async |change| change.change_license_status(id, status).await).await
    }
}

impl SeatManagement {
    /// As [`Management::edit_license`], and marks the copies in Redis as stale.
    ///
    /// # Errors
    /// A refusal, or a store that could not be asked; the change may have been made. The same request again does no
    /// harm.
    pub async fn edit_license(
        &self,
        caller: &Caller,
        id: LicenseId,
        edit: &LicenseEdit,
        version: Option<i64>,
    ) -> ChangeResult<ChangedLicense> {
        let changed = self.management.edit_license(caller, id, edit, version).await?;
        self.mark_stale(&changed.changed_pools).await?;
        Ok(changed)
    }

    /// As [`Management::set_license_status`], and marks the copies in Redis as stale.
    ///
    /// # Errors
    /// As [`SeatManagement::edit_license`].
    pub async fn set_license_status(
        &self,
        caller: &Caller,
        id: LicenseId,
        status: Status,
    ) -> ChangeResult<ChangedLicense> {
        let changed = self.management.set_license_status(caller, id, status).await?;
        self.mark_stale(&changed.changed_pools).await?;
        Ok(changed)
    }
}

impl AuditedChange<'_> {
    async fn edit_license(
        &mut self,
        id: LicenseId,
        edit: &LicenseEdit,
        version: Option<i64>,
    ) -> ChangeResult<ChangedLicense> {
        self.allow_long_statements().await?;
        self.take_external_id(LabelledKind::License, &edit.labels, id.0).await?;
        let license = self.lock_license(id).await?.ok_or(ChangeRefusal::NotFound)?;
        check_version(version, license.version)?;
        if license.status == Status::Revoked {
            return Err(ChangeRefusal::LicenseRevoked.into());
        }
        let mut terms = license.terms.clone();
        if let Some(name) = &edit.plan {
            let plan = self.plan(name).await?.ok_or(ChangeRefusal::UnknownPlan(PlanField::OfLicense))?;
            terms = terms.with_plan(name, &plan.terms);
        }
        let terms = self.edited_terms(terms, &edit.terms).await?;
        let labels = license.labels.with_edit(&edit.labels).map_err(ChangeRefusal::TooMuchMetadata)?;
        let naming = license.naming.with_edit(&edit.naming);
        let mut columns = named(&terms, &labels, &naming)?;
        let (before, after) = difference(&named(&license.terms, &license.labels, &license.naming)?, &columns);
        if after.is_empty() {
            let changed_pools = self.pools_as_changed(id).await?;
            return Ok(ChangedLicense { license, changed_pools });
        }
        let same_terms = json(&license.terms)? == json(&terms)?;
        let after = Value::from(after);
        columns["name_key"] = naming.name_key().into();
        let changed_pools = if same_terms {
            self.label_license(id, &columns, &after).await?;
            Vec::new()
        } else {
            self.update_license(id, &columns, &after).await?
        };
        self.audit("license.changed", &id.to_string(), before.into(), after);
        Ok(ChangedLicense { license: self.present_license(id).await?, changed_pools })
    }

    async fn change_license_status(&mut self, id: LicenseId, status: Status) -> ChangeResult<ChangedLicense> {
        let license = self.lock_license(id).await?.ok_or(ChangeRefusal::NotFound)?;
        if license.status == status {
            let changed_pools = self.pools_as_changed(id).await?;
            return Ok(ChangedLicense { license, changed_pools });
        }
        if license.status == Status::Revoked {
            return Err(ChangeRefusal::LicenseRevoked.into());
        }
        let action = match status {
            Status::Suspended => "license.suspended",
            Status::Active => "license.resumed",
            Status::Revoked => "license.revoked",
        };
        let changed_pools = self.set_license_status(id, status).await?;
        let (before, after) = (object!({ "status": license.status }), object!({ "status": status }));
        self.audit(action, &id.to_string(), before, after);
        Ok(ChangedLicense { license: self.present_license(id).await?, changed_pools })
    }
}

/// The fields that differ, before and after.
fn difference(before: &Value, after: &Value) -> (Map<String, Value>, Map<String, Value>) {
    let (mut old, mut new) = (Map::new(), Map::new());
    for (field, value) in after.as_object().into_iter().flatten() {
        if before[field] != *value {
            old.insert(field.clone(), before[field].clone());
            new.insert(field.clone(), value.clone());
        }
    }
    (old, new)
}
