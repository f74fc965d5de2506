//! The list of actions of the audit log against the code that writes entries and the SQL functions that look for them.

use crate::{files, root};
use regex::Regex;
use std::{collections::BTreeSet, fs};

const LIST: &str = "core/src/records/audit.rs";
/// Actions of the staff's log, which is of the vendor's catalog; no filter asks for them.
const OF_THE_CATALOG: [&str; 7] = [
    "plan.created",
    "plan.replaced",
    "product.created",
    "product.replaced",
    "staff.tokens_voided",
    "vendor_token.created",
    "vendor_token.revoked",
];
/// Kinds of events that are written beside an entry of another name.
const EVENTS: [&str; 2] = ["invitation.created", "webhook.test"];

/// Words of the form `noun.verb` between these quotes. `app.tenant_id` is a setting, and names with a table before the
/// point are columns.
fn words(text: &str, quote: char) -> BTreeSet<String> {
    let word = Regex::new(&format!("{quote}([a-z_]+\\.[a-z_]+){quote}")).unwrap();
    word.captures_iter(text).map(|found| found[1].to_owned()).collect()
}

/// A file without its comments and unit tests.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// The actions between the brackets of `ACTIONS`.
fn listed(text: &str) -> BTreeSet<String> {
    let list = Regex::new(r"(?s)pub const ACTIONS: \[&str; [0-9]+\] = \[(.*?)\];").unwrap();
    words(&list.captures(text).expect("audit.rs lists the actions")[1], '"')
}

/// What the code writes and the list lacks, and what the list has and nothing writes.
fn differences(list: &str, sources: &[(String, String)], sql: &[(String, String)]) -> Vec<String> {
    let listed = listed(list);
    let mut written = BTreeSet::new();
    for (name, text) in sources.iter().filter(|(name, _)| name != LIST) {
        // The settings of connections, and the table of migrations.
        if !name.ends_with("records/connect.rs") && !name.contains("records/migrate/") {
            written.extend(words(&code(text), '"'));
        }
    }
    for known in OF_THE_CATALOG.iter().chain(&EVENTS) {
        assert!(written.remove(*known), "{known} is no longer written; take it from the exceptions");
    }
    let asked = Regex::new(r"action (?:= '([a-z_.]+)'|in \(([^)]*)\))").unwrap();
    let mut looked_for = BTreeSet::new();
    for (_, text) in sql {
        for found in asked.captures_iter(text) {
            looked_for.extend(found.get(1).map(|one| one.as_str().to_owned()));
            looked_for.extend(found.get(2).map(|list| words(list.as_str(), '\'')).unwrap_or_default());
        }
    }
    assert!(looked_for.len() >= 3, "what SQL functions look for is found: {looked_for:?}");
    let missing = written.difference(&listed).map(|action| format!("{action} is written and not in ACTIONS"));
    let unused = listed.difference(&written).map(|action| format!("{action} is in ACTIONS and nothing writes it"));
    let unknown = looked_for.difference(&listed).map(|action| format!("SQL looks for {action}, which nothing writes"));
    missing.chain(unused).chain(unknown).collect()
}

fn sources() -> [Vec<(String, String)>; 2] {
    let folders = ["core/src/management", "core/src/records"];
    let sources = folders.into_iter().flat_map(|folder| files(folder, &["rs"]));
    [sources.collect(), files("migrations", &["sql"])]
}

#[test]
fn every_action_that_is_written_into_the_audit_log_is_in_the_list_that_filters_know_and_no_other() {
    let [sources, sql] = sources();
    let list = fs::read_to_string(root().join(LIST)).unwrap();
    assert_eq!(differences(&list, &sources, &sql), Vec::<String>::new());
}

#[test]
fn an_action_that_is_missing_on_either_side_is_seen() {
    let [sources, sql] = sources();
    let list = fs::read_to_string(root().join(LIST)).unwrap();
    for (truth, lie) in [("\"project.edited\",\n", ""), ("\"person.left\",", "\"person.left\",\n    \"person.gone\",")]
    {
        assert!(list.contains(truth));
        assert_ne!(differences(&list.replacen(truth, lie, 1), &sources, &sql), Vec::<String>::new(), "{lie}");
    }
    let with = |files: &[(String, String)], name: &str, text: &str| {
        files.iter().cloned().chain([(name.to_owned(), text.to_owned())]).collect::<Vec<_>>()
    };
    let new = with(&sources, "core/src/management/x.rs", "change.audit(\"thing.made\", &id, before, after);");
    assert_eq!(differences(&list, &new, &sql), ["thing.made is written and not in ACTIONS"]);
    let old = with(&sources, "core/src/management/x.rs", "// as \"thing.made\" was\n");
    assert_eq!(differences(&list, &old, &sql), Vec::<String>::new());
    let asks = with(&sql, "migrations/0999_x.sql", "select from audit_log where action = 'session.over'");
    assert_eq!(differences(&list, &sources, &asks), ["SQL looks for session.over, which nothing writes"]);
}
