//! `/.well-known/security.txt`: whom to tell of a weakness (RFC 9116).

use super::config::SecurityTxt;
use axum::{Router, response::IntoResponse, routing::get};
use http::header;
use license_core::Clock;
use std::{fmt::Write, sync::Arc};
use time::{Duration, OffsetDateTime, Time, format_description::well_known::Rfc3339};

/// For how long what is said may be relied on: well below the year that RFC 9116 section 2.5.5 advises.
const GOOD_FOR: Duration = Duration::days(90);

/// The file at a time, in Unix seconds. Its end is counted anew for whoever asks, so that a server which is never
/// deployed again does not serve one that is over; it is a midnight, so that the file is the same all day.
fn text(named: &SecurityTxt, now: i64) -> String {
    let today = OffsetDateTime::from_unix_timestamp(now).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let until = today.saturating_add(GOOD_FOR).replace_time(Time::MIDNIGHT);
    let mut text = String::new();
    for contact in &named.contacts {
        let _ = writeln!(text, "Contact: {contact}");
    }
    let _ = writeln!(text, "Expires: {}", until.format(&Rfc3339).unwrap_or_default());
    for (name, value) in [("Canonical", &named.canonical), ("Policy", &named.policy)] {
        if let Some(value) = value {
            let _ = writeln!(text, "{name}: {value}");
        }
    }
    text
}

/// The path, on every service: whoever finds one host finds whom to tell. None where nobody is named.
pub(super) fn router(named: Option<&Arc<SecurityTxt>>) -> Router {
    let Some(named) = named.cloned() else { return Router::new() };
    let answer = move || async move {
        let headers =
            [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::CACHE_CONTROL, "public, max-age=86400")];
        (headers, text(&named, Clock::system().now_seconds())).into_response()
    };
    Router::new().route(SecurityTxt::PATH, get(answer))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::config::Environment;

    fn read(values: &[(&str, &str)]) -> SecurityTxt {
        let values = values.iter().map(|&(name, value)| (name.into(), value.into()));
        SecurityTxt::from_env(&Environment::map(values.collect())).unwrap().unwrap()
    }

    #[test]
    fn the_file_has_the_fields_of_rfc_9116_and_ends_ninety_days_after_whenever_it_is_asked_for() {
        let all = [
            ("SECURITY_CONTACT", "mailto:security@example.com, https://example.com/report ,tel:+1-201-555-0123"),
            ("SECURITY_POLICY", "https://example.com/policy"),
            ("PUBLIC_URL", "https://licenses.example.com/"),
        ];
        let file = read(&all);
        let expected = "Contact: mailto:security@example.com\n\
            Contact: https://example.com/report\n\
            Contact: tel:+1-201-555-0123\n\
            Expires: 2027-02-26T00:00:00Z\n\
            Canonical: https://licenses.example.com/.well-known/security.txt\n\
            Policy: https://example.com/policy\n";
        let noon = 1_795_867_200; // 2026-11-28T12:00:00Z
        assert_eq!(text(&file, noon), expected);
        assert_eq!(text(&file, noon + 11 * 3600), expected, "the same all day");
        assert!(text(&file, noon + 400 * 86_400).contains("Expires: 2028-04-01T00:00:00Z"), "never stale");
        let shortest = text(&read(&all[..1]), noon);
        assert!(!shortest.contains("Canonical") && !shortest.contains("Policy"), "{shortest}");
    }
}
