//! API tokens: what scripts of an organization authenticate with.

use super::{
    AdminService,
    answer::{ListOf, PathTarget, not_found, time},
    callers::OrganizationCaller,
    filters::PageQuery,
    lists::ListFormat,
};
use crate::{
    edge::names,
    edge::{FieldChecks, JsonBody, Problem, QueryParameters},
};
use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use license_core::{
    domain::{id::InvalidText, network::IpNetwork},
    records::{NewToken, TokenRow},
};
use serde::{Deserialize, Serialize};
use std::{fmt::Display, str::FromStr};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

/// An API token or a vendor token, without its secret.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"id": "01a1fc28-9b31-70be-8112-4bfdb0eab10d", "name": "nightly report", "scopes": ["licenses:read", "sessions:read"],
    "allowed_networks": ["192.0.2.0/24"], "created_by": "me@example.com", "created_at": "2026-11-21T03:31:22.221389Z", "expires_at": "2026-12-21T03:31:22Z",
    "last_used_at": "2026-11-22T02:00:07.11Z", "revoked_at": null}))]
pub(super) struct ApiToken {
    /// Names the token; opens nothing.
    id: Uuid,
    /// What people call it.
    name: String,
    /// What it is good for.
    scopes: Vec<String>,
    /// From where alone it is good, in CIDR notation; null for a token that is good from everywhere.
    allowed_networks: Option<Vec<String>>,
    /// Who made it.
    created_by: String,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    /// From when on it is good for nothing; null for a token without an end, which no token has that is made now.
    #[serde(with = "time::serde::rfc3339::option")]
    expires_at: Option<OffsetDateTime>,
    /// When it was used last, to the minute; null for a token that never was.
    #[serde(with = "time::serde::rfc3339::option")]
    last_used_at: Option<OffsetDateTime>,
    /// When it was revoked.
    #[serde(with = "time::serde::rfc3339::option")]
    revoked_at: Option<OffsetDateTime>,
}

impl<S: Display> From<TokenRow<S>> for ApiToken {
    fn from(it: TokenRow<S>) -> Self {
        Self {
            id: it.id,
            name: it.name,
            scopes: it.scopes.iter().map(S::to_string).collect(),
            allowed_networks: it.allowed_networks.map(|all| all.iter().map(IpNetwork::to_string).collect()),
            created_by: it.created_by,
            created_at: it.created_at,
            expires_at: it.expires_at,
            last_used_at: it.last_used_at,
            revoked_at: it.revoked_at,
        }
    }
}

/// An API token or a vendor token just made.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"id": "01a1fc28-9b31-70be-8112-4bfdb0eab10d", "name": "nightly report", "scopes": ["licenses:read", "sessions:read"],
    "allowed_networks": ["192.0.2.0/24"], "created_by": "me@example.com", "created_at": "2026-11-21T03:31:22.221389Z", "expires_at": "2026-12-21T03:31:22Z",
    "last_used_at": null, "revoked_at": null,
    "secret": "cdt_live_01m7y2h6sh71qa24n9zprengrj01m7y2h6sh71qa24n9zprengrs3hx9v2mq8k0c7wz5jt4r6ynbse"}))]
pub(super) struct CreatedApiToken {
    /// The token.
    #[serde(flatten)]
    pub(super) token: ApiToken,
    /// `cdt_live_…`, of a vendor token `cdv_live_…`: the bearer of `Authorization`. Shown here and never again; only its hash is kept.
    pub(super) secret: String,
}

/// List API tokens
///
/// The newest come first; revoked and expired ones are listed too.
#[utoipa::path(get, path = "/api/v1/organizations/{organization}/api-tokens", tag = "API tokens", params(PageQuery),
    responses((status = 200, description = "A page of API tokens", body = ListOf<ApiToken>)))]
pub(super) async fn list_api_tokens(
    State(service): State<AdminService>,
    OrganizationCaller(caller): OrganizationCaller,
    format: ListFormat,
    QueryParameters(query): QueryParameters<PageQuery>,
) -> Result<Response, Problem> {
    format.answer(query.page()?, ApiToken::from, |page| service.records.api_tokens(caller.tenant, page)).await
}

/// Read an API token
#[utoipa::path(get, path = "/api/v1/organizations/{organization}/api-tokens/{api_token}", tag = "API tokens",
    responses((status = 200, description = "The API token", body = ApiToken)))]
pub(super) async fn read_api_token(
    State(service): State<AdminService>,
    OrganizationCaller(caller): OrganizationCaller,
    PathTarget(id): PathTarget<Uuid>,
) -> Result<axum::Json<ApiToken>, Problem> {
    let found = service.records.read_api_token(caller.tenant, id).await?.ok_or_else(not_found)?;
    Ok(axum::Json(found.into()))
}

/// What an API token or a vendor token shall be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "nightly report", "scopes": ["licenses:read", "sessions:read"], "expires_at": "2027-11-21T00:00:00Z",
    "allowed_networks": ["192.0.2.0/24", "2001:db8::/32"]}))]
pub(super) struct CreateApiToken {
    /// 1 to 200 characters, none of them a control character.
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

/// The most networks that a token is tied to.
const MOST_NETWORKS: usize = 50;

/// Make an API token
///
/// The answer shows the token's secret once. The token acts for the organization, within its scopes, until it is
/// revoked or ends. When the person who made it is removed, it is revoked as well, unless the person who removes them
/// keeps it. An API token cannot make another one.
#[utoipa::path(post, path = "/api/v1/organizations/{organization}/api-tokens", tag = "API tokens", request_body = CreateApiToken,
    params(("Idempotency-Key" = Option<String>, Header, description = "Drawn for this request; sent again with it, it is done once")),
    responses((status = 201, description = "The API token, and its secret", body = CreatedApiToken),
              (status = 409, description = "conflict: you made 200 that are in force")))]
pub(super) async fn create_api_token(
    State(service): State<AdminService>,
    OrganizationCaller(caller): OrganizationCaller,
    JsonBody(body): JsonBody<CreateApiToken>,
) -> Result<impl IntoResponse, Problem> {
    let new = new_token(&body, service.token_days)?;
    let made = service.management.create_api_token(&caller, &new).await?;
    let answer = CreatedApiToken { token: made.token.into(), secret: made.secret.reveal().to_owned() };
    Ok((StatusCode::CREATED, axum::Json(answer)))
}

/// What a token shall be, of either kind.
pub(super) fn new_token<S: FromStr<Err = InvalidText> + PartialEq>(
    body: &CreateApiToken,
    days: u16,
) -> Result<NewToken<S>, Problem> {
    let mut fields = FieldChecks::new();
    let name = fields.required("name", body.name.as_deref(), names::name);
    let scopes = match scopes::<S>(body.scopes.as_deref()) {
        Ok(scopes) => Some(scopes),
        Err(problem) => {
            fields.wrong("scopes", problem);
            None
        }
    };
    let expires_at = fields.optional("expires_at", body.expires_at.as_deref(), time);
    let allowed_networks = fields.optional("allowed_networks", body.allowed_networks.as_deref(), networks);
    let (name, scopes) = fields.check(name.zip(scopes))?;
    Ok(NewToken { name, scopes, allowed_networks, expires_at, days })
}

/// The scopes that a token shall have, of either kind.
fn scopes<T: FromStr<Err = InvalidText> + PartialEq>(words: Option<&[String]>) -> Result<Vec<T>, String> {
    let words = words.ok_or("is required")?;
    let mut scopes = Vec::new();
    for word in words {
        let scope = word.parse::<T>().map_err(|problem| format!("each {problem}"))?;
        if scopes.contains(&scope) {
            return Err("names a scope twice".into());
        }
        scopes.push(scope);
    }
    if scopes.is_empty() { Err("must name at least one scope".into()) } else { Ok(scopes) }
}

/// The networks that a token shall be tied to.
fn networks(texts: &[String]) -> Result<Vec<IpNetwork>, String> {
    if !(1..=MOST_NETWORKS).contains(&texts.len()) {
        let how_many =
            format!("must be 1 to {MOST_NETWORKS} networks; leave it out for a token that is good from everywhere");
        return Err(how_many);
    }
    let mut networks = Vec::new();
    for (at, text) in texts.iter().enumerate() {
        let network: IpNetwork = text.parse().map_err(|problem| format!("the network at place {at} {problem}"))?;
        if networks.contains(&network) {
            return Err(format!("names {network} twice"));
        }
        networks.push(network);
    }
    Ok(networks)
}

/// Revoke an API token
///
/// The API token is refused from the next request on. A token that was revoked already stays unchanged.
#[utoipa::path(delete, path = "/api/v1/organizations/{organization}/api-tokens/{api_token}", tag = "API tokens",
    responses((status = 204, description = "It opens nothing any more")))]
pub(super) async fn revoke_api_token(
    State(service): State<AdminService>,
    OrganizationCaller(caller): OrganizationCaller,
    PathTarget(id): PathTarget<Uuid>,
) -> Result<StatusCode, Problem> {
    service.management.revoke_api_token(&caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
