//! The bus as other processes of this machine reach it: Cloud Pub/Sub's call for publishing, in front of the queue in
//! this one.
//!
//! With it a reaper can run as a process of its own beside `license-local`.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use license_core::{domain::secret::Secret, error::chain};
use license_pubsub::{
    Message, TopicNames,
    bus::LocalBus,
    rest::{PublishRequest, PublishResponse},
};
use serde_json::json;
use std::sync::Arc;

/// The project the bus's topics are in.
pub const PROJECT: &str = "local";

/// What Cloud Pub/Sub takes in one request (<https://cloud.google.com/pubsub/quotas#resource_limits>).
const MOST_BYTES: usize = 10 * 1024 * 1024;

#[derive(Clone)]
struct PublishEndpoint {
    bus: LocalBus,
    token: Arc<Secret<String>>,
}

/// `POST /v1/projects/local/topics/{topic}:publish` for whoever brings `token`: a secret in a file that its owner alone
/// can read, since every account of the machine reaches the address.
pub fn router(bus: LocalBus, token: Secret<String>) -> Router {
    let call = format!("/v1/projects/{PROJECT}/topics/{{call}}");
    let door = PublishEndpoint { bus, token: Arc::new(token) };
    Router::new().route(&call, post(publish)).layer(DefaultBodyLimit::max(MOST_BYTES)).with_state(door)
}

async fn publish(
    State(door): State<PublishEndpoint>,
    Path(call): Path<String>,
    headers: HeaderMap,
    body: String,
) -> Response {
    if !door.opens(&headers) {
        return refuse(
            StatusCode::UNAUTHORIZED,
            "UNAUTHENTICATED",
            "send PUBSUB_BUS_TOKEN of .local/env as a bearer token",
        );
    }
    let Some(topic) = call.strip_suffix(":publish").and_then(|name| TopicNames::default().named(name)) else {
        return refuse(
            StatusCode::NOT_FOUND,
            "NOT_FOUND",
            "the topics are tick, reap and events; the call is :publish",
        );
    };
    let request: PublishRequest = match serde_json::from_str(&body) {
        Ok(request) => request,
        Err(error) => return refuse(StatusCode::BAD_REQUEST, "INVALID_ARGUMENT", &chain(&error).to_string()),
    };
    let messages: Result<Vec<Message>, _> = request.messages.into_iter().map(Message::try_from).collect();
    let Ok(messages) = messages else {
        return refuse(StatusCode::BAD_REQUEST, "INVALID_ARGUMENT", "the data of a message is not base64");
    };
    match door.bus.accept(topic, messages) {
        Ok(message_ids) => Json(PublishResponse { message_ids }).into_response(),
        Err(error) => refuse(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", &chain(&error).to_string()),
    }
}

impl PublishEndpoint {
    fn opens(&self, headers: &HeaderMap) -> bool {
        let brought = headers.get(header::AUTHORIZATION).and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
        brought.is_some_and(|brought| verify_slices_are_equal(brought, self.token.reveal().as_bytes()).is_ok())
    }
}

/// An error in the form Google's APIs give it.
fn refuse(status: StatusCode, word: &str, message: &str) -> Response {
    let error = json!({ "error": { "code": status.as_u16(), "message": message, "status": word } });
    (status, Json(error)).into_response()
}
