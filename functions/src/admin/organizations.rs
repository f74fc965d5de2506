//! An organization: read and edited.

use super::{
    AdminService,
    answer::{IfMatch, not_found, versioned},
    callers::{OrganizationCaller, SignedIn},
    credential::in_force,
    labels::{check_vendor, labels},
    licenses::terms::{nothing_asked, present},
};
use crate::{
    edge::names,
    edge::{FieldChecks, JsonBody, Problem},
};
use axum::{extract::State, response::Response};
use http::StatusCode;
use license_core::{domain::labels::Labels, management::OrganizationEdit, records};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

/// An organization: a customer, with its people and licenses.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"id": "01a1fc28-9b31-70be-8112-4bfdb0eab109", "name": "Engines Ltd", "created_at": "2026-11-21T03:31:22.221389Z",
    "tokens_not_before": null, "external_id": "cus_9s6XKzkNRiz8i3", "metadata": {"region": "eu"}}))]
pub(super) struct Organization {
    /// Stays the same for good.
    id: Uuid,
    /// What people call it.
    name: String,
    /// When it registered.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    /// ID tokens issued before this are worth nothing to it (`POST …/void-tokens`); null: that was never asked for.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(required)]
    tokens_not_before: Option<OffsetDateTime>,
    /// What the vendor's own systems know it by; null for nothing. The vendor sets it.
    #[schema(required)]
    external_id: Option<String>,
    /// What else the vendor's own systems wrote beside it: names with texts.
    metadata: BTreeMap<String, String>,
}

impl From<records::OrganizationRow> for Organization {
    fn from(it: records::OrganizationRow) -> Self {
        let Labels { external_id, metadata } = it.labels;
        let tokens_not_before = it.tokens_not_before;
        Self { id: it.id.0, name: it.name, created_at: it.created_at, tokens_not_before, external_id, metadata }
    }
}

/// Yourself.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"email": "me@example.com", "name": "Me", "organizations": [
    {"id": "01a1fc28-9b31-70be-8112-4bfdb0eab109", "name": "Engines Ltd", "person": "01a1fc28-9b31-70be-8112-4bfdb0eab10a", "role": "owner"}]}))]
pub(super) struct Me {
    /// The verified address you signed in with.
    email: Option<String>,
    /// Your name, as the identity provider knows it.
    name: Option<String>,
    /// The organizations you belong to.
    organizations: Vec<MyOrganization>,
}

/// An organization you belong to.
#[derive(Serialize, ToSchema)]
pub(super) struct MyOrganization {
    /// The organization.
    id: Uuid,
    /// What it is called.
    name: String,
    /// You, as the people of an organization are named.
    person: Uuid,
    /// What you are in it: `owner`, `admin`, `member` or `viewer`.
    role: &'static str,
}

/// Who you are
///
/// The person that the ID token stands for, and the organizations they belong to. Every other path names one of these.
#[utoipa::path(get, path = "/api/v1/me", tag = "Organizations", responses((status = 200, description = "You", body = Me)))]
pub(super) async fn read_me(
    State(service): State<AdminService>,
    SignedIn(claims): SignedIn,
) -> Result<axum::Json<Me>, Problem> {
    let memberships = service.records.memberships(&claims.issuer, &claims.subject).await?;
    for membership in &memberships {
        in_force(&claims, membership.tokens_not_before)?;
    }
    let organizations = memberships.into_iter().map(|it| MyOrganization {
        id: it.tenant.0,
        name: it.organization,
        person: it.person.id.0,
        role: it.person.role.as_str(),
    });
    Ok(axum::Json(Me {
        email: claims.address().ok().map(|email| email.to_string()),
        name: claims.name,
        organizations: organizations.collect(),
    }))
}

/// Read an organization
#[utoipa::path(get, path = "/api/v1/organizations/{organization}", tag = "Organizations",
    responses((status = 200, description = "The organization", body = Organization, headers(("ETag" = String, description = "Its version")))))]
pub(super) async fn read_organization(
    State(service): State<AdminService>,
    OrganizationCaller(caller): OrganizationCaller,
) -> Result<Response, Problem> {
    let found = service.records.organization(caller.tenant).await?.ok_or_else(not_found)?;
    Ok(versioned(StatusCode::OK, found.version, Organization::from(found)))
}

/// What to change about an organization.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "Engines & Sons Ltd"}))]
pub(super) struct EditOrganization {
    /// 1 to 200 characters, none of them a control character.
    #[schema(min_length = 1, max_length = 200)]
    name: Option<String>,
    /// What the vendor's own systems know it by: 1 to 200 characters, taken once; null for nothing. For the vendor only.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>, max_length = 200)]
    external_id: Option<Value>,
    /// A merge: names with texts, at most 50 keys of 40 characters with texts of 500; null or an empty text takes a key
    /// away. For the vendor only.
    #[schema(value_type = Option<Map<String, Value>>)]
    metadata: Option<Value>,
}

/// Edit an organization
///
/// Admins give it another name. Only the vendor, by its staff or by a vendor token, changes `external_id` and
/// `metadata`.
#[utoipa::path(patch, path = "/api/v1/organizations/{organization}", tag = "Organizations", request_body = EditOrganization,
    params(("If-Match" = Option<String>, Header, description = "The ETag you read: refuses the edit if somebody changed it since")),
    responses((status = 200, description = "The organization as it is now", body = Organization, headers(("ETag" = String, description = "Its version"))),
              (status = 409, description = "conflict: `organization` has this external_id"),
              (status = 412, description = "precondition_failed")))]
pub(super) async fn edit_organization(
    State(service): State<AdminService>,
    OrganizationCaller(caller): OrganizationCaller,
    IfMatch(version): IfMatch,
    JsonBody(body): JsonBody<EditOrganization>,
) -> Result<Response, Problem> {
    let mut fields = FieldChecks::new();
    let name = fields.optional("name", body.name.as_deref(), names::name);
    let labels = labels(&mut fields, body.external_id.as_ref(), body.metadata.as_ref());
    fields.check(Some(()))?;
    let edit = OrganizationEdit { name, labels };
    if edit == OrganizationEdit::default() {
        return Err(nothing_asked());
    }
    check_vendor(&caller, &edit.labels)?;
    let edited = service.management.edit_organization(&caller, &edit, version).await?;
    Ok(versioned(StatusCode::OK, edited.version, Organization::from(edited)))
}
