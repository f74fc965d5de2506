//! validate: answers what an acquire would be told. No seat is taken.

use super::{AcquireService, client::ClientDetails as ClientFacts, key_rejected};
use crate::{
    answer::{ClientLicense, SeatHolder, holders, seconds},
    edge::{FieldChecks, JsonBody, Problem, context::about, telemetry::MetricOutcome as Label},
};
use axum::{
    Extension,
    extract::State,
    response::{IntoResponse, Response},
};
use http::request::Parts;
use license_core::{
    ProblemCode, clock,
    domain::{
        id::{ClientPart, PoolName},
        key::LicenseKey,
        license::{LicenseFacts, LicenseRefusal},
        name::clean,
    },
    protocol::validate::ValidateOutcome,
    seat_store::{SeatProspect, ValidateReply},
};
use serde::{Deserialize, Serialize, de::IgnoredAny};
use std::sync::Arc;
use time::OffsetDateTime;
use utoipa::ToSchema;

/// Which license to look at.
// Nothing of it is checked yet.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ValidateRequest, example = json!({"license_key": "CODI-6WRXP-457A6-0BTJ8-9VR2K-WAA0K-D0ECC",
    "hardware_id": "my-laptop-0001"}))]
pub(super) struct ValidateBody {
    /// As printed, typed or pasted: only its letters and digits count, and case and look-alikes are forgiven. A wrong
    /// check symbol is 422 with problem `mistyped`.
    #[schema(required)]
    license_key: Option<String>,
    /// The machine that would ask: 8 to 128 printable ASCII characters. Without it, the answer is that for a holder
    /// without a seat.
    #[schema(min_length = 8, max_length = 128)]
    hardware_id: Option<String>,
    /// The same for licenses that count processes.
    #[schema(min_length = 8, max_length = 128)]
    instance_id: Option<String>,
    /// The pool of seats, `default` unless given.
    #[schema(pattern = "^[a-z0-9-]{1,32}$")]
    pool: Option<String>,
    /// As for acquire; ignored.
    #[schema(value_type = Option<ClientFacts>)]
    #[serde(rename = "client")]
    _client: Option<IgnoredAny>,
}

/// What an acquire would answer.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
enum ValidateResponse<'a> {
    Outlook(SeatOutlook<'a>),
    Refusing(RefusingLicense<'a>),
}

/// The license gives seats; `code` says whether one is free for this machine.
#[derive(Serialize, ToSchema)]
#[schema(as = ValidLicense, example = json!({
    "license": {"number": "752KJY5EZQ1CW", "product": "demo", "tier": "demo", "status": "active", "seats_total": 5,
        "seats_used": 1, "features": {}, "expires_at": null, "facts_version": 1},
    "seats_used": 1,
    "holders": [{"label": "host-1", "since": "2026-11-21T03:31:22.034Z", "seen_in": 0}],
    "has_seat": true, "code": null, "retry_in": null}))]
struct SeatOutlook<'a> {
    license: ClientLicense<'a>,
    /// How many seats are held.
    seats_used: u32,
    /// At most five, longest silent first; none where the license hides them.
    holders: Vec<SeatHolder>,
    /// Whether the machine or process holds a seat already. A full pool then does not refuse it.
    has_seat: bool,
    /// Null where an acquire would be granted now, else what it would be refused with: `no_seats_available` or
    /// `too_many_processes`.
    code: Option<&'static str>,
    /// Where an acquire would be refused: the seconds after which it is worth asking again if no holder sends a
    /// heartbeat before. Null where it would be granted, or this is not known.
    retry_in: Option<u64>,
}

/// The license gives no seat now.
#[derive(Serialize, ToSchema)]
#[schema(as = RefusingLicense, example = json!({
    "license": {"number": "752KJY5EZQ1CW", "product": "demo", "tier": "demo", "status": "suspended", "seats_total": 5,
        "seats_used": null, "features": {}, "expires_at": null, "facts_version": 2},
    "code": "license_suspended", "since": "2026-11-21T03:31:22.034Z"}))]
struct RefusingLicense<'a> {
    license: ClientLicense<'a>,
    /// What an acquire would be refused with: `license_suspended`, `license_revoked`, `license_expired` or
    /// `license_not_started`.
    code: &'static str,
    /// Since when, or for `license_not_started` until when; null if it is not known.
    #[serde(with = "time::serde::rfc3339::option")]
    since: Option<OffsetDateTime>,
}

/// Look at a license
///
/// Answers what an acquire would answer, and takes no seat. A license that gives no seat is an answer here and not an
/// error. The product is not compared, and answers are not signed.
#[utoipa::path(post, path = "/api/v1/licenses/validate", tag = "Seats", request_body = ValidateBody, security(),
    responses((status = 200, description = "The license", body = ValidateResponse<'_>),
              (status = 401, description = "license_key_invalid"),
              (status = 404, description = "not_found: the license has no such pool"),
              (status = 429, description = "rate_limited: for each address that sends many different wrong keys"),
              (status = 503, description = "seats_unavailable, records_unavailable")))]
pub(super) async fn validate(
    State(service): State<Arc<AcquireService>>,
    parts: Parts,
    JsonBody(body): JsonBody<ValidateBody>,
) -> Result<Response, Problem> {
    let protocol = &service.protocol;
    let mut fields = FieldChecks::new();
    let key = fields.required("license_key", body.license_key.as_deref(), LicenseKey::parse);
    let hardware = fields.optional("hardware_id", body.hardware_id.as_deref(), str::parse::<ClientPart>);
    let instance = fields.optional("instance_id", body.instance_id.as_deref(), str::parse::<ClientPart>);
    let pool = fields.optional("pool", body.pool.as_deref(), |text| clean(text).parse::<PoolName>());
    let (key, pool) = (fields.check(key)?, pool.unwrap_or_else(PoolName::default_pool));
    about(None, Some(key.number()));
    let guesser = service.unknown_key_limit.guesser(&parts);
    match protocol.validate_from(&key, hardware.as_ref(), instance.as_ref(), &pool, guesser.as_ref()).await? {
        ValidateOutcome::Valid(valid) => Ok(outlook_response(&valid, protocol.settings().timing.ttl_ms())),
        ValidateOutcome::Refused(refusal, facts) => Ok(refusal_response(refusal, &facts)),
        ValidateOutcome::KeyRejected(rejection) => Err(key_rejected(rejection, &pool)),
    }
}

fn outlook_response(valid: &ValidateReply, ttl_ms: i64) -> Response {
    about(Some(valid.facts.tenant), None);
    let code = match valid.prospect {
        SeatProspect::Seat => None,
        SeatProspect::Full => Some(ProblemCode::NoSeatsAvailable.as_str()),
        SeatProspect::TooMany => Some(ProblemCode::TooManyProcesses.as_str()),
    };
    let body = ValidateResponse::Outlook(SeatOutlook {
        license: ClientLicense::new(&valid.facts, Some(valid.held), None),
        seats_used: valid.held,
        holders: holders(&valid.silent, &valid.facts, valid.now_ms, ttl_ms),
        has_seat: valid.has_seat,
        code,
        retry_in: (code.is_some() && valid.wait_ms > 0).then(|| seconds(valid.wait_ms)),
    });
    (Extension(Label(code.unwrap_or("valid"))), axum::Json(body)).into_response()
}

fn refusal_response(refusal: LicenseRefusal, facts: &LicenseFacts) -> Response {
    about(Some(facts.tenant), None);
    let code = refusal.why.code().as_str();
    let since = (refusal.since_ms != 0).then(|| clock::from_ms(refusal.since_ms));
    let body = ValidateResponse::Refusing(RefusingLicense {
        license: ClientLicense::new(facts, None, Some(refusal)),
        code,
        since,
    });
    (Extension(Label(code)), axum::Json(body)).into_response()
}
