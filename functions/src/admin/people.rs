//! The people of an organization.

use super::{
    AdminService,
    answer::{IfMatch, ListOf, PathTarget, not_found, versioned},
    callers::OrganizationCaller,
    filters::ListFilters,
    invitations::Invitation,
    lists::ListFormat,
    tokens::ApiToken,
};
use crate::edge::{FieldChecks, JsonBody, Problem, QueryParameters};
use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use license_core::{
    domain::{access::PersonRole, id::UserId},
    management,
    records::{self, TokenFate},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::borrow::Cow;
use time::OffsetDateTime;
use utoipa::{
    IntoParams, PartialSchema, ToSchema,
    openapi::{Object, RefOr, Schema},
};
use uuid::Uuid;

/// A person of an organization.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"id": "01a1fc28-9b31-70be-8112-4bfdb0eab10a", "email": "me@example.com", "name": "Me", "role": "owner", "joined_at": "2026-11-21T03:31:22.221389Z"}))]
pub(super) struct Person {
    /// The same in every organization.
    id: Uuid,
    /// The verified address.
    email: String,
    /// As the identity provider knows them; null if it does not say.
    name: Option<String>,
    /// `owner`, `admin`, `member` or `viewer`.
    role: &'static str,
    /// When they joined.
    #[serde(with = "time::serde::rfc3339")]
    joined_at: OffsetDateTime,
}

impl From<records::PersonRow> for Person {
    fn from(it: records::PersonRow) -> Self {
        Self { id: it.id.0, email: it.email, name: it.name, role: it.role.as_str(), joined_at: it.joined_at }
    }
}

/// Which people.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct PeopleQuery {
    /// Only who has this address, in any spelling; a `+` in it is written `%2B`.
    email: Option<String>,
    /// How many rows: 1 to 100, 20 unless said.
    #[param(value_type = Option<u8>, minimum = 1, maximum = 100)]
    limit: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// List people
///
/// Those who joined last come first.
#[utoipa::path(get, path = "/api/v1/organizations/{organization}/people", tag = "People", params(PeopleQuery),
    responses((status = 200, description = "A page of people", body = ListOf<Person>)))]
pub(super) async fn list_people(
    State(service): State<AdminService>,
    OrganizationCaller(caller): OrganizationCaller,
    format: ListFormat,
    QueryParameters(query): QueryParameters<PeopleQuery>,
) -> Result<Response, Problem> {
    let mut filters = ListFilters::new();
    let address = filters.person("email", query.email.as_ref());
    let page = filters.page(query.limit.as_ref(), query.cursor.as_ref());
    let (address, page) = filters.check((address, page))?;
    let read = |page| service.records.people(caller.tenant, address.as_deref(), page);
    format.answer(page, Person::from, read).await
}

/// Read a person
#[utoipa::path(get, path = "/api/v1/organizations/{organization}/people/{person}", tag = "People",
    responses((status = 200, description = "The person", body = Person, headers(("ETag" = String, description = "Its version")))))]
pub(super) async fn read_person(
    State(service): State<AdminService>,
    OrganizationCaller(caller): OrganizationCaller,
    PathTarget(person): PathTarget<UserId>,
) -> Result<Response, Problem> {
    let found = service.records.person(caller.tenant, person).await?.ok_or_else(not_found)?;
    Ok(versioned(StatusCode::OK, found.version, Person::from(found)))
}

/// What stood on a person's word when their role changed or they left.
#[derive(Serialize, ToSchema)]
#[schema(as = DelegatedAccessView, example = json!({"invitations_revoked": [{"id": "01a1fc28-9b31-70be-8112-4bfdb0eab10c", "email": "grace@example.com", "role": "admin",
        "state": "revoked", "invited_by": "me@example.com", "created_at": "2026-11-21T03:31:22.221389Z",
        "expires_at": "2026-11-28T03:31:22.221389Z", "accepted_at": null, "accepted_by": null, "revoked_at": "2026-11-22T09:00:00.5Z"}],
    "invitations_revoked_total": 1,
    "api_tokens": [{"id": "01a1fc28-9b31-70be-8112-4bfdb0eab10d", "name": "nightly report", "scopes": ["licenses:read"],
        "allowed_networks": null, "created_by": "me@example.com", "created_at": "2026-11-21T03:31:22.221389Z",
        "expires_at": "2026-12-21T03:31:22Z",
        "last_used_at": null, "revoked_at": "2026-11-22T09:00:00.5Z"}],
    "api_tokens_total": 1}))]
pub(super) struct GrantedAccessView {
    /// Open invitations that were revoked with it, the newest first, at most 100.
    invitations_revoked: Vec<Invitation>,
    /// How many were revoked.
    invitations_revoked_total: u64,
    /// The API tokens they made that were in force, as they are now, the newest first, at most 100: `revoked_at` says
    /// whether they are good no more.
    api_tokens: Vec<ApiToken>,
    /// How many there were.
    api_tokens_total: u64,
}

impl From<management::GrantedAccess> for GrantedAccessView {
    fn from(it: management::GrantedAccess) -> Self {
        Self {
            invitations_revoked: it.invitations.into_iter().map(Invitation::from).collect(),
            invitations_revoked_total: it.invitations_total,
            api_tokens: it.tokens.into_iter().map(ApiToken::from).collect(),
            api_tokens_total: it.tokens_total,
        }
    }
}

/// A person whose role was changed, and what stood on their word: one object with the fields of both.
#[derive(Serialize)]
pub(super) struct EditedPerson {
    #[serde(flatten)]
    person: Person,
    #[serde(flatten)]
    granted: GrantedAccessView,
}

impl From<management::RoleChange> for EditedPerson {
    fn from(it: management::RoleChange) -> Self {
        Self { person: it.person.into(), granted: it.granted.into() }
    }
}

// Derived, the schema would be an `allOf` of two, which many generators of clients make two classes of.
impl PartialSchema for EditedPerson {
    fn schema() -> RefOr<Schema> {
        let (mut edited, granted) = (object::<Person>(), object::<GrantedAccessView>());
        edited.properties.extend(granted.properties);
        edited.required.extend(granted.required);
        edited.description = Some("A person whose role was changed, and what stood on their word.".to_owned());
        edited.example = edited.example.zip(granted.example).map(|(mut example, granted)| {
            if let (Some(example), Value::Object(granted)) = (example.as_object_mut(), granted) {
                example.extend(granted);
            }
            // The tokens that the person made are kept unless the request says otherwise.
            example["role"] = "member".into();
            example["api_tokens"][0]["revoked_at"] = Value::Null;
            example
        });
        RefOr::T(Schema::Object(edited))
    }
}

impl ToSchema for EditedPerson {
    fn name() -> Cow<'static, str> {
        "EditedPerson".into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        Person::schemas(schemas);
        GrantedAccessView::schemas(schemas);
    }
}

/// The schema of a struct, which is an object.
fn object<T: PartialSchema>() -> Object {
    match T::schema() {
        RefOr::T(Schema::Object(object)) => object,
        _ => Object::new(),
    }
}

fn token_fate(word: &str) -> Result<TokenFate, &'static str> {
    match word {
        "keep" => Ok(TokenFate::Keep),
        "revoke" => Ok(TokenFate::Revoke),
        _ => Err("must be keep or revoke"),
    }
}

/// What to change about a person.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"role": "admin"}))]
pub(super) struct EditPerson {
    /// `owner`, `admin`, `member` or `viewer`.
    #[schema(required)]
    role: Option<String>,
    /// What becomes of the API tokens they made: `keep` (unless said) or `revoke`.
    api_tokens: Option<String>,
}

/// Change a person's role
///
/// Only an owner can make somebody an owner or change the role of an owner. The last owner stays an owner. Open
/// invitations that the person sent for roles which they may no longer give are revoked as well. API tokens that they
/// made are listed, and are revoked with `"api_tokens": "revoke"`.
#[utoipa::path(patch, path = "/api/v1/organizations/{organization}/people/{person}", tag = "People", request_body = EditPerson,
    params(("If-Match" = Option<String>, Header, description = "The ETag you read: refuses the edit if somebody changed it since")),
    responses((status = 200, description = "The person as they are now", body = EditedPerson, headers(("ETag" = String, description = "Its version"))),
              (status = 409, description = "conflict: the last owner"),
              (status = 412, description = "precondition_failed")))]
pub(super) async fn edit_person(
    State(service): State<AdminService>,
    OrganizationCaller(caller): OrganizationCaller,
    PathTarget(person): PathTarget<UserId>,
    IfMatch(version): IfMatch,
    JsonBody(body): JsonBody<EditPerson>,
) -> Result<Response, Problem> {
    let mut fields = FieldChecks::new();
    let role = fields.required("role", body.role.as_deref(), str::parse::<PersonRole>);
    let tokens = fields.optional("api_tokens", body.api_tokens.as_deref(), token_fate).unwrap_or(TokenFate::Keep);
    let role = fields.check(role)?;
    let edited = service.management.change_role(&caller, person, role, version, tokens).await?;
    Ok(versioned(StatusCode::OK, edited.person.version, EditedPerson::from(edited)))
}

/// What becomes of what a person leaves behind.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct RemovalQuery {
    /// What becomes of the API tokens that they made: `revoke`, or `keep`, by which the person who removes them
    /// becomes responsible for the tokens. If the parameter is given, the answer is 200 and lists what was revoked; if
    /// it is not, the tokens are revoked and the answer is 204.
    #[param(value_type = Option<String>)]
    api_tokens: Option<String>,
}

/// Remove a person
///
/// Every person may remove themselves, which means that they leave. To remove somebody else needs the role admin, and
/// to remove an owner needs the role owner. The last owner cannot be removed. The person's open invitations, the
/// invitations to their address, and the API tokens that they made are revoked as well, unless the tokens are kept.
#[utoipa::path(delete, path = "/api/v1/organizations/{organization}/people/{person}", tag = "People", params(RemovalQuery),
    responses((status = 200, description = "No longer one of its people, and what was revoked with \
        them", body = GrantedAccessView),
              (status = 204, description = "No longer one of its people"),
              (status = 409, description = "conflict: the last owner")))]
pub(super) async fn remove_person(
    State(service): State<AdminService>,
    OrganizationCaller(caller): OrganizationCaller,
    PathTarget(person): PathTarget<UserId>,
    QueryParameters(query): QueryParameters<RemovalQuery>,
) -> Result<Response, Problem> {
    let mut filters = ListFilters::new();
    let tokens = filters.read("api_tokens", query.api_tokens.as_ref(), token_fate);
    let tokens = filters.check(tokens)?;
    let ended = service.management.remove_person(&caller, person, tokens.unwrap_or(TokenFate::Revoke)).await?;
    Ok(match tokens {
        Some(_) => axum::Json(GrantedAccessView::from(ended)).into_response(),
        None => StatusCode::NO_CONTENT.into_response(),
    })
}
