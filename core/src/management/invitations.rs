//! What people may do with invitations: send and revoke them. How one is accepted: `joining.rs`.

use super::Management;
use crate::{
    Error,
    domain::{
        access::PersonRole,
        email::Email,
        mail::seal_invitation,
        opaque::{OpaqueSecret, SecretKind},
        secret::{KeyRing, ShownSecret},
    },
    records::{AuditedChange, Caller, InvitationMail, InvitationRow, InvitationState},
    refusal::{ChangeRefusal, ChangeResult},
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

/// How many invitations of one person may be open: all of them end, each with its entry in the audit log, in the
/// transaction that removes the person, and that must stay short enough to succeed.
const MOST_INVITATIONS: i64 = 1000;

/// An invitation just made, with what proves it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct IssuedInvitation {
    /// The invitation.
    pub invitation: InvitationRow,
    /// `cdi_…`, for this one answer.
    pub secret: ShownSecret,
    /// Whether it is sent to the address by mail too.
    #[serde(default)]
    pub mailed: bool,
}

impl Management {
    /// Invites somebody by e-mail. An earlier invitation to the same address that is still open is revoked, so that of
    /// several letters only the last one is valid. `mail`: the keys under which the secret is sealed for a mail to the
    /// address; `None`: no mail is sent.
    ///
    /// # Errors
    /// A refusal, or [`crate::Error::Records`].
    pub async fn invite(
        &self,
        caller: &Caller,
        email: &Email,
        role: PersonRole,
        mail: Option<&KeyRing>,
    ) -> ChangeResult<IssuedInvitation> {
        if !caller.principal.may_grant(role) {
            return Err(ChangeRefusal::RoleTooLow(PersonRole::Owner).into());
        }
        self.records
            .change(caller, async |change| {
                // Two invitations of one address at once would not see each other.
                change.serialize_with_others().await?;
                if !change.current_principal().await?.may_grant(role) {
                    return Err(ChangeRefusal::RoleTooLow(role.max(PersonRole::Admin)).into());
                }
                if let Some(user) = caller.principal.person()
                    && change.count_open_invitations(user).await? >= MOST_INVITATIONS
                {
                    return Err(ChangeRefusal::TooManyInvitations.into());
                }
                if change.has_person_with(email).await? {
                    return Err(ChangeRefusal::AddressBelongs.into());
                }
                for earlier in change.lock_open_invitations(email).await? {
                    if !caller.principal.may_grant(earlier.role) {
                        return Err(ChangeRefusal::RoleTooLow(PersonRole::Owner).into());
                    }
                    change.revoke_invitation(&earlier).await?;
                }
                change.issue_invitation(email, role, mail).await
            })
            .await
    }

    /// Revokes an invitation. One that is over otherwise than by being accepted stays as it is.
    ///
    /// # Errors
    /// A refusal, or [`crate::Error::Records`].
    pub async fn revoke_invitation(&self, caller: &Caller, id: Uuid) -> ChangeResult<()> {
        self.records
            .change(caller, async |change| {
                let invitation = change.lock_invitation(id).await?.ok_or(ChangeRefusal::NotFound)?;
                if !caller.principal.may_grant(invitation.role) {
                    return Err(ChangeRefusal::RoleTooLow(PersonRole::Owner).into());
                }
                match invitation.state {
                    InvitationState::Accepted => Err(ChangeRefusal::InvitationAccepted.into()),
                    InvitationState::Open => change.revoke_invitation(&invitation).await,
                    InvitationState::Revoked | InvitationState::Expired => Ok(()),
                }
            })
            .await
    }
}

impl AuditedChange<'_> {
    /// Invites an address into the organization of the change, and with `mail` writes the mail that brings the secret.
    pub(super) async fn issue_invitation(
        &mut self,
        email: &Email,
        role: PersonRole,
        mail: Option<&KeyRing>,
    ) -> ChangeResult<IssuedInvitation> {
        let secret = OpaqueSecret::draw(SecretKind::Invitation, self.tenant());
        let invitation = self.insert_invitation(&secret, email, role).await?;
        self.audit("person.invited", &secret.id.to_string(), json!(null), json!({ "email": email, "role": role }));
        let payload = json!({ "invitation_id": secret.id, "email": email, "role": role });
        self.write_event("invitation.created", payload).await?;
        if let Some(keys) = mail {
            self.mail_invitation(&secret, keys).await?;
        }
        Ok(IssuedInvitation { invitation, secret: ShownSecret::new(secret.reveal()), mailed: mail.is_some() })
    }

    async fn mail_invitation(&mut self, secret: &OpaqueSecret, keys: &KeyRing) -> ChangeResult<()> {
        let sealed = seal_invitation(keys, secret.id, &secret.reveal());
        let sealed = sealed.ok_or_else(|| Error::Internal("the secret of an invitation cannot be sealed".into()))?;
        match self.write_invitation_mail(secret.id, &sealed).await? {
            InvitationMail::Written => Ok(()),
            InvitationMail::TooMany => Err(ChangeRefusal::TooManyInvitationMails.into()),
            InvitationMail::NotOpen => Err(ChangeRefusal::InvitationRevoked.into()),
        }
    }

    async fn revoke_invitation(&mut self, invitation: &InvitationRow) -> ChangeResult<()> {
        self.set_invitation_revoked(invitation.id).await?;
        let before = json!({ "email": invitation.email, "role": invitation.role });
        self.audit("invitation.revoked", &invitation.id.to_string(), before, json!(null));
        self.write_event("invitation.revoked", json!({ "invitation_id": invitation.id })).await?;
        Ok(())
    }
}
