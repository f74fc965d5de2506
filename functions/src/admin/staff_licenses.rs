//! Licenses of all organizations, as the vendor's staff and shops find them.

use super::{
    AdminService, answer::ListOf, filters::ListFilters, labels::sought_metadata, licenses::term_views::License,
    lists::ListFormat,
};
use crate::edge::{Problem, QueryParameters, names};
use axum::{extract::State, response::Response};
use license_core::{
    domain::labels::external_id,
    records::{self, LicenseSearch},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// A license, and whose it is.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"organization": "01a1fc28-9b31-70be-8112-4bfdb0eab108", "organization_name": "Engines Ltd",
    "created_at": "2026-11-21T03:31:22.221389Z", "expires_at": "2027-11-21T00:00:00Z",
    "external_id": "sub_1MowQVLkdIwHu7ix", "facts_version": 3, "features": {"render": true},
    "grace_after_heartbeats": 2, "grace_beyond_seats": null, "grace_hours": 96, "hide_holders": false,
    "holder_by": "machine", "id": "01a1fc28-9b31-70be-8112-4bfdb0eab109", "metadata": {"order": "6735"},
    "not_before": null, "number": "752KJY5EZQ1CW", "offline_policy": "grace", "plan": "team",
    "processes_per_seat": 32, "product": "coditect", "seats_total": 25, "status": "active",
    "status_since": "2026-11-21T03:31:22.221389Z", "tier": "team", "name": "Render farm", "note": null}))]
pub(super) struct FoundLicense {
    /// The organization's id.
    organization: Uuid,
    /// What the organization is called.
    organization_name: String,
    #[serde(flatten)]
    license: License,
}

impl From<records::FoundLicense> for FoundLicense {
    fn from(it: records::FoundLicense) -> Self {
        Self { organization: it.organization.0, organization_name: it.organization_name, license: it.license.into() }
    }
}

/// By what, and which part of the list.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct LicensesQuery {
    /// Only those: `active`, `suspended` or `revoked`.
    status: Option<String>,
    /// Only those for this product.
    product: Option<String>,
    /// Only those of this plan.
    plan: Option<String>,
    /// Only those whose name begins so, in the order of names; capitals do not matter. Without other filters.
    q: Option<String>,
    /// Only the one that has this external id; without other filters.
    external_id: Option<String>,
    /// Only those that have this text under this key of their metadata: `key=text`.
    metadata: Option<String>,
    /// Only those whose term ends at this time or later.
    #[param(value_type = Option<String>, format = DateTime)]
    ends_from: Option<String>,
    /// Only those whose term ends before this time, also those whose term is over.
    #[param(value_type = Option<String>, format = DateTime)]
    ends_before: Option<String>,
    /// How many rows: 1 to 100, 20 unless said.
    #[param(value_type = Option<u8>, minimum = 1, maximum = 100)]
    limit: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Find licenses
///
/// Of all organizations. The newest come first; with `ends_from` or `ends_before` those come first that end first, and
/// licenses without an end are left out; with `q` those whose names come first.
#[utoipa::path(get, path = "/api/v1/staff/licenses", tag = "Staff", params(LicensesQuery),
    responses((status = 200, description = "A page of licenses", body = ListOf<FoundLicense>)))]
pub(super) async fn find_licenses(
    State(service): State<AdminService>,
    format: ListFormat,
    QueryParameters(query): QueryParameters<LicensesQuery>,
) -> Result<Response, Problem> {
    let mut filters = ListFilters::new();
    let search = LicenseSearch {
        status: filters.read("status", query.status.as_ref(), str::parse),
        product: filters.read("product", query.product.as_ref(), names::slug),
        plan: filters.read("plan", query.plan.as_ref(), names::slug),
        external_id: filters.read("external_id", query.external_id.as_ref(), external_id),
        named: filters.beginning("q", query.q.as_ref()),
        metadata: filters.read("metadata", query.metadata.as_ref(), sought_metadata),
        ends_from: filters.time("ends_from", query.ends_from.as_ref()),
        ends_before: filters.time("ends_before", query.ends_before.as_ref()),
    };
    let others = [&query.status, &query.product, &query.plan, &query.metadata, &query.ends_from, &query.ends_before];
    if query.external_id.is_some() && others.iter().any(|other| other.is_some()) {
        filters.wrong("external_id", "cannot be combined with other filters: it names one license");
    }
    if query.q.is_some() && (query.external_id.is_some() || others.iter().any(|other| other.is_some())) {
        filters.wrong("q", "cannot be combined with other filters");
    }
    let page = filters.page(query.limit.as_ref(), query.cursor.as_ref());
    let (search, page) = filters.check((search, page))?;
    format.answer(page, FoundLicense::from, |page| service.records.find_licenses(&search, page)).await
}
