//! Who wanted a seat of a full pool and got none.

use super::{
    AdminService,
    answer::{ListOf, OfLicense},
    callers::OrganizationCaller,
    filters::ListFilters,
    lists::ListFormat,
};
use crate::edge::{Problem, QueryParameters};
use axum::{extract::State, response::Response};
use license_core::records::{DenialFilter, DenialRow, PageRequest};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// A seat that was wanted in vain, or had to be waited for: one holder's refused requests, with less than a lease
/// between one and the next. Retries and polls are the same denial.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"id": "01a1fc28-9b31-70be-8112-4bfdb0eab10f", "state": "granted",
    "license": {"id": "01a1fc28-9b31-70be-8112-4bfdb0eab10b", "number": "752KJY5EZQ1CW", "product": "demo"},
    "pool": "default", "label": "host-1", "machine": "6rD8kPXGv3mJ1QfQm3XcV0E4y8Jt2bA5n7Zs9wLxYhU",
    "user": "me@example.com", "code": "no_seats_available", "at": "2026-11-21T03:31:22.221Z",
    "last_at": "2026-11-21T03:33:02.94Z", "tries": 6, "granted_at": "2026-11-21T03:33:23.1Z",
    "ended_at": "2026-11-21T03:33:23.1Z"}))]
pub(super) struct Denial {
    /// Its name in answers and events.
    id: Uuid,
    /// `waiting`: it goes on, as far as is known · `granted`: a seat came after all · `gave_up`: nobody asked for a
    /// lease · `unknown`: Redis lost it, so that nobody knows how it ended.
    state: &'static str,
    /// What was asked for.
    license: OfLicense,
    /// The pool that was full.
    pool: String,
    /// What its client called itself.
    label: String,
    /// The machine's public hash, as of a session.
    machine: String,
    /// The address the client says its user has, in small letters; nobody vouches for it.
    user: Option<String>,
    /// How its requests were refused: `no_seats_available`.
    code: &'static str,
    /// When it was refused first.
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
    /// When it was refused last. As long as it is `waiting`, when it was refused first.
    #[serde(with = "time::serde::rfc3339")]
    last_at: OffsetDateTime,
    /// How often it was refused. As long as it is `waiting`, 1.
    tries: i64,
    /// When it got a seat.
    #[serde(with = "time::serde::rfc3339::option")]
    granted_at: Option<OffsetDateTime>,
    /// When it got a seat, or was refused last before it gave up.
    #[serde(with = "time::serde::rfc3339::option")]
    ended_at: Option<OffsetDateTime>,
}

impl From<DenialRow> for Denial {
    fn from(it: DenialRow) -> Self {
        let state = match (it.lost, it.granted_at, it.ended_at) {
            (true, ..) => "unknown",
            (_, Some(_), _) => "granted",
            (_, None, Some(_)) => "gave_up",
            (_, None, None) => "waiting",
        };
        Self {
            id: it.id,
            state,
            license: OfLicense { id: it.license.0, number: it.number.to_string(), product: it.product },
            pool: it.pool.as_str().to_owned(),
            label: it.label,
            machine: it.hw,
            user: it.person,
            code: "no_seats_available",
            at: it.at,
            last_at: it.last_at,
            tries: it.tries,
            granted_at: it.granted_at,
            ended_at: it.ended_at,
        }
    }
}

/// Which denials. Filters may be combined; a page of several may hold fewer rows than `limit`, also none, and still
/// have a `next_cursor`: it looks through at most 1,000 denials.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct DenialsQuery {
    /// Refused first at this time (RFC 3339; a `+` in it is written `%2B`) or later.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<String>,
    /// Refused first before this time (RFC 3339; a `+` in it is written `%2B`).
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<String>,
    /// The id of a license.
    #[param(value_type = Option<Uuid>)]
    license: Option<String>,
    /// A machine's public hash: 43 base64url characters.
    machine: Option<String>,
    /// The address that clients say their user has, in any spelling; a `+` in it is written `%2B`.
    user: Option<String>,
    /// How many rows: 1 to 100, 20 unless said.
    #[param(value_type = Option<u8>, minimum = 1, maximum = 100)]
    limit: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

impl DenialsQuery {
    /// The filters and the page, or everything that is wrong with them.
    fn read(&self) -> Result<(DenialFilter, PageRequest), Problem> {
        let mut filters = ListFilters::new();
        let (from, until) = filters.span(self.from.as_ref(), self.to.as_ref());
        let filter = DenialFilter {
            license: filters.read("license", self.license.as_ref(), str::parse),
            machine: filters.read("machine", self.machine.as_ref(), str::parse),
            person: filters.person("user", self.user.as_ref()),
            from,
            until,
        };
        let page = filters.page(self.limit.as_ref(), self.cursor.as_ref());
        filters.check((filter, page))
    }
}

/// List denials
///
/// Who wanted a seat of a full pool, how often they asked, and whether they got one after all. Those that were refused
/// first last come first. Written down within a minute, and once more when it is over; kept for 90 days.
#[utoipa::path(get, path = "/api/v1/organizations/{organization}/denials", tag = "Usage", params(DenialsQuery),
    responses((status = 200, description = "A page of denials", body = ListOf<Denial>)))]
pub(super) async fn list_denials(
    State(service): State<AdminService>,
    OrganizationCaller(caller): OrganizationCaller,
    format: ListFormat,
    QueryParameters(query): QueryParameters<DenialsQuery>,
) -> Result<Response, Problem> {
    let (filter, page) = query.read()?;
    format.answer(page, Denial::from, |page| service.records.denials(&caller, &filter, page)).await
}
