//! The link in a mail by which a person is sent no more of its kind. No sign-in: mail programs follow it by themselves
//! (RFC 8058), and whoever gets mail that they do not want shall not have to sign in.
//!
//! Programs that look at links before a person does only read (GET), which changes nothing.

use super::AdminService;
use crate::edge::{Problem, pages::private_page};
use axum::{
    Router,
    extract::State,
    response::{IntoResponse, Response},
    routing::get,
};
use http::{StatusCode, Uri};
use license_core::domain::mail::Unsubscription;

/// `GET` and `POST /api/v1/mail/unsubscribe`, for who has the link.
pub(super) fn router(service: AdminService) -> Router {
    Router::new().route("/api/v1/mail/unsubscribe", get(ask).post(unsubscribe)).with_state(service)
}

/// What the token in the address names.
fn named(service: &AdminService, address: &Uri) -> Option<Unsubscription> {
    let mut pairs = form_urlencoded::parse(address.query()?.as_bytes());
    let (_, token) = pairs.find(|(name, _)| name == "token")?;
    Unsubscription::parse(&service.webhook_keys, &token)
}

async fn ask(State(service): State<AdminService>, address: Uri) -> Response {
    if named(&service, &address).is_none() {
        return no_link();
    }
    // Without an action, a form is sent to the address of its page.
    page(
        StatusCode::OK,
        "<h1>No more mail of this kind?</h1>\
         <p>This organization will not send you mail of this kind any more.</p>\
         <form method=\"post\"><button>Send me no more</button></form>",
    )
}

/// The body, which mail programs send, says nothing that the link does not.
async fn unsubscribe(State(service): State<AdminService>, address: Uri) -> Result<Response, Problem> {
    let Some(refused) = named(&service, &address) else { return Ok(no_link()) };
    service.records.refuse_mail(refused.tenant, refused.user, refused.kind).await?;
    Ok(page(StatusCode::OK, "<h1>Done</h1><p>You are sent no more mail of this kind by this organization.</p>"))
}

fn no_link() -> Response {
    page(
        StatusCode::NOT_FOUND,
        "<h1>This link is good no more</h1>\
         <p>Open the one of a newer mail, or copy it whole from the mail into the address of this page.</p>",
    )
}

/// A page of nothing but text and one form.
fn page(status: StatusCode, body: &'static str) -> Response {
    let headers = private_page("default-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'");
    let text = format!("<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Mail</title>{body}</html>");
    (status, headers, text).into_response()
}
