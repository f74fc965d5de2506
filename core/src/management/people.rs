//! What people may do to the people of an organization: change a role, remove somebody, and say which mails they want.
//! An organization always has an owner.

use super::{
    Management, check_version,
    granted_access::{GrantedAccess, describe_kept},
};
use crate::{
    domain::{access::PersonRole, id::UserId, mail::MailWishes},
    records::{AuditedChange, Caller, PersonRow, TokenFate},
    refusal::{ChangeRefusal, ChangeResult},
};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// A person whose role was changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleChange {
    /// As they are now.
    pub person: PersonRow,
    /// The invitations and API tokens that depended on their role.
    pub granted: GrantedAccess,
}

impl Management {
    /// Gives a person another role. Only owners make somebody an owner or take that away, and the last owner stays.
    /// `version`: only if it still is this one. In the same transaction their open invitations to roles that they may
    /// not give any more are revoked, and with [`TokenFate::Revoke`] their API tokens.
    ///
    /// # Errors
    /// A refusal, or [`crate::Error::Records`].
    pub async fn change_role(
        &self,
        caller: &Caller,
        user: UserId,
        role: PersonRole,
        version: Option<i64>,
        fate: TokenFate,
    ) -> ChangeResult<RoleChange> {
        self.records
            .change(caller, async |change| {
                let person = change.lock_person(user).await?;
                let by = change.current_principal().await?;
                let person = person.ok_or(ChangeRefusal::NotFound)?;
                check_version(version, person.version)?;
                if !by.may_grant(PersonRole::Admin) {
                    return Err(ChangeRefusal::RoleTooLow(PersonRole::Admin).into());
                }
                if !by.may_grant(person.role) || !by.may_grant(role) {
                    return Err(ChangeRefusal::RoleTooLow(PersonRole::Owner).into());
                }
                if role != PersonRole::Owner {
                    change.refuse_last_owner(&person).await?;
                }
                change.set_role(user, role).await?;
                let (before, after) = (json!({ "role": person.role }), json!({ "role": role }));
                change.audit("person.role_changed", &user.to_string(), before, after);
                let granted = change.end_granted_access(&person, Some(role), fate, "person.role_changed").await?;
                let person = PersonRow { role, version: person.version + 1, ..person };
                Ok(RoleChange { person, granted })
            })
            .await
    }

    /// Removes a person from the organization; everybody may remove themselves. The last owner stays. In the same
    /// transaction their open invitations are revoked, and their API tokens unless somebody else takes them over with
    /// [`TokenFate::Keep`].
    ///
    /// # Errors
    /// A refusal, or [`crate::Error::Records`].
    pub async fn remove_person(&self, caller: &Caller, user: UserId, fate: TokenFate) -> ChangeResult<GrantedAccess> {
        self.records
            .change(caller, async |change| {
                let person = change.lock_person(user).await?;
                let by = change.current_principal().await?;
                let person = person.ok_or(ChangeRefusal::NotFound)?;
                let leaves = by.person() == Some(user);
                if !leaves && !by.may_grant(person.role) {
                    return Err(ChangeRefusal::RoleTooLow(person.role.max(PersonRole::Admin)).into());
                }
                if leaves && fate == TokenFate::Keep {
                    return Err(ChangeRefusal::LeaverKeepsTokens.into());
                }
                change.refuse_last_owner(&person).await?;
                change.set_removed(user).await?;
                let action = if leaves { "person.left" } else { "person.removed" };
                let granted = change.end_granted_access(&person, None, fate, action).await?;
                let before = json!({ "email": person.email, "role": person.role });
                change.audit(action, &user.to_string(), before, describe_kept(&granted, fate));
                Ok(granted)
            })
            .await
    }

    /// Writes which mails a person wants; `None`: what they wanted before. Only they themselves say so: who refused a
    /// mail by its link is sent none because somebody else wishes it.
    ///
    /// # Errors
    /// A refusal, or [`crate::Error::Records`].
    pub async fn change_mail_wishes(
        &self,
        caller: &Caller,
        user: UserId,
        alert: bool,
        report: Option<bool>,
    ) -> ChangeResult<MailWishes> {
        self.records
            .change(caller, async |change| {
                let before = change.mail_wishes(user).await?.ok_or(ChangeRefusal::NotFound)?;
                if change.principal().person() != Some(user) {
                    return Err(ChangeRefusal::MailOfAnother.into());
                }
                let wishes = MailWishes { alert, report: report.unwrap_or(before.report) };
                if before != wishes {
                    change.set_mail_wishes(user, wishes).await?;
                    change.audit("person.mail_changed", &user.to_string(), json!(before), json!(wishes));
                }
                Ok(wishes)
            })
            .await
    }
}

impl AuditedChange<'_> {
    async fn refuse_last_owner(&mut self, person: &PersonRow) -> ChangeResult<()> {
        if person.role == PersonRole::Owner && self.has_no_other_owner(person.id).await? {
            return Err(ChangeRefusal::LastOwner.into());
        }
        Ok(())
    }
}
