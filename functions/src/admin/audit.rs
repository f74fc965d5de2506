//! The audit log: who did what.

use super::{AdminService, answer::ListOf, callers::OrganizationCaller, filters::ListFilters, lists::ListFormat};
use crate::edge::{Problem, QueryParameters};
use axum::{extract::State, response::Response};
use license_core::{
    domain::id::UserId,
    records::{self, ACTIONS, AuditFilter},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// What somebody did.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"id": "01a1fc28-9b31-70be-8112-4bfdb0eab10e", "at": "2026-11-21T03:31:22.289Z",
    "actor": {"kind": "person", "id": "01a1fc28-9b31-70be-8112-4bfdb0eab10a", "name": "me@example.com"},
    "action": "organization.renamed", "target": "01a1fc28-9b31-70be-8112-4bfdb0eab109",
    "before": {"name": "Engines Ltd"}, "after": {"name": "Engines & Sons Ltd"},
    "from_address": "203.0.113.9", "request_id": "01a1fc28-9c4b-7096-b2f2-f5d5a5372872"}))]
pub(super) struct AuditEntry {
    /// Names the entry.
    id: Uuid,
    /// When, to the millisecond.
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
    /// Who.
    actor: AuditActor,
    /// What was done: `noun.verb`.
    action: String,
    /// The id of what it was done to.
    target: String,
    /// What changed, as it was; null where there was nothing.
    #[schema(value_type = Option<Object>)]
    before: Option<Value>,
    /// What changed, as it is since; null where nothing is left.
    #[schema(value_type = Option<Object>)]
    after: Option<Value>,
    /// The IP address it came from, where it is known.
    from_address: Option<String>,
    /// `X-Request-Id` of the request.
    request_id: Option<String>,
}

/// Who did something.
#[derive(Serialize, ToSchema)]
pub(super) struct AuditActor {
    /// `person`, `token`, `staff` or `vendor_token`.
    kind: String,
    /// The id of the person, API token or vendor token; of staff, who they are at the staff's identity provider.
    id: String,
    /// The address or the token's name, as it was then.
    name: String,
}

impl From<records::AuditEntryRow> for AuditEntry {
    fn from(it: records::AuditEntryRow) -> Self {
        Self {
            id: it.id,
            at: it.at,
            actor: AuditActor { kind: it.actor_kind, id: it.actor, name: it.actor_name },
            action: it.action,
            target: it.target,
            before: it.before,
            after: it.after,
            from_address: it.from_address,
            request_id: it.request_id,
        }
    }
}

/// Which entries. Filters may be combined; a page of several may hold fewer rows than `limit`, also none, and still have
/// a `next_cursor`: it looks through at most 1,000 entries.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct AuditQuery {
    /// Only what was done like this, `person.invited` say.
    action: Option<String>,
    /// Only what this person, API token or member of the staff did, by id.
    actor: Option<String>,
    /// Only what was done to what has this id.
    target: Option<String>,
    /// Only what was done at or after this time (RFC 3339; a `+` in it is written `%2B`).
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<String>,
    /// Only what was done before this time (RFC 3339; a `+` in it is written `%2B`).
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<String>,
    /// How many rows: 1 to 100, 20 unless said.
    #[param(value_type = Option<u8>, minimum = 1, maximum = 100)]
    limit: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Read the audit log
///
/// Every change that people, API tokens and the vendor's staff made, the newest first. Nobody can change or remove an
/// entry.
#[utoipa::path(get, path = "/api/v1/organizations/{organization}/audit-log", tag = "Audit log", params(AuditQuery),
    responses((status = 200, description = "A page of entries", body = ListOf<AuditEntry>)))]
pub(super) async fn list_audit_log(
    State(service): State<AdminService>,
    OrganizationCaller(caller): OrganizationCaller,
    format: ListFormat,
    QueryParameters(query): QueryParameters<AuditQuery>,
) -> Result<Response, Problem> {
    let mut filters = ListFilters::new();
    let page = filters.page(query.limit.as_ref(), query.cursor.as_ref());
    let which = which(&mut filters, &query);
    let (which, page) = filters.check((which, page))?;
    let mut unknown = ListFilters::new();
    for (name, only) in unusual_ids(&which) {
        if !service.records.is_in_audit_log(caller.tenant, &only).await? {
            unknown.wrong(name, NO_ID);
        }
    }
    unknown.check(())?;
    format.answer(page, AuditEntry::from, |page| service.records.audit_log(caller.tenant, &which, page)).await
}

fn which(filters: &mut ListFilters, query: &AuditQuery) -> AuditFilter {
    let action = filters.read("action", query.action.as_ref(), action);
    let actor = filters.read("actor", query.actor.as_ref(), id);
    let target = filters.read("target", query.target.as_ref(), id);
    let from = filters.time("from", query.from.as_ref());
    let to = filters.time("to", query.to.as_ref());
    if from.zip(to).is_some_and(|(from, to)| to < from) {
        filters.wrong("to", "must not be before from");
    }
    AuditFilter { action, actor, target, from, to }
}

/// The filters whose values are no UUIDs, each by itself: such a value is an id only if the log has it.
fn unusual_ids(which: &AuditFilter) -> impl Iterator<Item = (&'static str, AuditFilter)> {
    let unusual = |it: &Option<String>| it.clone().filter(|id| id.parse::<UserId>().is_err());
    let actor = unusual(&which.actor).map(|id| ("actor", AuditFilter { actor: Some(id), ..AuditFilter::default() }));
    let target =
        unusual(&which.target).map(|id| ("target", AuditFilter { target: Some(id), ..AuditFilter::default() }));
    [actor, target].into_iter().flatten()
}

const NO_ID: &str =
    "must be an id as entries have it: a UUID, or that of a member of the vendor's staff who did something here";

fn action(text: &str) -> Result<String, String> {
    let known = ACTIONS.contains(&text).then(|| text.to_owned());
    known.ok_or_else(|| format!("must be one of {}", ACTIONS.join(", ")))
}

/// A UUID in its usual form. Staff are known by what their identity provider calls them, so that other texts may be ids
/// too.
fn id(text: &str) -> Result<String, &'static str> {
    match text.parse::<UserId>() {
        Ok(id) => Ok(id.to_string()),
        Err(_) if text.chars().count() <= 255 && !text.chars().any(char::is_control) => Ok(text.to_owned()),
        Err(_) => Err(NO_ID),
    }
}
