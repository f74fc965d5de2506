//! A line a minute that says how many connections to PostgreSQL an instance has. It is written behind a request: nothing
//! runs in the background.

use super::{check::StoreCheck, rare_warning::RareWarning};
use axum::{
    Router,
    extract::{Request, State},
    middleware::{self, Next},
    response::Response,
};
use license_core::records::Records;
use std::{sync::Arc, time::Instant};

struct ConnectionCount {
    records: Records,
    said: RareWarning,
}

/// The router with its connections counted, where one of its stores has any to count.
pub(super) fn counted(router: Router, checks: &[StoreCheck]) -> Router {
    let Some(records) = checks.iter().find_map(StoreCheck::records).cloned() else { return router };
    let count = Arc::new(ConnectionCount { records, said: RareWarning::new() });
    router.layer(middleware::from_fn_with_state(count, count_connections))
}

async fn count_connections(State(count): State<Arc<ConnectionCount>>, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    if count.said.due(Instant::now())
        && let Ok(now) = count.records.connections().await
    {
        tracing::info!(connections = now.open, idle = now.idle, "connections of this instance");
    }
    response
}
