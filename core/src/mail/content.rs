//! What a mail says: a template of text, whose first line is the subject, and one of HTML, filled in with what is
//! known.

use crate::domain::mail::MailKind;
use minijinja::{Environment, UndefinedBehavior};
use serde_json::Value;
use std::sync::LazyLock;

/// What a mail says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailContent {
    /// The subject: one line.
    pub subject: String,
    /// The body as text.
    pub text: String,
    /// The body as HTML.
    pub html: String,
}

/// A template could not be filled in. That is a fault of the server: it is not for people.
#[derive(Debug, thiserror::Error)]
#[error("a template of mail cannot be filled in")]
pub struct TemplateError(#[from] minijinja::Error);

/// The longest subject, in characters. Mail programs show about 70.
const LONGEST_SUBJECT: usize = 150;
/// The longest of the texts that are filled in.
const LONGEST_TEXT: usize = 500;

/// The files of `templates/`. Their names decide what is escaped: HTML is.
const TEMPLATES: [(&str, &str); 7] = [
    ("frame.html", include_str!("templates/frame.html")),
    ("alert.txt", include_str!("templates/alert.txt")),
    ("alert.html", include_str!("templates/alert.html")),
    ("invitation.txt", include_str!("templates/invitation.txt")),
    ("invitation.html", include_str!("templates/invitation.html")),
    ("report.txt", include_str!("templates/report.txt")),
    ("report.html", include_str!("templates/report.html")),
];

static ENVIRONMENT: LazyLock<Option<Environment<'static>>> = LazyLock::new(|| environment().ok());

fn environment() -> Result<Environment<'static>, minijinja::Error> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
    environment.set_trim_blocks(true);
    environment.set_lstrip_blocks(true);
    for (name, text) in TEMPLATES {
        environment.add_template(name, text)?;
    }
    Ok(environment)
}

/// Fills in the templates of a kind. Every text in `values` is made one line first, so that nobody's name begins
/// another paragraph, and links other than to the web are left out.
///
/// # Errors
/// If a template lacks a value.
pub fn render(kind: MailKind, values: &Value) -> Result<MailContent, TemplateError> {
    let broken;
    let environment = match &*ENVIRONMENT {
        Some(environment) => environment,
        // Once more, for the error.
        None => {
            broken = environment()?;
            &broken
        }
    };
    let values = minijinja::Value::from_serialize(plain(values));
    let filled = |ending: &str| environment.get_template(&format!("{}.{ending}", kind.as_str()))?.render(&values);
    let text = filled("txt")?;
    let (subject, text) = text.split_once('\n').unwrap_or((&text, ""));
    let subject = one_line(subject, LONGEST_SUBJECT);
    Ok(MailContent { subject, text: format!("{}\n", text.trim()), html: filled("html")? })
}

/// A text as one line that may stand in a header.
///
/// Control characters and whatever else ends a line are spaces, and no mail program takes part of it for encoded
/// (`=?…?=`, RFC 2047). Of a longer text the first `longest` characters.
pub fn one_line(text: &str, longest: usize) -> String {
    let ends_line = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    // What turns the direction of what follows, and with it the meaning of the line.
    let turns = |c: char| matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}');
    let line: String = text.chars().filter(|c| !turns(*c)).map(|c| if ends_line(c) { ' ' } else { c }).collect();
    let line = line.split_whitespace().collect::<Vec<_>>().join(" ").replace("=?", "= ?");
    match line.char_indices().nth(longest) {
        Some((end, _)) => format!("{}…", line[..end].trim_end()),
        None => line,
    }
}

/// The values with every text as one line. Of what is called `link`, only what leads to the web.
fn plain(value: &Value) -> Value {
    match value {
        Value::String(text) => one_line(text, LONGEST_TEXT).into(),
        Value::Array(values) => values.iter().map(plain).collect(),
        Value::Object(values) => Value::Object(
            values
                .iter()
                .filter(|(name, value)| name.as_str() != "link" || value.as_str().is_some_and(is_of_the_web))
                .map(|(name, value)| (name.clone(), plain(value)))
                .collect(),
        ),
        other => other.clone(),
    }
}

fn is_of_the_web(link: &str) -> bool {
    url::Url::parse(link).is_ok_and(|url| matches!(url.scheme(), "https" | "http"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn alert(organization: &str, title: &str) -> MailContent {
        let values = json!({ "organization": organization, "title": title, "lines": ["5 of 5 seats are taken."], "ended": false });
        render(MailKind::Alert, &values).unwrap()
    }

    #[test]
    fn an_alert_says_what_happened_and_when_it_is_over() {
        let content = alert("Acme", "Pool \"default\" is full");
        assert_eq!(content.subject, "Pool \"default\" is full – Acme");
        assert!(content.text.contains("5 of 5 seats are taken."), "{}", content.text);
        assert!(!content.text.contains("no more mail"), "{}", content.text);
        let values = json!({ "organization": "Acme", "title": "Pool is full", "ended": true,
            "link": "https://console.example.com/x?a=1&b=2", "unsubscribe": "https://example.com/u?token=t" });
        let content = render(MailKind::Alert, &values).unwrap();
        assert!(content.subject.starts_with("Back to normal: Pool is full"), "{}", content.subject);
        for part in ["https://console.example.com/x?a=1&b=2", "https://example.com/u?token=t"] {
            assert!(content.text.contains(part), "{}", content.text);
        }
        assert!(content.html.contains("a=1&amp;b=2"), "{}", content.html);
    }

    #[test]
    fn a_report_has_a_line_for_each_pool_and_a_way_to_get_no_more() {
        let lines = ["License 752KJ (demo): at most 5 of 5 seats held at once.", "License <b> & Co."];
        let values = json!({ "organization": "Acme", "title": "Seats in November 2026", "lines": lines,
            "unsubscribe": "https://example.com/u?token=t" });
        let content = render(MailKind::Report, &values).unwrap();
        assert_eq!(content.subject, "Seats in November 2026 – Acme");
        for part in [lines[0], lines[1], "https://example.com/u?token=t"] {
            assert!(content.text.contains(part), "{}", content.text);
        }
        assert!(content.html.contains("<li>License &lt;b&gt; &amp; Co.</li>"), "{}", content.html);
    }

    #[test]
    fn an_invitation_says_how_it_is_accepted() {
        let mut values = json!({ "organization": "Acme", "invited_by": "ada@example.com", "role": "member",
            "until": "2026-12-08 01:00 UTC", "link": "https://console.example.com/join#cdi_0" });
        let content = render(MailKind::Invitation, &values).unwrap();
        assert_eq!(content.subject, "ada@example.com invites you to Acme");
        for text in [&content.text, &content.html] {
            assert!(text.contains("2026-12-08 01:00 UTC"), "{text}");
            assert!(text.contains("join#cdi_0"), "{text}");
        }
        values.as_object_mut().unwrap().remove("link");
        values["secret"] = "cdi_0".into();
        values["api"] = "https://licenses.example.com".into();
        let content = render(MailKind::Invitation, &values).unwrap();
        for part in ["cdi_0", "https://licenses.example.com/api/v1/auth/register"] {
            assert!(content.text.contains(part), "{}", content.text);
        }
    }

    #[test]
    fn nobodys_name_is_markup_or_another_line() {
        let name = "<script>alert(1)</script>\r\nBcc: all@example.com\u{2028}\0<a href=\"https://evil.example\">";
        let content = alert(name, name);
        assert!(!content.html.contains("<script") && !content.html.contains("evil.example\">"), "{}", content.html);
        assert!(content.html.contains("&lt;script&gt;"), "{}", content.html);
        assert!(content.text.lines().all(|line| !line.starts_with("Bcc")), "{}", content.text);
        assert!(!content.subject.contains(['\r', '\n', '\0', '\u{2028}']), "{:?}", content.subject);
    }

    #[test]
    fn a_line_is_one_whatever_is_in_it() {
        for (text, line) in [
            ("a\r\nBcc: b@example.com", "a Bcc: b@example.com"),
            ("a\u{2028}b\u{2029}c\u{85}d\0e\u{B}f\u{1B}g", "a b c d e f g"),
            ("=?utf-8?q?=0D=0ABcc:_b@example.com?=", "= ?utf-8?q?=0D=0ABcc:_b@example.com?="),
            ("\u{202E}moc.elpmaxe", "moc.elpmaxe"),
            (" \t ", ""),
            ("ä", "ä"),
        ] {
            assert_eq!(one_line(text, 100), line, "{text:?}");
        }
        assert_eq!(one_line(&"ä".repeat(1000), 150).chars().count(), 151);
        assert_eq!(alert(&"x".repeat(100_000), "t").subject.chars().count(), 151);
    }

    #[test]
    fn only_links_to_the_web_are_links() {
        for (link, kept) in [("javascript:alert(1)", false), ("data:text/html,x", false), ("https://a.example/x", true)]
        {
            let values = json!({ "organization": "Acme", "title": "t", "ended": false, "link": link });
            assert_eq!(render(MailKind::Alert, &values).unwrap().text.contains(link), kept, "{link}");
        }
    }

    #[test]
    fn every_kind_has_its_templates_and_says_what_it_lacks() {
        for kind in MailKind::ALL {
            assert!(render(*kind, &json!({})).is_err(), "{kind:?}");
        }
    }
}
