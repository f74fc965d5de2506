//! Tests of the layers around every service, against routers in process.

mod config;
mod connection_limit;
mod extract;
#[cfg(unix)]
mod files;
mod layers;
mod metrics;
mod problem;
mod rate;
mod serve;
mod slow;
mod stores;
mod telemetry;
mod variables;

use super::{
    config::{LayersConfig, LogConfig},
    layers::{LayerSettings, layers},
};
use axum::{Router, body::Body};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;

pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Value,
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

pub(super) fn logging() -> LogConfig {
    LogConfig { filter: "info".into(), text: false, project: Some("a-project".into()) }
}

pub(super) fn layer_settings() -> LayerSettings {
    LayerSettings::new(&LayersConfig::default(), &logging())
}

pub(super) fn post(path: &str, content_type: &str, body: impl Into<Body>) -> Request<Body> {
    let request = Request::post(path);
    let request = if content_type.is_empty() { request } else { request.header("content-type", content_type) };
    request.body(body.into()).unwrap()
}

pub(super) fn get(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).unwrap()
}

/// Sends one request through the layers.
pub(super) async fn send(router: Router, request: Request<Body>) -> Answer {
    send_through(layers(router, &layer_settings()), request).await
}

pub(super) async fn send_through(app: Router, request: Request<Body>) -> Answer {
    let (parts, body) = app.oneshot(request).await.unwrap().into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    let body = serde_json::from_slice(&bytes).unwrap_or_else(|_| String::from_utf8_lossy(&bytes).into_owned().into());
    Answer { status: parts.status, headers: parts.headers, body }
}
