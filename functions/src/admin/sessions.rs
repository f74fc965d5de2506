//! Sessions: live ones, past ones, and ending one.

use super::{
    AdminService,
    answer::{ListOf, OfLicense, PathTarget, not_found},
    callers::OrganizationCaller,
    filters::ListFilters,
    lists::ListFormat,
};
use crate::edge::{JsonOrEmpty, Problem, QueryParameters};
use axum::{extract::State, response::Response};
use license_core::{
    domain::{
        email::small,
        id::{LicenseId, SessionId},
    },
    management::{ClientPresence, EndedSessionRow, SessionView},
    records::{PageRequest, SessionFilter},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;
use utoipa::{
    IntoParams, ToSchema,
    openapi::path::{Parameter, ParameterIn},
};
use uuid::Uuid;

/// A session: one process's time on a seat.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"id": "01a1fc28-9b31-70be-8112-4bfdb0eab109", "state": "live",
    "license": {"id": "01a1fc28-9b31-70be-8112-4bfdb0eab10b", "number": "752KJY5EZQ1CW", "product": "demo"}, "pool": "default", "seat": 0,
    "label": "host-1", "machine": "6rD8kPXGv3mJ1QfQm3XcV0E4y8Jt2bA5n7Zs9wLxYhU", "user": "me@example.com",
    "project": {"id": "01a1fc28-9b31-70be-8112-4bfdb0eab10c", "name": "Turbine"}, "key": "01a1fc28-9b31-70be-8112-4bfdb0eab10d",
    "client": {"version": "1.2.3", "platform": "linux-x86_64", "hostname": "host-1", "deployment": "desktop"},
    "since": "2026-11-21T03:31:22.221389Z", "last_seen_at": "2026-11-21T03:33:08.1Z", "lease_ends_at": "2026-11-21T03:39:08.1Z",
    "ended_at": null, "reason": null}))]
pub(super) struct Session {
    /// The session's name in answers, events and logs; gives no power.
    id: Uuid,
    /// `live` · `silent`: its lease is over and nobody has taken its seat yet · `ending`: being ended just now ·
    /// `ended` · `unknown`: open, but nobody could say just now whether its client is heard from.
    state: &'static str,
    /// What it is on.
    license: OfLicense,
    /// The pool its seat is of.
    pool: String,
    /// The seat's number within the pool, from 0. Processes of one machine share it.
    seat: u32,
    /// What its client called itself.
    label: String,
    /// The machine's public hash, which differs from license to license; the hardware id itself is not kept.
    machine: String,
    /// The address the client says its user has, in small letters; nobody vouches for it.
    user: Option<String>,
    /// The project its client named, if there was one of that name.
    project: Option<OfProject>,
    /// What names the license key it began with (`key_id` of `rotate-key`); null where that is not known.
    key: Option<Uuid>,
    /// What its client said of itself.
    client: ClientFacts,
    /// When it began.
    #[serde(with = "time::serde::rfc3339")]
    since: OffsetDateTime,
    /// When it was last heard of. With state `unknown` as it was last written down, which may be when it began.
    #[serde(with = "time::serde::rfc3339")]
    last_seen_at: OffsetDateTime,
    /// Until when its seat is kept if it stays silent; null where that is not known, and when it has ended.
    #[serde(with = "time::serde::rfc3339::option")]
    lease_ends_at: Option<OffsetDateTime>,
    /// When it ended.
    #[serde(with = "time::serde::rfc3339::option")]
    ended_at: Option<OffsetDateTime>,
    /// How it ended: `released`, `expired` or `kicked`.
    reason: Option<&'static str>,
}

/// The project a session counts to.
#[derive(Serialize, ToSchema)]
pub(super) struct OfProject {
    id: Uuid,
    name: String,
}

/// What a client said of itself; null where it did not say.
#[derive(Serialize, ToSchema)]
#[schema(as = SessionClient)]
pub(super) struct ClientFacts {
    version: Option<String>,
    platform: Option<String>,
    hostname: Option<String>,
    /// `desktop`, `container` or `ci`, or a word of its own.
    deployment: Option<String>,
}

impl From<SessionView> for Session {
    fn from(it: SessionView) -> Self {
        let said = it.session;
        let fact = |name: &str| said.client.get(name).and_then(Value::as_str).map(str::to_owned);
        Self {
            id: said.id.0,
            state: state(it.presence),
            client: ClientFacts {
                version: fact("version"),
                platform: fact("platform"),
                hostname: fact("hostname"),
                deployment: fact("deployment"),
            },
            license: OfLicense { id: said.license.0, number: said.number.to_string(), product: said.product },
            pool: said.pool.as_str().to_owned(),
            seat: said.seat,
            label: said.label,
            machine: said.hw,
            user: user(&said.client, said.person),
            key: said.key.map(|key| key.0),
            project: said.project.map(|(id, name)| OfProject { id: id.0, name }),
            since: said.started_at,
            last_seen_at: it.last_seen_at,
            lease_ends_at: it.lease_ends_at,
            ended_at: said.ended.map(|(at, _)| at),
            reason: said.ended.map(|(_, reason)| reason.as_str()),
        }
    }
}

/// The address of a client's user in the spelling of the client; filters go by what all spellings have in common.
pub(super) fn user(client: &Value, person: Option<String>) -> Option<String> {
    client.get("user").and_then(Value::as_str).map(small).or(person)
}

const fn state(presence: ClientPresence) -> &'static str {
    match presence {
        ClientPresence::Live => "live",
        ClientPresence::Silent => "silent",
        ClientPresence::Ending => "ending",
        ClientPresence::Ended => "ended",
        ClientPresence::Unknown => "unknown",
    }
}

/// Which sessions. Filters may be combined; a page of several may hold fewer rows than `limit`, also none, and still
/// have a `next_cursor`: it looks through at most 1,000 sessions.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct SessionsQuery {
    /// `live`, unless said: those that have not ended, whatever is heard of them. `ended`: those that have.
    #[param(value_type = Option<String>)]
    state: Option<String>,
    /// The id of a license.
    #[param(value_type = Option<Uuid>)]
    license: Option<String>,
    /// The id of a project.
    #[param(value_type = Option<Uuid>)]
    project: Option<String>,
    /// The id of the license key it began with: `key` of a session, `key_id` of `rotate-key`.
    #[param(value_type = Option<Uuid>)]
    key: Option<String>,
    /// A machine's public hash: 43 base64url characters.
    machine: Option<String>,
    /// The address that clients say their user has, in any spelling; a `+` in it is written `%2B`.
    user: Option<String>,
    /// With `state=ended`: `released`, `expired` or `kicked`.
    reason: Option<String>,
    /// Begun at this time (RFC 3339; a `+` in it is written `%2B`) or later.
    #[param(value_type = Option<String>, format = DateTime)]
    started_after: Option<String>,
    /// Begun before this time (RFC 3339; a `+` in it is written `%2B`).
    #[param(value_type = Option<String>, format = DateTime)]
    started_before: Option<String>,
    /// Open at this time (RFC 3339; a `+` in it is written `%2B`): of those that have not ended, or with `state=ended` of
    /// those that ended since.
    #[param(value_type = Option<String>, format = DateTime)]
    open_at: Option<String>,
    /// How many rows: 1 to 100, 20 unless said.
    #[param(value_type = Option<u8>, minimum = 1, maximum = 100)]
    limit: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// [`SessionsQuery`] without `license`, which the path names.
#[derive(Deserialize)]
#[serde(try_from = "SessionsQuery")]
pub(super) struct LicenseSessionsQuery(SessionsQuery);

impl TryFrom<SessionsQuery> for LicenseSessionsQuery {
    type Error = &'static str;

    /// Refuses `license` in the words in which serde refuses a field that it does not know.
    fn try_from(query: SessionsQuery) -> Result<Self, Self::Error> {
        if query.license.is_some() { Err("unknown field `license`") } else { Ok(Self(query)) }
    }
}

impl IntoParams for LicenseSessionsQuery {
    fn into_params(place: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        SessionsQuery::into_params(place).into_iter().filter(|parameter| parameter.name != "license").collect()
    }
}

impl SessionsQuery {
    /// The filters and the page, or everything that is wrong with them.
    fn read(&self) -> Result<(SessionFilter, PageRequest), Problem> {
        let mut filters = ListFilters::new();
        let ended = filters.read("state", self.state.as_ref(), |text| match text {
            "live" => Ok(false),
            "ended" => Ok(true),
            _ => Err("must be live or ended"),
        });
        let filter = SessionFilter {
            ended: ended.unwrap_or_default(),
            license: filters.read("license", self.license.as_ref(), str::parse),
            project: filters.read("project", self.project.as_ref(), str::parse),
            key: filters.read("key", self.key.as_ref(), str::parse),
            machine: filters.read("machine", self.machine.as_ref(), str::parse),
            person: filters.person("user", self.user.as_ref()),
            reason: filters.read("reason", self.reason.as_ref(), str::parse),
            started_after: filters.time("started_after", self.started_after.as_ref()),
            started_before: filters.time("started_before", self.started_before.as_ref()),
            open_at: filters.time("open_at", self.open_at.as_ref()),
        };
        if filter.reason.is_some() && !filter.ended {
            filters.wrong("reason", "only sessions that ended have one; ask with state=ended");
        }
        if filter.started_after.zip(filter.started_before).is_some_and(|(after, before)| after >= before) {
            filters.wrong("started_before", "must be later than started_after");
        }
        let page = filters.page(self.limit.as_ref(), self.cursor.as_ref());
        filters.check((filter, page))
    }
}

/// List sessions
///
/// Those that began last first. Members and viewers see their own: those whose client says its user has the address
/// they signed in with. Where the server for liveness cannot be asked, the list still comes, with state `unknown`.
#[utoipa::path(get, path = "/api/v1/organizations/{organization}/sessions", tag = "Sessions", params(SessionsQuery),
    responses((status = 200, description = "A page of sessions", body = ListOf<Session>)))]
pub(super) async fn list_sessions(
    State(service): State<AdminService>,
    OrganizationCaller(caller): OrganizationCaller,
    format: ListFormat,
    QueryParameters(query): QueryParameters<SessionsQuery>,
) -> Result<Response, Problem> {
    let (filter, page) = query.read()?;
    format.answer(page, Session::from, |page| service.seat_management.sessions(&caller, &filter, page)).await
}

/// List sessions of a license
///
/// As the list of all sessions.
#[utoipa::path(get, path = "/api/v1/organizations/{organization}/licenses/{license}/sessions", tag = "Sessions", params(LicenseSessionsQuery),
    responses((status = 200, description = "A page of sessions", body = ListOf<Session>)))]
pub(super) async fn list_license_sessions(
    State(service): State<AdminService>,
    OrganizationCaller(caller): OrganizationCaller,
    PathTarget(license): PathTarget<LicenseId>,
    format: ListFormat,
    QueryParameters(LicenseSessionsQuery(query)): QueryParameters<LicenseSessionsQuery>,
) -> Result<Response, Problem> {
    let (filter, page) = query.read()?;
    let (seats, caller, filter) = (&service.seat_management, &caller, &filter);
    let read = |page| async move { seats.sessions_of(caller, license, filter, page).await?.ok_or_else(not_found) };
    format.answer(page, Session::from, read).await
}

/// Read a session
#[utoipa::path(get, path = "/api/v1/organizations/{organization}/sessions/{session}", tag = "Sessions",
    responses((status = 200, description = "The session", body = Session)))]
pub(super) async fn read_session(
    State(service): State<AdminService>,
    OrganizationCaller(caller): OrganizationCaller,
    PathTarget(session): PathTarget<SessionId>,
) -> Result<axum::Json<Session>, Problem> {
    let found = service.seat_management.session(&caller, session).await?.ok_or_else(not_found)?;
    Ok(axum::Json(Session::from(found)))
}

/// How to end a session.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"force": false}))]
pub(super) struct EndSession {
    /// You vouch that the machine is off, so that its seat is free at once. For admins, owners, staff and API tokens.
    force: Option<bool>,
}

/// A session that has ended.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"id": "01a1fc28-9b31-70be-8112-4bfdb0eab109", "seat": 0, "ended_at": "2026-11-21T03:33:22.221389Z", "reason": "kicked",
    "seat_free_at": "2026-11-21T03:40:07.25Z", "seat_free_in": 405}))]
pub(super) struct EndedSession {
    /// The session.
    id: Uuid,
    /// The seat it was on.
    seat: u32,
    /// When it ended, now or before.
    #[serde(with = "time::serde::rfc3339")]
    ended_at: OffsetDateTime,
    /// How it ended: `kicked`, or what had come before.
    reason: &'static str,
    /// From when somebody else can have the seat. Null where the session had ended otherwise, or somebody holds the
    /// seat again.
    #[serde(with = "time::serde::rfc3339::option")]
    seat_free_at: Option<OffsetDateTime>,
    /// The same in seconds from now.
    seat_free_in: Option<u64>,
}

impl From<EndedSessionRow> for EndedSession {
    fn from(it: EndedSessionRow) -> Self {
        Self {
            id: it.end.id.0,
            seat: it.end.seat,
            ended_at: it.end.ended_at,
            reason: it.end.reason.as_str(),
            seat_free_at: it.free.map(|(at, _)| at),
            seat_free_in: it.free.map(|(_, wait)| wait.as_millis().div_ceil(1000) as u64),
        }
    }
}

/// End a session
///
/// Takes the seat away: every process of the machine that shares it ends, and is told so (410 `kicked`) with its next
/// heartbeat. Until then the client may believe in its lease, so the seat stays empty for a full one, unless `force`
/// says that the machine is off. A session that had ended is answered with its end; `force` then lifts the wait that
/// its kick left behind. Members end their own, as long as nobody else's processes share the seat.
#[utoipa::path(post, path = "/api/v1/organizations/{organization}/sessions/{session}/end", tag = "Sessions", request_body = Option<EndSession>,
    params(("Idempotency-Key" = Option<String>, Header, description = "Drawn once for what you want done; the same request again does nothing and is answered the same")),
    responses((status = 200, description = "It has ended", body = EndedSession),
              (status = 409, description = "conflict: somebody else's processes share the seat"),
              (status = 422, description = "invalid_request: names each wrong field; idempotency_key_reused")))]
pub(super) async fn end_session(
    State(service): State<AdminService>,
    OrganizationCaller(caller): OrganizationCaller,
    PathTarget(session): PathTarget<SessionId>,
    JsonOrEmpty(body): JsonOrEmpty<EndSession>,
) -> Result<axum::Json<EndedSession>, Problem> {
    let ended = service.seat_management.end_session(&caller, session, body.force.unwrap_or_default()).await?;
    Ok(axum::Json(EndedSession::from(ended)))
}
