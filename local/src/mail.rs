//! The mails of one machine: kept as files in the data directory, and pages to read them on the issuer's address, where
//! only this machine itself is let in (`guard.rs`). Mails may have secrets of invitations in them, so the pages are
//! there only beside the demo identity provider, which vouches for whoever asks anyway.

use crate::data::DataDirectory;
use axum::{
    Router,
    extract::{Path, State},
    response::{IntoResponse, Response},
    routing::get,
};
use http::StatusCode;
use license_core::mail::{MailDirectory, StoredMail};
use license_functions::edge::pages::{escaped, private_page};
use std::{io, path::PathBuf};
use time::format_description::well_known::Rfc3339;

/// Whom mails are from unless `MAIL_FROM` says otherwise.
pub(crate) const FROM: &str = "License server <license@license-local.invalid>";
/// How many mails the list shows.
const LISTED: usize = 100;

/// Where mails are kept.
pub(crate) fn directory(data: &DataDirectory) -> io::Result<PathBuf> {
    std::path::absolute(data.path("mail"))
}

/// `GET /mail`: the last mails, and `GET /mail/…`: one of them.
pub(crate) fn router(directory: PathBuf) -> Router {
    Router::new().route("/mail", get(list)).route("/mail/{name}", get(read)).with_state(MailDirectory::new(directory))
}

async fn list(State(directory): State<MailDirectory>) -> Response {
    let rows = tokio::task::spawn_blocking(move || {
        let mut rows = String::new();
        for name in directory.names()?.into_iter().take(LISTED) {
            // Taken away since.
            let Some(mail) = directory.read(&name)? else { continue };
            let (subject, to) = (escaped(&mail.subject), escaped(&mail.to));
            rows += &format!("<tr><td>{}<td>{to}<td><a href=\"/mail/{name}\">{subject}</a>", at(&mail));
        }
        io::Result::Ok(rows)
    });
    match rows.await {
        Ok(Ok(rows)) if rows.is_empty() => page("Mail", "<p>Nothing was sent yet. Mails are sent once a minute.</p>"),
        Ok(Ok(rows)) => page("Mail", &format!("<table><tr><th>Sent<th>To<th>Subject{rows}</table>")),
        _ => (StatusCode::INTERNAL_SERVER_ERROR, "The mails cannot be read.").into_response(),
    }
}

async fn read(State(directory): State<MailDirectory>, Path(name): Path<String>) -> Response {
    match tokio::task::spawn_blocking(move || directory.read(&name)).await {
        Ok(Ok(Some(mail))) => shown(&mail),
        Ok(Ok(None)) => (StatusCode::NOT_FOUND, "There is no such mail.").into_response(),
        _ => (StatusCode::INTERNAL_SERVER_ERROR, "The mail cannot be read.").into_response(),
    }
}

/// As text, and as HTML in a frame that may do nothing.
fn shown(mail: &StoredMail) -> Response {
    let (to, subject) = (escaped(&mail.to), escaped(&mail.subject));
    page(
        &subject,
        &format!(
            "<p>To {to}, {}. <a href=\"/mail\">All mails</a></p><pre>{}</pre>\
             <iframe sandbox=\"\" title=\"The same as HTML\" srcdoc=\"{}\"></iframe>",
            at(mail),
            escaped(&mail.text),
            escaped(&mail.html)
        ),
    )
}

fn at(mail: &StoredMail) -> String {
    mail.at.format(&Rfc3339).unwrap_or_default()
}

/// `title` and `body` are HTML.
fn page(title: &str, body: &str) -> Response {
    // No script, nothing of another host. A frame takes these rules over: mails have styles at their elements.
    let headers = private_page(
        "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    );
    let style = "body{font-family:sans-serif;margin:2rem;max-width:60rem}td,th{text-align:left;padding:.2rem 1rem .2rem 0}\
         pre{white-space:pre-wrap}iframe{width:100%;height:30rem;border:1px solid #ccc}";
    let text = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{title}</title><style>{style}</style>\
         <h1>{title}</h1>{body}</html>"
    );
    (headers, text).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::{Body, to_bytes};
    use license_core::mail::{Letter, MailContent, PreparedMail};
    use std::time::{Duration, SystemTime};
    use tower::ServiceExt;
    use uuid::Uuid;

    async fn kept(directory: &MailDirectory, number: u64, subject: &str) {
        let content = MailContent {
            subject: subject.into(),
            text: "a <b> text\n".into(),
            html: "<p style=\"color:red\">hello</p><script>alert(1)</script>".into(),
        };
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000 + number);
        let id = Uuid::from_u128(number.into());
        let letter = Letter { id, to: "ada@example.com", content: &content, unsubscribe: None, at };
        let mail = PreparedMail::new(&letter, &FROM.parse().unwrap()).unwrap();
        directory.keep(&mail).await.unwrap();
    }

    async fn asked(router: &Router, path: &str) -> (u16, String) {
        let request = http::Request::get(path).body(Body::empty()).unwrap();
        let answer = router.clone().oneshot(request).await.unwrap();
        let status = answer.status().as_u16();
        if status == 200 {
            let rules = answer.headers()[http::header::CONTENT_SECURITY_POLICY].to_str().unwrap();
            assert!(rules.starts_with("default-src 'none'") && !rules.contains("script"), "{rules}");
        }
        let bytes = to_bytes(answer.into_body(), 1 << 20).await.unwrap();
        (status, String::from_utf8(bytes.into()).unwrap())
    }

    #[tokio::test]
    async fn mails_are_listed_and_read_and_none_of_their_markup_is_the_pages() {
        let dir = tempfile::tempdir().unwrap();
        let directory = MailDirectory::new(dir.path().join("mail"));
        let router = router(directory.path().to_owned());
        let (status, empty) = asked(&router, "/mail").await;
        assert!(status == 200 && empty.contains("Nothing was sent yet"), "{empty}");
        for number in 0..3 {
            kept(&directory, number, &format!("<script>alert({number})</script>")).await;
        }
        let (_, list) = asked(&router, "/mail").await;
        assert!(!list.contains("<script") && list.contains("&lt;script&gt;alert(2)"), "{list}");
        assert!(list.find("alert(2)") < list.find("alert(0)"), "the newest first");
        let name = &directory.names().unwrap()[0];
        let (status, mail) = asked(&router, &format!("/mail/{name}")).await;
        assert!(status == 200 && mail.contains("a &lt;b&gt; text"), "{mail}");
        assert!(mail.contains("iframe sandbox=\"\"") && !mail.contains("<script"), "{mail}");
        for nothing in ["/mail/none", "/mail/..%2Fpepper", "/mail/0-0", "/mail/%2e%2e%2f%2e%2e"] {
            assert_eq!(asked(&router, nothing).await.0, 404, "{nothing}");
        }
    }

    #[tokio::test]
    async fn of_more_than_a_thousand_mails_the_oldest_go_and_only_their_owner_reads_them() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let directory = MailDirectory::new(dir.path().join("mail"));
        for number in 0..1_005 {
            kept(&directory, number, "s").await;
        }
        let names = directory.names().unwrap();
        assert_eq!(names.len(), 1_000);
        assert!(names.last().unwrap().ends_with(&Uuid::from_u128(5).to_string()), "{:?}", names.last());
        let files: Vec<_> = std::fs::read_dir(directory.path()).unwrap().map(|file| file.unwrap().path()).collect();
        assert_eq!(files.len(), 2_000);
        for path in files.iter().take(10) {
            assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600, "{}", path.display());
        }
    }
}
