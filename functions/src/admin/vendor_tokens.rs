//! Vendor tokens: what machines of the vendor authenticate with.

use super::{
    AdminService,
    answer::{ListOf, PathTarget, not_found, time},
    callers::StaffCaller,
    filters::PageQuery,
    lists::ListFormat,
    tokens::{networks, scopes},
};
use crate::edge::{FieldChecks, JsonBody, Problem, QueryParameters, names};
use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use license_core::{
    domain::{access::VendorScope, network::IpNetwork},
    records::{self, NewVendorToken},
};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

/// A vendor token, without its secret.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"id": "01a1fc28-9b31-70be-8112-4bfdb0eab10d", "name": "shop", "scopes": ["organizations:write", "licenses:write"],
    "allowed_networks": ["192.0.2.0/24"], "created_by": "grace@vendor.example", "created_at": "2026-12-01T03:31:22.221389Z",
    "expires_at": "2026-12-31T03:31:22Z", "last_used_at": "2026-12-02T02:00:07.11Z", "revoked_at": null}))]
pub(super) struct VendorToken {
    /// Names the token; opens nothing.
    id: Uuid,
    /// What people call it, and audit logs.
    name: String,
    /// What it is good for, in every organization.
    scopes: Vec<&'static str>,
    /// From where alone it is good, in CIDR notation; null for a token that is good from everywhere.
    allowed_networks: Option<Vec<String>>,
    /// Who made it.
    created_by: String,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    /// From when on it is good for nothing.
    #[serde(with = "time::serde::rfc3339")]
    expires_at: OffsetDateTime,
    /// When it was used last, to the minute; null for a token that never was.
    #[serde(with = "time::serde::rfc3339::option")]
    last_used_at: Option<OffsetDateTime>,
    /// When it was revoked.
    #[serde(with = "time::serde::rfc3339::option")]
    revoked_at: Option<OffsetDateTime>,
}

impl From<records::VendorTokenRow> for VendorToken {
    fn from(it: records::VendorTokenRow) -> Self {
        Self {
            id: it.id,
            name: it.name,
            scopes: it.scopes.into_iter().map(VendorScope::as_str).collect(),
            allowed_networks: it.allowed_networks.map(|all| all.iter().map(IpNetwork::to_string).collect()),
            created_by: it.created_by,
            created_at: it.created_at,
            expires_at: it.expires_at,
            last_used_at: it.last_used_at,
            revoked_at: it.revoked_at,
        }
    }
}

/// A vendor token just made.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"id": "01a1fc28-9b31-70be-8112-4bfdb0eab10d", "name": "shop", "scopes": ["organizations:write", "licenses:write"],
    "allowed_networks": ["192.0.2.0/24"], "created_by": "grace@vendor.example", "created_at": "2026-12-01T03:31:22.221389Z",
    "expires_at": "2026-12-31T03:31:22Z", "last_used_at": null, "revoked_at": null,
    "secret": "cdv_live_0000000000000000000000000001m7y2h6sh71qa24n9zprengrs3hx9v2mq8k0c7wz5jt4r6ynbse"}))]
pub(super) struct CreatedVendorToken {
    /// The token.
    #[serde(flatten)]
    token: VendorToken,
    /// `cdv_live_…`: the bearer of `Authorization`. Shown here and never again; only its hash is kept.
    secret: String,
}

/// List vendor tokens
///
/// The newest come first; revoked and expired ones are listed too.
#[utoipa::path(get, path = "/api/v1/staff/api-tokens", tag = "Staff", params(PageQuery),
    responses((status = 200, description = "A page of vendor tokens", body = ListOf<VendorToken>)))]
pub(super) async fn list_vendor_tokens(
    State(service): State<AdminService>,
    format: ListFormat,
    QueryParameters(query): QueryParameters<PageQuery>,
) -> Result<Response, Problem> {
    format.answer(query.page()?, VendorToken::from, |page| service.records.vendor_tokens(page)).await
}

/// Read a vendor token
#[utoipa::path(get, path = "/api/v1/staff/api-tokens/{api_token}", tag = "Staff",
    responses((status = 200, description = "The vendor token", body = VendorToken)))]
pub(super) async fn read_vendor_token(
    State(service): State<AdminService>,
    PathTarget(id): PathTarget<Uuid>,
) -> Result<axum::Json<VendorToken>, Problem> {
    let found = service.records.read_vendor_token(id).await?.ok_or_else(not_found)?;
    Ok(axum::Json(found.into()))
}

/// What a vendor token shall be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "shop", "scopes": ["organizations:write", "licenses:write"], "expires_at": "2027-12-01T00:00:00Z",
    "allowed_networks": ["192.0.2.0/24"]}))]
pub(super) struct CreateVendorToken {
    /// 1 to 200 characters, none of them a control character. Audit logs of customers show it.
    #[schema(required, min_length = 1, max_length = 200)]
    name: Option<String>,
    /// What it shall be good for: at least one scope, none twice.
    #[schema(required, min_items = 1)]
    scopes: Option<Vec<String>>,
    /// When it shall end (RFC 3339, in the future); without it after `API_TOKEN_DAYS` of the server, 30 unless set.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    /// From where alone it shall be good: 1 to 50 networks in CIDR notation, or single addresses. Without it the token
    /// is good from everywhere.
    #[schema(min_items = 1, max_items = 50)]
    allowed_networks: Option<Vec<String>>,
}

/// Make a vendor token
///
/// For a machine of the vendor, such as a shop. The answer shows the token's secret once. The token acts in every
/// organization, within its scopes, until it is revoked or ends; a token cannot make another one. Written into the
/// staff's log.
#[utoipa::path(post, path = "/api/v1/staff/api-tokens", tag = "Staff", request_body = CreateVendorToken,
    params(("Idempotency-Key" = Option<String>, Header, description = "Drawn for this request; sent again with it, it is done once")),
    responses((status = 201, description = "The vendor token, and its secret", body = CreatedVendorToken)))]
pub(super) async fn create_vendor_token(
    State(service): State<AdminService>,
    StaffCaller(caller): StaffCaller,
    JsonBody(body): JsonBody<CreateVendorToken>,
) -> Result<impl IntoResponse, Problem> {
    let mut fields = FieldChecks::new();
    let name = fields.required("name", body.name.as_deref(), names::name);
    let scopes = match scopes::<VendorScope>(body.scopes.as_deref()) {
        Ok(scopes) => Some(scopes),
        Err(problem) => {
            fields.wrong("scopes", problem);
            None
        }
    };
    let expires_at = fields.optional("expires_at", body.expires_at.as_deref(), time);
    let allowed_networks = fields.optional("allowed_networks", body.allowed_networks.as_deref(), networks);
    let (name, scopes) = fields.check(name.zip(scopes))?;
    let new = NewVendorToken { name, scopes, allowed_networks, expires_at, days: service.token_days };
    let made = service.management.create_vendor_token(&caller, &new).await?;
    let answer = CreatedVendorToken { token: made.token.into(), secret: made.secret.reveal().to_owned() };
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
