//! The OpenAPI document of all services: what the handlers say of themselves, and what the access table and the layers
//! say of all.
//!
//! `problems.rs`: every code with an example · `management.rs`: what the table and the gate add · `schemas.rs`: null
//! and absent · `words.rs`: which words a field may have. openapi.json at the root is this, written down (`./dev openapi`); admin serves that file.

mod management;
mod problems;
mod schemas;
#[cfg(test)]
mod tests;
mod words;

use crate::{SERVICES, edge::health, services::ServiceEntry};
use utoipa::{
    OpenApi,
    openapi::{
        HttpMethod, OpenApi as Document,
        path::{Operation, PathItem},
        security::{Http, HttpAuthScheme, SecurityScheme},
    },
};

/// What stands above the operations.
const ABOUT: &str = "\
Floating licenses: a product takes a seat when it starts, shows that it is alive, and gives the seat back; \
people manage organizations, licenses and sessions.

* A body is one JSON object of at most 64 KiB, declared as `application/json` or `application/…+json`. \
Unknown fields are refused; null counts as absent where a field may be absent. One 422 names every wrong field.
* Refusals and errors are `application/problem+json` (RFC 9457) with a `code`. 409 is an answer and no fault; \
410 means acquire again; 503 means keep what you have and ask again after `Retry-After`.
* Every answer carries `X-Request-Id`: the request's own, if it is short and plain and looks like no credential, \
else a new one. Name it when you report a fault.
* Times are RFC 3339 in UTC. Fields that end in `_in` are whole seconds. Ids are UUIDs.
* Lists are pages: send `next_cursor` as `cursor` for the next one. With `Accept: text/csv` they are CSV, up to \
50,000 rows at once; where rows are left over, `Link` says where to go on.
* A POST of the management API with an `Idempotency-Key` is done once within 24 hours, however often it arrives. \
`If-Match` with the `ETag` you read refuses an edit that would undo somebody else's.
* What you may not see does not exist for you: 404.
* Clients should pass over fields they do not know: new ones may come at any time.";

#[derive(OpenApi)]
#[openapi(
    info(title = "License server", license(name = "MIT", identifier = "MIT")),
    servers((url = "/", description = "The server this document came from")),
    tags((name = "Seats", description = "For products: take a seat, keep it, give it back"),
         (name = "Registration", description = "How an organization comes to be"),
         (name = "Organizations", description = "Customers"),
         (name = "People", description = "Who belongs to an organization, and what they may do"),
         (name = "Licenses", description = "What was bought, and the use of it"),
         (name = "Plans", description = "What can be bought"),
         (name = "Sessions", description = "Who is on which seat, and who was"),
         (name = "Usage", description = "How many seats were used, and who wanted one in vain"),
         (name = "Projects", description = "What sessions can be told apart by besides the license"),
         (name = "API tokens", description = "What scripts of an organization authenticate with"),
         (name = "Webhooks", description = "Where the organization's events are sent, and what became of them"),
         (name = "Alerts", description = "Of what an organization wants to be told, and what was"),
         (name = "Audit log", description = "Who did what, to what, from where"),
         (name = "Erasures", description = "People and machines whose names are blanked"),
         (name = "Staff", description = "The vendor's own"),
         (name = "Health", description = "For load balancers")),
    components(schemas(problems::ProblemSchema, problems::FieldProblem))
)]
struct ServerBase;

/// The description of every operation there is, but for the reaper's pushes, which are no business of clients.
pub fn document() -> Document {
    let mut document = ServerBase::openapi();
    document.info.description = Some(ABOUT.to_owned());
    for part in parts() {
        document.merge(part);
    }
    for (path, item) in &mut document.paths.paths {
        for (method, operation) in methods(item) {
            management::describe(operation, method_name(&method), path);
            problems::describe(operation);
        }
    }
    let used = serde_json::to_string(&document.paths).unwrap_or_default();
    let components = document.components.get_or_insert_default();
    problems::components(components, &used);
    for (name, description) in [
        ("session", "The `session` of an acquire answer."),
        ("person", "The ID token of a person who signed in with a verified address."),
        ("token", "An API token, `cdt_live_…`, with the operation's scope."),
        ("staff", "The ID token of somebody of the vendor, of the staff's own audience."),
        ("vendor", "A vendor token, `cdv_live_…`, with the operation's scope of vendor tokens."),
    ] {
        let mut http = Http::new(HttpAuthScheme::Bearer);
        http.description = Some(description.to_owned());
        components.add_security_scheme(name, SecurityScheme::Http(http));
    }
    schemas::settle(&mut document);
    words::describe(&mut document);
    document
}

/// The document as it is written down, the same each time.
///
/// # Errors
/// If it cannot be written as JSON.
pub fn document_text() -> Result<String, serde_json::Error> {
    let text = document().to_pretty_json()?;
    let (mut lines, mut ordered): (Vec<&str>, String) = (text.lines().collect(), String::new());
    // The words that stand beside each other (`x-least`, `x-scope`) come from a map without an order.
    let is_word = |line: &str| line.trim_start().starts_with("\"x-") && !line.ends_with(['[', '{']);
    for words in lines.chunk_by_mut(|one, other| is_word(one) && is_word(other)) {
        let goes_on = words.last().is_some_and(|last| last.ends_with(','));
        let many = words.len();
        if many > 1 {
            words.sort_unstable();
        }
        for (at, word) in words.iter().enumerate() {
            let line = if many > 1 { word.trim_end_matches(',') } else { word };
            let comma = if many > 1 && (goes_on || at + 1 < many) { "," } else { "" };
            ordered.extend([line, comma, "\n"]);
        }
    }
    Ok(ordered)
}

/// What each service says of itself.
fn parts() -> Vec<Document> {
    let mut parts: Vec<Document> = SERVICES.iter().filter_map(ServiceEntry::operations).collect();
    parts.push(health::operations().into_openapi());
    parts
}

/// The operations of a path with their methods.
fn methods(item: &mut PathItem) -> Vec<(HttpMethod, &mut Operation)> {
    let all = [
        (HttpMethod::Get, item.get.as_mut()),
        (HttpMethod::Post, item.post.as_mut()),
        (HttpMethod::Put, item.put.as_mut()),
        (HttpMethod::Patch, item.patch.as_mut()),
        (HttpMethod::Delete, item.delete.as_mut()),
    ];
    all.into_iter().filter_map(|(method, operation)| Some((method, operation?))).collect()
}

const fn method_name(method: &HttpMethod) -> &'static str {
    match method {
        HttpMethod::Get => "GET",
        HttpMethod::Post => "POST",
        HttpMethod::Put => "PUT",
        HttpMethod::Patch => "PATCH",
        _ => "DELETE",
    }
}
