//! release: ends a session. A repeated request has the same answer.

use crate::{
    answer,
    edge::{
        BearerCredential, JsonOrEmpty, Problem,
        config::{Environment, ReleaseConfig},
        context::about,
        serve::{Service, StartError, StoreCheck},
    },
    heartbeat, wiring,
};
use axum::{Router, extract::State};
use license_core::{
    Clock,
    domain::{id::SessionId, secret::KeyRing, session::GoneReason},
    protocol::{SeatProtocol, release::SeatRelease},
    records::DatabaseRole,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use time::OffsetDateTime;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The PostgreSQL role that the service connects as.
pub(crate) const ROLE: DatabaseRole = DatabaseRole::Service;

/// What the handler of release uses.
#[derive(Clone)]
pub struct ReleaseService {
    /// The operation.
    pub release: SeatRelease,
    /// What session handles are signed with.
    pub handles: KeyRing,
}

/// Of operations that do more.
impl From<&SeatProtocol> for ReleaseService {
    fn from(protocol: &SeatProtocol) -> Self {
        Self { release: protocol.releasing(), handles: protocol.settings().handles.clone() }
    }
}

/// `POST /api/v1/licenses/release`.
pub fn router(service: ReleaseService) -> Router {
    operations().split_for_parts().0.with_state(Arc::new(service))
}

/// The paths with their handlers. The OpenAPI document is made from the same list.
pub(crate) fn operations() -> OpenApiRouter<Arc<ReleaseService>> {
    OpenApiRouter::new().routes(routes!(release))
}

/// The service from configuration.
///
/// # Errors
/// A sentence that names the variable that is wrong.
pub async fn service(env: &Environment, clock: Clock) -> Result<Service, StartError> {
    let ReleaseConfig { stores, handles } = ReleaseConfig::from_env(env)?;
    let tokens = wiring::access_tokens(&stores.token_source, &clock);
    let seats = wiring::seats(&stores.redis, stores.timing, &tokens, clock.clone())?;
    let records = wiring::records(&stores.records, ROLE, &tokens)?;
    let checks = vec![StoreCheck::of_seats(seats.clone()), StoreCheck::of_records(records.clone())];
    let release = SeatRelease::new(seats, records, clock);
    Ok(Service { checks, router: router(ReleaseService { release, handles }) })
}

/// No fields: the session says everything.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ReleaseRequest, example = json!({}))]
struct ReleaseBody {}

/// The session that was given back.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"session_id": "01a1fc28-9b31-70be-8112-4bfdb0eab109", "released_at": "2026-11-21T03:41:02.508Z"}))]
struct ReleaseResponse {
    /// The session's name.
    #[schema(value_type = String, format = Uuid)]
    session_id: SessionId,
    /// When it ended, by this request or before.
    #[serde(with = "time::serde::rfc3339")]
    released_at: OffsetDateTime,
}

/// Give a seat back
///
/// Ends the session. If it was the holder's last session, the seat is free at once. A repeated request has the same
/// answer. For a session that had ended in another way the answer says when it ended, and for a session that ended so
/// long ago that the server has forgotten it the answer is 410. A release is never refused because of the state of the
/// license.
#[utoipa::path(post, path = "/api/v1/licenses/release", tag = "Seats", request_body = Option<ReleaseBody>, security(("session" = [])),
    responses((status = 200, description = "The session is over", body = ReleaseResponse),
              (status = 410, description = "session_gone"),
              (status = 503, description = "seats_unavailable, records_unavailable")))]
async fn release(
    State(service): State<Arc<ReleaseService>>,
    bearer: BearerCredential,
    JsonOrEmpty(ReleaseBody {}): JsonOrEmpty<ReleaseBody>,
) -> Result<axum::Json<ReleaseResponse>, Problem> {
    let handle = answer::open_handle(&bearer, &service.handles)?;
    about(Some(handle.tenant), Some(handle.license));
    let released_at = service
        .release
        .release(&handle)
        .await?
        .ok_or_else(|| heartbeat::session_gone(&GoneReason::Unknown, handle.session))?;
    Ok(axum::Json(ReleaseResponse { session_id: handle.session, released_at }))
}
