//! A line a minute that says how many connections to PostgreSQL an instance has, and how often it connected to Redis.
//!
//! It is written behind a request: nothing runs in the background.

use super::{check::StoreCheck, rare_warning::RareWarning};
use axum::{
    Router,
    extract::{Request, State},
    middleware::{self, Next},
    response::Response,
};
use license_core::{records::Records, seat_store::SeatStore};
use std::{sync::Arc, time::Instant};

struct ConnectionCount {
    records: Records,
    seats: Option<SeatStore>,
    said: RareWarning,
}

/// The router with its connections counted, where one of its stores has any to count.
pub(super) fn counted(router: Router, checks: &[StoreCheck]) -> Router {
    let Some(records) = checks.iter().find_map(StoreCheck::records).cloned() else { return router };
    let seats = checks.iter().find_map(StoreCheck::seats).cloned();
    let count = Arc::new(ConnectionCount { records, seats, said: RareWarning::new() });
    router.layer(middleware::from_fn_with_state(count, count_connections))
}

async fn count_connections(State(count): State<Arc<ConnectionCount>>, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    if count.said.due(Instant::now()) {
        let now = count.records.connections();
        let redis_connects = count.seats.as_ref().map(SeatStore::connects);
        tracing::info!(connections = now.open, idle = now.idle, redis_connects, "connections of this instance");
    }
    response
}
