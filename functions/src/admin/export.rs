//! Everything in which a person is named, for the person and for the organization's admins.

use super::{
    AdminService,
    answer::{PathTarget, not_found},
    callers::OrganizationCaller,
    filters::ListFilters,
};
use crate::{
    edge::{Problem, QueryParameters},
    refusals::read,
};
use axum::extract::State;
use license_core::{
    domain::{access::PersonRole, id::UserId},
    records::{Caller, ExportCursor, ExportedPart, ExportedRow, Principal},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// A row in which the person is named.
#[derive(Serialize, ToSchema)]
pub(super) struct PersonalRow {
    /// What it is: `person`, `invitation`, `api_token`, `project`, `webhook`, `alert_rule`, `license`, `organization`,
    /// `session`, `denial`, `event`, `delivery` (what the receiver of a webhook answered), `mail` (one that is not over)
    /// or `audit_entry`. More kinds may come.
    kind: String,
    /// Its id.
    id: Uuid,
    /// When it was written.
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
    /// What it has of the person. Of a row that is not only about them, the parts that name them.
    #[schema(value_type = Object)]
    data: Value,
}

impl From<ExportedRow> for PersonalRow {
    fn from(it: ExportedRow) -> Self {
        Self { kind: it.kind, id: it.id, at: it.at, data: it.data }
    }
}

/// A part of what an organization has of a person.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"items": [{"kind": "person", "id": "01a1fc28-9b31-70be-8112-4bfdb0eab10a",
    "at": "2026-11-21T03:31:22.221389Z", "data": {"email": "me@example.com", "name": "Me", "role": "owner"}}],
    "next_cursor": "AQAAAAAAAAAAAAAAAAAAAAA"}))]
pub(super) struct PersonExport {
    /// Rows, kind by kind. A part may have none although there are more.
    items: Vec<PersonalRow>,
    /// Send it as `cursor` for the next part; null: this was the last.
    #[schema(required)]
    next_cursor: Option<String>,
}

impl From<ExportedPart> for PersonExport {
    fn from(it: ExportedPart) -> Self {
        let next_cursor = it.next.map(|next| next.to_string());
        Self { items: it.rows.into_iter().map(PersonalRow::from).collect(), next_cursor }
    }
}

/// Where the part begins.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ExportQuery {
    /// `next_cursor` of the part before.
    cursor: Option<String>,
}

/// Export a person's data
///
/// Everything that an erasure of this person would blank, also of somebody who left. A person may export themselves;
/// to export somebody else needs the role admin. A part has about 100 rows, and at most 600: follow `next_cursor` until
/// it is null.
#[utoipa::path(get, path = "/api/v1/organizations/{organization}/people/{person}/export", tag = "People", params(ExportQuery),
    responses((status = 200, description = "A part of the export", body = PersonExport)))]
pub(super) async fn export_person(
    State(service): State<AdminService>,
    OrganizationCaller(caller): OrganizationCaller,
    PathTarget(person): PathTarget<UserId>,
    QueryParameters(query): QueryParameters<ExportQuery>,
) -> Result<axum::Json<PersonExport>, Problem> {
    let mut filters = ListFilters::new();
    let cursor = filters.read("cursor", query.cursor.as_ref(), read::<ExportCursor>);
    let cursor = filters.check(cursor)?;
    if !is_own_or_admins(&caller, person) {
        return Err(not_found());
    }
    let part = service.records.export_person(caller.tenant, person, cursor).await?.ok_or_else(not_found)?;
    Ok(axum::Json(part.into()))
}

/// Whether who asks is this person, or may see what the organization has of everybody.
pub(super) fn is_own_or_admins(caller: &Caller, person: UserId) -> bool {
    match &caller.principal {
        Principal::Person { user, role, .. } => *user == person || *role >= PersonRole::Admin,
        Principal::Staff { .. } => true,
        Principal::Token { .. } | Principal::VendorToken { .. } => false,
    }
}
