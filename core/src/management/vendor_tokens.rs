//! What the vendor's staff may do with vendor tokens: make and revoke them.

use super::Management;
use crate::{
    domain::{
        id::TenantId,
        opaque::{OpaqueSecret, SecretKind},
        secret::ShownSecret,
    },
    records::{AuditedChange, Caller, NewVendorToken, Principal, VendorTokenRow},
    refusal::{ChangeRefusal, ChangeResult},
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

/// A vendor token just made, with what proves it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct IssuedVendorToken {
    /// The token.
    pub token: VendorTokenRow,
    /// `cdv_live_…`, for this one answer.
    pub secret: ShownSecret,
}

impl Management {
    /// Makes a vendor token. Only people of the staff do: the access table lets no token get here.
    ///
    /// # Errors
    /// A refusal, or [`crate::Error::Records`].
    pub async fn create_vendor_token(&self, caller: &Caller, new: &NewVendorToken) -> ChangeResult<IssuedVendorToken> {
        self.records
            .change(caller, async |change| {
                let secret = OpaqueSecret::draw(SecretKind::VendorToken, TenantId::VENDOR);
                let token = change.insert_vendor_token(&secret, new).await?.ok_or(ChangeRefusal::TokenEndsInPast)?;
                // As RFC 3339, which is how the row serializes it.
                let mut after = json!(token);
                if let Some(after) = after.as_object_mut() {
                    let shown = ["name", "scopes", "allowed_networks", "expires_at"];
                    after.retain(|name, _| shown.contains(&name.as_str()));
                }
                change.audit("vendor_token.created", &token.id.to_string(), json!(null), after);
                Ok(IssuedVendorToken { token, secret: ShownSecret::new(secret.reveal()) })
            })
            .await
    }

    /// Revokes a vendor token: it is refused from the next request on. One that was revoked already stays as it is.
    ///
    /// # Errors
    /// A refusal, or [`crate::Error::Records`].
    pub async fn revoke_vendor_token(&self, caller: &Caller, id: Uuid) -> ChangeResult<()> {
        self.records
            .change(caller, async |change| {
                let token = change.lock_vendor_token(id).await?.ok_or(ChangeRefusal::NotFound)?;
                if token.revoked_at.is_none() {
                    change.set_vendor_token_revoked(id).await?;
                    let before = json!({ "name": token.name, "scopes": token.scopes });
                    change.audit("vendor_token.revoked", &id.to_string(), before, json!(null));
                }
                Ok(())
            })
            .await
    }
}

impl AuditedChange<'_> {
    /// Refuses a vendor token that was revoked since its credential was checked; others pass.
    pub(super) async fn hold_vendor_credential(&mut self) -> ChangeResult<()> {
        let Principal::VendorToken { id, .. } = *self.principal() else { return Ok(()) };
        if self.hold_vendor_token(id).await? { Ok(()) } else { Err(ChangeRefusal::NotFound.into()) }
    }
}
