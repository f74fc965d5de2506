//! The people of an organization.

use super::{
    State,
    answer::{IfMatch, ListOf, Target, answered, not_found, versioned},
    filters::Filters,
    gate::Caller,
};
use crate::edge::{Fields, Json, Problem, Query};
use axum::{extract::State as From, response::Response};
use http::StatusCode;
use license_core::{
    domain::{access::PersonRole, id::UserId},
    records,
};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
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

impl std::convert::From<records::Person> for Person {
    fn from(it: records::Person) -> Self {
        Self { id: it.id.0, email: it.email, name: it.name, role: it.role.as_str(), joined_at: it.joined_at }
    }
}

/// Which part of a list.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct PageQuery {
    /// How many rows: 1 to 100, 20 unless said.
    #[param(value_type = Option<u8>, minimum = 1, maximum = 100)]
    pub(super) limit: Option<String>,
    /// `next_cursor` of the page before.
    pub(super) cursor: Option<String>,
}

impl PageQuery {
    /// The part, or 422.
    pub(super) fn page(&self) -> Result<records::Page, Problem> {
        let mut filters = Filters::new();
        let page = filters.page(self.limit.as_ref(), self.cursor.as_ref());
        filters.check(page)
    }
}

/// List people
///
/// Those who joined last come first.
#[utoipa::path(get, path = "/api/v1/organizations/{organization}/people", tag = "People", params(PageQuery),
    responses((status = 200, description = "A page of people", body = ListOf<Person>)))]
pub(super) async fn list_people(
    From(state): From<State>,
    Caller(act): Caller,
    Query(query): Query<PageQuery>,
) -> Result<axum::Json<ListOf<Person>>, Problem> {
    let page = query.page()?;
    Ok(ListOf::new(state.records.people(act.tenant, page).await?, Person::from))
}

/// Read a person
#[utoipa::path(get, path = "/api/v1/organizations/{organization}/people/{person}", tag = "People",
    responses((status = 200, description = "The person", body = Person, headers(("ETag" = String, description = "Its version")))))]
pub(super) async fn read_person(
    From(state): From<State>,
    Caller(act): Caller,
    Target(person): Target<UserId>,
) -> Result<Response, Problem> {
    let found = state.records.person(act.tenant, person).await?.ok_or_else(not_found)?;
    Ok(versioned(StatusCode::OK, found.version, Person::from(found)))
}

/// What to change about a person.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"role": "admin"}))]
pub(super) struct EditPerson {
    /// `owner`, `admin`, `member` or `viewer`.
    #[schema(required)]
    role: Option<String>,
}

/// Change a person's role
///
/// Only an owner makes owners or changes what an owner is. The last owner stays one.
#[utoipa::path(patch, path = "/api/v1/organizations/{organization}/people/{person}", tag = "People", request_body = EditPerson,
    params(("If-Match" = Option<String>, Header, description = "The ETag you read: refuses the edit if somebody changed it since")),
    responses((status = 200, description = "The person as they are now", body = Person, headers(("ETag" = String, description = "Its version"))),
              (status = 409, description = "conflict: the last owner"),
              (status = 412, description = "precondition_failed")))]
pub(super) async fn edit_person(
    From(state): From<State>,
    Caller(act): Caller,
    Target(person): Target<UserId>,
    IfMatch(version): IfMatch,
    Json(body): Json<EditPerson>,
) -> Result<Response, Problem> {
    let mut fields = Fields::new();
    let role = fields.required("role", body.role.as_deref(), str::parse::<PersonRole>);
    let role = fields.check(role)?;
    let edited = answered(state.records.change_role(&act, person, role, version).await)?;
    Ok(versioned(StatusCode::OK, edited.version, Person::from(edited)))
}

/// Remove a person
///
/// Everybody may remove themselves, which is leaving; others need the role admin, and for an owner the role owner. The last owner stays.
#[utoipa::path(delete, path = "/api/v1/organizations/{organization}/people/{person}", tag = "People",
    responses((status = 204, description = "No longer one of its people"),
              (status = 409, description = "conflict: the last owner")))]
pub(super) async fn remove_person(
    From(state): From<State>,
    Caller(act): Caller,
    Target(person): Target<UserId>,
) -> Result<StatusCode, Problem> {
    answered(state.records.remove_person(&act, person).await)?;
    Ok(StatusCode::NO_CONTENT)
}
