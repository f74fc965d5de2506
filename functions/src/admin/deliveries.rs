//! What became of events that were to be sent to a webhook, and sending them again.

use super::{
    AdminService,
    answer::{EmptyBody, ListOf, PathTarget, PathTargets, not_found, time},
    callers::OrganizationCaller,
    filters::ListFilters,
    lists::ListFormat,
};
use crate::edge::{FieldChecks, JsonBody, JsonOrEmpty, Problem, QueryParameters};
use crate::refusals::read;
use axum::{extract::State, response::Response};
use http::StatusCode;
use license_core::{
    domain::{delivery::DeliveryState, id::WebhookId},
    records::{AttemptRow, DeliveryFilter, DeliveryRow, PageCursor, PageRequest, ReplaySpan},
};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// One event for one webhook.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"event": "01a1fc28-9b31-70be-8112-4bfdb0eab111", "type": "seat.denied", "at": "2026-11-30T03:31:22.221389Z",
    "state": "waiting", "tries": 2, "next_at": "2026-11-30T03:37:30.1Z", "finished_at": null}))]
pub(super) struct Delivery {
    /// The event, which requests carry as `webhook-id`.
    event: Uuid,
    /// Its kind.
    r#type: String,
    /// When it happened.
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
    /// `waiting`: it was not tried yet, or is tried again · `delivered`: the receiver answered 2xx · `failed`: it was
    /// tried for three days, or the receiver answered 410 · `skipped`: when it
    /// became due, the webhook was disabled, paused or deleted, or the event was not kept any more.
    state: &'static str,
    /// How often it was tried, since it was last replayed.
    tries: i32,
    /// When it is tried next, while it waits.
    #[serde(with = "time::serde::rfc3339::option")]
    next_at: Option<OffsetDateTime>,
    /// When it was delivered or given up.
    #[serde(with = "time::serde::rfc3339::option")]
    finished_at: Option<OffsetDateTime>,
}

impl From<DeliveryRow> for Delivery {
    fn from(it: DeliveryRow) -> Self {
        Self {
            event: it.event,
            r#type: it.kind,
            at: it.at,
            state: it.state.as_str(),
            tries: it.tries,
            next_at: it.next_at,
            finished_at: it.finished_at,
        }
    }
}

/// A delivery with what was sent and answered.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"event": "01a1fc28-9b31-70be-8112-4bfdb0eab111", "type": "seat.denied", "at": "2026-11-30T03:31:22.221389Z",
    "state": "delivered", "tries": 1, "next_at": null, "finished_at": "2026-11-30T03:31:24.5Z",
    "request": "{\"data\":{\"pool\":\"default\"},\"id\":\"01a1fc28-9b31-70be-8112-4bfdb0eab111\",\"organization_id\":\"01a1fc28-9b31-70be-8112-4bfdb0eab10a\",\"timestamp\":\"2026-11-30T03:31:22.221389Z\",\"type\":\"seat.denied\",\"version\":1}",
    "attempts": [{"at": "2026-11-30T03:31:24.5Z", "outcome": "delivered", "status": 204, "ms": 31, "answer": null}]}))]
pub(super) struct DeliveryWithAttempts {
    /// The delivery.
    #[serde(flatten)]
    delivery: Delivery,
    /// The body that is sent, the same in each attempt; null if the event is not kept any more.
    request: Option<String>,
    /// Each attempt, the oldest first; the last 20.
    attempts: Vec<Attempt>,
}

/// One attempt of a delivery.
#[derive(Serialize, ToSchema)]
pub(super) struct Attempt {
    /// When it ended.
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
    /// How, in a word: `delivered`, `refused` (another status than 2xx), `redirected`, `gone` (410), `not_allowed` (its
    /// address is not public), `unresolved` (its name has no address), `unreachable`, `tls`, `timed_out`, or what the
    /// server lacked: `no_client`, `secret_unreadable`.
    outcome: String,
    /// The HTTP status of the answer, if there was one.
    status: Option<u16>,
    /// How long it took, in milliseconds.
    ms: i64,
    /// The beginning of an answer that was no 2xx, at most 1,000 characters; `erased` if an erasure blanked it.
    answer: Option<String>,
}

impl From<AttemptRow> for Attempt {
    fn from(it: AttemptRow) -> Self {
        Self { at: it.at, outcome: it.outcome, status: it.status, ms: it.ms, answer: it.answer }
    }
}

/// Which deliveries. With `state`, a page may hold fewer rows than `limit`, also none, and still have a `next_cursor`:
/// it looks through at most 1,000 deliveries.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct DeliveriesQuery {
    /// Of events of this time (RFC 3339; a `+` in it is written `%2B`) or later.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<String>,
    /// Of events before this time (RFC 3339; a `+` in it is written `%2B`).
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<String>,
    /// `waiting`, `delivered`, `failed` or `skipped`.
    state: Option<String>,
    /// How many rows: 1 to 100, 20 unless said.
    #[param(value_type = Option<u8>, minimum = 1, maximum = 100)]
    limit: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

impl DeliveriesQuery {
    fn read(&self) -> Result<(DeliveryFilter, PageRequest), Problem> {
        let mut filters = ListFilters::new();
        let state = filters.read("state", self.state.as_ref(), str::parse::<DeliveryState>);
        let (from, until) = filters.span(self.from.as_ref(), self.to.as_ref());
        let page = filters.page(self.limit.as_ref(), self.cursor.as_ref());
        filters.check((DeliveryFilter { state, from, until }, page))
    }
}

/// List deliveries of a webhook
///
/// What became of each event that was to be sent to it, those of the newest events first. Kept for 30 days.
#[utoipa::path(get, path = "/api/v1/organizations/{organization}/webhooks/{webhook}/deliveries", tag = "Webhooks", params(DeliveriesQuery),
    responses((status = 200, description = "A page of deliveries", body = ListOf<Delivery>)))]
pub(super) async fn list_deliveries(
    State(service): State<AdminService>,
    OrganizationCaller(caller): OrganizationCaller,
    PathTarget(webhook): PathTarget<WebhookId>,
    format: ListFormat,
    QueryParameters(query): QueryParameters<DeliveriesQuery>,
) -> Result<Response, Problem> {
    let (filter, page) = query.read()?;
    service.records.webhook(caller.tenant, webhook).await?.ok_or_else(not_found)?;
    format.answer(page, Delivery::from, |page| service.records.deliveries(caller.tenant, webhook, &filter, page)).await
}

/// Read a delivery
///
/// With what is sent, and what was answered to each attempt.
#[utoipa::path(get, path = "/api/v1/organizations/{organization}/webhooks/{webhook}/deliveries/{event}", tag = "Webhooks",
    responses((status = 200, description = "The delivery", body = DeliveryWithAttempts)))]
pub(super) async fn read_delivery(
    State(service): State<AdminService>,
    OrganizationCaller(caller): OrganizationCaller,
    PathTargets(webhook, event): PathTargets<WebhookId, Uuid>,
) -> Result<axum::Json<DeliveryWithAttempts>, Problem> {
    service.records.webhook(caller.tenant, webhook).await?.ok_or_else(not_found)?;
    let found = service.records.delivery(caller.tenant, webhook, event).await?;
    let (mut row, sent) = found.ok_or_else(not_found)?;
    let attempts = std::mem::take(&mut row.attempts).into_iter().map(Attempt::from).collect();
    let request = sent.map(|event| event.webhook_body());
    Ok(axum::Json(DeliveryWithAttempts { delivery: row.into(), request, attempts }))
}

/// Send one event again
///
/// It is tried within a minute, with the same `webhook-id`, and as often as a new one.
#[utoipa::path(post, path = "/api/v1/organizations/{organization}/webhooks/{webhook}/deliveries/{event}/replay", tag = "Webhooks",
    params(("Idempotency-Key" = Option<String>, Header, description = "The same request with the same key within 24 hours is done once and answered alike")),
    responses((status = 202, description = "It will be sent"),
              (status = 409, description = "conflict: the webhook is disabled or paused, or the event is due or being sent")))]
pub(super) async fn replay_delivery(
    State(service): State<AdminService>,
    OrganizationCaller(caller): OrganizationCaller,
    PathTargets(webhook, event): PathTargets<WebhookId, Uuid>,
    _: JsonOrEmpty<EmptyBody>,
) -> Result<StatusCode, Problem> {
    service.management.replay_delivery(&caller, webhook, event).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Which events to send again.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"from": "2026-11-29T00:00:00Z", "to": "2026-11-30T00:00:00Z"}))]
pub(super) struct ReplayWebhook {
    /// Events of this time (RFC 3339) or later.
    #[schema(required, format = DateTime)]
    from: Option<String>,
    /// Events before this time (RFC 3339).
    #[schema(required, format = DateTime)]
    to: Option<String>,
    /// `false`: also those that were delivered; unless said, only those that were not, or that it had no delivery of.
    include_delivered: Option<bool>,
    /// `next_cursor` of the request before.
    cursor: Option<String>,
}

/// How many events will be sent again.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"events": 12, "next_cursor": null}))]
pub(super) struct ReplayedEvents {
    /// How many, at most 1,000.
    events: i32,
    /// Send it as `cursor` for the rest; null where there is none.
    next_cursor: Option<String>,
}

/// Send events of a span again
///
/// Of the kinds that the webhook wants, those of the last 30 days that were not delivered, also those of a time when it
/// was disabled or not there yet. One request looks through 5,000 events and has at most 1,000 of them sent. They keep their `webhook-id`.
#[utoipa::path(post, path = "/api/v1/organizations/{organization}/webhooks/{webhook}/replay", tag = "Webhooks", request_body = ReplayWebhook,
    params(("Idempotency-Key" = Option<String>, Header, description = "The same request with the same key within 24 hours is done once and answered alike")),
    responses((status = 202, description = "They will be sent", body = ReplayedEvents),
              (status = 409, description = "conflict: the webhook is disabled or paused")))]
pub(super) async fn replay_webhook(
    State(service): State<AdminService>,
    OrganizationCaller(caller): OrganizationCaller,
    PathTarget(webhook): PathTarget<WebhookId>,
    JsonBody(body): JsonBody<ReplayWebhook>,
) -> Result<(StatusCode, axum::Json<ReplayedEvents>), Problem> {
    let mut fields = FieldChecks::new();
    let from = fields.required("from", body.from.as_deref(), time);
    let until = fields.required("to", body.to.as_deref(), time);
    if from.zip(until).is_some_and(|(from, until)| from >= until) {
        fields.wrong("to", "must be later than from");
    }
    let cursor = fields.optional("cursor", body.cursor.as_deref(), read::<PageCursor>);
    let (from, until) = fields.check(from.zip(until))?;
    let span = ReplaySpan { from, until, only_failed: !body.include_delivered.unwrap_or(false) };
    let replayed = service.management.replay_deliveries(&caller, webhook, span, cursor).await?;
    let next_cursor = replayed.next.map(|cursor| cursor.to_string());
    Ok((StatusCode::ACCEPTED, axum::Json(ReplayedEvents { events: replayed.events, next_cursor })))
}
