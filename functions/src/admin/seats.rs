//! The numbered seats of a pool: who holds which, and from when each can be had.

use super::{
    AdminService,
    answer::{ListOf, PathTarget, not_found},
    callers::OrganizationCaller,
    filters::ListFilters,
    lists::ListFormat,
    sessions::user,
};
use crate::edge::{Problem, QueryParameters};
use axum::{extract::State, response::Response};
use license_core::{
    domain::id::{LicenseId, PoolName},
    management::{SeatManagement, SeatState, SeatView},
    records::PageRequest,
};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// A numbered seat of a pool.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"seat": 0, "state": "live", "session": "01a1fc28-9b31-70be-8112-4bfdb0eab109", "label": "host-1", "user": "me@example.com",
    "since": "2026-11-21T03:31:22.221389Z", "lease_ends_at": "2026-11-21T03:39:08.1Z", "free_at": "2026-11-21T03:39:08.1Z"}))]
pub(super) struct NumberedSeat {
    /// Its number within the pool, from 0; `seat` of a session.
    seat: u32,
    /// `free` · `live`: its holder's lease is valid · `silent`: that lease is over and nobody has taken the seat yet ·
    /// `ending`: being ended just now · `waiting`: nobody holds it, and it is given to nobody before `free_at` ·
    /// `unknown`: it has a holder, but nobody could say just now whether that is heard from.
    state: &'static str,
    /// The session on it that began first, of those that you may see.
    session: Option<Uuid>,
    /// What the client of that session called itself.
    label: Option<String>,
    /// The address that client says its user has, in small letters; nobody vouches for it.
    user: Option<String>,
    /// Since when its holder has had it.
    #[serde(with = "time::serde::rfc3339::option")]
    since: Option<OffsetDateTime>,
    /// Until when its holder keeps it if that stays silent; null where it has none, or that is not known.
    #[serde(with = "time::serde::rfc3339::option")]
    lease_ends_at: Option<OffsetDateTime>,
    /// From when another holder can have it, if the present one stays silent. Null: now, or that is not known (`ending`,
    /// `unknown`, and all while the server for liveness cannot be asked).
    #[serde(with = "time::serde::rfc3339::option")]
    free_at: Option<OffsetDateTime>,
}

impl From<SeatView> for NumberedSeat {
    fn from(it: SeatView) -> Self {
        let (mut session, mut label, mut said) = (None, None, None);
        if let Some(seated) = it.session {
            (session, label) = (Some(seated.id.0), Some(seated.label));
            said = user(&seated.client, seated.person);
        }
        Self {
            seat: it.seat,
            state: state(it.state),
            session,
            label,
            user: said,
            since: it.since,
            lease_ends_at: it.lease_ends_at,
            free_at: it.free_at,
        }
    }
}

const fn state(state: SeatState) -> &'static str {
    match state {
        SeatState::Free => "free",
        SeatState::Live => "live",
        SeatState::Silent => "silent",
        SeatState::Ending => "ending",
        SeatState::Waiting => "waiting",
        SeatState::Unknown => "unknown",
    }
}

/// Which seats.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct SeatsQuery {
    /// The name of a pool of the license; `default`, unless said.
    #[param(value_type = Option<String>)]
    pool: Option<String>,
    /// How many rows: 1 to 1,000, 1,000 unless said.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 1000)]
    limit: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

impl SeatsQuery {
    /// The pool and the page, or everything that is wrong with them.
    fn read(&self) -> Result<(PoolName, PageRequest), Problem> {
        let mut filters = ListFilters::new();
        let pool = filters.read("pool", self.pool.as_ref(), str::parse).unwrap_or_else(PoolName::default_pool);
        let page = filters.long_page(self.limit.as_ref(), self.cursor.as_ref(), SeatManagement::MOST_SEATS);
        filters.check((pool, page))
    }
}

/// List seats of a license
///
/// The numbered seats of one pool, by number, also those that are free and those that wait. Members and viewers see
/// whose client says its user has the address they signed in with; of other holders they see that there is one. Where
/// the server for liveness cannot be asked, the list still comes, with state `unknown` for seats that have a holder.
#[utoipa::path(get, path = "/api/v1/organizations/{organization}/licenses/{license}/seats", tag = "Sessions", params(SeatsQuery),
    responses((status = 200, description = "A page of seats", body = ListOf<NumberedSeat>)))]
pub(super) async fn list_seats(
    State(service): State<AdminService>,
    OrganizationCaller(caller): OrganizationCaller,
    PathTarget(license): PathTarget<LicenseId>,
    format: ListFormat,
    QueryParameters(query): QueryParameters<SeatsQuery>,
) -> Result<Response, Problem> {
    let (pool, page) = query.read()?;
    let (seats, caller, pool) = (&service.seat_management, &caller, &pool);
    let read = |page| async move { seats.seats_of_pool(caller, license, pool, page).await?.ok_or_else(not_found) };
    format.answer(page, NumberedSeat::from, read).await
}
