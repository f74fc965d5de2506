//! Health of a service, for whoever starts it and sends it requests.

use super::{
    Problem,
    check::{StoreCheck, ask_all},
};
use axum::{
    Json, Router,
    extract::State,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use std::{collections::BTreeMap, time::Duration};
use tokio::sync::watch;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// How long the answer to `/health/live` waits for the first connections to have been tried.
const WARM_UP: Duration = Duration::from_secs(2);

/// What health is about.
#[derive(Clone)]
pub(crate) struct HealthState {
    checks: Vec<StoreCheck>,
    warm: watch::Receiver<bool>,
}

/// `GET /health/live`, `GET /health/ready`; `warm` turns true when every store was tried.
pub(super) fn router(checks: Vec<StoreCheck>, warm: watch::Receiver<bool>) -> Router {
    operations().split_for_parts().0.with_state(HealthState { checks, warm })
}

/// The paths with their handlers; the document is made of the same list.
pub(crate) fn operations() -> OpenApiRouter<HealthState> {
    OpenApiRouter::new().routes(routes!(live)).routes(routes!(ready))
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
async fn live(State(HealthState { mut warm, .. }): State<HealthState>) -> Json<LiveAnswer> {
    // Waiting is over when the stores were tried, whatever they answered: with Redis away an instance must start all
    // the same.
    let _ = tokio::time::timeout(WARM_UP, warm.wait_for(|&tried| tried)).await;
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
