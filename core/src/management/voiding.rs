//! What an organization's admins and the vendor's staff do when ID tokens of theirs are in wrong hands.
//!
//! An ID token is good for whoever has it until its time is over, and its provider cannot take it back. Here one time
//! for all people of an organization voids every earlier one for that organization; the real people sign in again. API
//! tokens do not come from a provider and are revoked one by one, or all of them in the same step if asked.

use super::Management;
use crate::{
    records::Caller,
    refusal::{ChangeRefusal, ChangeResult},
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use uuid::Uuid;

/// What was voided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VoidingResult {
    /// ID tokens that were issued before this are refused.
    #[serde(with = "time::serde::rfc3339")]
    pub not_before: OffsetDateTime,
    /// The API tokens that were revoked with them.
    pub api_tokens: Vec<Uuid>,
}

impl Management {
    /// Voids every ID token of an organization's people that was issued before now, by the records' clock; with
    /// `api_tokens` its API tokens too.
    ///
    /// # Errors
    /// A refusal, or [`crate::Error::Records`].
    pub async fn void_tokens(&self, caller: &Caller, api_tokens: bool) -> ChangeResult<VoidingResult> {
        self.records
            .change(caller, async |change| {
                let before = change.lock_tokens_not_before().await?.ok_or(ChangeRefusal::NotFound)?;
                let not_before = change.set_tokens_not_before().await?;
                let after = json!({ "tokens_not_before": text(Some(not_before)), "api_tokens": api_tokens });
                let before = json!({ "tokens_not_before": text(before) });
                change.audit("organization.tokens_voided", &caller.tenant.to_string(), before, after);
                let mut revoked = Vec::new();
                if api_tokens {
                    for token in change.revoke_all_tokens().await? {
                        let before = json!({ "name": token.name, "scopes": token.scopes });
                        change.audit("api_token.revoked", &token.id.to_string(), before, json!(null));
                        revoked.push(token.id);
                    }
                }
                Ok(VoidingResult { not_before, api_tokens: revoked })
            })
            .await
    }

    /// Voids every ID token of the vendor's staff that was issued before now, by the records' clock.
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn void_staff_tokens(&self, caller: &Caller) -> ChangeResult<VoidingResult> {
        self.records
            .change(caller, async |change| {
                let before = change.lock_staff_tokens_not_before().await?;
                let not_before = change.set_staff_tokens_not_before().await?;
                let describe = |at| json!({ "not_before": text(at) });
                change.audit("staff.tokens_voided", "staff", describe(before), describe(Some(not_before)));
                Ok(VoidingResult { not_before, api_tokens: Vec::new() })
            })
            .await
    }
}

fn text(at: Option<OffsetDateTime>) -> Option<String> {
    at.and_then(|at| at.format(&Rfc3339).ok())
}
