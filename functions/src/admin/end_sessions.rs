//! Ending all live sessions of a person, a machine or a project.

use super::{AdminService, callers::OrganizationCaller, filters::comparable_person};
use crate::edge::{FieldChecks, JsonBody, Problem};
use axum::extract::State;
use license_core::{domain::name::clean, management::SessionsEnd, records::SessionFilter};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Whose sessions are to end: exactly one of `user`, `machine` and `project`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"user": "ada@example.com"}))]
pub(super) struct EndSessions {
    /// The address that clients say their user has, in any spelling; or whatever else they call their user.
    #[schema(min_length = 1, max_length = 255)]
    user: Option<String>,
    /// A machine's public hash: 43 base64url characters. It differs from license to license.
    machine: Option<String>,
    /// The id of a project.
    #[schema(value_type = Option<uuid::Uuid>)]
    project: Option<String>,
}

impl EndSessions {
    /// Which sessions, or what is wrong.
    fn read(&self) -> Result<SessionFilter, Problem> {
        let mut fields = FieldChecks::new();
        let filter = SessionFilter {
            person: fields.optional("user", self.user.as_deref(), |text: &str| comparable_person(&clean(text))),
            machine: fields.optional("machine", self.machine.as_deref(), str::parse),
            project: fields.optional("project", self.project.as_deref(), str::parse),
            ..SessionFilter::default()
        };
        let given = [("user", &self.user), ("machine", &self.machine), ("project", &self.project)];
        let mut given = given.into_iter().filter(|(_, value)| value.is_some()).map(|(name, _)| name);
        match (given.next(), given.next()) {
            (None, _) => fields.wrong("user", "is missing; send one of user, machine and project"),
            (Some(_), Some(second)) => {
                fields.wrong(second, "cannot be combined: send one of user, machine and project")
            }
            _ => {}
        }
        fields.check(Some(filter))
    }
}

/// What was ended.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"ended": 3, "more": false}))]
pub(super) struct EndedSessions {
    /// How many sessions ended, at most 100.
    ended: u64,
    /// Whether more are live: send the request again, with a new `Idempotency-Key` if any.
    more: bool,
}

impl From<SessionsEnd> for EndedSessions {
    fn from(it: SessionsEnd) -> Self {
        Self { ended: it.ended, more: it.more }
    }
}

/// End sessions
///
/// Ends all live sessions of a person, a machine or a project, those that began last first and up to 100 at a time, each
/// as ending one does without `force`: every process that shares a seat with one of them ends too, and the seat is given
/// to nobody before a whole lease is over. Where none is live, nothing is done.
#[utoipa::path(post, path = "/api/v1/organizations/{organization}/sessions/end", tag = "Sessions", request_body = EndSessions,
    params(("Idempotency-Key" = Option<String>, Header, description = "Drawn once for what you want done; the same request again does nothing and is answered the same")),
    responses((status = 200, description = "What was ended", body = EndedSessions),
              (status = 422, description = "invalid_request: names each wrong field; idempotency_key_reused")))]
pub(super) async fn end_sessions(
    State(service): State<AdminService>,
    OrganizationCaller(caller): OrganizationCaller,
    JsonBody(body): JsonBody<EndSessions>,
) -> Result<axum::Json<EndedSessions>, Problem> {
    let ended = service.seat_management.end_sessions(&caller, &body.read()?).await?;
    Ok(axum::Json(ended.into()))
}
