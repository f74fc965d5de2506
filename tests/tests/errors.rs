//! docs/ERRORS.md says of every code what the code's own table says.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests; clippy.toml's exception does not reach helpers")]

use license_core::ProblemCode;
use license_functions::edge::problem::table;

const PAGE: &str = include_str!("../../docs/ERRORS.md");

/// The members that a code has besides those of every problem.
const MEMBERS: &[(ProblemCode, &[&str])] = &[
    (ProblemCode::InvalidRequest, &["errors", "field", "problem"]),
    (ProblemCode::InsufficientUserAuthentication, &["max_age", "acr_values"]),
    (ProblemCode::LicenseExpired, &["license", "since"]),
    (ProblemCode::LicenseSuspended, &["license", "since"]),
    (ProblemCode::LicenseRevoked, &["license", "since"]),
    (ProblemCode::LicenseNotStarted, &["license", "since"]),
    (ProblemCode::ProductNotAllowed, &["license", "product"]),
    (ProblemCode::InsufficientRole, &["required"]),
    (ProblemCode::InsufficientScope, &["required"]),
    (ProblemCode::AddressNotAllowed, &["address"]),
    (
        ProblemCode::NoSeatsAvailable,
        &["seats_total", "seats_used", "seats_waiting", "next_seat_in", "holders", "label", "since", "seen_in"],
    ),
    (ProblemCode::TooManyProcesses, &["processes", "next_process_in"]),
    (ProblemCode::SessionGone, &["reason", "expired", "kicked", "released", "unknown", "session_id"]),
];

/// Each code's section: its heading and what stands below it.
fn sections() -> Vec<(&'static str, &'static str)> {
    PAGE.split("\n## ").skip(1).map(|section| section.split_once('\n').unwrap()).collect()
}

fn line<'a>(section: &'a str, start: &str) -> Option<&'a str> {
    section.lines().find_map(|line| line.strip_prefix(start)).map(str::trim)
}

#[test]
fn every_code_has_its_section_and_no_section_is_of_no_code() {
    let headings: Vec<&str> = sections().into_iter().map(|(heading, _)| heading).collect();
    let codes: Vec<&str> = ProblemCode::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(headings, codes, "in the order of the code");
}

#[test]
fn a_section_says_the_status_the_title_and_the_retry_advice_of_the_table() {
    for (&code, (heading, text)) in ProblemCode::ALL.iter().zip(sections()) {
        let row = table(code);
        let status = row.status.as_u16();
        let says = line(text, "Status: ").unwrap_or_else(|| panic!("{heading} says its status"));
        let also_400 = code == ProblemCode::InvalidRequest;
        assert_eq!(
            says,
            if also_400 { format!("{status}, or 400 when the body is not JSON") } else { status.to_string() },
            "{heading}"
        );
        assert_eq!(line(text, "Title: "), Some(row.title), "{heading}");
        let retry = line(text, "Retry-After: ").unwrap_or_else(|| panic!("{heading} says when to come back"));
        match row.retry_after {
            Some(seconds) => assert_eq!(retry, format!("{seconds} s"), "{heading}"),
            None if [ProblemCode::NoSeatsAvailable, ProblemCode::TooManyProcesses, ProblemCode::LicenseNotStarted]
                .contains(&code) =>
            {
                assert!(retry.starts_with("when"), "{heading}")
            }
            None => assert_eq!(retry, "none", "{heading}"),
        }
    }
}

#[test]
fn a_section_says_what_happened_what_to_do_and_every_extra_member() {
    for (&code, (heading, text)) in ProblemCode::ALL.iter().zip(sections()) {
        let happened = line(text, "What happened: ").unwrap_or_default();
        let to_do = line(text, "What to do: ").unwrap_or_default();
        assert!(happened.len() > 20 && to_do.len() > 20, "{heading} helps a person");
        let members = line(text, "Members: ").unwrap_or_else(|| panic!("{heading} says its members"));
        match MEMBERS.iter().find(|(known, _)| *known == code) {
            Some((_, names)) => {
                for name in *names {
                    assert!(members.contains(&format!("`{name}`")), "{heading} names {name}");
                }
            }
            None => assert_eq!(members, "none", "{heading}"),
        }
    }
}
