//! Health of a service, for whoever starts it and sends it requests.

use super::{
    Problem,
    check::{StoreCheck, ask_all},
    start::ServiceStart,
};
use axum::{
    Json, Router,
    extract::State,
    response::{IntoResponse, Response},
};
use license_core::Error;
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// What health is about.
#[derive(Clone)]
pub(crate) struct HealthState {
    checks: Vec<StoreCheck>,
    start: ServiceStart,
}

/// `GET /health/started`, `GET /health/live`, `GET /health/ready`.
pub(super) fn router(checks: Vec<StoreCheck>, start: ServiceStart) -> Router {
    operations().split_for_parts().0.with_state(HealthState { checks, start })
}

/// The paths with their handlers; the document is made of the same list.
pub(crate) fn operations() -> OpenApiRouter<HealthState> {
    OpenApiRouter::new().routes(routes!(started)).routes(routes!(live)).routes(routes!(ready))
}

/// The start is over.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"started": true}))]
struct StartedAnswer {
    /// True.
    started: bool,
}

/// Whether the start is over
///
/// For whoever starts instances: 503 until each store has answered once, or until the start was patient for
/// `START_PATIENCE_SECONDS`; from then on 200 for ever, whatever happens to the stores. The error has the code of the
/// first store that has not answered yet.
#[utoipa::path(get, path = "/health/started", tag = "Health", security(),
    responses((status = 200, description = "It is", body = StartedAnswer),
              (status = 503, description = "seats_unavailable, records_unavailable")))]
async fn started(State(HealthState { checks, start }): State<HealthState>) -> Response {
    let missing = start.waits_for();
    let Some(first) = missing.first() else { return Json(StartedAnswer { started: true }).into_response() };
    let answered = |check: &StoreCheck| missing.iter().all(|it| it.name() != check.name());
    let word = |check: &StoreCheck| if answered(check) { "ok" } else { "unavailable" };
    let stores: BTreeMap<&str, &str> = checks.iter().map(|check| (check.name(), word(check))).collect();
    // No error: at a start this is how things are.
    let detail = "The service is starting: not every store has answered yet.";
    Problem::new(Error::Deadline(first.store()).code(), detail).with("stores", serde_json::json!(stores)).into_response()
}

/// The service runs.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"live": true}))]
struct LiveAnswer {
    /// True.
    live: bool,
}

/// Whether the service runs
///
/// Answered once every store was tried for the first time, at most two seconds after the start, whatever they answered.
#[utoipa::path(get, path = "/health/live", tag = "Health", security(), responses((status = 200, description = "It runs", body = LiveAnswer)))]
async fn live(State(HealthState { mut start, .. }): State<HealthState>) -> Json<LiveAnswer> {
    start.tried().await;
    Json(LiveAnswer { live: true })
}

/// Every store answers.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"ready": true, "stores": {"seats": "ok", "records": "ok"}}))]
struct ReadyAnswer {
    /// True.
    ready: bool,
    /// Each store that the service needs: `ok`, or in the error `unavailable`.
    stores: BTreeMap<&'static str, &'static str>,
}

/// Whether every store answers
///
/// For people and dashboards: nothing is gated on it. The error has the code of the first store that does not answer.
#[utoipa::path(get, path = "/health/ready", tag = "Health", security(),
    responses((status = 200, description = "All do", body = ReadyAnswer),
              (status = 503, description = "seats_unavailable, records_unavailable")))]
async fn ready(State(HealthState { checks, .. }): State<HealthState>) -> Response {
    let (mut stores, mut first) = (BTreeMap::new(), None);
    for (name, answer) in ask_all(&checks).await {
        stores.insert(name, if answer.is_ok() { "ok" } else { "unavailable" });
        first = first.or(answer.err());
    }
    match first {
        None => Json(ReadyAnswer { ready: true, stores }).into_response(),
        Some(error) => Problem::from(error).with("stores", serde_json::json!(stores)).into_response(),
    }
}
