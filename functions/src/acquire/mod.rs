//! acquire: takes a seat (`mod.rs`), looks at a license (`validate.rs`), and gives out the public keys by which answers
//! are verified (`keys.rs`).

mod client;
mod full;
mod keys;
#[cfg(feature = "testing")]
pub mod samples;
mod validate;

use crate::{
    answer::{self, ClientLicense},
    edge::{
        FieldChecks, JsonBody, Problem,
        config::{AcquireConfig, Environment},
        context::about,
        rate::{ByAddress, not_looked_at},
        serve::{Service, StartError},
        telemetry::MetricOutcome as Label,
    },
    wiring,
};
use axum::{
    Extension, Router,
    extract::State,
    response::{IntoResponse, Response},
};
use client::ClientDescription;
use http::{StatusCode, request::Parts};
use license_core::{
    Clock, ProblemCode,
    domain::{
        id::{Attempt, ClientPart, LicenseNumber, Nonce, PoolName, SeatNo, SessionId},
        key::LicenseKey,
        license::OfflinePolicy,
        name::clean,
    },
    protocol::{
        ProtocolSettings, SeatProtocol,
        acquire::{AcquireOutcome, AcquireRefusal, AcquireRequest, KeyRejection, LeasedSeat},
    },
    records::DatabaseRole,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::sync::Arc;
use time::OffsetDateTime;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The PostgreSQL role that the service connects as.
pub(crate) const ROLE: DatabaseRole = DatabaseRole::Service;

/// What the handlers of acquire use.
#[derive(Clone)]
pub struct AcquireService {
    /// The operations of clients.
    pub protocol: SeatProtocol,
    /// Limits how many different wrong keys come from one address. Further ones are not judged for a while. Good keys
    /// from the same address are not limited, and neither is the same wrong key again: an office whose key was replaced
    /// has that key on every machine.
    pub unknown_key_limit: ByAddress,
}

/// `POST /api/v1/licenses/acquire`, `POST /api/v1/licenses/validate`, `GET /.well-known/license-keys`.
pub fn router(service: AcquireService) -> Router {
    operations().split_for_parts().0.with_state(Arc::new(service))
}

/// The paths with their handlers. The OpenAPI document is made from the same list.
pub(crate) fn operations() -> OpenApiRouter<Arc<AcquireService>> {
    OpenApiRouter::new().routes(routes!(acquire)).routes(routes!(validate::validate)).routes(routes!(keys::keys))
}

/// The service from configuration.
///
/// # Errors
/// A sentence that names the variable that is wrong.
pub async fn service(env: &Environment, clock: Clock) -> Result<Service, StartError> {
    let config = AcquireConfig::from_env(env)?;
    let protocol = wiring::seat_protocol(config.sessions, Some(config.peppers), config.rates, ROLE, clock).await?;
    let unknown_key_limit =
        wiring::by_address("unknown-keys", config.unknown_keys, config.proxies, protocol.seats().clone());
    Ok(Service { checks: wiring::checks(&protocol), router: router(AcquireService { protocol, unknown_key_limit }) })
}

/// Who asks for a seat, and of which license.
// Nothing of it is checked yet.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AcquireRequest, example = json!({"license_key": "CODI-6WRXP-457A6-0BTJ8-9VR2K-WAA0K-D0ECC",
    "hardware_id": "my-laptop-0001",
    "attempt": "5a9d6c1e-2f64-4d53-9a0b-1f1c3f0f2f6d", "nonce": "Zm9ydHktdHdvLWJ5dGVz",
    "client": {"product": "demo", "version": "1.4.0", "platform": "linux-x86_64", "hostname": "host-1"}}))]
struct AcquireBody {
    /// As printed, typed or pasted: only its letters and digits count, and case and look-alikes are forgiven. A wrong
    /// check symbol is 422 with problem `mistyped`.
    #[schema(required)]
    license_key: Option<String>,
    /// Stays the same for a machine: 8 to 128 printable ASCII characters. Only hashes of it are kept.
    #[schema(required, min_length = 8, max_length = 128)]
    hardware_id: Option<String>,
    /// Drawn once for each process start, and anew after a release; retries repeat it.
    #[schema(required, format = Uuid)]
    attempt: Option<String>,
    /// Names the process, in the form of `hardware_id`. Licenses that count processes require it.
    #[schema(min_length = 8, max_length = 128)]
    instance_id: Option<String>,
    /// The pool of seats, `default` unless given.
    #[schema(pattern = "^[a-z0-9-]{1,32}$")]
    pool: Option<String>,
    /// Drawn for this request: 16 to 64 base64url characters. Comes back in the token, or in the signed refusal.
    #[schema(min_length = 16, max_length = 64, pattern = "^[A-Za-z0-9_-]{16,64}$")]
    nonce: Option<String>,
    /// What the client says about itself; kept with the session and shown to people.
    #[schema(value_type = Option<client::ClientDetails>)]
    client: Option<Box<RawValue>>,
}

impl AcquireBody {
    fn read(self) -> Result<AcquireRequest, Problem> {
        let mut fields = FieldChecks::new();
        let key = fields.required("license_key", self.license_key.as_deref(), LicenseKey::parse);
        let hardware = fields.required("hardware_id", self.hardware_id.as_deref(), str::parse::<ClientPart>);
        let attempt = fields.required("attempt", self.attempt.as_deref(), str::parse::<Attempt>);
        let instance = fields.optional("instance_id", self.instance_id.as_deref(), str::parse::<ClientPart>);
        let pool = fields.optional("pool", self.pool.as_deref(), |text| clean(text).parse::<PoolName>());
        let nonce = fields.optional("nonce", self.nonce.as_deref(), str::parse::<Nonce>);
        let client = ClientDescription::read(self.client.as_deref());
        let (key, hardware, attempt) = fields.check(key.zip(hardware).zip(attempt).map(|((k, h), a)| (k, h, a)))?;
        let mut request = AcquireRequest::new(key, &hardware, instance.as_ref(), attempt);
        request.pool = pool.unwrap_or(request.pool);
        request.nonce = nonce;
        client.describe(&mut request.claimant);
        Ok(request)
    }
}

/// Take a seat
///
/// Takes a seat of the license's pool, joins the machine's own, or repeats an answer that was lost: the same `attempt`
/// has the same session. Another process of the same holder gets a session of its own on the same `seat`. Count the
/// lease from when the request was sent, and send heartbeats. Where a `nonce` was sent, refusals from 401 to 410 carry
/// a signed `refusal` and its `certificate`.
#[utoipa::path(post, path = "/api/v1/licenses/acquire", tag = "Seats", request_body = AcquireBody, security(),
    responses((status = 201, description = "A new session", body = SeatResponse<'_>),
              (status = 200, description = "The session that this attempt has already", body = SeatResponse<'_>),
              (status = 401, description = "license_key_invalid"),
              (status = 403, description = "license_suspended, license_revoked, license_expired, license_not_started, \
                                            product_not_allowed"),
              (status = 404, description = "not_found: the license has no such pool"),
              (status = 409, description = "no_seats_available, too_many_processes"),
              (status = 429, description = "rate_limited: for each holder, each license, and each address that sends \
                                            many wrong keys"),
              (status = 503, description = "seats_unavailable, records_unavailable, signer_unavailable")))]
async fn acquire(
    State(service): State<Arc<AcquireService>>,
    parts: Parts,
    JsonBody(body): JsonBody<AcquireBody>,
) -> Result<Response, Problem> {
    let protocol = &service.protocol;
    let request = body.read()?;
    let number = request.key.number();
    about(None, Some(number));
    let guesser = service.unknown_key_limit.guesser(&parts);
    let problem = match protocol.acquire_from(&request, guesser.as_ref()).await? {
        AcquireOutcome::Seat(seat) => return Ok(seat_response(&seat)),
        AcquireOutcome::Refused(refusal) => refused(&refusal, number, protocol.settings()),
        AcquireOutcome::KeyRejected(rejection) => key_rejected(rejection, &request.pool),
    };
    Err(answer::signed(problem, protocol, request.nonce.as_ref(), number, None).await)
}

/// Why a claimant gets no seat.
fn refused(refusal: &AcquireRefusal, license: LicenseNumber, settings: &ProtocolSettings) -> Problem {
    match refusal {
        AcquireRefusal::Full(full) => full::no_seat(full, settings.timing.ttl_ms()),
        AcquireRefusal::License(refusal) => answer::refused(*refusal, license, settings.clock.now_ms()),
        AcquireRefusal::WrongProduct(product) => wrong_product(product, license),
        AcquireRefusal::Limited(limited) => not_looked_at(*limited),
        AcquireRefusal::NeedsInstance => needs_instance(),
        AcquireRefusal::TooMany(many) => full::too_many(many),
    }
}

/// Why a license key opens no pool, for acquire and validate.
fn key_rejected(rejection: KeyRejection, pool: &PoolName) -> Problem {
    match rejection {
        KeyRejection::BadKey => answer::bad_key(),
        KeyRejection::NoPool => answer::no_pool(pool.as_str()),
        KeyRejection::Limited(limited) => not_looked_at(limited),
    }
}

/// A seat that was taken, and what keeps it.
#[derive(Serialize, ToSchema)]
#[schema(as = Seat, example = json!({"session_id": "01a1fc28-9b31-70be-8112-4bfdb0eab109", "session": "AQEBofwoDJx2…",
    "seat": 0,
    "expires_in": 355, "heartbeat_in": 106,
    "license": {"number": "752KJY5EZQ1CW", "product": "demo", "tier": "demo", "status": "active",
        "seats_total": 5, "seats_used": 1,
                "features": {}, "expires_at": null, "facts_version": 1},
    "token": "eyJhbGci…", "certificate": "eyJhbGci…",
    "offline": {"policy": "grace", "until": "2026-11-21T03:37:16Z"}}))]
struct SeatResponse<'a> {
    /// The session's name in logs and lists; gives no power.
    #[schema(value_type = String, format = Uuid)]
    session_id: SessionId,
    /// The bearer credential for heartbeat and release: a secret. It stays the same for the session's life.
    session: &'a str,
    /// Which seat of the pool it is, from 0.
    #[schema(value_type = u32)]
    seat: SeatNo,
    /// The lease in seconds, counted from when the client sent the request, on its own monotonic clock.
    expires_in: u64,
    /// When to send the next heartbeat, in seconds; drawn anew for every answer.
    heartbeat_in: u64,
    license: ClientLicense<'a>,
    /// The license token, a JWS: the license and the lease, verifiable offline.
    token: &'a str,
    /// The certificate of the key that signed the token, a JWS by a root key.
    certificate: &'a str,
    offline: OfflineResponse,
}

/// How long the client may go on without contact.
#[derive(Serialize, ToSchema)]
struct OfflineResponse {
    /// `none`, `grace` or `borrow`.
    #[schema(value_type = String)]
    policy: OfflinePolicy,
    /// Until then, and never past the end of the term. Also signed into the token.
    #[serde(with = "time::serde::rfc3339")]
    until: OffsetDateTime,
}

fn seat_response(LeasedSeat { granted, renewed, handle, lease }: &LeasedSeat) -> Response {
    let facts = &granted.lease.facts;
    about(Some(facts.tenant), None);
    let (status, label) = if *renewed { (StatusCode::OK, "renewed") } else { (StatusCode::CREATED, "granted") };
    let body = SeatResponse {
        session_id: granted.session,
        session: handle,
        seat: granted.seat,
        expires_in: lease.expires_in,
        heartbeat_in: lease.heartbeat_in,
        license: ClientLicense::new(facts, Some(granted.held), None),
        token: &lease.token,
        certificate: &lease.certificate,
        offline: OfflineResponse { policy: facts.offline.policy, until: lease.offline_until },
    };
    (status, Extension(Label(label)), axum::Json(body)).into_response()
}

fn needs_instance() -> Problem {
    let problem = "is required by this license, which counts processes: name the process, the same for its retries";
    Problem::invalid("instance_id", problem)
}

fn wrong_product(product: &str, license: LicenseNumber) -> Problem {
    let detail = format!("The license is for {product}. Use the license of the product you started.");
    Problem::new(ProblemCode::ProductNotAllowed, detail).with("license", license.to_string()).with("product", product)
}
