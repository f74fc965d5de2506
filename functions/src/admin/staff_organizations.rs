//! Organizations as the vendor's staff and shops know them: made and found, whoever they belong to.

use super::{
    AdminService,
    answer::{ListOf, versioned},
    callers::StaffCaller,
    filters::ListFilters,
    invitations::NewInvitation,
    labels::{labels, sought_metadata},
    lists::ListFormat,
    organizations::Organization,
};
use crate::edge::{FieldChecks, JsonBody, Problem, QueryParameters, names};
use axum::{extract::State, response::Response};
use http::StatusCode;
use license_core::{
    domain::{email::Email, labels::external_id},
    management::VendorOrganization,
    records::OrganizationSearch,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

/// Yourself, of the vendor's staff.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"email": "grace@vendor.example", "subject": "114"}))]
pub(super) struct StaffMember {
    /// The verified address you signed in with, as audit logs name you.
    email: String,
    /// Who you are at the staff's identity provider.
    subject: String,
}

/// Who you are, of staff
///
/// Staff belongs to no organization; a user interface asks this to know that it serves staff.
#[utoipa::path(get, path = "/api/v1/staff/me", tag = "Staff", responses((status = 200, description = "You", body = StaffMember)))]
pub(super) async fn read_staff(StaffCaller(caller): StaffCaller) -> axum::Json<StaffMember> {
    let (email, subject) = (caller.principal.name().to_owned(), caller.principal.id());
    axum::Json(StaffMember { email, subject })
}

/// By what, and which part of the list.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct OrganizationsQuery {
    /// Only those whose name begins so, in the order of names; capitals do not matter.
    q: Option<String>,
    /// Only the one that has this external id.
    external_id: Option<String>,
    /// Only those that have this text under this key of their metadata: `key=text`.
    metadata: Option<String>,
    /// How many rows: 1 to 100, 20 unless said.
    #[param(value_type = Option<u8>, minimum = 1, maximum = 100)]
    limit: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Find organizations
///
/// The newest come first, or with `q` those whose names come first. One of `q`, `external_id` and `metadata` may be
/// given.
#[utoipa::path(get, path = "/api/v1/staff/organizations", tag = "Staff", params(OrganizationsQuery),
    responses((status = 200, description = "A page of organizations", body = ListOf<Organization>)))]
pub(super) async fn find_organizations(
    State(service): State<AdminService>,
    format: ListFormat,
    QueryParameters(query): QueryParameters<OrganizationsQuery>,
) -> Result<Response, Problem> {
    let mut filters = ListFilters::new();
    let name = filters.beginning("q", query.q.as_ref());
    let id = filters.read("external_id", query.external_id.as_ref(), external_id);
    let metadata = filters.read("metadata", query.metadata.as_ref(), sought_metadata);
    if [query.q.is_some(), query.external_id.is_some(), query.metadata.is_some()].iter().filter(|it| **it).count() > 1 {
        filters.wrong("q", "cannot be combined: send one of q, external_id and metadata");
    }
    let page = filters.page(query.limit.as_ref(), query.cursor.as_ref());
    let ((name, id, metadata), page) = filters.check(((name, id, metadata), page))?;
    let search = match (name, id, metadata) {
        (Some(name), ..) => OrganizationSearch::Named(name),
        (_, Some(id), _) => OrganizationSearch::ExternalId(id),
        (.., Some((key, value))) => OrganizationSearch::Metadata(key, value),
        _ => OrganizationSearch::All,
    };
    format.answer(page, Organization::from, |page| service.records.find_organizations(&search, page)).await
}

/// An organization to make.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "Engines Ltd", "external_id": "cus_9s6XKzkNRiz8i3", "metadata": {"region": "eu"}, "owner_email": "grace@example.com"}))]
pub(super) struct MakeOrganization {
    /// 1 to 200 characters, none of them a control character.
    #[schema(required, min_length = 1, max_length = 200)]
    name: Option<String>,
    /// What your own systems know it by: 1 to 200 characters, taken once.
    #[schema(value_type = Option<String>, max_length = 200)]
    external_id: Option<Value>,
    /// Names with texts: at most 50 keys of 40 characters, with texts of 500.
    #[schema(value_type = Option<Map<String, Value>>)]
    metadata: Option<Value>,
    /// The address of its first owner, who is invited. Without it the organization has no people yet.
    #[schema(max_length = 254)]
    owner_email: Option<String>,
    /// True: the owner's invitation is also sent to the address by mail. False unless said.
    send_mail: Option<bool>,
}

/// An organization that was made.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"created_at": "2026-11-21T03:31:22.221389Z", "external_id": "cus_9s6XKzkNRiz8i3",
    "id": "01a1fc28-9b31-70be-8112-4bfdb0eab109", "metadata": {"region": "eu"}, "name": "Engines Ltd",
    "tokens_not_before": null, "invitation": {"accepted_at": null, "accepted_by": null,
    "created_at": "2026-11-21T03:31:22.221389Z", "email": "grace@example.com",
    "expires_at": "2026-11-28T03:31:22.221389Z",
    "how": "Hand the secret to the person yourself; no mail is sent. …",
    "id": "01a1fc28-9b31-70be-8112-4bfdb0eab10c", "invited_by": "me@example.com", "revoked_at": null,
    "role": "owner",
    "secret": "cdi_01m7y2h6sh71qa24n9zprengrj01m7y2h6sh71qa24n9zprengrr3hx9v2mq8k0c7wz5jt4r6ynbse",
    "state": "open"}}))]
pub(super) struct MadeOrganization {
    #[serde(flatten)]
    organization: Organization,
    /// The invitation of its first owner, with its secret, which is shown in this answer alone; null where no owner was
    /// named.
    #[schema(required)]
    invitation: Option<NewInvitation>,
}

/// Make an organization
///
/// For customers who did not register themselves. It has no license, for which `POST …/licenses` is, and no trial. The
/// first owner is invited as `POST …/invitations` does, with `send_mail` by mail too.
#[utoipa::path(post, path = "/api/v1/staff/organizations", tag = "Staff", request_body = MakeOrganization,
    params(("Idempotency-Key" = Option<String>, Header, description = "Drawn for this request; sent again with it, it is done once")),
    responses((status = 201, description = "The organization", body = MadeOrganization, headers(("ETag" = String, description = "Its version"))),
              (status = 409, description = "conflict: `organization` has this external_id")))]
pub(super) async fn make_organization(
    State(service): State<AdminService>,
    StaffCaller(caller): StaffCaller,
    JsonBody(body): JsonBody<MakeOrganization>,
) -> Result<Response, Problem> {
    let mut fields = FieldChecks::new();
    let name = fields.required("name", body.name.as_deref(), names::name);
    let owner = fields.optional("owner_email", body.owner_email.as_deref(), str::parse::<Email>);
    let labels = labels(&mut fields, body.external_id.as_ref(), body.metadata.as_ref());
    let name = fields.check(name)?;
    let mail = body.send_mail.unwrap_or(false).then_some(&*service.webhook_keys);
    let made = service.management.make_organization(&caller, &VendorOrganization { name, labels, owner }, mail).await?;
    let version = made.organization.version;
    let body = MadeOrganization {
        organization: made.organization.into(),
        invitation: made.invitation.map(NewInvitation::from),
    };
    Ok(versioned(StatusCode::CREATED, version, body))
}
