//! acquire: take a seat, look at a license, and the keys to check the answers with.

mod client;

use crate::{
    answer::{self, License, holders},
    edge::{
        Fields, Json, Problem,
        config::Env,
        rate::{ByAddress, limited},
        rim::about,
        serve::{Service, StartError},
        telemetry::Outcome as Label,
    },
    rooms,
};
use axum::{
    Extension, Router,
    extract::State as From,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use client::Client;
use http::{StatusCode, header, request::Parts};
use license_core::{
    Clock, Code,
    domain::{
        id::{Attempt, ClientPart, Hw, LicenseNumber, Nonce, PoolName},
        key::LicenseKey,
        rate::Rate,
    },
    moves::{
        Moves,
        acquire::{Outcome, Request, Seat},
        validate,
    },
    seats::Full,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// What acquire may touch.
#[derive(Clone)]
pub struct State {
    /// The moves of clients.
    pub moves: Moves,
    /// Wrong keys from each address.
    pub strangers: ByAddress,
}

/// `POST /api/v1/licenses/acquire`, `POST /api/v1/licenses/validate`, `GET /.well-known/license-keys`.
pub fn router(state: State) -> Router {
    Router::new()
        .route("/api/v1/licenses/acquire", post(acquire))
        .route("/api/v1/licenses/validate", post(validate))
        .route("/.well-known/license-keys", get(keys))
        .with_state(state)
}

/// The service from configuration.
///
/// # Errors
/// A sentence that names the variable that is wrong.
pub async fn service(env: &Env, clock: Clock) -> Result<Service, StartError> {
    let moves = rooms::moves(env, clock).await?;
    let strangers =
        rooms::by_address(env, "unknown-keys", "RATE_UNKNOWN_KEYS", Rate::per_minute(10), moves.seats().clone())?;
    Ok(Service { checks: rooms::checks(&moves), router: router(State { moves, strangers }) })
}

/// The body of acquire, nothing of it checked yet.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AcquireBody {
    license_key: Option<String>,
    hardware_id: Option<String>,
    attempt: Option<String>,
    instance_id: Option<String>,
    pool: Option<String>,
    nonce: Option<String>,
    client: Option<Map<String, Value>>,
}

impl AcquireBody {
    fn read(self) -> Result<Request, Problem> {
        let mut fields = Fields::new();
        let key = fields.required("license_key", self.license_key.as_deref(), LicenseKey::parse);
        let hardware = fields.required("hardware_id", self.hardware_id.as_deref(), str::parse::<ClientPart>);
        let attempt = fields.required("attempt", self.attempt.as_deref(), str::parse::<Attempt>);
        let instance = fields.optional("instance_id", self.instance_id.as_deref(), str::parse::<ClientPart>);
        let pool = fields.optional("pool", self.pool.as_deref(), str::parse::<PoolName>);
        let nonce = fields.optional("nonce", self.nonce.as_deref(), str::parse::<Nonce>);
        let client = Client::read(self.client.as_ref(), &mut fields);
        let (key, hardware, attempt) = fields.check(key.zip(hardware).zip(attempt).map(|((k, h), a)| (k, h, a)))?;
        let label = client.label(Hw::of(key.number(), &hardware));
        let pool = pool.unwrap_or_else(PoolName::main);
        let (product, client) = client.into_parts();
        Ok(Request { key, hardware, instance, attempt, pool, nonce, product, label, client })
    }
}

async fn acquire(
    From(State { moves, strangers }): From<State>,
    parts: Parts,
    Json(body): Json<AcquireBody>,
) -> Result<Response, Problem> {
    let request = body.read()?;
    let number = request.key.number();
    about(None, Some(number));
    let problem = match moves.acquire(&request).await? {
        Outcome::Seat(seat) => return Ok(seated(&seat)),
        Outcome::Full(full) => no_seat(&full, &moves),
        Outcome::BadKey => stranger(&strangers, &parts).await,
        Outcome::NoPool => answer::no_pool(request.pool.as_str()),
        Outcome::Refused(refusal) => answer::refused(refusal, number),
        Outcome::WrongProduct(product) => wrong_product(&product, number),
        Outcome::NeedsInstance => {
            let problem =
                "is required by this license, which counts processes: name the process, the same for its retries";
            Problem::invalid("instance_id", problem)
        }
        Outcome::Limited(ms) => limited("acquire", moves.seats().rates().acquire, ms),
        Outcome::TooMany(processes) => too_many(processes),
    };
    Err(answer::signed(problem, &moves, request.nonce.as_ref(), number, None).await)
}

/// A key that opens nothing. Who tries many of them hears nothing more of them for a while; good keys from the same address go on.
async fn stranger(strangers: &ByAddress, parts: &Parts) -> Problem {
    match strangers.admit(parts).await {
        Ok(_) => answer::bad_key(),
        Err(problem) => problem,
    }
}

fn seated(seat: &Seat) -> Response {
    about(Some(seat.facts.tenant), None);
    let (status, label) = if seat.renewed { (StatusCode::OK, "renewed") } else { (StatusCode::CREATED, "granted") };
    let body = json!({
        "session_id": seat.session,
        "session": seat.handle,
        "seat": seat.seat,
        "expires_in": seat.lease.expires_in,
        "heartbeat_in": seat.lease.heartbeat_in,
        "license": License::new(&seat.facts, Some(seat.seats_used), None),
        "token": seat.lease.token,
        "certificate": seat.lease.certificate,
        "offline": { "policy": seat.facts.offline.policy, "until": answer::rfc3339(seat.lease.offline_until) },
    });
    (status, Extension(Label(label)), axum::Json(body)).into_response()
}

fn no_seat(full: &Full, moves: &Moves) -> Problem {
    about(Some(full.facts.tenant), None);
    let ttl_ms = moves.settings().timing.ttl_ms();
    let known = full.next_lease_end_ms > full.now_ms;
    // Rounded up: a client that waits exactly so long must not come too early.
    let next = known.then(|| (full.next_lease_end_ms - full.now_ms + 999) / 1000);
    let detail = match full.seats_total {
        1 => "The license's only seat is in use. Close the program where it is not needed, or try again later."
            .to_owned(),
        total => format!("All {total} seats are in use. Close the program where it is not needed, or try again later."),
    };
    let holders = holders(&full.silent, &full.facts, full.now_ms, ttl_ms);
    let problem = Problem::new(Code::NoSeatsAvailable, detail)
        .with("seats_total", full.seats_total)
        .with("seats_used", full.held)
        .with("holders", json!(holders))
        // Where nothing is known, a lease from now is the longest that silence can keep a seat.
        .retry_after(next.unwrap_or(ttl_ms / 1000).unsigned_abs());
    match next {
        Some(seconds) => problem.with("next_seat_in", seconds),
        None => problem,
    }
}

fn wrong_product(product: &str, license: LicenseNumber) -> Problem {
    let detail = format!("The license is for {product}. Use the license of the product you started.");
    Problem::new(Code::ProductNotAllowed, detail).with("license", license.to_string()).with("product", product)
}

fn too_many(processes: u32) -> Problem {
    let detail = format!(
        "{processes} processes of this machine share its seat already, as many as the license allows. Close one."
    );
    Problem::new(Code::TooManyProcesses, detail).with("processes", processes)
}

/// The body of validate, nothing of it checked yet.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ValidateBody {
    license_key: Option<String>,
    hardware_id: Option<String>,
    pool: Option<String>,
}

async fn validate(
    From(State { moves, strangers }): From<State>,
    parts: Parts,
    Json(body): Json<ValidateBody>,
) -> Result<Response, Problem> {
    let mut fields = Fields::new();
    let key = fields.required("license_key", body.license_key.as_deref(), LicenseKey::parse);
    let hardware = fields.optional("hardware_id", body.hardware_id.as_deref(), str::parse::<ClientPart>);
    let pool = fields.optional("pool", body.pool.as_deref(), str::parse::<PoolName>);
    let (key, pool) = (fields.check(key)?, pool.unwrap_or_else(PoolName::main));
    about(None, Some(key.number()));
    let (label, body) = match moves.validate(&key, hardware.as_ref(), &pool).await? {
        validate::Outcome::Valid(valid) => {
            about(Some(valid.facts.tenant), None);
            // A machine that holds a seat would join it, however full the pool is.
            let code = (!valid.has_seat && valid.held >= valid.seats_total).then_some(Code::NoSeatsAvailable.as_str());
            let holders = holders(&valid.silent, &valid.facts, valid.now_ms, moves.settings().timing.ttl_ms());
            let body = json!({
                "license": License::new(&valid.facts, Some(valid.held), None),
                "seats_used": valid.held,
                "holders": holders,
                "has_seat": valid.has_seat,
                "code": code,
            });
            (code.unwrap_or("valid"), body)
        }
        validate::Outcome::Refused(refusal, facts) => {
            about(Some(facts.tenant), None);
            let code = refusal.why.code().as_str();
            let since =
                (refusal.since_ms != 0).then(|| answer::rfc3339(license_core::clock::from_ms(refusal.since_ms)));
            (code, json!({ "license": License::new(&facts, None, Some(refusal)), "code": code, "since": since }))
        }
        validate::Outcome::BadKey => return Err(stranger(&strangers, &parts).await),
        validate::Outcome::NoPool => return Err(answer::no_pool(pool.as_str())),
    };
    Ok((Extension(Label(label)), axum::Json(body)).into_response())
}

/// Clients pin these keys; five minutes old is fine, since the next one is published long before it signs.
async fn keys(From(State { moves, .. }): From<State>) -> Result<Response, Problem> {
    let keys = moves.signer().jwks().await?;
    Ok(([(header::CACHE_CONTROL, "public, max-age=300")], axum::Json(keys)).into_response())
}
