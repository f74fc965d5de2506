//! release: give a session back. Again and again the same answer.

use crate::{
    answer,
    edge::{
        Bearer, JsonOrEmpty, Problem,
        config::Env,
        rim::about,
        serve::{Service, StartError},
    },
    rooms,
};
use axum::{Router, extract::State as From, routing::post};
use license_core::{Clock, moves::Moves};
use serde::Deserialize;
use serde_json::{Value, json};

/// What release may touch.
#[derive(Clone)]
pub struct State {
    /// The moves of clients.
    pub moves: Moves,
}

/// `POST /api/v1/licenses/release`.
pub fn router(state: State) -> Router {
    Router::new().route("/api/v1/licenses/release", post(release)).with_state(state)
}

/// The service from configuration.
///
/// # Errors
/// A sentence that names the variable that is wrong.
pub async fn service(env: &Env, clock: Clock) -> Result<Service, StartError> {
    let moves = rooms::moves(env, clock).await?;
    Ok(Service { checks: rooms::checks(&moves), router: router(State { moves }) })
}

/// Everything there is to say is in the handle.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {}

async fn release(
    From(State { moves }): From<State>,
    bearer: Bearer,
    JsonOrEmpty(Body {}): JsonOrEmpty<Body>,
) -> Result<axum::Json<Value>, Problem> {
    let handle = answer::open(&bearer, &moves)?;
    about(Some(handle.tenant), Some(handle.license));
    let released_at = moves.release(&handle).await?;
    Ok(axum::Json(json!({ "session_id": handle.session, "released_at": answer::rfc3339(released_at) })))
}
