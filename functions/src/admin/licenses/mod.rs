//! The licenses of an organization: listed, shown, made and edited.
//!
//! `overview.rs`: all with the use of them · `status.rs`: suspended, resumed, revoked · `rotate.rs`: given a new key ·
//! `keys.rs`: which keys it has · `terms.rs` and `term_views.rs`: the terms of licenses and of the plans they are made
//! from, asked for and shown.

pub(super) mod keys;
pub(super) mod overview;
pub(super) mod rotate;
pub(super) mod status;
pub(super) mod term_views;
pub(super) mod terms;

use super::{
    AdminService,
    answer::{IfMatch, ListOf, PathTarget, insufficient_role, not_found, versioned},
    callers::OrganizationCaller,
    filters::ListFilters,
    lists::ListFormat,
};
use crate::{
    edge::names,
    edge::{FieldChecks, JsonBody, Problem, QueryParameters, context::about},
};
use axum::{extract::State, response::Response};
use http::StatusCode;
use license_core::{
    domain::id::LicenseId,
    management::{LicenseEdit, LicenseView, LivePool, NewLicense},
    records::LicenseFilter,
};
use serde::{Deserialize, Serialize};
use term_views::License;
use terms::{CreateLicense, EditLicense, nothing_asked, text};
use utoipa::{IntoParams, ToSchema};

/// Seats that are given out together.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"name": "default", "seats_total": 25, "seats_used": 7, "surplus": 0, "on_grace": 9, "on_grace_beyond_seats": 0}))]
pub(super) struct Pool {
    /// Its name; `default` is the one meant where a client names none.
    name: String,
    /// Seats paid for.
    seats_total: u32,
    /// Seats held now.
    seats_used: u32,
    /// Seats above the total that are still held since it was made smaller. Each goes when its holder does.
    surplus: u32,
    /// Machines that may go on without contact now: their grace is earned and not over, whether they hold a seat, gave
    /// it back or lost it.
    on_grace: u32,
    /// How many of them there are beyond the seats.
    on_grace_beyond_seats: u32,
}

impl From<LivePool> for Pool {
    fn from(it: LivePool) -> Self {
        let LivePool { pool, used } = it;
        Self {
            name: pool.name.to_string(),
            seats_total: pool.seats_total,
            seats_used: used,
            surplus: pool.surplus,
            on_grace: pool.on_grace,
            on_grace_beyond_seats: pool.on_grace.saturating_sub(pool.seats_total + pool.surplus),
        }
    }
}

/// A license with the use of it now.
#[derive(Serialize, ToSchema)]
pub(super) struct LiveLicense {
    #[serde(flatten)]
    license: License,
    /// Its pools, by name.
    pools: Vec<Pool>,
}

/// Which licenses, and which part of the list.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct LicensesQuery {
    /// Only those: `active`, `suspended` or `revoked`.
    status: Option<String>,
    /// Only those of this tier.
    tier: Option<String>,
    /// Only those for this product.
    product: Option<String>,
    /// How many rows: 1 to 100, 20 unless said.
    #[param(value_type = Option<u8>, minimum = 1, maximum = 100)]
    limit: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// List licenses
///
/// The newest come first. Filters may be combined.
#[utoipa::path(get, path = "/api/v1/organizations/{organization}/licenses", tag = "Licenses", params(LicensesQuery),
    responses((status = 200, description = "A page of licenses", body = ListOf<License>)))]
pub(super) async fn list_licenses(
    State(service): State<AdminService>,
    OrganizationCaller(caller): OrganizationCaller,
    format: ListFormat,
    QueryParameters(query): QueryParameters<LicensesQuery>,
) -> Result<Response, Problem> {
    let mut filters = ListFilters::new();
    let filter = LicenseFilter {
        status: filters.read("status", query.status.as_ref(), str::parse),
        tier: filters.read("tier", query.tier.as_ref(), names::slug),
        product: filters.read("product", query.product.as_ref(), names::slug),
    };
    let page = filters.page(query.limit.as_ref(), query.cursor.as_ref());
    let (filter, page) = filters.check((filter, page))?;
    format.answer(page, License::from, |page| service.records.licenses(caller.tenant, &filter, page)).await
}

/// Read a license
///
/// The answer includes how many seats of each pool are held at this moment, which the `ETag` does not cover.
#[utoipa::path(get, path = "/api/v1/organizations/{organization}/licenses/{license}", tag = "Licenses",
    responses((status = 200, description = "The license and the use of it", body = LiveLicense, headers(("ETag" = String, description = "Its version")))))]
pub(super) async fn read_license(
    State(service): State<AdminService>,
    OrganizationCaller(caller): OrganizationCaller,
    PathTarget(license): PathTarget<LicenseId>,
) -> Result<Response, Problem> {
    let shown = service.seat_management.show_license(caller.tenant, license).await?.ok_or_else(not_found)?;
    let LicenseView { license, pools } = shown;
    about(Some(caller.tenant), Some(license.number));
    let version = license.version;
    let body = LiveLicense { license: license.into(), pools: pools.into_iter().map(Pool::from).collect() };
    Ok(versioned(StatusCode::OK, version, body))
}

/// A license that was made, with its key.
#[derive(Serialize, ToSchema)]
pub(super) struct NewLicenseKey {
    #[serde(flatten)]
    license: License,
    /// Its key. Shown this once: only its hash is kept.
    #[schema(example = "CODI-752KJ-Y5EZQ-1CW0A-9VR2K-WAA0K-D0ECC")]
    key: String,
}

/// Make a license
///
/// Makes a license for this organization from a plan. The key is shown in this answer alone; the same request with the
/// same Idempotency-Key shows it again.
#[utoipa::path(post, path = "/api/v1/organizations/{organization}/licenses", tag = "Licenses", request_body = CreateLicense,
    params(("Idempotency-Key" = Option<String>, Header, description = "The same request with the same key within 24 hours is done once and answered alike")),
    responses((status = 201, description = "The license with its key", body = NewLicenseKey, headers(("ETag" = String, description = "Its version"))),
              (status = 409, description = "conflict: `license` of `organization` has this external_id")))]
pub(super) async fn create_license(
    State(service): State<AdminService>,
    OrganizationCaller(caller): OrganizationCaller,
    JsonBody(body): JsonBody<CreateLicense>,
) -> Result<Response, Problem> {
    let mut fields = FieldChecks::new();
    let product = fields.required("product", body.product.as_ref(), |value| names::slug(text(value)));
    let plan = fields.required("plan", body.plan.as_ref(), |value| names::slug(text(value)));
    let (overrides, labels) = (body.terms(&mut fields), body.labels(&mut fields));
    let (product, plan) = fields.check(product.zip(plan))?;
    let new = NewLicense { product, plan, overrides, labels };
    let issued = service.management.issue_license(&caller, &new, &service.peppers).await?;
    about(Some(caller.tenant), Some(issued.license.number));
    let version = issued.license.version;
    let body = NewLicenseKey { license: issued.license.into(), key: issued.key.reveal() };
    Ok(versioned(StatusCode::CREATED, version, body))
}

/// Change a license
///
/// Admins give it a `name` and a `note`, which no token says; everything else is the vendor's to change. The next acquire
/// uses the new terms, and every client is told of them at its next heartbeat. An edit that changes nothing writes
/// nothing.
#[utoipa::path(patch, path = "/api/v1/organizations/{organization}/licenses/{license}", tag = "Licenses", request_body = EditLicense,
    params(("If-Match" = Option<String>, Header, description = "The ETag you read: refuses the edit if somebody changed it since")),
    responses((status = 200, description = "The license as it is now", body = License, headers(("ETag" = String, description = "Its version"))),
              (status = 409, description = "conflict: it is revoked, or `license` of `organization` has this external_id"),
              (status = 412, description = "precondition_failed")))]
pub(super) async fn edit_license(
    State(service): State<AdminService>,
    OrganizationCaller(caller): OrganizationCaller,
    PathTarget(license): PathTarget<LicenseId>,
    IfMatch(version): IfMatch,
    JsonBody(body): JsonBody<EditLicense>,
) -> Result<Response, Problem> {
    let mut fields = FieldChecks::new();
    let plan = fields.optional("plan", body.plan.as_ref(), |value| names::slug(text(value)));
    let (terms, labels, naming) = (body.terms(&mut fields), body.labels(&mut fields), body.naming(&mut fields));
    fields.check(Some(()))?;
    let edit = LicenseEdit { plan, terms, labels, naming };
    if edit == LicenseEdit::default() {
        return Err(nothing_asked());
    }
    if !edit.is_naming_alone() && !caller.principal.is_of_vendor() {
        return Err(insufficient_role("staff"));
    }
    let edited = service.seat_management.edit_license(&caller, license, &edit, version).await?;
    about(Some(caller.tenant), Some(edited.license.number));
    Ok(versioned(StatusCode::OK, edited.license.version, License::from(edited.license)))
}
