//! What people may do with API tokens: make and revoke them.

use super::Management;
use crate::{
    domain::{
        access::PersonRole,
        opaque::{OpaqueSecret, SecretKind},
        secret::ShownSecret,
    },
    records::{ApiTokenRow, Caller, NewApiToken},
    refusal::{ChangeRefusal, ChangeResult},
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

/// How many API tokens of one person may be in force: all of them may end in the transaction that removes the person,
/// and that must stay short enough to succeed.
const MOST_TOKENS: i64 = 200;

/// An API token just made, with what proves it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct IssuedApiToken {
    /// The token.
    pub token: ApiTokenRow,
    /// `cdt_live_…`, for this one answer.
    pub secret: ShownSecret,
}

impl Management {
    /// Makes an API token.
    ///
    /// # Errors
    /// A refusal, or [`crate::Error::Records`].
    pub async fn create_api_token(&self, caller: &Caller, new: &NewApiToken) -> ChangeResult<IssuedApiToken> {
        self.records
            .change(caller, async |change| {
                if !change.current_principal().await?.may_grant(PersonRole::Admin) {
                    return Err(ChangeRefusal::RoleTooLow(PersonRole::Admin).into());
                }
                if let Some(user) = caller.principal.person()
                    && change.count_tokens_in_force(user).await? >= MOST_TOKENS
                {
                    return Err(ChangeRefusal::TooManyTokens.into());
                }
                let secret = OpaqueSecret::draw(SecretKind::ApiToken, caller.tenant);
                let token = change.insert_token(&secret, new).await?.ok_or(ChangeRefusal::TokenEndsInPast)?;
                // As RFC 3339, which is how the row serializes it.
                let mut after = json!(token);
                if let Some(after) = after.as_object_mut() {
                    let shown = ["name", "scopes", "allowed_networks", "expires_at"];
                    after.retain(|name, _| shown.contains(&name.as_str()));
                }
                change.audit("api_token.created", &token.id.to_string(), json!(null), after);
                Ok(IssuedApiToken { token, secret: ShownSecret::new(secret.reveal()) })
            })
            .await
    }

    /// Revokes an API token: it is refused from the next request on. One that was revoked already stays as it is.
    ///
    /// # Errors
    /// A refusal, or [`crate::Error::Records`].
    pub async fn revoke_api_token(&self, caller: &Caller, id: Uuid) -> ChangeResult<()> {
        self.records
            .change(caller, async |change| {
                let token = change.lock_token(id).await?.ok_or(ChangeRefusal::NotFound)?;
                if token.revoked_at.is_none() {
                    let before = json!({ "name": token.name, "scopes": token.scopes });
                    change.revoke_tokens(&mut [token]).await?;
                    change.audit("api_token.revoked", &id.to_string(), before, json!(null));
                }
                Ok(())
            })
            .await
    }
}
