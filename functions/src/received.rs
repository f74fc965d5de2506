//! What the services that are pushed to do with every push: believe it or not, and take it apart.

use crate::edge::{Problem, context::follow_trace, extract, telemetry::MetricOutcome};
use axum::{
    Extension,
    extract::Request,
    response::{IntoResponse, Response},
};
use http::{StatusCode, header};
use license_core::{ProblemCode, error::chain};
use license_pubsub::push::{Envelope, MalformedPush, PushCheck, PushCheckError, PushDelivery};

/// A push that is believed, or the answer to one that is not. The answer to a poison message is an acknowledgement:
/// sent again it would be the same, so it is written down once instead.
pub(crate) async fn received<T>(
    check: &PushCheck,
    request: Request,
    read: impl FnOnce(&PushDelivery) -> Result<T, MalformedPush>,
) -> Result<T, Response> {
    let authorization = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    check.check(authorization).await.map_err(|error| match error {
        PushCheckError::Unavailable(error) => Problem::from(error).into_response(),
        PushCheckError::Refused(refused) => {
            tracing::warn!(reason = %chain(&refused), "push refused");
            Problem::token_invalid("Only the subscriptions of this service may push here.").into_response()
        }
    })?;
    let poison = |reason: &dyn std::fmt::Display| {
        tracing::error!(%reason, "a poison message was acknowledged and dropped");
        acknowledged("poison")
    };
    let body = extract::read(request).await.map_err(|problem| match problem.code() {
        ProblemCode::PayloadTooLarge => poison(&"it is larger than any message of ours"),
        _ => problem.into_response(),
    })?;
    let push = Envelope::parse(&body).map_err(|malformed| poison(&chain(&malformed)))?;
    // The trace of the message and not that of its delivery, which a platform may have put into the headers.
    if let Some(trace) = push.traceparent() {
        follow_trace(trace);
    }
    read(&push).map_err(|malformed| poison(&chain(&malformed)))
}

/// The answer after which a push does not come again, with how it ended as its metric's label.
pub(crate) fn acknowledged(label: &'static str) -> Response {
    (StatusCode::NO_CONTENT, Extension(MetricOutcome(label))).into_response()
}
