//! The description of the whole API, for programs and for people: openapi.json as it was reviewed, and a page that
//! shows it.

use axum::{
    Router,
    response::{IntoResponse, Response},
    routing::get,
};
use http::header;

/// Compiled in as it is in the repository: what is served is what was reviewed, and a cold start computes nothing.
const DOCUMENT: &str = include_str!("../../../openapi.json");

/// `GET /openapi.json` and `GET /docs`, for everybody.
pub(super) fn router() -> Router {
    Router::new()
        .route("/openapi.json", get(|| async { page("application/json", DOCUMENT) }))
        .route("/docs", get(|| async { page("text/html; charset=utf-8", include_str!("page/index.html")) }))
        .route("/docs/page.js", get(|| async { page("text/javascript; charset=utf-8", include_str!("page/page.js")) }))
        .route("/docs/page.css", get(|| async { page("text/css; charset=utf-8", include_str!("page/page.css")) }))
}

/// May be kept for five minutes, and shown nowhere but in a window of its own, with nothing of any other host.
fn page(kind: &'static str, text: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "public, max-age=300"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; frame-ancestors 'none'; \
             base-uri 'none'",
        ),
    ];
    (headers, text).into_response()
}
