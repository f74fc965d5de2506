//! Projects.

use super::{
    AdminService,
    answer::{IfMatch, ListOf, PathTarget, not_found, versioned},
    callers::OrganizationCaller,
    filters::ListFilters,
    lists::ListFormat,
};
use crate::edge::{FieldChecks, JsonBody, Problem, QueryParameters};
use axum::{extract::State, response::Response};
use http::StatusCode;
use license_core::{
    domain::{
        id::{InvalidText, LicenseId, ProjectId},
        name::DisplayName,
    },
    management::ProjectEdit,
    records,
};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// To how many licenses a project can be tied.
const MOST_LICENSES: usize = 100;

/// A project: what sessions can be told apart by besides the license.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"id": "01a1fc28-9b31-70be-8112-4bfdb0eab10c", "name": "Turbine", "license_ids": [], "created_at": "2026-11-21T03:31:22.221389Z", "archived_at": null}))]
pub(super) struct Project {
    /// Stays the same for good.
    id: Uuid,
    /// What clients call it in `client.project`, in any spelling of it.
    name: String,
    /// Only sessions of these licenses count to it; of every license where there is none.
    license_ids: Vec<Uuid>,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    /// Since when no new session counts to it; null while it is in use.
    #[serde(with = "time::serde::rfc3339::option")]
    archived_at: Option<OffsetDateTime>,
}

impl From<records::ProjectRow> for Project {
    fn from(it: records::ProjectRow) -> Self {
        let license_ids = it.licenses.iter().map(|license| license.0).collect();
        Self { id: it.id.0, name: it.name, license_ids, created_at: it.created_at, archived_at: it.archived_at }
    }
}

/// Which projects.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ProjectsQuery {
    /// `true`: only archived ones; `false`: only those in use. Without it: all.
    #[param(value_type = Option<bool>)]
    archived: Option<String>,
    /// How many rows: 1 to 100, 20 unless said.
    #[param(value_type = Option<u8>, minimum = 1, maximum = 100)]
    limit: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// List projects
///
/// The newest first.
#[utoipa::path(get, path = "/api/v1/organizations/{organization}/projects", tag = "Projects", params(ProjectsQuery),
    responses((status = 200, description = "A page of projects", body = ListOf<Project>)))]
pub(super) async fn list_projects(
    State(service): State<AdminService>,
    OrganizationCaller(caller): OrganizationCaller,
    format: ListFormat,
    QueryParameters(query): QueryParameters<ProjectsQuery>,
) -> Result<Response, Problem> {
    let mut filters = ListFilters::new();
    let archived = filters.flag("archived", query.archived.as_ref());
    let page = filters.page(query.limit.as_ref(), query.cursor.as_ref());
    let (archived, page) = filters.check((archived, page))?;
    format.answer(page, Project::from, |page| service.records.projects(caller.tenant, archived, page)).await
}

/// A project to make.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "Turbine", "license_ids": ["01a1fc28-9b31-70be-8112-4bfdb0eab10b"]}))]
pub(super) struct NewProject {
    /// 1 to 200 characters, none of them a control character; no other project's, however either is spelled.
    #[schema(required, min_length = 1, max_length = 200)]
    name: Option<String>,
    /// Only sessions of these licenses will count to it, at most 100; of every license unless given.
    #[schema(value_type = Option<Vec<Uuid>>, max_items = 100)]
    license_ids: Option<Vec<String>>,
}

/// Make a project
///
/// Sessions whose client names it from now on (`client.project` of acquire) count to it. Naming a project that does not
/// exist is no error there: the session then counts to none.
#[utoipa::path(post, path = "/api/v1/organizations/{organization}/projects", tag = "Projects", request_body = NewProject,
    params(("Idempotency-Key" = Option<String>, Header, description = "Drawn once for what you want done; the same request again does nothing and is answered the same")),
    responses((status = 201, description = "The project", body = Project, headers(("ETag" = String, description = "Its version"))),
              (status = 409, description = "conflict: the name is taken, also by an archived project"),
              (status = 422, description = "invalid_request: names each wrong field; idempotency_key_reused")))]
pub(super) async fn create_project(
    State(service): State<AdminService>,
    OrganizationCaller(caller): OrganizationCaller,
    JsonBody(body): JsonBody<NewProject>,
) -> Result<Response, Problem> {
    let mut fields = FieldChecks::new();
    let name = fields.required("name", body.name.as_deref(), str::parse::<DisplayName>);
    let licenses = licenses(&mut fields, body.license_ids.as_deref()).unwrap_or_default();
    let name = fields.check(name)?;
    let made = service.management.create_project(&caller, &name, &licenses).await?;
    Ok(versioned(StatusCode::CREATED, made.version, Project::from(made)))
}

/// Read a project
#[utoipa::path(get, path = "/api/v1/organizations/{organization}/projects/{project}", tag = "Projects",
    responses((status = 200, description = "The project", body = Project, headers(("ETag" = String, description = "Its version")))))]
pub(super) async fn read_project(
    State(service): State<AdminService>,
    OrganizationCaller(caller): OrganizationCaller,
    PathTarget(project): PathTarget<ProjectId>,
) -> Result<Response, Problem> {
    let found = service.records.project(caller.tenant, project).await?.ok_or_else(not_found)?;
    Ok(versioned(StatusCode::OK, found.version, Project::from(found)))
}

/// What to change about a project; what is not given stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "Turbine II", "archived": false}))]
pub(super) struct EditProject {
    /// As for a new one.
    #[schema(min_length = 1, max_length = 200)]
    name: Option<String>,
    /// Instead of those it is tied to; an empty list ties it to none.
    #[schema(value_type = Option<Vec<Uuid>>, max_items = 100)]
    license_ids: Option<Vec<String>>,
    /// `true`: no new session counts to it; `false`: again.
    archived: Option<bool>,
}

/// Edit a project
///
/// Sessions that counted to it still do, whatever changes; only new ones go by the new name and licenses.
#[utoipa::path(patch, path = "/api/v1/organizations/{organization}/projects/{project}", tag = "Projects", request_body = EditProject,
    params(("If-Match" = Option<String>, Header, description = "The ETag you read: refuses the edit if somebody changed it since")),
    responses((status = 200, description = "The project as it is now", body = Project, headers(("ETag" = String, description = "Its version"))),
              (status = 409, description = "conflict: the name is taken, also by an archived project"),
              (status = 412, description = "precondition_failed")))]
pub(super) async fn edit_project(
    State(service): State<AdminService>,
    OrganizationCaller(caller): OrganizationCaller,
    PathTarget(project): PathTarget<ProjectId>,
    IfMatch(version): IfMatch,
    JsonBody(body): JsonBody<EditProject>,
) -> Result<Response, Problem> {
    let mut fields = FieldChecks::new();
    let name = fields.optional("name", body.name.as_deref(), str::parse::<DisplayName>);
    let licenses = licenses(&mut fields, body.license_ids.as_deref());
    fields.check(Some(()))?;
    let edit = ProjectEdit { name, licenses, archived: body.archived };
    let edited = service.management.edit_project(&caller, project, &edit, version).await?;
    Ok(versioned(StatusCode::OK, edited.version, Project::from(edited)))
}

/// The licenses named, each once and in the order of their ids.
fn licenses(fields: &mut FieldChecks, named: Option<&[String]>) -> Option<Vec<LicenseId>> {
    let named = named?;
    let ids: Result<Vec<LicenseId>, InvalidText> = named.iter().map(|id| id.parse()).collect();
    let Ok(mut ids) = ids else {
        fields.wrong("license_ids", "must be a list of UUIDs");
        return None;
    };
    ids.sort_unstable();
    ids.dedup();
    if ids.len() > MOST_LICENSES {
        fields.wrong("license_ids", "must be at most 100 licenses");
    }
    Some(ids)
}
