//! `/.well-known/security.txt`: whom to tell of a weakness (RFC 9116).

use super::config::{ConfigResult, Environment, without_slash, wrong};
use axum::{Router, response::IntoResponse, routing::get};
use http::header;
use license_core::Clock;
use std::{fmt::Write, sync::Arc};
use time::{Duration, OffsetDateTime, Time, format_description::well_known::Rfc3339};

/// Where it is served.
const PATH: &str = "/.well-known/security.txt";
/// For how long what is said may be relied on: well below the year that RFC 9116 section 2.5.5 advises.
const GOOD_FOR: Duration = Duration::days(90);

/// Whom to tell, as the deployment says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecurityTxt {
    contacts: Vec<String>,
    policy: Option<String>,
    canonical: Option<String>,
}

impl SecurityTxt {
    /// Reads `SECURITY_CONTACT` (`mailto:`, `https:` or `tel:`, several with commas between them, the preferred one
    /// first) and `SECURITY_POLICY`; `PUBLIC_URL` makes it canonical. `None`: nobody is named, and the path is 404.
    ///
    /// # Errors
    /// A sentence that names the variable that is wrong.
    pub fn from_env(env: &Environment) -> ConfigResult<Option<Self>> {
        let Some(text) = env.get("SECURITY_CONTACT") else { return Ok(None) };
        let contacts = text.split(',').map(str::trim).filter(|contact| !contact.is_empty());
        let contacts = contacts.map(contact).collect::<ConfigResult<Vec<_>>>()?;
        if contacts.is_empty() {
            return wrong("SECURITY_CONTACT", "names nobody; leave it out, or write mailto:security@example.com");
        }
        let policy = match env.get("SECURITY_POLICY") {
            Some(url) if is_uri(&url) && url.starts_with("https://") => Some(url),
            Some(url) => return wrong("SECURITY_POLICY", format!("must be an https: URL, and is {url:?}")),
            None => None,
        };
        let canonical = env.get("PUBLIC_URL").map(|_| env.url("PUBLIC_URL", None)).transpose()?;
        Ok(Some(Self { contacts, policy, canonical: canonical.map(|url| without_slash(url) + PATH) }))
    }

    /// The file at a time, in Unix seconds. Its end is counted anew for whoever asks, so that a server which is never
    /// deployed again does not serve one that is over; it is a midnight, so that the file is the same all day.
    fn text(&self, now: i64) -> String {
        let today = OffsetDateTime::from_unix_timestamp(now).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let until = today.saturating_add(GOOD_FOR).replace_time(Time::MIDNIGHT);
        let mut text = String::new();
        for contact in &self.contacts {
            let _ = writeln!(text, "Contact: {contact}");
        }
        let _ = writeln!(text, "Expires: {}", until.format(&Rfc3339).unwrap_or_default());
        for (name, value) in [("Canonical", &self.canonical), ("Policy", &self.policy)] {
            if let Some(value) = value {
                let _ = writeln!(text, "{name}: {value}");
            }
        }
        text
    }
}

fn contact(text: &str) -> ConfigResult<String> {
    let known = text.starts_with("https://")
        || text.strip_prefix("tel:").is_some_and(|number| !number.is_empty())
        || text.strip_prefix("mailto:").is_some_and(|address| address.contains('@'));
    if known && is_uri(text) {
        return Ok(text.to_owned());
    }
    let hint =
        if text.contains('@') && !text.contains(':') { format!(" (write mailto:{text})") } else { String::new() };
    wrong(
        "SECURITY_CONTACT",
        format!("must be mailto:, https: or tel: addresses with commas between them, and has {text:?}{hint}"),
    )
}

/// One word of printable ASCII: it stands on a line of its own.
fn is_uri(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_graphic())
}

/// The path, on every service: whoever finds one host finds whom to tell. None where nobody is named.
pub(super) fn router(named: Option<&Arc<SecurityTxt>>) -> Router {
    let Some(named) = named.cloned() else { return Router::new() };
    let answer = move || async move {
        let headers =
            [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::CACHE_CONTROL, "public, max-age=86400")];
        (headers, named.text(Clock::system().now_seconds())).into_response()
    };
    Router::new().route(PATH, get(answer))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[(&str, &str)]) -> ConfigResult<Option<SecurityTxt>> {
        SecurityTxt::from_env(&Environment::map(
            values.iter().map(|&(name, value)| (name.into(), value.into())).collect(),
        ))
    }

    #[test]
    fn the_file_has_the_fields_of_rfc_9116_and_ends_ninety_days_after_whenever_it_is_asked_for() {
        let all = [
            ("SECURITY_CONTACT", "mailto:security@example.com, https://example.com/report ,tel:+1-201-555-0123"),
            ("SECURITY_POLICY", "https://example.com/policy"),
            ("PUBLIC_URL", "https://licenses.example.com/"),
        ];
        let file = read(&all).unwrap().unwrap();
        let expected = "Contact: mailto:security@example.com\n\
            Contact: https://example.com/report\n\
            Contact: tel:+1-201-555-0123\n\
            Expires: 2027-02-26T00:00:00Z\n\
            Canonical: https://licenses.example.com/.well-known/security.txt\n\
            Policy: https://example.com/policy\n";
        let noon = 1_795_867_200; // 2026-11-28T12:00:00Z
        assert_eq!(file.text(noon), expected);
        assert_eq!(file.text(noon + 11 * 3600), expected, "the same all day");
        assert!(file.text(noon + 400 * 86_400).contains("Expires: 2028-04-01T00:00:00Z"), "never stale");
        let least = read(&all[..1]).unwrap().unwrap().text(noon);
        assert!(!least.contains("Canonical") && !least.contains("Policy"), "{least}");
    }

    #[test]
    fn nobody_is_named_unless_set_and_a_wrong_address_is_told_how_to_be_written() {
        assert_eq!(read(&[("SECURITY_POLICY", "https://example.com")]), Ok(None));
        for wrong in [
            "security@example.com",
            "http://example.com",
            "mailto:security",
            "tel:",
            ",",
            "mailto:a@b.c\nExpires: never",
            "https://a b",
        ] {
            let error = read(&[("SECURITY_CONTACT", wrong)]).unwrap_err();
            assert_eq!(error.variable, "SECURITY_CONTACT", "{wrong}");
        }
        assert!(read(&[("SECURITY_CONTACT", "a@b.c")]).unwrap_err().problem.contains("mailto:a@b.c"));
        let contact = ("SECURITY_CONTACT", "mailto:a@b.c");
        for (name, value) in [("SECURITY_POLICY", "http://example.com"), ("PUBLIC_URL", "example.com")] {
            assert_eq!(read(&[contact, (name, value)]).unwrap_err().variable, name);
        }
    }
}
