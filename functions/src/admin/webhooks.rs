//! Webhooks: addresses to which the events of an organization are sent.

use super::{
    AdminService,
    answer::{EmptyBody, IfMatch, ListOf, PathTarget, not_found, versioned},
    callers::OrganizationCaller,
    filters::PageQuery,
    licenses::terms::whole,
    lists::ListFormat,
};
use crate::edge::{FieldChecks, JsonBody, JsonOrEmpty, Problem, QueryParameters};
use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use license_core::{
    domain::{event::EVENT_KINDS, id::WebhookId, name::clean, webhook::EndpointUrl},
    management::WebhookEdit,
    records::{WebhookRow, WebhookSettings},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

/// The longest time an old secret may sign after a rotation, in seconds: a week.
const MAX_OLD_SECRET: u32 = 7 * 86_400;
/// For how long it does unless somebody says.
const OLD_SECRET: u32 = 86_400;

/// A webhook, without its secret.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"id": "01a1fc28-9b31-70be-8112-4bfdb0eab110", "url": "https://hooks.example.com/license",
    "description": "the team's chat", "events": ["seat.denied", "license.changed"], "status": "enabled",
    "created_by": "me@example.com", "created_at": "2026-11-30T03:31:22.221389Z", "old_secret_until": null,
    "stopped_at": null, "failing_since": null}))]
pub(super) struct Webhook {
    /// Names it.
    id: Uuid,
    /// Where events are sent.
    url: String,
    /// What people say it is for.
    description: String,
    /// The kinds of events that are sent; where it is empty, every kind but `usage`.
    events: Vec<String>,
    /// `enabled`: events are sent · `disabled`: somebody disabled it, or it answered 410 · `paused`: every attempt
    /// failed for five days. To a webhook that is not enabled nothing is sent.
    status: &'static str,
    /// Who made it.
    created_by: String,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    /// Until when requests are signed with the secret before the present one as well.
    #[serde(with = "time::serde::rfc3339::option")]
    old_secret_until: Option<OffsetDateTime>,
    /// Since when it is disabled or paused.
    #[serde(with = "time::serde::rfc3339::option")]
    stopped_at: Option<OffsetDateTime>,
    /// Since when every attempt failed; null if the last one did not.
    #[serde(with = "time::serde::rfc3339::option")]
    failing_since: Option<OffsetDateTime>,
}

impl From<WebhookRow> for Webhook {
    fn from(it: WebhookRow) -> Self {
        let status = match (it.disabled_at, it.paused_at) {
            (Some(_), _) => "disabled",
            (None, Some(_)) => "paused",
            (None, None) => "enabled",
        };
        Self {
            id: it.id.0,
            url: it.url,
            description: it.description,
            events: it.kinds,
            status,
            created_by: it.created_by,
            created_at: it.created_at,
            old_secret_until: it.previous_until,
            stopped_at: it.disabled_at.or(it.paused_at),
            failing_since: it.failing_since,
        }
    }
}

/// A webhook with a new secret.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"id": "01a1fc28-9b31-70be-8112-4bfdb0eab110", "url": "https://hooks.example.com/license",
    "description": "the team's chat", "events": ["seat.denied", "license.changed"], "status": "enabled",
    "created_by": "me@example.com", "created_at": "2026-11-30T03:31:22.221389Z", "old_secret_until": null,
    "stopped_at": null, "failing_since": null, "secret": "whsec_nvMFLJHwYQX6ZNnkQ2Pxqe4b0cIuOhR3Tt1JfWbVd5A="}))]
pub(super) struct WebhookWithSecret {
    /// The webhook.
    #[serde(flatten)]
    webhook: Webhook,
    /// `whsec_…`: what receivers check signatures with. Shown here and never again.
    secret: String,
}

/// List webhooks
///
/// The newest first.
#[utoipa::path(get, path = "/api/v1/organizations/{organization}/webhooks", tag = "Webhooks", params(PageQuery),
    responses((status = 200, description = "A page of webhooks", body = ListOf<Webhook>)))]
pub(super) async fn list_webhooks(
    State(service): State<AdminService>,
    OrganizationCaller(caller): OrganizationCaller,
    format: ListFormat,
    QueryParameters(query): QueryParameters<PageQuery>,
) -> Result<Response, Problem> {
    format.answer(query.page()?, Webhook::from, |page| service.records.webhooks(caller.tenant, page)).await
}

/// Read a webhook
#[utoipa::path(get, path = "/api/v1/organizations/{organization}/webhooks/{webhook}", tag = "Webhooks",
    responses((status = 200, description = "The webhook", body = Webhook, headers(("ETag" = String, description = "Its version")))))]
pub(super) async fn read_webhook(
    State(service): State<AdminService>,
    OrganizationCaller(caller): OrganizationCaller,
    PathTarget(id): PathTarget<WebhookId>,
) -> Result<Response, Problem> {
    let found = service.records.webhook(caller.tenant, id).await?.ok_or_else(not_found)?;
    Ok(versioned(StatusCode::OK, found.version, Webhook::from(found)))
}

/// A webhook to make.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"url": "https://hooks.example.com/license", "description": "the team's chat",
    "events": ["seat.denied", "license.changed"]}))]
pub(super) struct CreateWebhook {
    /// `https://` and a public host, at most 2,000 characters: no other port than 443, no credentials, no fragment.
    #[schema(required, max_length = 2000)]
    url: Option<String>,
    /// At most 200 characters.
    #[schema(max_length = 200)]
    description: Option<String>,
    /// The kinds of events that are sent; without it or empty, every kind but `usage`, of which there is one a minute.
    events: Option<Vec<String>>,
}

/// Make a webhook
///
/// From now on the organization's events are sent to it, each at least once and in no promised order, signed as
/// Standard Webhooks says. The answer shows the secret once. An organization has at most 20.
#[utoipa::path(post, path = "/api/v1/organizations/{organization}/webhooks", tag = "Webhooks", request_body = CreateWebhook,
    params(("Idempotency-Key" = Option<String>, Header, description = "Drawn once for what you want done; the same request again does nothing and is answered the same")),
    responses((status = 201, description = "The webhook, and its secret", body = WebhookWithSecret, headers(("ETag" = String, description = "Its version"))),
              (status = 422, description = "invalid_request: names each wrong field, also the 21st webhook; idempotency_key_reused")))]
pub(super) async fn create_webhook(
    State(service): State<AdminService>,
    OrganizationCaller(caller): OrganizationCaller,
    JsonBody(body): JsonBody<CreateWebhook>,
) -> Result<Response, Problem> {
    let mut fields = FieldChecks::new();
    let url = fields.required("url", body.url.as_deref(), |text: &str| EndpointUrl::parse(text, service.webhook_rules));
    let description = fields.optional("description", body.description.as_deref(), description);
    let kinds = fields.optional("events", body.events.as_deref(), kinds);
    let url = fields.check(url)?;
    let (description, kinds) = (description.unwrap_or_default(), kinds.unwrap_or_default());
    let new = WebhookSettings { url: url.as_str().to_owned(), description, kinds };
    let made = service.management.create_webhook(&caller, &new, &service.webhook_keys).await?;
    let version = made.webhook.version;
    let answer = WebhookWithSecret { webhook: made.webhook.into(), secret: made.secret.reveal().to_owned() };
    Ok(versioned(StatusCode::CREATED, version, answer))
}

/// What to change about a webhook; what is not given stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"events": ["seat.denied"], "enabled": true}))]
pub(super) struct EditWebhook {
    /// As for a new one.
    #[schema(max_length = 2000)]
    url: Option<String>,
    /// As for a new one.
    #[schema(max_length = 200)]
    description: Option<String>,
    /// Instead of those that are sent; an empty list: every kind but `usage`.
    events: Option<Vec<String>>,
    /// `false`: nothing is sent, and what becomes due meanwhile is skipped; `true`: again, also after it was paused. What
    /// was missed can be replayed.
    enabled: Option<bool>,
}

/// Edit a webhook
#[utoipa::path(patch, path = "/api/v1/organizations/{organization}/webhooks/{webhook}", tag = "Webhooks", request_body = EditWebhook,
    params(("If-Match" = Option<String>, Header, description = "The ETag you read: refuses the edit if somebody changed it since")),
    responses((status = 200, description = "The webhook as it is now", body = Webhook, headers(("ETag" = String, description = "Its version"))),
              (status = 412, description = "precondition_failed")))]
pub(super) async fn edit_webhook(
    State(service): State<AdminService>,
    OrganizationCaller(caller): OrganizationCaller,
    PathTarget(id): PathTarget<WebhookId>,
    IfMatch(version): IfMatch,
    JsonBody(body): JsonBody<EditWebhook>,
) -> Result<Response, Problem> {
    let mut fields = FieldChecks::new();
    let url = fields.optional("url", body.url.as_deref(), |text: &str| EndpointUrl::parse(text, service.webhook_rules));
    let description = fields.optional("description", body.description.as_deref(), description);
    let kinds = fields.optional("events", body.events.as_deref(), kinds);
    fields.check(Some(()))?;
    let edit = WebhookEdit { url, description, kinds, enabled: body.enabled };
    let edited = service.management.edit_webhook(&caller, id, &edit, version).await?;
    Ok(versioned(StatusCode::OK, edited.version, Webhook::from(edited)))
}

/// Delete a webhook
///
/// Nothing is sent to it any more, also not what waits for it.
#[utoipa::path(delete, path = "/api/v1/organizations/{organization}/webhooks/{webhook}", tag = "Webhooks",
    responses((status = 204, description = "It is deleted")))]
pub(super) async fn delete_webhook(
    State(service): State<AdminService>,
    OrganizationCaller(caller): OrganizationCaller,
    PathTarget(id): PathTarget<WebhookId>,
) -> Result<StatusCode, Problem> {
    service.management.delete_webhook(&caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// How to change a secret.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"old_valid_for_in": 86400}))]
pub(super) struct RotateSecret {
    /// For how many seconds more requests are signed with the old secret too, so that receivers can change over; 86,400
    /// (a day) unless said, 0 after it has leaked.
    #[schema(value_type = Option<u32>, maximum = 604_800)]
    old_valid_for_in: Option<Value>,
}

/// Give a webhook a new secret
///
/// Requests are signed with it at once; until `old_secret_until` they carry a signature of the old one as well. Of a
/// rotation before that, the secret ends now.
#[utoipa::path(post, path = "/api/v1/organizations/{organization}/webhooks/{webhook}/rotate-secret", tag = "Webhooks", request_body = Option<RotateSecret>,
    params(("Idempotency-Key" = Option<String>, Header, description = "The same request with the same key within 24 hours is done once and answered alike")),
    responses((status = 200, description = "The webhook, and its new secret", body = WebhookWithSecret)))]
pub(super) async fn rotate_secret(
    State(service): State<AdminService>,
    OrganizationCaller(caller): OrganizationCaller,
    PathTarget(id): PathTarget<WebhookId>,
    JsonOrEmpty(body): JsonOrEmpty<RotateSecret>,
) -> Result<axum::Json<WebhookWithSecret>, Problem> {
    let mut fields = FieldChecks::new();
    let old_for = fields.optional("old_valid_for_in", body.old_valid_for_in.as_ref(), whole(0, MAX_OLD_SECRET));
    fields.check(Some(()))?;
    let old_for = old_for.unwrap_or(OLD_SECRET);
    let new = service.management.rotate_webhook_secret(&caller, id, old_for, &service.webhook_keys).await?;
    Ok(axum::Json(WebhookWithSecret { webhook: new.webhook.into(), secret: new.secret.reveal().to_owned() }))
}

/// An event that will be sent.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"event": "01a1fc28-9b31-70be-8112-4bfdb0eab111"}))]
pub(super) struct TestEvent {
    /// Its id, which the request carries as `webhook-id`.
    event: Uuid,
}

/// Send a test event
///
/// An event of the kind `webhook.test` is sent to this webhook alone, within a minute, whatever kinds it wants.
#[utoipa::path(post, path = "/api/v1/organizations/{organization}/webhooks/{webhook}/test", tag = "Webhooks",
    params(("Idempotency-Key" = Option<String>, Header, description = "The same request with the same key within 24 hours is done once and answered alike")),
    responses((status = 202, description = "It will be sent", body = TestEvent),
              (status = 409, description = "conflict: the webhook is disabled or paused")))]
pub(super) async fn test_webhook(
    State(service): State<AdminService>,
    OrganizationCaller(caller): OrganizationCaller,
    PathTarget(id): PathTarget<WebhookId>,
    _: JsonOrEmpty<EmptyBody>,
) -> Result<impl IntoResponse, Problem> {
    let tested = service.management.test_webhook(&caller, id).await?;
    Ok((StatusCode::ACCEPTED, axum::Json(TestEvent { event: tested.event })))
}

fn description(text: &str) -> Result<String, &'static str> {
    let text = clean(text);
    let fits = text.chars().count() <= 200 && !text.chars().any(char::is_control);
    if fits { Ok(text) } else { Err("must be at most 200 characters, none of them a control character") }
}

fn kinds(words: &[String]) -> Result<Vec<String>, String> {
    let mut kinds = Vec::new();
    for word in words {
        let kind = EVENT_KINDS.iter().find(|kind| **kind == word);
        let kind = kind.ok_or_else(|| format!("must be kinds of events: {}", EVENT_KINDS.join(", ")))?;
        if kinds.iter().any(|it| it == kind) {
            return Err(format!("names {kind} twice"));
        }
        kinds.push((*kind).to_owned());
    }
    Ok(kinds)
}
