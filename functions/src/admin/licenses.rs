//! The licenses of an organization: listed, shown, made and edited. What else is done to one is in `license_acts.rs`.

use super::{
    AdminService,
    answer::{IfMatch, ListOf, PathTarget, not_found, versioned},
    callers::OrganizationCaller,
    filters::ListFilters,
    terms::{AskedTerms, nothing_asked, present, text},
};
use crate::{
    edge::names,
    edge::{FieldChecks, JsonBody, Problem, QueryParameters, context::about},
};
use axum::{extract::State, response::Response};
use http::StatusCode;
use license_core::{
    domain::{id::LicenseId, terms::TermsEdit},
    management::{LicenseView, LivePool, NewLicense},
    records::{LicenseFilter, LicenseRow},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// A license: what was agreed, and what the vendor decided about it.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"id": "01a1fc28-9b31-70be-8112-4bfdb0eab109", "number": "752KJY5EZQ1CW", "product": "coditect", "plan": "team", "tier": "team",
    "status": "active", "status_since": "2026-11-21T03:31:22.221389Z", "seats_total": 25, "not_before": null, "expires_at": "2027-11-21T00:00:00Z",
    "features": {"render": true}, "offline_policy": "grace", "grace_hours": 96, "grace_after_heartbeats": 2,
    "grace_beyond_seats": null, "holder_by": "machine", "processes_per_seat": 32,
    "hide_holders": false, "facts_version": 3, "created_at": "2026-11-21T03:31:22.221389Z"}))]
pub(super) struct License {
    /// Stays the same for good.
    id: Uuid,
    /// The public number, which its keys begin with.
    number: String,
    /// The product it is for.
    product: String,
    /// The plan it was made from, or last given.
    plan: String,
    /// The tier.
    tier: String,
    /// `active`, `suspended` or `revoked`: what the vendor decided. Its times tell whether its term is over.
    status: &'static str,
    /// Since when it is that.
    #[serde(with = "time::serde::rfc3339")]
    status_since: OffsetDateTime,
    /// Seats of its default pool.
    seats_total: u32,
    /// When its term begins; null: it has begun.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(required)]
    not_before: Option<OffsetDateTime>,
    /// When its term ends; null: never.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(required)]
    expires_at: Option<OffsetDateTime>,
    /// Names and values, signed into every token.
    features: Map<String, Value>,
    /// `none`, `grace` or `borrow`.
    offline_policy: &'static str,
    /// Hours a client may go on without contact; 0 unless the policy is `grace`.
    grace_hours: u32,
    /// How many heartbeats a holder must have lived through before its tokens carry grace: a quarter of a lease for each. 0: at once.
    grace_after_heartbeats: u32,
    /// How many machines beyond the seats may be on unexpired grace; beyond that tokens carry none. Null: any number.
    #[schema(required)]
    grace_beyond_seats: Option<u32>,
    /// `machine` or `process`.
    holder_by: &'static str,
    /// Live processes that may share a seat.
    processes_per_seat: u32,
    /// Whether a refusal for a full pool keeps to itself who holds the seats.
    hide_holders: bool,
    /// Rises with every change of what tokens say.
    facts_version: i64,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
}

impl From<LicenseRow> for License {
    fn from(it: LicenseRow) -> Self {
        Self {
            id: it.id.0,
            number: it.number.to_string(),
            product: it.product,
            plan: it.terms.plan,
            tier: it.terms.tier,
            status: it.status.as_str(),
            status_since: it.status_since,
            seats_total: it.terms.seats,
            not_before: it.terms.not_before,
            expires_at: it.terms.expires_at,
            features: it.terms.features,
            offline_policy: it.terms.offline_policy.as_str(),
            grace_hours: it.terms.grace_hours,
            grace_after_heartbeats: it.terms.grace_after_heartbeats,
            grace_beyond_seats: it.terms.grace_beyond_seats,
            holder_by: it.terms.holder_by.as_str(),
            processes_per_seat: it.terms.processes_per_seat,
            hide_holders: it.terms.hide_holders,
            facts_version: it.facts_version,
            created_at: it.created_at,
        }
    }
}

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
    /// Machines that may go on without contact now: their grace is earned and not over, whether they hold a seat, gave it back or lost it.
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
    OrganizationCaller(act): OrganizationCaller,
    QueryParameters(query): QueryParameters<LicensesQuery>,
) -> Result<axum::Json<ListOf<License>>, Problem> {
    let mut filters = ListFilters::new();
    let filter = LicenseFilter {
        status: filters.read("status", query.status.as_ref(), str::parse),
        tier: filters.read("tier", query.tier.as_ref(), names::slug),
        product: filters.read("product", query.product.as_ref(), names::slug),
    };
    let page = filters.page(query.limit.as_ref(), query.cursor.as_ref());
    let (filter, page) = filters.check((filter, page))?;
    Ok(ListOf::new(service.records.licenses(act.tenant, &filter, page).await?, License::from))
}

/// Read a license
///
/// With the seats held of each pool at this moment, which its ETag does not cover.
#[utoipa::path(get, path = "/api/v1/organizations/{organization}/licenses/{license}", tag = "Licenses",
    responses((status = 200, description = "The license and the use of it", body = LiveLicense, headers(("ETag" = String, description = "Its version")))))]
pub(super) async fn read_license(
    State(service): State<AdminService>,
    OrganizationCaller(act): OrganizationCaller,
    PathTarget(license): PathTarget<LicenseId>,
) -> Result<Response, Problem> {
    let shown = service.seat_management.show_license(act.tenant, license).await?.ok_or_else(not_found)?;
    let LicenseView { license, pools } = shown;
    about(Some(act.tenant), Some(license.number));
    let version = license.version;
    let body = LiveLicense { license: license.into(), pools: pools.into_iter().map(Pool::from).collect() };
    Ok(versioned(StatusCode::OK, version, body))
}

/// A license to make. What is not said is as the plan says.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"product": "coditect", "plan": "team", "seats": 25, "expires_at": "2027-11-21T00:00:00Z"}))]
pub(super) struct CreateLicense {
    /// A product of the vendor.
    #[schema(required, value_type = String)]
    product: Option<Value>,
    /// The plan it takes its tier, seats, term, features and policies from.
    #[schema(required, value_type = String)]
    plan: Option<Value>,
    /// Seats of its default pool.
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 100_000)]
    seats: Option<Value>,
    /// When its term begins; null: now.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<OffsetDateTime>)]
    not_before: Option<Value>,
    /// When its term ends; null: never.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<OffsetDateTime>)]
    expires_at: Option<Value>,
    /// A JSON merge patch (RFC 7396) of the plan's features: null takes one away. At most 3 KiB in all.
    #[schema(value_type = Option<Map<String, Value>>)]
    features: Option<Value>,
    /// `none`, `grace` or `borrow`.
    #[schema(value_type = Option<String>)]
    offline_policy: Option<Value>,
    /// Hours a client may go on without contact, with the policy `grace`.
    #[schema(value_type = Option<u32>, maximum = 8760)]
    grace_hours: Option<Value>,
    /// How many heartbeats a holder must have lived through before its tokens carry grace.
    #[schema(value_type = Option<u32>, maximum = 100)]
    grace_after_heartbeats: Option<Value>,
    /// How many machines beyond the seats may be on unexpired grace; null: any number.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<u32>, maximum = 100_000)]
    grace_beyond_seats: Option<Value>,
    /// `machine` or `process`.
    #[schema(value_type = Option<String>)]
    holder_by: Option<Value>,
    /// Live processes that may share a seat.
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 1000)]
    processes_per_seat: Option<Value>,
    /// Whether a refusal for a full pool keeps to itself who holds the seats.
    #[schema(value_type = Option<bool>)]
    hide_holders: Option<Value>,
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
/// For this organization, from a plan. The answer alone shows its key; the same request with the same Idempotency-Key is shown it again.
#[utoipa::path(post, path = "/api/v1/organizations/{organization}/licenses", tag = "Licenses", request_body = CreateLicense,
    params(("Idempotency-Key" = Option<String>, Header, description = "The same request with the same key within 24 hours is done once and answered alike")),
    responses((status = 201, description = "The license with its key", body = NewLicenseKey, headers(("ETag" = String, description = "Its version")))))]
pub(super) async fn create_license(
    State(service): State<AdminService>,
    OrganizationCaller(act): OrganizationCaller,
    JsonBody(body): JsonBody<CreateLicense>,
) -> Result<Response, Problem> {
    let mut fields = FieldChecks::new();
    let product = fields.required("product", body.product.as_ref(), |value| names::slug(text(value)));
    let plan = fields.required("plan", body.plan.as_ref(), |value| names::slug(text(value)));
    let asked = AskedTerms {
        seats: body.seats,
        not_before: body.not_before,
        expires_at: body.expires_at,
        features: body.features,
        offline_policy: body.offline_policy,
        grace_hours: body.grace_hours,
        grace_after_heartbeats: body.grace_after_heartbeats,
        grace_beyond_seats: body.grace_beyond_seats,
        holder_by: body.holder_by,
        processes_per_seat: body.processes_per_seat,
        hide_holders: body.hide_holders,
    };
    let overrides = asked.read(&mut fields);
    let (product, plan) = fields.check(product.zip(plan))?;
    let new = NewLicense { product, plan, overrides };
    let issued = service.management.issue_license(&act, &new, &service.peppers).await?;
    about(Some(act.tenant), Some(issued.license.number));
    let version = issued.license.version;
    let body = NewLicenseKey { license: issued.license.into(), key: issued.key.reveal() };
    Ok(versioned(StatusCode::CREATED, version, body))
}

/// What to change about a license. What is not named stays as it is.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"seats": 40, "expires_at": "2028-11-21T00:00:00Z", "features": {"render": true, "beta": null}}))]
pub(super) struct EditLicense {
    /// Takes tier, features and policies of this plan; other fields of the request are applied after it. Seats and term stay.
    #[schema(value_type = Option<String>)]
    plan: Option<Value>,
    /// Seats of its default pool. More are there at once; fewer drain, nobody is thrown out.
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 100_000)]
    seats: Option<Value>,
    /// When its term begins; null: it has begun.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<OffsetDateTime>)]
    not_before: Option<Value>,
    /// When its term ends; null: never. A time that is past ends it now.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<OffsetDateTime>)]
    expires_at: Option<Value>,
    /// A JSON merge patch (RFC 7396) of its features: null takes one away. At most 3 KiB in all.
    #[schema(value_type = Option<Map<String, Value>>)]
    features: Option<Value>,
    /// `none`, `grace` or `borrow`. Without `grace` the hours of grace go too.
    #[schema(value_type = Option<String>)]
    offline_policy: Option<Value>,
    /// Hours a client may go on without contact, with the policy `grace`.
    #[schema(value_type = Option<u32>, maximum = 8760)]
    grace_hours: Option<Value>,
    /// How many heartbeats a holder must have lived through before its tokens carry grace.
    #[schema(value_type = Option<u32>, maximum = 100)]
    grace_after_heartbeats: Option<Value>,
    /// How many machines beyond the seats may be on unexpired grace; null: any number.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<u32>, maximum = 100_000)]
    grace_beyond_seats: Option<Value>,
    /// `machine` or `process`. Who holds a seat keeps it.
    #[schema(value_type = Option<String>)]
    holder_by: Option<Value>,
    /// Live processes that may share a seat. Those that are there stay.
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 1000)]
    processes_per_seat: Option<Value>,
    /// Whether a refusal for a full pool keeps to itself who holds the seats.
    #[schema(value_type = Option<bool>)]
    hide_holders: Option<Value>,
}

/// Change a license
///
/// The next acquire goes by it, and every client hears of it at its next heartbeat. A change to what is already so writes nothing.
#[utoipa::path(patch, path = "/api/v1/organizations/{organization}/licenses/{license}", tag = "Licenses", request_body = EditLicense,
    params(("If-Match" = Option<String>, Header, description = "The ETag you read: refuses the edit if somebody changed it since")),
    responses((status = 200, description = "The license as it is now", body = License, headers(("ETag" = String, description = "Its version"))),
              (status = 409, description = "conflict: it is revoked"),
              (status = 412, description = "precondition_failed")))]
pub(super) async fn edit_license(
    State(service): State<AdminService>,
    OrganizationCaller(act): OrganizationCaller,
    PathTarget(license): PathTarget<LicenseId>,
    IfMatch(version): IfMatch,
    JsonBody(body): JsonBody<EditLicense>,
) -> Result<Response, Problem> {
    let mut fields = FieldChecks::new();
    let plan = fields.optional("plan", body.plan.as_ref(), |value| names::slug(text(value)));
    let asked = AskedTerms {
        seats: body.seats,
        not_before: body.not_before,
        expires_at: body.expires_at,
        features: body.features,
        offline_policy: body.offline_policy,
        grace_hours: body.grace_hours,
        grace_after_heartbeats: body.grace_after_heartbeats,
        grace_beyond_seats: body.grace_beyond_seats,
        holder_by: body.holder_by,
        processes_per_seat: body.processes_per_seat,
        hide_holders: body.hide_holders,
    };
    let edit = asked.read(&mut fields);
    fields.check(Some(()))?;
    if plan.is_none() && edit == TermsEdit::default() {
        return Err(nothing_asked());
    }
    let edited = service.seat_management.edit_license(&act, license, plan.as_deref(), &edit, version).await?;
    about(Some(act.tenant), Some(edited.license.number));
    Ok(versioned(StatusCode::OK, edited.license.version, License::from(edited.license)))
}
