//! Alert rules: of what an organization wants to be told.

use super::{
    AdminService,
    answer::{IfMatch, ListOf, PathTarget, not_found, versioned},
    callers::OrganizationCaller,
    filters::PageQuery,
    licenses::terms::whole,
    lists::ListFormat,
};
use crate::edge::{FieldChecks, JsonBody, Problem, QueryParameters};
use axum::{extract::State, response::Response};
use http::StatusCode;
use license_core::{
    domain::{
        access::PersonRole,
        alert::{AlertKind, AlertNumber, AlertNumbers},
        id::{AlertRuleId, LicenseId},
        name::clean,
    },
    management::AlertRuleEdit,
    records::{AlertRuleRow, AlertRuleSettings},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

/// A rule: of what an organization wants to be told.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"id": "01a1fc28-9b31-70be-8112-4bfdb0eab114", "kind": "pool_use", "license_id": null,
    "percent": 90, "minutes": 15, "count": null, "days": null, "mail_roles": ["owner", "admin"],
    "description": "time to buy seats", "enabled": true, "created_by": "me@example.com",
    "created_at": "2026-12-01T03:31:22.221389Z"}))]
pub(super) struct AlertRule {
    /// Names it.
    id: Uuid,
    /// `pool_use`: at least `percent` of a pool's seats were held at the end of each of `minutes` minutes ·
    /// `wants_refused`: a pool was full for at least `count` wants of a seat within `minutes` minutes · `license_ends`: an
    /// active license ends within `days` days · `webhook_paused`: a webhook is paused, because every attempt failed for
    /// days · `monthly_report`: a month is over, and what it was like is sent by mail; it raises nothing.
    kind: &'static str,
    /// The license that it is for; null: every license.
    license_id: Option<Uuid>,
    /// From how many percent of a pool's seats on.
    percent: Option<u32>,
    /// For how many minutes, or within how many.
    minutes: Option<u32>,
    /// From how many refused wants on.
    count: Option<u32>,
    /// From how many days before the end on.
    days: Option<u32>,
    /// Whom a mail is sent to besides the event: `owner`, `admin`. Empty: nobody.
    mail_roles: Vec<&'static str>,
    /// What people say it is for.
    description: String,
    /// Whether it raises alerts.
    enabled: bool,
    /// Who made it; `registration` for those that an organization begins with.
    created_by: String,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
}

impl From<AlertRuleRow> for AlertRule {
    fn from(it: AlertRuleRow) -> Self {
        let AlertRuleSettings { numbers, mail_roles, description, enabled } = it.settings;
        let AlertNumbers { percent, minutes, count, days } = numbers;
        Self {
            id: it.id.0,
            kind: it.kind.as_str(),
            license_id: it.license.map(|license| license.0),
            percent,
            minutes,
            count,
            days,
            mail_roles: mail_roles.into_iter().map(PersonRole::as_str).collect(),
            description,
            enabled,
            created_by: it.created_by,
            created_at: it.created_at,
        }
    }
}

/// List alert rules
///
/// The newest first.
#[utoipa::path(get, path = "/api/v1/organizations/{organization}/alert-rules", tag = "Alerts", params(PageQuery),
    responses((status = 200, description = "A page of rules", body = ListOf<AlertRule>)))]
pub(super) async fn list_alert_rules(
    State(service): State<AdminService>,
    OrganizationCaller(caller): OrganizationCaller,
    format: ListFormat,
    QueryParameters(query): QueryParameters<PageQuery>,
) -> Result<Response, Problem> {
    format.answer(query.page()?, AlertRule::from, |page| service.records.alert_rules(caller.tenant, page)).await
}

/// Read an alert rule
#[utoipa::path(get, path = "/api/v1/organizations/{organization}/alert-rules/{alert_rule}", tag = "Alerts",
    responses((status = 200, description = "The rule", body = AlertRule, headers(("ETag" = String, description = "Its version")))))]
pub(super) async fn read_alert_rule(
    State(service): State<AdminService>,
    OrganizationCaller(caller): OrganizationCaller,
    PathTarget(id): PathTarget<AlertRuleId>,
) -> Result<Response, Problem> {
    let found = service.records.alert_rule(caller.tenant, id).await?.ok_or_else(not_found)?;
    Ok(versioned(StatusCode::OK, found.version, AlertRule::from(found)))
}

/// A rule to make.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"kind": "pool_use", "percent": 90, "minutes": 15, "mail_roles": ["owner", "admin"],
    "description": "time to buy seats"}))]
pub(super) struct CreateAlertRule {
    /// `pool_use` (with `percent` and `minutes`), `wants_refused` (with `count` and `minutes`), `license_ends` (with
    /// `days`), `webhook_paused`, or `monthly_report` (with `mail_roles`).
    #[schema(required)]
    kind: Option<String>,
    /// The license that it is for; without it, every license. None for `webhook_paused`.
    #[schema(value_type = Option<Uuid>)]
    license_id: Option<String>,
    /// Of `pool_use`: from how many percent of a pool's seats on.
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 100)]
    percent: Option<Value>,
    /// Of `pool_use`, for how many minutes; of `wants_refused`, within how many.
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 1440)]
    minutes: Option<Value>,
    /// Of `wants_refused`: from how many on.
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 1_000_000)]
    count: Option<Value>,
    /// Of `license_ends`: from how many days before the end on.
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 365)]
    days: Option<Value>,
    /// Whom a mail is sent to besides the event: `owner`, `admin`. Nobody unless said.
    mail_roles: Option<Vec<String>>,
    /// At most 200 characters.
    #[schema(max_length = 200)]
    description: Option<String>,
}

/// Make an alert rule
///
/// From the next minute on it is looked at: what is so is raised, also if it was so before. An organization has at most
/// 50.
#[utoipa::path(post, path = "/api/v1/organizations/{organization}/alert-rules", tag = "Alerts", request_body = CreateAlertRule,
    params(("Idempotency-Key" = Option<String>, Header, description = "Drawn once for what you want done; the same request again does nothing and is answered the same")),
    responses((status = 201, description = "The rule", body = AlertRule, headers(("ETag" = String, description = "Its version"))),
              (status = 422, description = "invalid_request: names each wrong field, also the 51st rule; idempotency_key_reused")))]
pub(super) async fn create_alert_rule(
    State(service): State<AdminService>,
    OrganizationCaller(caller): OrganizationCaller,
    JsonBody(body): JsonBody<CreateAlertRule>,
) -> Result<Response, Problem> {
    let mut fields = FieldChecks::new();
    let kind = fields.required("kind", body.kind.as_deref(), str::parse::<AlertKind>);
    let license = fields.optional("license_id", body.license_id.as_deref(), str::parse::<LicenseId>);
    if license.is_some() && kind.is_some_and(|kind| !kind.is_of_licenses()) {
        fields.wrong("license_id", "must not be given: webhooks are of no license");
    }
    let given = [body.percent.as_ref(), body.minutes.as_ref(), body.count.as_ref(), body.days.as_ref()];
    let mut numbers = AlertNumbers::default();
    for (number, value) in read_numbers(&mut fields, kind, given, true) {
        *numbers.get_mut(number) = Some(value);
    }
    let mail_roles = fields.optional("mail_roles", body.mail_roles.as_deref(), mail_roles).unwrap_or_default();
    if kind == Some(AlertKind::MonthlyReport) && mail_roles.is_empty() {
        fields.wrong("mail_roles", "must name owner, admin or both: a report is nothing but a mail");
    }
    let description = fields.optional("description", body.description.as_deref(), description).unwrap_or_default();
    let kind = fields.check(kind)?;
    let new = AlertRuleSettings { numbers, mail_roles, description, enabled: true };
    let made = service.management.create_alert_rule(&caller, kind, license, &new).await?;
    Ok(versioned(StatusCode::CREATED, made.version, AlertRule::from(made)))
}

/// What to change about a rule; what is not given stays. Its kind and its license stay too.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"percent": 95, "enabled": true}))]
pub(super) struct EditAlertRule {
    /// `false`: it raises nothing, and what it raised ends; `true`: again.
    enabled: Option<bool>,
    /// As for a new one.
    #[schema(max_length = 200)]
    description: Option<String>,
    /// Instead of those whom a mail is sent to: `owner`, `admin`; an empty list: nobody.
    mail_roles: Option<Vec<String>>,
    /// As for a new one.
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 365)]
    days: Option<Value>,
    /// As for a new one.
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 1_000_000)]
    count: Option<Value>,
    /// As for a new one.
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 1440)]
    minutes: Option<Value>,
    /// As for a new one.
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 100)]
    percent: Option<Value>,
}

/// Edit an alert rule
///
/// If one of its numbers changes, what it raised ends, and is raised anew where it is still so.
#[utoipa::path(patch, path = "/api/v1/organizations/{organization}/alert-rules/{alert_rule}", tag = "Alerts", request_body = EditAlertRule,
    params(("If-Match" = Option<String>, Header, description = "The ETag you read: refuses the edit if somebody changed it since")),
    responses((status = 200, description = "The rule as it is now", body = AlertRule, headers(("ETag" = String, description = "Its version"))),
              (status = 412, description = "precondition_failed")))]
pub(super) async fn edit_alert_rule(
    State(service): State<AdminService>,
    OrganizationCaller(caller): OrganizationCaller,
    PathTarget(id): PathTarget<AlertRuleId>,
    IfMatch(version): IfMatch,
    JsonBody(body): JsonBody<EditAlertRule>,
) -> Result<Response, Problem> {
    // Which numbers it has follows from its kind, which never changes.
    let kind = service.records.alert_rule(caller.tenant, id).await?.ok_or_else(not_found)?.kind;
    let mut fields = FieldChecks::new();
    let given = [body.percent.as_ref(), body.minutes.as_ref(), body.count.as_ref(), body.days.as_ref()];
    let numbers = read_numbers(&mut fields, Some(kind), given, false);
    let mail_roles = fields.optional("mail_roles", body.mail_roles.as_deref(), mail_roles);
    let description = fields.optional("description", body.description.as_deref(), description);
    fields.check(Some(()))?;
    let edit = AlertRuleEdit { numbers, mail_roles, description, enabled: body.enabled };
    let edited = service.management.edit_alert_rule(&caller, id, &edit, version).await?;
    Ok(versioned(StatusCode::OK, edited.version, AlertRule::from(edited)))
}

/// Delete an alert rule
///
/// What it raised ends, and is still listed.
#[utoipa::path(delete, path = "/api/v1/organizations/{organization}/alert-rules/{alert_rule}", tag = "Alerts",
    responses((status = 204, description = "It is deleted")))]
pub(super) async fn delete_alert_rule(
    State(service): State<AdminService>,
    OrganizationCaller(caller): OrganizationCaller,
    PathTarget(id): PathTarget<AlertRuleId>,
) -> Result<StatusCode, Problem> {
    service.management.delete_alert_rule(&caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The numbers that were given, in the order of [`AlertNumber::ALL`]. Wrong is one that the kind does not have and, of
/// a new rule, one that is missing.
fn read_numbers(
    fields: &mut FieldChecks,
    kind: Option<AlertKind>,
    given: [Option<&Value>; 4],
    is_new: bool,
) -> Vec<(AlertNumber, u32)> {
    let mut numbers = Vec::new();
    for (&number, value) in AlertNumber::ALL.iter().zip(given) {
        let name = number.as_str();
        let parse = whole(*number.range().start(), *number.range().end());
        let read = match kind {
            Some(kind) if !kind.numbers().contains(&number) => {
                if value.is_some() {
                    fields.wrong(name, format!("must not be given: a rule of the kind {kind} has none"));
                }
                None
            }
            Some(_) if is_new => fields.required(name, value, parse),
            _ => fields.optional(name, value, parse),
        };
        numbers.extend(read.map(|value| (number, value)));
    }
    numbers
}

fn mail_roles(words: &[String]) -> Result<Vec<PersonRole>, &'static str> {
    let mut roles = Vec::new();
    for word in words {
        let role = [PersonRole::Owner, PersonRole::Admin].into_iter().find(|role| role.as_str() == word);
        let role = role.ok_or("must be a list of owner and admin")?;
        if roles.contains(&role) {
            return Err("must name each role once");
        }
        roles.push(role);
    }
    Ok(roles)
}

fn description(text: &str) -> Result<String, &'static str> {
    let text = clean(text);
    let fits = text.chars().count() <= 200 && !text.chars().any(char::is_control);
    if fits { Ok(text) } else { Err("must be at most 200 characters, none of them a control character") }
}
