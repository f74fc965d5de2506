//! A license is given a new key.

use super::terms::whole;
use crate::{
    admin::{AdminService, answer::PathTarget, callers::OrganizationCaller},
    edge::{FieldChecks, JsonOrEmpty, Problem},
};
use axum::extract::State;
use license_core::{domain::id::LicenseId, management::KeyRotation};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

/// The longest time an old key may be good for after a rotation, in seconds: 30 days.
const MAX_OLD_KEY: u32 = 30 * 86_400;

/// How to change a key.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"old_valid_for_in": 86400}))]
pub(in crate::admin) struct RotateKey {
    /// For how many seconds more the old key is good; 0 unless said.
    #[schema(value_type = Option<u32>, maximum = 2_592_000)]
    old_valid_for_in: Option<Value>,
    /// Whether every session that began with an earlier key ends as well, as after a key has leaked; false unless said.
    /// Only without `old_valid_for_in`: whoever still had a good key would begin anew.
    end_sessions: Option<bool>,
}

/// A license's new key.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"key": "CODI-752KJ-Y5EZQ-1CW0A-9VR2K-WAA0K-D0ECC", "old_valid_until": "2026-11-28T03:31:22Z",
    "key_id": "01a1fc28-9b31-70be-8112-4bfdb0eab10e", "old_key_id": "01a1fc28-9b31-70be-8112-4bfdb0eab10d",
    "sessions_ended": 0, "sessions_remaining": 0}))]
pub(in crate::admin) struct NewKey {
    /// The new key, good at once. Shown this once: only its hash is kept.
    key: String,
    /// Until when the key before is good.
    #[serde(with = "time::serde::rfc3339")]
    old_valid_until: OffsetDateTime,
    /// What names the new key, in sessions and in the audit log; opens nothing.
    key_id: Uuid,
    /// What names the key before: `GET …/sessions?key=…` lists the sessions that began with it.
    old_key_id: Option<Uuid>,
    /// With `end_sessions`: how many sessions ended.
    sessions_ended: u64,
    /// With `end_sessions`: how many that began with an earlier key still go on. Where it is not 0, the same request
    /// with the same `Idempotency-Key` ends more of them.
    sessions_remaining: u64,
}

/// Give a license a new key
///
/// Sessions go on unless `end_sessions` is true; a process that starts anew needs a valid key. Keys of earlier
/// rotations end no later than before. With `end_sessions`, a seat that carries only sessions of earlier keys is taken
/// away, as by ending one of them, and waits for one lease. Sessions that cannot be ended within about two seconds go
/// on, and `sessions_remaining` counts them.
#[utoipa::path(post, path = "/api/v1/organizations/{organization}/licenses/{license}/rotate-key", tag = "Licenses", request_body = Option<RotateKey>,
    params(("Idempotency-Key" = Option<String>, Header, description = "The same request with the same key within 24 hours is done once and answered alike")),
    responses((status = 200, description = "The new key", body = NewKey),
              (status = 409, description = "conflict: it is revoked, or 32 earlier keys are still good")))]
pub(in crate::admin) async fn rotate_key(
    State(service): State<AdminService>,
    OrganizationCaller(caller): OrganizationCaller,
    PathTarget(license): PathTarget<LicenseId>,
    JsonOrEmpty(body): JsonOrEmpty<RotateKey>,
) -> Result<axum::Json<NewKey>, Problem> {
    let mut fields = FieldChecks::new();
    let old_for = fields.optional("old_valid_for_in", body.old_valid_for_in.as_ref(), whole(0, MAX_OLD_KEY));
    fields.check(Some(()))?;
    let rotation =
        KeyRotation { old_valid_for: old_for.unwrap_or(0), end_sessions: body.end_sessions.unwrap_or(false) };
    let new = service.seat_management.rotate_key(&caller, license, rotation, &service.peppers).await?;
    Ok(axum::Json(NewKey {
        key: new.key.reveal(),
        old_valid_until: new.old_until,
        key_id: new.id.0,
        old_key_id: new.old_id.map(|key| key.0),
        sessions_ended: new.ended,
        sessions_remaining: new.remaining,
    }))
}
