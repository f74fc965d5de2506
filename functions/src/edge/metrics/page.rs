//! `GET /metrics`. It is no operation of the API: it is not in its document, and where nobody may scrape there is
//! nothing at its path.

use super::{MetricsAccess, counts, requests, stores::StoreReadings};
use crate::edge::{Problem, check::StoreCheck};
use axum::{
    Router,
    extract::State,
    response::{IntoResponse, Response},
    routing::get,
};
use http::{HeaderMap, header};
use license_core::domain::secret::Secret;
use prometheus_client::{encoding::text, registry::Registry};
use std::sync::Arc;

/// The text is `OpenMetrics`, which every Prometheus since 2.5 reads.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

struct Page {
    token: Option<Arc<Secret<String>>>,
    stores: StoreReadings,
}

/// The page of the services whose stores these are.
pub(in crate::edge) fn router(checks: &[StoreCheck], access: &MetricsAccess) -> Router {
    let token = match access {
        MetricsAccess::Off | MetricsAccess::Elsewhere => return Router::new(),
        MetricsAccess::Open => None,
        MetricsAccess::Bearer(token) => Some(Arc::clone(token)),
    };
    let page = Page { token, stores: StoreReadings::of(checks) };
    Router::new().route("/metrics", get(scrape)).with_state(Arc::new(page))
}

async fn scrape(State(page): State<Arc<Page>>, headers: HeaderMap) -> Response {
    if !page.token.as_ref().is_none_or(|token| is_brought(token, &headers)) {
        let detail = "Send the METRICS_TOKEN of this service as a bearer token.";
        return Problem::token_invalid(detail).into_response();
    }
    let mut registry = Registry::default();
    requests::register(&mut registry);
    counts::register(&mut registry);
    page.stores.register(&mut registry).await;
    let mut body = String::new();
    match text::encode(&mut body, &registry) {
        Ok(()) => ([(header::CONTENT_TYPE, OPENMETRICS)], body).into_response(),
        // Cannot happen: memory takes every text.
        Err(_) => Problem::internal().into_response(),
    }
}

fn is_brought(token: &Secret<String>, headers: &HeaderMap) -> bool {
    let value = headers.get(header::AUTHORIZATION).map(|value| value.as_bytes());
    let (scheme, brought) = value.and_then(|value| value.split_at_checked("Bearer ".len())).unwrap_or_default();
    scheme.eq_ignore_ascii_case(b"Bearer ") && token.is_brought(brought)
}
