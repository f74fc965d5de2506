//! Vendor tokens: what machines of the vendor authenticate with.

use super::{
    AdminService,
    answer::{ListOf, PathTarget, not_found},
    callers::StaffCaller,
    filters::PageQuery,
    lists::ListFormat,
    tokens::{ApiToken, CreateApiToken, CreatedApiToken, new_token},
};
use crate::edge::{JsonBody, Problem, QueryParameters};
use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use uuid::Uuid;

/// List vendor tokens
///
/// The newest come first; revoked and expired ones are listed too.
#[utoipa::path(get, path = "/api/v1/staff/api-tokens", tag = "Staff", params(PageQuery),
    responses((status = 200, description = "A page of vendor tokens", body = ListOf<ApiToken>)))]
pub(super) async fn list_vendor_tokens(
    State(service): State<AdminService>,
    format: ListFormat,
    QueryParameters(query): QueryParameters<PageQuery>,
) -> Result<Response, Problem> {
    format.answer(query.page()?, ApiToken::from, |page| service.records.vendor_tokens(page)).await
}

/// Read a vendor token
#[utoipa::path(get, path = "/api/v1/staff/api-tokens/{api_token}", tag = "Staff",
    responses((status = 200, description = "The vendor token", body = ApiToken)))]
pub(super) async fn read_vendor_token(
    State(service): State<AdminService>,
    PathTarget(id): PathTarget<Uuid>,
) -> Result<axum::Json<ApiToken>, Problem> {
    let found = service.records.read_vendor_token(id).await?.ok_or_else(not_found)?;
    Ok(axum::Json(found.into()))
}

/// Make a vendor token
///
/// For a machine of the vendor, such as a shop. The answer shows the token's secret once. The token acts in every
/// organization, within its scopes, until it is revoked or ends; a token cannot make another one. Written into the
/// staff's log.
#[utoipa::path(post, path = "/api/v1/staff/api-tokens", tag = "Staff", request_body = CreateApiToken,
    params(("Idempotency-Key" = Option<String>, Header, description = "Drawn for this request; sent again with it, it is done once")),
    responses((status = 201, description = "The vendor token, and its secret", body = CreatedApiToken)))]
pub(super) async fn create_vendor_token(
    State(service): State<AdminService>,
    StaffCaller(caller): StaffCaller,
    JsonBody(body): JsonBody<CreateApiToken>,
) -> Result<impl IntoResponse, Problem> {
    let new = new_token(&body, service.token_days)?;
    let made = service.management.create_vendor_token(&caller, &new).await?;
    let answer = CreatedApiToken { token: made.token.into(), secret: made.secret.reveal().to_owned() };
    Ok((StatusCode::CREATED, axum::Json(answer)))
}

/// Revoke a vendor token
///
/// The vendor token is refused from the next request on. A token that was revoked already stays unchanged. Written into
/// the staff's log.
#[utoipa::path(delete, path = "/api/v1/staff/api-tokens/{api_token}", tag = "Staff",
    responses((status = 204, description = "It opens nothing any more")))]
pub(super) async fn revoke_vendor_token(
    State(service): State<AdminService>,
    StaffCaller(caller): StaffCaller,
    PathTarget(id): PathTarget<Uuid>,
) -> Result<StatusCode, Problem> {
    service.management.revoke_vendor_token(&caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
