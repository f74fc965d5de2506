//! Erasing people and machines.

use super::{AdminService, callers::OrganizationCaller};
use crate::edge::{FieldChecks, JsonBody, Problem};
use crate::refusals::read;
use axum::extract::State;
use license_core::records::{ErasureCursor, ErasureReport, ErasureSubject, SubjectAddress};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// Whom or what to erase: exactly one of `person` and `machine`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"person": "ada@example.com"}))]
pub(super) struct NewErasure {
    /// The address of somebody who does not belong to the organization any more, or never did; or what clients say
    /// their user is called.
    #[schema(min_length = 1, max_length = 255)]
    person: Option<String>,
    /// A machine's public hash: 43 base64url characters. It differs from license to license.
    machine: Option<String>,
    /// `next_cursor` of the answer before, sent with the same person or machine.
    cursor: Option<String>,
}

/// What this request blanked.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"id": "01a1fc28-9b31-70be-8112-4bfdb0eab10e", "erased": {"sessions": 12, "denials": 3, "events": 12, "deliveries": 2, "mails": 0, "audit_entries": 4,
    "people": 1, "invitations": 1, "api_tokens": 0, "projects": 0, "webhooks": 1, "alert_rules": 1, "licenses": 0,
    "organizations": 0}, "next_cursor": null}))]
pub(super) struct Erasure {
    /// The entry of the audit log that says who erased, and when.
    id: Uuid,
    /// How many rows of each kind were blanked by this request.
    erased: ErasedRows,
    /// Where to go on: send it as `cursor`, with the same person or machine. Null: everything is done.
    next_cursor: Option<String>,
}

/// How many rows of each kind were blanked.
#[derive(Serialize, ToSchema)]
pub(super) struct ErasedRows {
    /// Sessions, live and past.
    sessions: i64,
    /// Requests for a seat that were refused.
    denials: i64,
    /// Events, published and waiting to be.
    events: i64,
    /// Deliveries of events to webhooks, in which the answers of receivers were blanked.
    deliveries: i64,
    /// Mails that were waiting to be sent to them, or that named them: they are not sent.
    mails: i64,
    /// Entries of the audit log.
    audit_entries: i64,
    /// People who left.
    people: i64,
    /// Invitations to them or by them.
    invitations: i64,
    /// API tokens they made, or named after them.
    api_tokens: i64,
    /// Projects named after them.
    projects: i64,
    /// Webhooks they made, or whose description or address names them.
    webhooks: i64,
    /// Alert rules they made, or whose description names them.
    alert_rules: i64,
    /// Licenses whose name, note, external id or metadata named them.
    licenses: i64,
    /// 1 where the organization's name, external id or metadata named them.
    organizations: i64,
}

impl From<ErasureReport> for Erasure {
    fn from(it: ErasureReport) -> Self {
        let ErasureReport { id, sessions, events, audit_entries, people, invitations, api_tokens, projects, .. } = it;
        let ErasureReport { denials, deliveries, mails, webhooks, alert_rules, licenses, organizations, .. } = it;
        let erased = ErasedRows {
            sessions,
            denials,
            events,
            deliveries,
            mails,
            audit_entries,
            people,
            invitations,
            api_tokens,
            projects,
            webhooks,
            alert_rules,
            licenses,
            organizations,
        };
        Self { id, erased, next_cursor: it.next.map(|next| next.to_string()) }
    }
}

/// Erase a person or a machine
///
/// Blanks names, addresses and labels of the person or machine wherever the organization has them: in sessions,
/// denials, events, what receivers of webhooks answered, the audit log, people who left, invitations, API tokens,
/// webhooks and alert rules. Ids, times and counts stay, and a holder of a seat keeps it. A person who belongs to the organization must
/// be removed first. An erasure that is too large for one request is continued: send `next_cursor` as `cursor` until it
/// is null, with a new `Idempotency-Key` if any. Erasing again what is erased changes nothing.
#[utoipa::path(post, path = "/api/v1/organizations/{organization}/erasures", tag = "Erasures", request_body = NewErasure,
    responses((status = 200, description = "What was blanked", body = Erasure),
              (status = 409, description = "conflict: the person belongs to the organization, or is who asks"),
              (status = 422, description = "invalid_request: names each wrong field; idempotency_key_reused")))]
pub(super) async fn erase(
    State(service): State<AdminService>,
    OrganizationCaller(caller): OrganizationCaller,
    JsonBody(body): JsonBody<NewErasure>,
) -> Result<axum::Json<Erasure>, Problem> {
    let mut fields = FieldChecks::new();
    let person = fields.optional("person", body.person.as_deref(), read::<SubjectAddress>).map(ErasureSubject::Person);
    let machine = fields.optional("machine", body.machine.as_deref(), str::parse).map(ErasureSubject::Machine);
    let cursor = fields.optional("cursor", body.cursor.as_deref(), read::<ErasureCursor>);
    match (&body.person, &body.machine) {
        (None, None) => {
            fields.wrong("person", "is missing; send the address of a person, or the public hash of a machine")
        }
        (Some(_), Some(_)) => fields.wrong("machine", "cannot be combined with person: send one of them"),
        _ => {}
    }
    let whom = fields.check(person.or(machine))?;
    let erased = service.seat_management.erase(&caller, &whom, cursor, &service.peppers).await?;
    Ok(axum::Json(Erasure::from(erased)))
}
