//! How an invited person becomes one of the organization's people.

use super::Management;
use crate::{
    Error,
    domain::{access::PersonRole, email::small, id::UserId, opaque::OpaqueSecret},
    records::{AuditedChange, Caller, InvitationRow, InvitationState, OrganizationRow, Principal, VerifiedPerson},
    refusal::{ChangeRefusal, ChangeResult},
};
use serde::Serialize;
use serde_json::json;
use std::net::IpAddr;

/// A person who brings an invitation.
#[derive(Clone, Debug)]
pub struct JoinRequest {
    /// The secret of the invitation.
    pub secret: OpaqueSecret,
    /// The person.
    pub person: VerifiedPerson,
    /// The address that the request comes from, as far as it is known.
    pub address: Option<IpAddr>,
    /// The request's id.
    pub request_id: Option<String>,
}

/// A person who belongs to the organization by an invitation.
#[derive(Clone, Debug, Serialize)]
pub struct NewMember {
    /// The organization.
    pub organization: OrganizationRow,
    /// The person.
    pub user: UserId,
    /// Their role in it now.
    pub role: PersonRole,
    /// False where the person had joined with this invitation before: the first answer may have been lost.
    pub first: bool,
}

impl Management {
    /// Makes a person one of the organization that invited them, once for each invitation. [`ChangeRefusal::NotFound`]:
    /// there is no such invitation, which is all that somebody learns who does not know its secret.
    ///
    /// # Errors
    /// A refusal, or [`Error::Records`]; the person may have joined all the same, and a second call then says so.
    pub async fn join(&self, joining: &JoinRequest) -> ChangeResult<NewMember> {
        let tenant = joining.secret.tenant;
        let mut transaction = self.records.begin_patiently(tenant).await?;
        // First of all the identity, as registration does: what one person asks for at once happens one after the
        // other.
        let user = self.records.enter_identity(&mut transaction, &joining.person).await?;
        // Nothing is decided by this role and it is written nowhere: the invitation says which one they get.
        let principal = Principal::Person { user, email: small(&joining.person.email), role: PersonRole::Viewer };
        let (address, request_id) = (joining.address, joining.request_id.clone());
        let caller = Caller { tenant, principal, address, request_id, repeat: None, operation: None };
        self.records.change_in(transaction, &caller, async |change| change.join(joining, user).await).await
    }
}

impl AuditedChange<'_> {
    async fn join(&mut self, joining: &JoinRequest, user: UserId) -> ChangeResult<NewMember> {
        // The inviter's row before the invitation's: in the order of `granted_access.rs`. Who invited never changes.
        let inviter = self.inviter(&joining.secret).await?.flatten();
        let inviter_role = match inviter {
            Some(inviter) => Some(self.hold_role(inviter).await?),
            None => None,
        };
        let invitation = self.lock_presented_invitation(&joining.secret).await?.ok_or(ChangeRefusal::NotFound)?;
        let inviter_may = inviter_role.is_none_or(|role| role.is_some_and(|role| role.may_grant(invitation.role)));
        let membership = self.past_membership(user).await?;
        if invitation.accepted_by == Some(user)
            && let Some((role, true)) = membership
        {
            return self.new_member(user, role, false).await;
        }
        if !invitation.email.is(&joining.person.email) {
            return Err(ChangeRefusal::InvitationForAnother.into());
        }
        match invitation.state {
            InvitationState::Open if matches!(membership, Some((_, true))) => {
                return Err(ChangeRefusal::MemberAlready.into());
            }
            InvitationState::Open if !inviter_may => return Err(ChangeRefusal::InviterMayNot.into()),
            InvitationState::Open => {}
            InvitationState::Accepted => return Err(ChangeRefusal::InvitationUsed.into()),
            InvitationState::Revoked => return Err(ChangeRefusal::InvitationRevoked.into()),
            InvitationState::Expired => return Err(ChangeRefusal::InvitationExpired.into()),
        }
        self.accept(&invitation, &joining.person, user, membership.is_some()).await?;
        self.new_member(user, invitation.role, true).await
    }

    async fn accept(
        &mut self,
        invitation: &InvitationRow,
        person: &VerifiedPerson,
        user: UserId,
        back: bool,
    ) -> ChangeResult<()> {
        self.insert_member(person, user, invitation.role, back).await?;
        self.set_invitation_accepted(invitation.id, user).await?;
        self.enter_tenant(person).await?;
        let after = json!({ "email": invitation.email, "role": invitation.role, "invitation": invitation.id });
        self.audit("person.joined", &user.to_string(), json!(null), after);
        let payload = json!({ "user_id": user, "role": invitation.role, "invitation_id": invitation.id });
        self.write_event("person.joined", payload).await?;
        Ok(())
    }

    async fn new_member(&mut self, user: UserId, role: PersonRole, first: bool) -> ChangeResult<NewMember> {
        let organization = self.organization().await?;
        let organization = organization.ok_or_else(|| Error::Internal("an invitation of no organization".into()))?;
        Ok(NewMember { organization, user, role, first })
    }
}
