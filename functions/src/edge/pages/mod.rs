//! What a browser sees of a service: what this is, and what each code of an error means.
//!
//! Small HTML without scripts, from the pages of docs/ that are compiled in: what is served is what was reviewed.
//! `markdown.rs` makes HTML of them.

mod markdown;
#[cfg(test)]
mod tests;

use super::{Problem, accept::MediaRanges, problem::table};
use axum::{
    Router,
    extract::{Path, State},
    response::{IntoResponse, Response},
    routing::get,
};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use license_core::ProblemCode;
pub use markdown::escaped;
use markdown::html;
use std::{fmt::Write, sync::Arc};

/// A section for each code: what happened, and what to do. `tests/tests/errors.rs` holds it against the table.
const ERRORS: &str = include_str!("../../../../docs/ERRORS.md");

/// What the pages need to know of the deployment.
#[derive(Clone, Debug, Default)]
pub struct PageSettings {
    /// Where all functions are reached together, without a slash at its end; empty: where the page came from.
    pub(super) front: Arc<str>,
    /// The page for newcomers, in Markdown, where there is one.
    pub(super) start: Option<&'static str>,
    /// Whether what serves the page has no health of its own.
    pub(super) no_health: bool,
}

impl PageSettings {
    /// The same for what is no service and says nothing of its health, such as the demo issuer.
    #[must_use]
    pub fn without_health(&self) -> Self {
        Self { no_health: true, ..self.clone() }
    }
}

/// `/`, `/problems/{code}`, `/problems` and, where there is one, the page for newcomers, `/start`.
pub fn router(settings: &PageSettings) -> Router {
    let mut router = Router::new()
        .route("/", get(home))
        .route("/problems", get(problems))
        .route("/problems/{code}", get(problem))
        .route("/pages.css", get(|| async { answer("text/css; charset=utf-8", include_str!("pages.css").into()) }));
    if let Some(text) = settings.start {
        let link = newcomers_link;
        let body = html(text, &link);
        router = router.route("/start", get(move || std::future::ready(page("Your first seat", &body))));
    }
    router.with_state(settings.clone())
}

/// Where the section of docs/ERRORS.md about a code is served.
fn problem_path(code: &str) -> String {
    format!("/problems/{code}")
}

/// The page for people who open the address in a browser. Programs are told what they are told at any other path.
async fn home(State(settings): State<PageSettings>, headers: HeaderMap) -> Response {
    let mut response = if wants_html(&headers) {
        page("License server", &home_body(&settings))
    } else {
        Problem::no_such_path().into_response()
    };
    // One address, two answers: a cache must not give one for the other.
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept"));
    response
}

fn home_body(PageSettings { front, start, no_health }: &PageSettings) -> String {
    let front = escaped(front);
    let mut body = "<h1>License server</h1>\n\
        <p>This server gives floating licenses: a product takes a seat when it starts, shows that it is alive, and \
        gives the seat back when it ends. Programs use it; there is nothing to sign in to on this page.</p>\n<ul>\n"
        .to_owned();
    if start.is_some() {
        body += "<li><a href=\"/start\">Your first seat</a>: from this server to a seat in Python</li>\n";
    }
    let _ = write!(
        body,
        "<li><a href=\"{front}/docs\">The API</a>, where all services are reached together, and \
         <a href=\"{front}/openapi.json\">the same for programs</a></li>\n\
         <li><a href=\"/problems\">Errors</a>: what each code means, and what to do</li>\n"
    );
    if !no_health {
        body += "<li><a href=\"/health/ready\">Health</a>: whether this service reaches its stores now</li>\n";
    }
    body += "</ul>\n";
    body
}

/// Every code, as a list.
async fn problems() -> Response {
    let mut body =
        "<h1>Errors</h1>\n<p>What a program was refused with, by its <code>code</code>.</p>\n<ul>\n".to_owned();
    for &code in ProblemCode::ALL {
        let (word, title) = (code.as_str(), escaped(table(code).title));
        let _ = writeln!(body, "<li><a href=\"{}\"><code>{word}</code></a>: {title}</li>", problem_path(word));
    }
    body += "</ul>\n<p><a href=\"/\">This server</a></p>\n";
    page("Errors", &body)
}

/// One code: what happened, and what to do.
async fn problem(Path(word): Path<String>) -> Response {
    let Some(&code) = ProblemCode::ALL.iter().find(|code| code.as_str() == word) else {
        let detail = "This server has no such code. The page /problems lists those that it has.";
        return Problem::new(ProblemCode::NotFound, detail).into_response();
    };
    page(table(code).title, &problem_body(code))
}

fn problem_body(code: ProblemCode) -> String {
    let row = table(code);
    let (word, title, status) = (code.as_str(), escaped(row.title), row.status);
    let mut body = format!("<h1>{title}</h1>\n<p><code>{word}</code>, HTTP status {status}</p>\n");
    for (start, heading) in [("What happened: ", "What happened"), ("What to do: ", "What to do")] {
        if let Some(text) = section_line(word, start) {
            let _ = write!(body, "<h2>{heading}</h2>\n{}", html(text, &problem_link));
        }
    }
    if let Some(seconds) = row.retry_after {
        let _ = writeln!(
            body,
            "<p>Repeat the request after the seconds in <code>Retry-After</code> (usually {seconds}).</p>"
        );
    }
    if let Some(members) = section_line(word, "Members: ").filter(|&members| members != "none") {
        let _ = write!(body, "<h2>What else the answer says</h2>\n{}", html(members, &problem_link));
    }
    body += "<p>The <code>request_id</code> of the answer is what this server's log has it under.</p>\n\
        <p><a href=\"/problems\">All errors</a> · <a href=\"/\">This server</a></p>\n";
    body
}

/// What a section of docs/ERRORS.md says behind the words `start`.
fn section_line(word: &str, start: &str) -> Option<&'static str> {
    let mut sections = ERRORS.split("\n## ").skip(1).filter_map(|section| section.split_once('\n'));
    let (_, text) = sections.find(|(heading, _)| *heading == word)?;
    text.lines().find_map(|line| line.strip_prefix(start)).map(str::trim)
}

/// Of the links of docs/ERRORS.md those to other codes lead somewhere here.
fn problem_link(target: &str) -> Option<String> {
    let word = target.strip_prefix('#')?;
    ProblemCode::ALL.iter().any(|code| code.as_str() == word).then(|| problem_path(word))
}

/// Of the links of the newcomers' page those that this server has the other end of.
fn newcomers_link(target: &str) -> Option<String> {
    match target {
        "ERRORS.md" => Some("/problems".into()),
        _ if target.starts_with("https://") || target.starts_with("http://") => Some(target.into()),
        _ => None,
    }
}

/// True for a browser: it names HTML, and at least as gladly as JSON. What takes anything is a program.
fn wants_html(headers: &HeaderMap) -> bool {
    let ranges = MediaRanges::of(headers);
    let html = ranges.named(&["text/html", "application/xhtml+xml"]);
    html > 0 && html >= ranges.named(&["application/json", "application/problem+json"])
}

/// A whole page around `body`, which is HTML.
fn page(title: &str, body: &str) -> Response {
    let title = escaped(title);
    let text = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n\
         <link rel=\"stylesheet\" href=\"/pages.css\">\n</head>\n<body>\n<main>\n{body}</main>\n</body>\n</html>\n"
    );
    answer("text/html; charset=utf-8", text)
}

/// The headers of a page for one person alone: kept by nobody, its address told to nobody, with no more than the policy
/// allows.
pub fn private_page(policy: &'static str) -> [(HeaderName, &'static str); 5] {
    [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CONTENT_SECURITY_POLICY, policy),
    ]
}

/// May be kept for five minutes, and shown nowhere but in a window of its own, with nothing of any other host.
fn answer(kind: &'static str, text: String) -> Response {
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "public, max-age=300"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
        ),
    ];
    (headers, text).into_response()
}
