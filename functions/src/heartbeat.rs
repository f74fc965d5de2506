//! heartbeat: extends the lease of a session.

use crate::{
    answer,
    edge::{
        BearerCredential, FieldChecks, JsonOrEmpty, Problem,
        config::{Environment, HeartbeatConfig},
        context::about,
        rate::limited,
        serve::{Service, StartError},
    },
    wiring,
};
use axum::{
    Router,
    extract::State,
    response::{IntoResponse, Response},
};
use license_core::{
    Clock, ProblemCode,
    domain::{
        id::{Nonce, SessionId},
        rate::RateLimit,
        session::{EndReason, GoneReason},
    },
    protocol::{
        SeatProtocol,
        heartbeat::{ExtendedLease, HeartbeatOutcome},
    },
    records::DatabaseRole,
};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use std::sync::Arc;
use time::OffsetDateTime;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The PostgreSQL role that the service connects as.
pub(crate) const ROLE: DatabaseRole = DatabaseRole::Service;

/// What the handler of heartbeat uses.
#[derive(Clone)]
pub struct HeartbeatService {
    /// The operations of clients.
    pub protocol: SeatProtocol,
}

/// `POST /api/v1/licenses/heartbeat`.
pub fn router(service: HeartbeatService) -> Router {
    operations().split_for_parts().0.with_state(Arc::new(service))
}

/// The paths with their handlers. The OpenAPI document is made from the same list.
pub(crate) fn operations() -> OpenApiRouter<Arc<HeartbeatService>> {
    OpenApiRouter::new().routes(routes!(heartbeat))
}

/// The service from configuration.
///
/// # Errors
/// A sentence that names the variable that is wrong.
pub async fn service(env: &Environment, clock: Clock) -> Result<Service, StartError> {
    let HeartbeatConfig { sessions, rates } = HeartbeatConfig::from_env(env)?;
    let protocol = wiring::seat_protocol(sessions, None, rates, ROLE, clock).await?;
    Ok(Service { checks: wiring::checks(&protocol), router: router(HeartbeatService { protocol }) })
}

/// What may be sent with a heartbeat.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = HeartbeatRequest, example = json!({"nonce": "Zm9ydHktdHdvLWJ5dGVz", "certificate_kid": "q3B1Zq0aWmQ2mI0b3gVQqg5mGm6m1Wn6o2w9c0c7r2A"}))]
struct HeartbeatBody {
    /// Drawn for this request: 16 to 64 base64url characters. Comes back in the token, or in the signed refusal.
    #[schema(min_length = 16, max_length = 64, pattern = "^[A-Za-z0-9_-]{16,64}$")]
    nonce: Option<String>,
    /// The `kid` of the certificate the client has, or several with blanks between them, one for each instance that
    /// answered it before: a certificate that is named is left out of the answer.
    // One text and no list: a server of an earlier release, to which it was rolled back say, takes it for a `kid` that
    // it does not know, and refuses nothing. It only makes answers shorter, so a value of another type costs nobody a
    // heartbeat: no certificate is left out then.
    #[serde(default, deserialize_with = "text_or_nothing")]
    certificate_kid: Option<String>,
}

fn text_or_nothing<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::String(text) => Some(text),
        _ => None,
    })
}

/// Keep a seat
///
/// Shows that the session is alive and gives it a fresh lease. A late heartbeat is accepted as long as no other holder
/// was given the seat. With a 403 the lease is neither extended nor ended, so the client should keep asking. The
/// answer is 403 as long as the license gives no seat, also after the lease is over. After a 410 the client should
/// acquire again, unless `reason` is `kicked`.
#[utoipa::path(post, path = "/api/v1/licenses/heartbeat", tag = "Seats", request_body = Option<HeartbeatBody>, security(("session" = [])),
    responses((status = 200, description = "The lease is raised", body = HeartbeatResponse<'_>),
              (status = 403, description = "license_suspended, license_revoked, license_expired, license_not_started"),
              (status = 410, description = "session_gone"),
              (status = 429, description = "rate_limited: the lease was raised less than two seconds before"),
              (status = 503, description = "seats_unavailable, records_unavailable, signer_unavailable")))]
async fn heartbeat(
    State(service): State<Arc<HeartbeatService>>,
    bearer: BearerCredential,
    JsonOrEmpty(body): JsonOrEmpty<HeartbeatBody>,
) -> Result<Response, Problem> {
    let protocol = &service.protocol;
    let handle = answer::open_handle(&bearer, &protocol.settings().handles)?;
    about(Some(handle.tenant), Some(handle.license));
    let mut fields = FieldChecks::new();
    let nonce = fields.optional("nonce", body.nonce.as_deref(), str::parse::<Nonce>);
    fields.check(Some(()))?;
    let problem = match protocol.heartbeat(&handle, nonce.as_ref()).await? {
        HeartbeatOutcome::Alive(alive) => return Ok(lease_response(&alive, body.certificate_kid.as_deref())),
        HeartbeatOutcome::Gone(reason) => session_gone(&reason, handle.session),
        HeartbeatOutcome::Refused(refusal) => {
            let problem = answer::refused(refusal, handle.license, protocol.settings().clock.now_ms());
            answer::while_seated(problem, refusal)
        }
        HeartbeatOutcome::Limited(ms) => {
            let rate = protocol.seats().rates().heartbeat.unwrap_or(RateLimit::per_minute(1));
            limited("heartbeat", "heartbeats of this session", rate, ms)
        }
    };
    Err(answer::signed(problem, protocol, nonce.as_ref(), handle.license, Some(handle.session)).await)
}

/// A fresh lease.
// The answer that is sent most of all.
#[derive(Serialize, ToSchema)]
#[schema(as = Lease, example = json!({"expires_in": 355, "heartbeat_in": 111,
    "license": {"status": "active", "facts_version": 1, "expires_at": null}, "token": "eyJhbGci…", "certificate": "eyJhbGci…"}))]
struct HeartbeatResponse<'a> {
    /// The lease in seconds, counted from when the client sent the request, on its own monotonic clock.
    expires_in: u64,
    /// When to send the next heartbeat, in seconds; drawn anew for every answer.
    heartbeat_in: u64,
    /// What may have changed about the license.
    license: LicenseStanding,
    /// The license token, a JWS: the license and the lease, verifiable offline.
    token: &'a str,
    /// The certificate of the key that signed the token, a JWS by a root key. Not there if its `kid` is in the
    /// `certificate_kid` that was sent.
    // Two thirds of the answer, and it rarely changes: a client that has it need not get it again.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    certificate: Option<&'a str>,
}

/// What may change about a license while a session is alive.
#[derive(Serialize, ToSchema)]
#[schema(as = LicenseStatus)]
struct LicenseStanding {
    /// `active`.
    status: &'static str,
    /// Rises when anything the license says changes.
    facts_version: u64,
    /// The end of the term; null for none.
    #[serde(with = "time::serde::rfc3339::option")]
    expires_at: Option<OffsetDateTime>,
}

fn lease_response(ExtendedLease { facts, lease }: &ExtendedLease, known_kids: Option<&str>) -> Response {
    let mut known = known_kids.unwrap_or_default().split_ascii_whitespace();
    let known = known.any(|kid| kid == lease.certificate_kid);
    let body = HeartbeatResponse {
        expires_in: lease.expires_in,
        heartbeat_in: lease.heartbeat_in,
        license: LicenseStanding { status: "active", facts_version: facts.facts_version, expires_at: facts.expires_at },
        token: &lease.token,
        certificate: (!known).then_some(lease.certificate.as_str()),
    };
    axum::Json(body).into_response()
}

/// The problem that says that a session is over, and why.
pub(crate) fn session_gone(reason: &GoneReason, session: SessionId) -> Problem {
    let detail = match reason {
        GoneReason::Ended(EndReason::Kicked) => {
            "An administrator ended this session. Do not acquire again without being asked to."
        }
        GoneReason::Ended(EndReason::Released) => "This session was released. Acquire again to go on.",
        // Also where the license gave no seat meanwhile, or the machine took another one.
        GoneReason::Ended(EndReason::Expired) => {
            "This session's lease was not renewed in time, or its place was given to another. Acquire again to go on."
        }
        GoneReason::Unknown | GoneReason::Other(_) => "This session is not known any more. Acquire again to go on.",
    };
    Problem::new(ProblemCode::SessionGone, detail)
        .with("reason", reason.as_str())
        .with("session_id", session.to_string())
}
