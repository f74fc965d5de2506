//! Which keys a license has, and which of them are still good; the keys themselves are shown by nobody.

use crate::{
    admin::{
        AdminService,
        answer::{ListOf, PathTarget, not_found},
        callers::OrganizationCaller,
        filters::PageQuery,
        lists::ListFormat,
    },
    edge::{Problem, QueryParameters},
};
use axum::{extract::State, response::Response};
use license_core::{domain::id::LicenseId, records::LicenseKeyRow};
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

/// A key of a license. The key itself is shown once, when it is made: only its hash is kept.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"id": "01a1fc28-9b31-70be-8112-4bfdb0eab10e", "state": "expiring",
    "created_at": "2026-11-21T03:31:22.221Z", "valid_until": "2026-11-28T03:31:22Z"}))]
pub(in crate::admin) struct LicenseKey {
    /// What names it, in sessions and in the audit log; opens nothing.
    id: Uuid,
    /// `current`: the newest, good until it is replaced · `expiring`: replaced, and good until `valid_until` ·
    /// `expired`: good no more.
    state: &'static str,
    /// Since when it is good.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    /// Until when it is or was good; null for the current key.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(required)]
    valid_until: Option<OffsetDateTime>,
}

impl From<LicenseKeyRow> for LicenseKey {
    fn from(it: LicenseKeyRow) -> Self {
        let state = match (it.valid_until, it.is_valid) {
            (None, _) => "current",
            (Some(_), true) => "expiring",
            (Some(_), false) => "expired",
        };
        Self { id: it.id.0, state, created_at: it.created_at, valid_until: it.valid_until }
    }
}

/// List a license's keys
///
/// The newest come first. Whether the license may be used at all is said by its status and its term: the keys of a
/// revoked license stay as they were.
#[utoipa::path(get, path = "/api/v1/organizations/{organization}/licenses/{license}/keys", tag = "Licenses", params(PageQuery),
    responses((status = 200, description = "A page of keys", body = ListOf<LicenseKey>)))]
pub(in crate::admin) async fn list_keys(
    State(service): State<AdminService>,
    OrganizationCaller(caller): OrganizationCaller,
    PathTarget(license): PathTarget<LicenseId>,
    format: ListFormat,
    QueryParameters(query): QueryParameters<PageQuery>,
) -> Result<Response, Problem> {
    let page = query.page()?;
    let (records, tenant) = (&service.records, caller.tenant);
    let read = |page| async move { records.license_keys(tenant, license, page).await?.ok_or_else(not_found) };
    format.answer(page, LicenseKey::from, read).await
}
