//! API.md lists the operations for which an organization may demand a fresher or stronger sign-in, and the changes that
//! are exempt. What the code guards is decided by a rule with exceptions, so each exception is read here by somebody.

use super::{hold, markdown::section};
use license_functions::admin::{
    access::{LeastRole, TABLE},
    step_up::is_guarded,
};
use regex::Regex;
use std::collections::BTreeSet;

/// The changes that the page lists between two of its words.
fn listed(text: &str, from: &str, to: &str) -> BTreeSet<String> {
    let start = text.find(from).unwrap_or_else(|| panic!("the section has no text {from:?}")) + from.len();
    let list = &text[start..start + text[start..].find(to).unwrap_or_else(|| panic!("no text {to:?}"))];
    let operation = Regex::new(r"`([A-Z]+ …[^`]*)`").unwrap();
    operation.captures_iter(list).map(|found| found[1].to_owned()).collect()
}

/// The changes that people of an organization may make as its admins, or that delete something.
fn changes(guarded: bool) -> BTreeSet<String> {
    let of_people = TABLE.iter().filter(|rule| rule.method != "GET" && rule.least != LeastRole::Staff);
    let of_people = of_people.filter(|rule| is_guarded(rule) == guarded);
    let short = |path: &str| path.replacen("/api/v1/organizations/{organization}", "…", 1);
    of_people.map(|rule| format!("{} {}", rule.method, short(rule.path))).collect()
}

fn differences(text: &str) -> Vec<String> {
    let section = section(text, "### Access policy: a fresher or stronger sign-in");
    let guarded = listed(section, "for these operations: ", "Not for the others");
    let exempt = listed(section, "Not for the others", "\n\n");
    let guarded = super::differences("the guarded operation", &guarded, &changes(true));
    [guarded, super::differences("the exempt operation", &exempt, &changes(false))].concat()
}

#[test]
fn the_page_names_every_change_that_a_fresher_sign_in_may_be_demanded_for_and_every_other() {
    hold(
        "docs/API.md",
        differences,
        &[
            ("`POST …/void-tokens`, ", ""),
            ("`DELETE …/people/{person}`, `POST …/invitations`", "`DELETE …/people/{person}`"),
            ("`PATCH …/projects/{project}`", "`PATCH …/licenses/{license}`"),
        ],
    );
}
