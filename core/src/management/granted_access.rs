//! What depends on somebody's role ends with it: invitations they sent, and API tokens they made.
//!
//! **Order of locks.** A transaction that needs a person's role to stay locks that person's row first, shared, and then
//! rows of invitations, API tokens and pools; a transaction that takes the role away locks the same row alone. So of an
//! invitation, a new API token or a new license key and the removal of the person behind it, one sees the other, and
//! they never wait for each other in a circle.

use crate::{
    domain::access::PersonRole,
    records::{ApiTokenRow, AuditedChange, InvitationRow, PersonRow, Principal, TokenFate},
    refusal::{ChangeRefusal, ChangeResult},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// How many rows of a list are shown; what is done is done to all of them.
const SHOWN: usize = 100;

/// The invitations and API tokens that depended on a person's role when it changed or they left.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantedAccess {
    /// Invitations that were revoked, the newest first, at most a hundred.
    pub invitations: Vec<InvitationRow>,
    /// How many were revoked.
    pub invitations_total: u64,
    /// API tokens they made that were in force, as they are now, the newest first, at most a hundred.
    pub tokens: Vec<ApiTokenRow>,
    /// How many there were.
    pub tokens_total: u64,
}

impl AuditedChange<'_> {
    /// The caller as the records know them now and until the end of this change: between the check of the credential
    /// and this transaction somebody may have been removed, lowered or revoked.
    pub(super) async fn current_principal(&mut self) -> ChangeResult<Principal> {
        match self.principal().clone() {
            Principal::Person { user, email, .. } => {
                let role = self.hold_role(user).await?.ok_or(ChangeRefusal::NotFound)?;
                Ok(Principal::Person { user, email, role })
            }
            Principal::Token { id, name, scopes } => {
                let holds = self.hold_token(id).await?;
                holds.then_some(Principal::Token { id, name, scopes }).ok_or(ChangeRefusal::NotFound.into())
            }
            vendor @ Principal::VendorToken { .. } => {
                self.hold_vendor_credential().await?;
                Ok(vendor)
            }
            staff @ Principal::Staff { .. } => Ok(staff),
        }
    }

    /// Ends what may not outlive a change of somebody's role: their open invitations to roles that `now` may not give,
    /// and with [`TokenFate::Revoke`] their API tokens. Of somebody who no longer belongs (`now` is `None`) also every
    /// open invitation to their own address: whoever wants them back invites them again. `why` is the action that the
    /// audit log names as the cause.
    pub(super) async fn end_granted_access(
        &mut self,
        person: &PersonRow,
        now: Option<PersonRole>,
        fate: TokenFate,
        why: &str,
    ) -> ChangeResult<GrantedAccess> {
        let mut invitations = self.withdraw_invitations(person, now).await?;
        let mut tokens = self.lock_tokens_of(person.id).await?;
        let cause = json!({ "because": why, "person": person.id });
        for it in &invitations {
            let before = json!({ "email": it.email, "role": it.role });
            self.audit("invitation.revoked", &it.id.to_string(), before, cause.clone());
            self.write_event("invitation.revoked", json!({ "invitation_id": it.id })).await?;
        }
        match fate {
            TokenFate::Revoke => {
                self.revoke_tokens(&mut tokens).await?;
                for it in &tokens {
                    let before = json!({ "name": it.name, "scopes": it.scopes });
                    self.audit("api_token.revoked", &it.id.to_string(), before, cause.clone());
                }
            }
            TokenFate::Keep if now.is_none() => self.adopt_tokens(&tokens).await?,
            TokenFate::Keep => {}
        }
        let (invitations_total, tokens_total) = (invitations.len() as u64, tokens.len() as u64);
        invitations.truncate(SHOWN);
        tokens.truncate(SHOWN);
        Ok(GrantedAccess { invitations, invitations_total, tokens, tokens_total })
    }
}

/// What the audit log says of API tokens that were kept with somebody's removal.
pub(super) fn describe_kept(granted: &GrantedAccess, fate: TokenFate) -> Value {
    match fate {
        TokenFate::Keep if granted.tokens_total > 0 => json!({ "api_tokens_kept": granted.tokens_total }),
        _ => Value::Null,
    }
}
