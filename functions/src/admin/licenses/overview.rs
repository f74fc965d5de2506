//! All licenses of an organization with the use of them now, on one page.

use crate::{
    admin::{AdminService, answer::ListOf, callers::OrganizationCaller, filters::PageQuery, lists::ListFormat},
    edge::{Problem, QueryParameters},
};
use axum::{extract::State, response::Response};
use license_core::{clock::from_ms, management::PoolUse, records::LicenseInShort};
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

/// A license in short, with the use of it now.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"id": "01a1fc28-9b31-70be-8112-4bfdb0eab10b", "number": "752KJY5EZQ1CW", "product": "demo", "plan": "team", "tier": "team",
    "status": "active", "expires_at": "2027-01-01T00:00:00Z", "pools": [{"name": "default", "total": 5, "used": 5, "silent": 1, "waiting": 0,
    "surplus": 0, "next_free_at": "2026-11-21T03:39:08.1Z"}]}))]
pub(in crate::admin) struct LicenseUse {
    id: Uuid,
    /// The public part of its keys.
    number: String,
    /// What it is a license of.
    product: String,
    /// The plan it was made from.
    plan: String,
    /// What was sold.
    tier: String,
    /// `active`, `suspended` or `revoked`: what the vendor decided.
    status: &'static str,
    /// The end of its term; null for none.
    #[serde(with = "time::serde::rfc3339::option")]
    expires_at: Option<OffsetDateTime>,
    /// Its pools, by name.
    pools: Vec<LivePoolUse>,
}

/// A pool and the use of it now. What comes from the server for liveness is null where that cannot be asked.
#[derive(Serialize, ToSchema)]
#[schema(as = PoolUse)]
struct LivePoolUse {
    /// Its name; `default` is the one meant where a client names none.
    name: String,
    /// Seats paid for.
    total: u32,
    /// Seats held now.
    used: Option<u32>,
    /// How many of their holders are silent: their lease is over and nobody has taken the seat yet. At most 1,000 are
    /// counted.
    silent: Option<u32>,
    /// Seats that nobody holds and nobody is given yet.
    waiting: Option<u32>,
    /// Seats above the total that are still held since it was made smaller.
    surplus: u32,
    /// When a seat of a full pool is free at the latest if nobody else comes and no holder is heard from before; null
    /// where a seat is free now, or that is not known.
    #[serde(with = "time::serde::rfc3339::option")]
    next_free_at: Option<OffsetDateTime>,
}

impl From<LicenseInShort<PoolUse>> for LicenseUse {
    fn from(it: LicenseInShort<PoolUse>) -> Self {
        Self {
            id: it.id.0,
            number: it.number.to_string(),
            product: it.product,
            plan: it.plan,
            tier: it.tier,
            status: it.status.as_str(),
            expires_at: it.expires_at,
            pools: it.pools.into_iter().map(LivePoolUse::from).collect(),
        }
    }
}

impl From<PoolUse> for LivePoolUse {
    fn from(PoolUse { pool, now }: PoolUse) -> Self {
        Self {
            name: pool.name.to_string(),
            total: pool.seats_total,
            used: now.map(|now| now.held),
            silent: now.map(|now| now.silent),
            waiting: now.map(|now| now.waiting),
            surplus: pool.surplus,
            next_free_at: now.and_then(|now| now.next_free_at_ms).map(from_ms),
        }
    }
}

/// Read the use of all licenses
///
/// The licenses with what of their seats is in use at this moment, the newest first. Where the server for liveness
/// cannot be asked, the list still comes, with null for what only that knows.
#[utoipa::path(get, path = "/api/v1/organizations/{organization}/overview", tag = "Licenses", params(PageQuery),
    responses((status = 200, description = "A page of licenses and the use of them", body = ListOf<LicenseUse>)))]
pub(in crate::admin) async fn read_overview(
    State(service): State<AdminService>,
    OrganizationCaller(caller): OrganizationCaller,
    format: ListFormat,
    QueryParameters(query): QueryParameters<PageQuery>,
) -> Result<Response, Problem> {
    let seats = &service.seat_management;
    format.answer(query.page()?, LicenseUse::from, |page| seats.overview(caller.tenant, page)).await
}
