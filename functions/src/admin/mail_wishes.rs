//! Which mails a person wants, as the person says here; the link in a mail (`mail.rs`) only takes a kind away.

use super::{
    AdminService,
    answer::{PathTarget, not_found},
    callers::OrganizationCaller,
    export::is_own_or_admins,
    licenses::terms::yes_or_no,
};
use crate::edge::{FieldChecks, JsonBody, Problem};
use axum::extract::State;
use license_core::domain::{id::UserId, mail};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// Which mails a person wants of this organization. More kinds may come.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"alert": true, "report": true}))]
pub(super) struct MailWishes {
    /// Alerts, as far as an alert rule sends them to the person's role.
    alert: bool,
    /// Monthly reports, likewise.
    report: bool,
}

impl From<mail::MailWishes> for MailWishes {
    fn from(it: mail::MailWishes) -> Self {
        Self { alert: it.alert, report: it.report }
    }
}

/// Read which mails a person wants
///
/// For the person, and for admins. Whoever said nothing wants all.
#[utoipa::path(get, path = "/api/v1/organizations/{organization}/people/{person}/mail", tag = "People",
    responses((status = 200, description = "Which mails the person wants", body = MailWishes)))]
pub(super) async fn read_mail_wishes(
    State(service): State<AdminService>,
    OrganizationCaller(caller): OrganizationCaller,
    PathTarget(person): PathTarget<UserId>,
) -> Result<axum::Json<MailWishes>, Problem> {
    if !is_own_or_admins(&caller, person) {
        return Err(not_found());
    }
    let wishes = service.records.mail_wishes(caller.tenant, person).await?.ok_or_else(not_found)?;
    Ok(axum::Json(wishes.into()))
}

/// Which mails you want.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"alert": true, "report": true}))]
pub(super) struct PutMailWishes {
    /// Whether you want alerts.
    #[schema(required, value_type = bool)]
    alert: Option<Value>,
    /// Whether you want monthly reports; what you said before, unless said.
    #[schema(value_type = Option<bool>)]
    report: Option<Value>,
}

/// Say which mails you want
///
/// Also takes back what was said by the link in a mail. Only the person themselves may: who wants no mail is sent none
/// because an admin wishes it.
#[utoipa::path(put, path = "/api/v1/organizations/{organization}/people/{person}/mail", tag = "People", request_body = PutMailWishes,
    responses((status = 200, description = "Which mails you want now", body = MailWishes)))]
pub(super) async fn put_mail_wishes(
    State(service): State<AdminService>,
    OrganizationCaller(caller): OrganizationCaller,
    PathTarget(person): PathTarget<UserId>,
    JsonBody(body): JsonBody<PutMailWishes>,
) -> Result<axum::Json<MailWishes>, Problem> {
    let mut fields = FieldChecks::new();
    let alert = fields.required("alert", body.alert.as_ref(), yes_or_no);
    let report = fields.optional("report", body.report.as_ref(), yes_or_no);
    let alert = fields.check(alert)?;
    let wishes = service.management.change_mail_wishes(&caller, person, alert, report).await?;
    Ok(axum::Json(wishes.into()))
}
