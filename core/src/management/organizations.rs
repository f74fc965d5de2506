//! What people may do to an organization itself: give it another name. The vendor also makes organizations, and writes
//! beside them what its own systems know them by.

use super::{Management, check_version};
use crate::{
    domain::{
        access::PersonRole,
        email::Email,
        id::{TenantId, draw_uuid},
        labels::{Labels, LabelsEdit},
        secret::KeyRing,
    },
    management::IssuedInvitation,
    records::{AuditedChange, Caller, LabelledKind, OrganizationRow},
    refusal::{ChangeRefusal, ChangeResult},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

/// What is to change about an organization.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OrganizationEdit {
    /// Another name.
    pub name: Option<String>,
    /// What the vendor's systems know it by; only the vendor may change that.
    pub labels: LabelsEdit,
}

/// An organization that the vendor makes.
#[derive(Clone, Debug)]
pub struct VendorOrganization {
    /// Its name.
    pub name: String,
    /// What the vendor's systems know it by.
    pub labels: LabelsEdit,
    /// Who is invited to own it; `None`: nobody yet.
    pub owner: Option<Email>,
}

/// An organization that the vendor made.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MadeOrganization {
    /// The organization.
    pub organization: OrganizationRow,
    /// The invitation of its first owner.
    pub invitation: Option<IssuedInvitation>,
}

impl Management {
    /// Gives an organization another name or other labels. `version`: only if it still is this one.
    ///
    /// # Errors
    /// A refusal, or [`crate::Error::Records`].
    pub async fn edit_organization(
        &self,
        caller: &Caller,
        edit: &OrganizationEdit,
        version: Option<i64>,
    ) -> ChangeResult<OrganizationRow> {
        self.records
            .change(caller, async |change| {
                let labels = &edit.labels;
                change.take_external_id(LabelledKind::Organization, labels, caller.tenant.0).await?;
                let before = change.lock_organization().await?.ok_or(ChangeRefusal::NotFound)?;
                check_version(version, before.version)?;
                let target = caller.tenant.to_string();
                if let Some(name) = &edit.name {
                    change.set_organization_name(name).await?;
                    let (before, after) = (json!({ "name": before.name }), json!({ "name": name }));
                    change.audit("organization.renamed", &target, before, after);
                }
                let labels = before.labels.with_edit(labels).map_err(ChangeRefusal::TooMuchMetadata)?;
                if labels != before.labels {
                    change.set_organization_labels(&labels).await?;
                    change.audit("organization.changed", &target, json!(before.labels), json!(labels));
                }
                Ok(change.organization().await?.ok_or(ChangeRefusal::NotFound)?)
            })
            .await
    }

    /// Makes an organization without licenses, for the vendor to fill, and invites its first owner. The audit log of the
    /// new organization says who made it. `mail`: the keys under which the invitation's secret is sealed for a mail to
    /// the owner; `None`: no mail is sent.
    ///
    /// # Errors
    /// A refusal, or [`crate::Error::Records`].
    pub async fn make_organization(
        &self,
        caller: &Caller,
        new: &VendorOrganization,
        mail: Option<&KeyRing>,
    ) -> ChangeResult<MadeOrganization> {
        self.records
            .change(caller, async |change| {
                change.hold_vendor_credential().await?;
                let labels = Labels::default().with_edit(&new.labels).map_err(ChangeRefusal::TooMuchMetadata)?;
                let tenant = TenantId(draw_uuid());
                change.take_external_id(LabelledKind::Organization, &new.labels, tenant.0).await?;
                change.insert_organization(tenant, &new.name, &labels).await?;
                let mut after = json!({ "name": new.name });
                if labels != Labels::default() {
                    after["external_id"] = json!(labels.external_id);
                    after["metadata"] = json!(labels.metadata);
                }
                change.audit("organization.created", &tenant.to_string(), Value::Null, after);
                let invitation = match &new.owner {
                    Some(email) => Some(change.issue_invitation(email, PersonRole::Owner, mail).await?),
                    None => None,
                };
                let organization = change.organization().await?.ok_or(ChangeRefusal::NotFound)?;
                Ok(MadeOrganization { organization, invitation })
            })
            .await
    }
}

impl AuditedChange<'_> {
    /// Takes the external id that an edit gives, for `thing`. It is asked for before any row is locked, so that two
    /// edits never wait for each other in a circle.
    pub(super) async fn take_external_id(
        &mut self,
        kind: LabelledKind,
        labels: &LabelsEdit,
        thing: Uuid,
    ) -> ChangeResult<()> {
        let Some(Some(external_id)) = &labels.external_id else { return Ok(()) };
        match self.hold_external_id(kind, external_id).await? {
            Some((organization, holder)) if holder != thing => {
                let license = (kind == LabelledKind::License).then_some(holder);
                Err(ChangeRefusal::ExternalIdTaken { organization, license }.into())
            }
            _ => Ok(()),
        }
    }
}
