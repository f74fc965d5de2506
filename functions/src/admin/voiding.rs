//! Voiding ID tokens: of an organization's people, and of the vendor's staff.

use super::{
    AdminService,
    answer::EmptyBody,
    callers::{OrganizationCaller, StaffCaller},
};
use crate::edge::{JsonOrEmpty, Problem};
use axum::extract::State;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

/// What else is to be void.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"api_tokens": true}))]
pub(super) struct VoidTokens {
    /// Revoke every API token of the organization too. False unless said: scripts go on.
    api_tokens: Option<bool>,
}

/// What is worth nothing any more.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"not_before": "2026-11-28T09:12:44.103Z", "api_tokens": ["01a1fc28-9b31-70be-8112-4bfdb0eab10c"]}))]
pub(super) struct VoidedTokens {
    /// ID tokens issued before this are refused.
    #[serde(with = "time::serde::rfc3339")]
    not_before: OffsetDateTime,
    /// The ids of the API tokens that were revoked in the same step.
    api_tokens: Vec<Uuid>,
}

/// Void all ID tokens
///
/// Every ID token that was issued before now, your own as well, is worth nothing to this organization from the next
/// request on: everybody signs in again. For when a token or a laptop is in wrong hands. API tokens go on unless
/// `api_tokens` is true.
#[utoipa::path(post, path = "/api/v1/organizations/{organization}/void-tokens", tag = "Organizations", request_body = Option<VoidTokens>,
    responses((status = 200, description = "What is void now", body = VoidedTokens)))]
pub(super) async fn void_tokens(
    State(service): State<AdminService>,
    OrganizationCaller(caller): OrganizationCaller,
    JsonOrEmpty(body): JsonOrEmpty<VoidTokens>,
) -> Result<axum::Json<VoidedTokens>, Problem> {
    let voided = service.management.void_tokens(&caller, body.api_tokens == Some(true)).await?;
    Ok(axum::Json(VoidedTokens { not_before: voided.not_before, api_tokens: voided.api_tokens }))
}

/// From when on staff's tokens must be.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"not_before": "2026-11-28T09:12:44.103Z"}))]
pub(super) struct VoidedStaffTokens {
    /// ID tokens issued before this are refused.
    #[serde(with = "time::serde::rfc3339")]
    not_before: OffsetDateTime,
}

/// Void all ID tokens of staff
///
/// Every ID token of staff that was issued before now, your own as well, is refused from the next request on. Written
/// into the staff's log.
#[utoipa::path(post, path = "/api/v1/staff/void-tokens", tag = "Staff",
    responses((status = 200, description = "What is void now", body = VoidedStaffTokens)))]
pub(super) async fn void_staff_tokens(
    State(service): State<AdminService>,
    StaffCaller(caller): StaffCaller,
    _: JsonOrEmpty<EmptyBody>,
) -> Result<axum::Json<VoidedStaffTokens>, Problem> {
    let voided = service.management.void_staff_tokens(&caller).await?;
    Ok(axum::Json(VoidedStaffTokens { not_before: voided.not_before }))
}
