//! What alert rules raised.

use super::{
    AdminService,
    answer::{ListOf, PathTarget, not_found},
    callers::OrganizationCaller,
    filters::ListFilters,
    lists::ListFormat,
};
use crate::edge::{Problem, QueryParameters};
use axum::{extract::State, response::Response};
use license_core::{
    domain::{
        alert::{AlertKind, AlertState},
        id::AlertId,
    },
    records::{AlertFilter, AlertRow, PageRequest},
};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// What a rule raised of one pool, license or webhook, until it was back to normal.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"id": "01a1fc28-9b31-70be-8112-4bfdb0eab115", "rule_id": "01a1fc28-9b31-70be-8112-4bfdb0eab114",
    "kind": "pool_use", "state": "ended", "license_id": "01a1fc28-9b31-70be-8112-4bfdb0eab10b", "license": "752KJY5EZQ1CW",
    "product": "demo", "pool_id": "01a1fc28-9b31-70be-8112-4bfdb0eab10c", "pool": "default", "webhook_id": null,
    "since": "2026-12-01T03:15:00Z", "value": 95, "threshold": 90, "minutes": 15,
    "raised_at": "2026-12-01T03:31:22.221389Z", "ended_at": "2026-12-01T05:02:22.4Z", "end_reason": "back_to_normal"}))]
pub(super) struct Alert {
    /// Names it, in its events too.
    id: Uuid,
    /// The rule that raised it, which may have changed or be deleted since.
    rule_id: Uuid,
    /// What the rule watches: `pool_use`, `wants_refused`, `license_ends` or `webhook_paused`.
    kind: &'static str,
    /// `open`: it is so, as far as is known · `ended`: it is not any more, or is not watched.
    state: &'static str,
    /// The license that it is about, or whose pool.
    license_id: Option<Uuid>,
    /// The license's number.
    license: Option<String>,
    /// The product the license is for.
    product: Option<String>,
    /// The pool that it is about.
    pool_id: Option<Uuid>,
    /// The pool's name.
    pool: Option<String>,
    /// The webhook that it is about.
    webhook_id: Option<Uuid>,
    /// Since when it was so.
    #[serde(with = "time::serde::rfc3339")]
    since: OffsetDateTime,
    /// What was counted when it was raised: percent of the pool, refused wants, or days until the end.
    value: Option<u32>,
    /// From how many on the rule raised it.
    threshold: Option<u32>,
    /// For how many minutes, or within how many.
    minutes: Option<u32>,
    /// When it was raised.
    #[serde(with = "time::serde::rfc3339")]
    raised_at: OffsetDateTime,
    /// When it was over.
    #[serde(with = "time::serde::rfc3339::option")]
    ended_at: Option<OffsetDateTime>,
    /// Why it was over: `back_to_normal`, `not_told` (of the pool nothing was told for a while), `license_over`,
    /// `license_not_active` (suspended or revoked), `webhook_disabled`, `webhook_deleted`, `rule_changed`,
    /// `rule_disabled` or `rule_deleted`.
    end_reason: Option<String>,
}

impl From<AlertRow> for Alert {
    fn from(it: AlertRow) -> Self {
        Self {
            id: it.id.0,
            rule_id: it.rule.0,
            kind: it.kind.as_str(),
            state: it.state.as_str(),
            license_id: it.license.map(|license| license.0),
            license: it.number,
            product: it.product,
            pool_id: it.pool_id.map(|pool| pool.0),
            pool: it.pool,
            webhook_id: it.webhook.map(|webhook| webhook.0),
            since: it.since,
            value: it.value,
            threshold: it.threshold,
            minutes: it.minutes,
            raised_at: it.raised_at,
            ended_at: it.ended_at,
            end_reason: it.end_reason,
        }
    }
}

/// Which alerts. Filters may be combined; a page of several may hold fewer rows than `limit`, also none, and still have
/// a `next_cursor`: it looks through at most 1,000 alerts.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct AlertsQuery {
    /// `true`: those that are open; `false`: those that are over.
    #[param(value_type = Option<bool>)]
    open: Option<String>,
    /// Raised at this time (RFC 3339; a `+` in it is written `%2B`) or later.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<String>,
    /// Raised before this time (RFC 3339; a `+` in it is written `%2B`).
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<String>,
    /// `pool_use`, `wants_refused`, `license_ends` or `webhook_paused`.
    kind: Option<String>,
    /// The id of a license.
    #[param(value_type = Option<Uuid>)]
    license: Option<String>,
    /// How many rows: 1 to 100, 20 unless said.
    #[param(value_type = Option<u8>, minimum = 1, maximum = 100)]
    limit: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

impl AlertsQuery {
    fn read(&self) -> Result<(AlertFilter, PageRequest), Problem> {
        let mut filters = ListFilters::new();
        let open = filters.flag("open", self.open.as_ref());
        let (from, until) = filters.span(self.from.as_ref(), self.to.as_ref());
        let filter = AlertFilter {
            state: open.map(|open| if open { AlertState::Open } else { AlertState::Ended }),
            kind: filters.read("kind", self.kind.as_ref(), str::parse::<AlertKind>),
            license: filters.read("license", self.license.as_ref(), str::parse),
            from,
            until,
        };
        let page = filters.page(self.limit.as_ref(), self.cursor.as_ref());
        filters.check((filter, page))
    }
}

/// List alerts
///
/// What rules raised, the last first. An alert is kept for 400 days after its end.
#[utoipa::path(get, path = "/api/v1/organizations/{organization}/alerts", tag = "Alerts", params(AlertsQuery),
    responses((status = 200, description = "A page of alerts", body = ListOf<Alert>)))]
pub(super) async fn list_alerts(
    State(service): State<AdminService>,
    OrganizationCaller(caller): OrganizationCaller,
    format: ListFormat,
    QueryParameters(query): QueryParameters<AlertsQuery>,
) -> Result<Response, Problem> {
    let (filter, page) = query.read()?;
    format.answer(page, Alert::from, |page| service.records.alerts(caller.tenant, &filter, page)).await
}

/// Read an alert
#[utoipa::path(get, path = "/api/v1/organizations/{organization}/alerts/{alert}", tag = "Alerts",
    responses((status = 200, description = "The alert", body = Alert)))]
pub(super) async fn read_alert(
    State(service): State<AdminService>,
    OrganizationCaller(caller): OrganizationCaller,
    PathTarget(id): PathTarget<AlertId>,
) -> Result<axum::Json<Alert>, Problem> {
    let found = service.records.alert(caller.tenant, id).await?.ok_or_else(not_found)?;
    Ok(axum::Json(found.into()))
}
