//! heartbeat: a session shows that it is alive and gets a fresh lease.

use crate::{
    answer,
    edge::{
        Bearer, Fields, JsonOrEmpty, Problem,
        config::Env,
        rate::limited,
        rim::about,
        serve::{Service, StartError},
    },
    rooms,
};
use axum::{
    Router,
    extract::State as From,
    response::{IntoResponse, Response},
    routing::post,
};
use license_core::{
    Clock, Code,
    domain::id::{Nonce, SessionId},
    moves::{
        Moves,
        heartbeat::{Alive, Outcome},
    },
};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// What heartbeat may touch.
#[derive(Clone)]
pub struct State {
    /// The moves of clients.
    pub moves: Moves,
}

/// `POST /api/v1/licenses/heartbeat`.
pub fn router(state: State) -> Router {
    Router::new().route("/api/v1/licenses/heartbeat", post(heartbeat)).with_state(state)
}

/// The service from configuration.
///
/// # Errors
/// A sentence that names the variable that is wrong.
pub async fn service(env: &Env, clock: Clock) -> Result<Service, StartError> {
    let moves = rooms::moves(env, clock).await?;
    Ok(Service { checks: rooms::checks(&moves), router: router(State { moves }) })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    nonce: Option<String>,
    certificate_kid: Option<String>,
}

async fn heartbeat(
    From(State { moves }): From<State>,
    bearer: Bearer,
    JsonOrEmpty(body): JsonOrEmpty<Body>,
) -> Result<Response, Problem> {
    let handle = answer::open(&bearer, &moves)?;
    about(Some(handle.tenant), Some(handle.license));
    let mut fields = Fields::new();
    let nonce = fields.optional("nonce", body.nonce.as_deref(), str::parse::<Nonce>);
    fields.check(Some(()))?;
    let problem = match moves.heartbeat(&handle, nonce.as_ref()).await? {
        Outcome::Alive(alive) => return Ok(extended(&alive, body.certificate_kid.as_deref())),
        Outcome::Gone(reason) => gone(&reason, handle.session),
        Outcome::Refused(refusal) => answer::refused(refusal, handle.license),
        Outcome::Limited(ms) => limited("heartbeat", moves.seats().rates().heartbeat, ms),
    };
    Err(answer::signed(problem, &moves, nonce.as_ref(), handle.license, Some(handle.session)).await)
}

/// The answer: the one that is sent most of all.
#[derive(Serialize)]
struct Extended<'a> {
    expires_in: u64,
    heartbeat_in: u64,
    license: Status,
    token: &'a str,
    /// Two thirds of the answer are the certificate, which rarely changes: a client that has it need not get it again.
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate: Option<&'a str>,
}

#[derive(Serialize)]
struct Status {
    status: &'static str,
    facts_version: u64,
    #[serde(with = "time::serde::rfc3339::option")]
    expires_at: Option<OffsetDateTime>,
}

fn extended(Alive { facts, lease }: &Alive, known_kid: Option<&str>) -> Response {
    let known = known_kid == Some(lease.certificate_kid.as_str());
    let body = Extended {
        expires_in: lease.expires_in,
        heartbeat_in: lease.heartbeat_in,
        license: Status { status: "active", facts_version: facts.facts_version, expires_at: facts.expires_at },
        token: &lease.token,
        certificate: (!known).then_some(lease.certificate.as_str()),
    };
    axum::Json(body).into_response()
}

fn gone(reason: &str, session: SessionId) -> Problem {
    let detail = match reason {
        "kicked" => "An administrator ended this session. Do not acquire again without being asked to.",
        "released" => "This session was released. Acquire again to go on.",
        "expired" => {
            "This session was silent for longer than its lease, or its place was needed. Acquire again to go on."
        }
        _ => "This session is not known any more. Acquire again to go on.",
    };
    Problem::new(Code::SessionGone, detail).with("reason", reason).with("session_id", session.to_string())
}
