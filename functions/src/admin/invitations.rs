//! Invitations: asking people into an organization.

use super::{
    AdminService,
    answer::{ListOf, PathTarget, not_found},
    callers::OrganizationCaller,
    filters::ListFilters,
    lists::ListFormat,
};
use crate::edge::{FieldChecks, JsonBody, Problem, QueryParameters};
use crate::refusals::read;
use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use license_core::{
    domain::{access::PersonRole, email::Email},
    management::IssuedInvitation,
    records::{self, InvitationState},
};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// Somebody who was asked in.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"id": "01a1fc28-9b31-70be-8112-4bfdb0eab10c", "email": "grace@example.com", "role": "member", "state": "open",
    "invited_by": "me@example.com", "created_at": "2026-11-21T03:31:22.221389Z", "expires_at": "2026-11-28T03:31:22.221389Z",
    "accepted_at": null, "accepted_by": null, "revoked_at": null}))]
pub(super) struct Invitation {
    /// Names the invitation; opens nothing.
    id: Uuid,
    /// The address it is for, in small letters.
    email: String,
    /// What the person will be: `owner`, `admin`, `member` or `viewer`.
    role: &'static str,
    /// `open`, `accepted`, `revoked` or `expired`.
    state: &'static str,
    /// Who asked.
    invited_by: String,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    /// Seven days later: from then on it is good for nothing.
    #[serde(with = "time::serde::rfc3339")]
    expires_at: OffsetDateTime,
    /// When somebody joined with it.
    #[serde(with = "time::serde::rfc3339::option")]
    accepted_at: Option<OffsetDateTime>,
    /// The person who did.
    accepted_by: Option<Uuid>,
    /// When it was taken back, or replaced by a later one to the same address.
    #[serde(with = "time::serde::rfc3339::option")]
    revoked_at: Option<OffsetDateTime>,
}

impl From<records::InvitationRow> for Invitation {
    fn from(it: records::InvitationRow) -> Self {
        Self {
            id: it.id,
            email: it.email.to_string(),
            role: it.role.as_str(),
            state: it.state.as_str(),
            invited_by: it.invited_by,
            created_at: it.created_at,
            expires_at: it.expires_at,
            accepted_at: it.accepted_at,
            accepted_by: it.accepted_by.map(|user| user.0),
            revoked_at: it.revoked_at,
        }
    }
}

/// An invitation just made.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"id": "01a1fc28-9b31-70be-8112-4bfdb0eab10c", "email": "grace@example.com", "role": "member", "state": "open",
    "invited_by": "me@example.com", "created_at": "2026-11-21T03:31:22.221389Z", "expires_at": "2026-11-28T03:31:22.221389Z",
    "accepted_at": null, "accepted_by": null, "revoked_at": null,
    "secret": "cdi_01m7y2h6sh71qa24n9zprengrj01m7y2h6sh71qa24n9zprengrr3hx9v2mq8k0c7wz5jt4r6ynbse",
    "how": "Hand the secret to the person yourself; no mail is sent. …"}))]
pub(super) struct NewInvitation {
    /// The invitation.
    #[serde(flatten)]
    invitation: Invitation,
    /// `cdi_…`: good once, for whoever signs in with the address. Shown here and never again; only its hash is kept.
    secret: String,
    /// What to do with it, in words.
    how: &'static str,
}

impl From<IssuedInvitation> for NewInvitation {
    fn from(it: IssuedInvitation) -> Self {
        Self {
            secret: it.secret.reveal().to_owned(),
            invitation: it.invitation.into(),
            how: if it.mailed { HOW_MAILED } else { HOW },
        }
    }
}

const HOW: &str = "Hand the secret to the person yourself; no mail is sent. Who signs in with this address and sends \
                   POST /api/v1/auth/register with {\"invitation\": \"<the secret>\"} joins the organization.";

const HOW_MAILED: &str = "A mail with it is sent to the address within a minute or two, where the server has a mail \
                          server. Who signs in with this address and sends POST /api/v1/auth/register with \
                          {\"invitation\": \"<the secret>\"} joins the organization.";

/// Which invitations.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct InvitationQuery {
    /// Only those that are `open`, `accepted`, `revoked` or `expired`.
    state: Option<String>,
    /// How many rows: 1 to 100, 20 unless said.
    #[param(value_type = Option<u8>, minimum = 1, maximum = 100)]
    limit: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// List invitations
///
/// The newest come first.
#[utoipa::path(get, path = "/api/v1/organizations/{organization}/invitations", tag = "People", params(InvitationQuery),
    responses((status = 200, description = "A page of invitations", body = ListOf<Invitation>)))]
pub(super) async fn list_invitations(
    State(service): State<AdminService>,
    OrganizationCaller(caller): OrganizationCaller,
    format: ListFormat,
    QueryParameters(query): QueryParameters<InvitationQuery>,
) -> Result<Response, Problem> {
    let mut filters = ListFilters::new();
    let which = filters.read("state", query.state.as_ref(), read::<InvitationState>);
    let page = filters.page(query.limit.as_ref(), query.cursor.as_ref());
    let (which, page) = filters.check((which, page))?;
    format.answer(page, Invitation::from, |page| service.records.invitations(caller.tenant, which, page)).await
}

/// Read an invitation
#[utoipa::path(get, path = "/api/v1/organizations/{organization}/invitations/{invitation}", tag = "People",
    responses((status = 200, description = "The invitation", body = Invitation)))]
pub(super) async fn read_invitation(
    State(service): State<AdminService>,
    OrganizationCaller(caller): OrganizationCaller,
    PathTarget(id): PathTarget<Uuid>,
) -> Result<axum::Json<Invitation>, Problem> {
    let found = service.records.invitation(caller.tenant, id).await?.ok_or_else(not_found)?;
    Ok(axum::Json(found.into()))
}

/// Whom to ask in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"email": "grace@example.com", "role": "member"}))]
pub(super) struct InviteBody {
    /// The address the person signs in with, in any spelling.
    #[schema(required, max_length = 254)]
    email: Option<String>,
    /// `owner`, `admin`, `member` or `viewer`.
    #[schema(required)]
    role: Option<String>,
    /// True: the secret is also sent to the address by mail. False unless said.
    send_mail: Option<bool>,
}

/// Invite a person
///
/// The answer shows the invitation's secret once. Hand it to the person, or say `send_mail`: then it is sent to the
/// address by mail too, of which an organization may send a hundred within 24 hours. The invitation is valid for seven days, for one use, and only for a person who signs in with that address. Inviting an address again revokes
/// the earlier invitation. Only an owner can invite owners. The invitation is valid only as long as the person who
/// sent it may still give that role.
#[utoipa::path(post, path = "/api/v1/organizations/{organization}/invitations", tag = "People", request_body = InviteBody,
    params(("Idempotency-Key" = Option<String>, Header, description = "Drawn for this request; sent again with it, it is done once")),
    responses((status = 201, description = "The invitation, and its secret", body = NewInvitation),
              (status = 409, description = "conflict: the address belongs to somebody, or a thousand invitations of yours are open, or a hundred were sent by mail today")))]
pub(super) async fn invite_person(
    State(service): State<AdminService>,
    OrganizationCaller(caller): OrganizationCaller,
    JsonBody(body): JsonBody<InviteBody>,
) -> Result<impl IntoResponse, Problem> {
    let mut fields = FieldChecks::new();
    let email = fields.required("email", body.email.as_deref(), str::parse::<Email>);
    let role = fields.required("role", body.role.as_deref(), str::parse::<PersonRole>);
    let (email, role) = fields.check(email.zip(role))?;
    let mail = body.send_mail.unwrap_or(false).then_some(&*service.webhook_keys);
    let invited = service.management.invite(&caller, &email, role, mail).await?;
    Ok((StatusCode::CREATED, axum::Json(NewInvitation::from(invited))))
}

/// Revoke an invitation
///
/// Nobody can join with the invitation any more. An invitation that is over already stays unchanged. Only an owner can
/// revoke an owner's invitation.
#[utoipa::path(delete, path = "/api/v1/organizations/{organization}/invitations/{invitation}", tag = "People",
    responses((status = 204, description = "Nobody can join with it"),
              (status = 409, description = "conflict: somebody joined with it already")))]
pub(super) async fn revoke_invitation(
    State(service): State<AdminService>,
    OrganizationCaller(caller): OrganizationCaller,
    PathTarget(id): PathTarget<Uuid>,
) -> Result<StatusCode, Problem> {
    service.management.revoke_invitation(&caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
