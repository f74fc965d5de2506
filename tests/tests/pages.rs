//! The lists of docs/ say what the code says, all of it and no more: settings, limits, metrics, outcomes, log lines, roles, audited acts and
//! events. Codes are held by `errors.rs`, paths and bodies by the document's own tests, arrows by `architecture.rs`.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests; clippy.toml's exception does not reach helpers")]

use license_functions::edge::telemetry::MetricName;
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

const OPERATING: &str = include_str!("../../docs/OPERATING.md");
const API: &str = include_str!("../../docs/API.md");
const SAMPLE: &str = include_str!("../../.env.sample");

/// Set by Cloud Run itself, for nobody to set.
const PLATFORM: [&str; 1] = ["K_SERVICE"];

/// What services read and `license-local` neither takes over nor sets: it has its own ports and its own bus, and no Cloud KMS.
const NOT_ON_ONE_MACHINE: [&str; 9] = [
    "PORT",
    "BIND_ADDRESS",
    "K_SERVICE",
    "KMS_ENDPOINT",
    "GCE_METADATA_HOST",
    "PUBSUB_TOPIC_TICK",
    "PUBSUB_TOPIC_REAP",
    "PUBSUB_TOPIC_EVENTS",
    "PUBSUB_EMULATOR_HOST",
];

/// What is spelled like a setting in these pages and is one of psql's, of an example's shell, or a word of Cloud KMS.
const FOREIGN: [&str; 3] = ["ON_ERROR_STOP", "ADMIN_URL", "RSA_SIGN_PKCS1_4096_SHA256"];

type Names = BTreeSet<String>;

fn names<'a>(of: impl IntoIterator<Item = &'a str>) -> Names {
    of.into_iter().map(str::to_owned).collect()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The code of a folder or file: every line of what is shipped, without comments and tests.
fn code(path: &str) -> String {
    let (mut text, mut left) = (String::new(), vec![root().join(path)]);
    while let Some(path) = left.pop() {
        if path.is_dir() {
            left.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|kind| kind == "rs")
            && !path.components().any(|part| part.as_os_str() == "tests")
        {
            let file = fs::read_to_string(&path).unwrap();
            let shipped = file.split("#[cfg(test)]").next().unwrap();
            for line in shipped.lines().filter(|line| !line.trim_start().starts_with("//")) {
                text.push_str(line);
                text.push('\n');
            }
        }
    }
    assert!(!text.is_empty(), "{path} has code");
    text
}

/// What stands between quotes.
fn literals(code: &str) -> impl Iterator<Item = &str> {
    code.lines().flat_map(|line| line.split('"').skip(1).step_by(2))
}

fn is_setting(word: &str) -> bool {
    let spelled = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
    word == "PORT" || (word.contains('_') && word.len() > 3 && word.bytes().all(spelled) && !word.starts_with('_'))
}

/// The words of a text that could be settings.
fn settings(text: &str) -> Names {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    names(words.filter(|word| is_setting(word)))
}

/// What stands in backticks in the part of a page that begins so and ends so.
fn listed<'a>(page: &'a str, from: &str, to: &str) -> Vec<&'a str> {
    let part = page.split_once(from).unwrap_or_else(|| panic!("a part that begins with {from:?}")).1;
    let part = part.split_once(to).unwrap_or_else(|| panic!("an end {to:?} of {from:?}")).0;
    part.split('`').skip(1).step_by(2).collect()
}

/// The cells of each row of the table below this header.
fn rows<'a>(page: &'a str, header: &str) -> Vec<Vec<&'a str>> {
    let table = page.split_once(header).unwrap_or_else(|| panic!("a table {header:?}")).1;
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    rows.map(|row| row.trim_matches('|').split(" | ").map(str::trim).collect()).collect()
}

/// What the services read.
fn read() -> Names {
    names(literals(&code("functions/src")).filter(|word| is_setting(word)))
}

/// What `license-local` reads of its environment, and what it sets for the services by itself.
fn on_one_machine() -> (Names, Names) {
    let code = code("local/src/environment.rs");
    let (set, read): (Vec<&str>, Vec<&str>) = code.lines().partition(|line| line.trim_start().starts_with("set("));
    let words = |lines: Vec<&str>| names(literals(&lines.join("\n")).filter(|word| is_setting(word)));
    (words(read), words(set))
}

#[test]
fn every_setting_that_is_read_is_in_the_sample_and_nothing_else_is() {
    let (local, _) = on_one_machine();
    let read: Names = read().union(&local).cloned().collect();
    let named: Names = settings(SAMPLE).into_iter().filter(|name| !FOREIGN.contains(&name.as_str())).collect();
    let needed: Names = read.iter().filter(|name| !PLATFORM.contains(&name.as_str())).cloned().collect();
    assert_eq!(needed.difference(&named).collect::<Vec<_>>(), Vec::<&String>::new(), "are read and not in .env.sample");
    assert_eq!(
        named.difference(&read).collect::<Vec<_>>(),
        Vec::<&String>::new(),
        "are in .env.sample and read by nobody"
    );
}

#[test]
fn operating_names_every_setting_of_license_local_and_no_setting_that_nobody_reads() {
    let list = listed(OPERATING, "From the environment it takes ", " and nothing else");
    let list: Names = list.iter().flat_map(|names| settings(names)).collect();
    let (local, set) = on_one_machine();
    assert_eq!(list, local);
    // Elsewhere on the page only what somebody reads is spoken of, or makes.
    let ours: Names = read().into_iter().chain(local).chain(set).chain(names(FOREIGN)).collect();
    let backticked: Names = OPERATING.split('`').skip(1).step_by(2).flat_map(settings).collect();
    assert_eq!(backticked.difference(&ours).collect::<Vec<_>>(), Vec::<&String>::new());
}

#[test]
fn on_one_machine_every_setting_is_taken_over_or_set_or_known_not_to_be() {
    let (local, set) = on_one_machine();
    let read = read();
    let lost: Vec<&String> = read
        .iter()
        .filter(|name| !local.contains(*name) && !set.contains(*name) && !NOT_ON_ONE_MACHINE.contains(&name.as_str()))
        .collect();
    assert_eq!(lost, Vec::<&String>::new());
    for name in NOT_ON_ONE_MACHINE {
        assert!(read.contains(name) && !local.contains(name) && !set.contains(name), "{name}");
    }
}

#[test]
fn every_limit_is_in_the_table_of_rates() {
    let rows = rows(API, "| Limit | For each |");
    let documented: Names = rows.iter().flat_map(|row| settings(row.last().unwrap())).collect();
    let read: Names = read().into_iter().filter(|name| name.starts_with("RATE_")).collect();
    assert_eq!(documented, read);
    let code = code("functions/src");
    for row in rows {
        assert!(literals(&code).any(|word| word == row[0].trim_matches('`')), "{}", row[0]);
    }
}

#[test]
fn every_metric_and_outcome_of_a_request_is_named() {
    let metrics = listed(OPERATING, "`metric` is", "`outcome` is");
    assert_eq!(names(metrics), names(MetricName::ALL.iter().map(|metric| metric.as_str())));
    let outcomes = names(listed(OPERATING, "`outcome` is the code of", "Answers from 500"));
    let code = code("functions/src");
    for outcome in &outcomes {
        assert!(literals(&code).any(|word| word == outcome), "nobody says {outcome}");
    }
    // Where handlers choose one: the label of an answer, in whatever form.
    let chosen = code.lines().filter(|line| {
        let marks = [
            "(status, label) =",
            "acknowledged(\"",
            "answer(StatusCode::",
            "unwrap_or(\"valid\")",
            ".unwrap_or(\"ok\")",
        ];
        marks.iter().any(|mark| line.contains(mark))
    });
    let said = names(
        chosen.flat_map(literals).filter(|word| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase())),
    );
    assert_eq!(said, outcomes);
}

#[test]
fn every_log_line_that_is_explained_is_one() {
    let code = ["core/src", "functions/src", "pubsub/src"].map(code).concat();
    let rows = rows(OPERATING, "| Message | Means |");
    assert!(rows.len() > 10);
    for row in rows {
        // Names of fields follow in brackets.
        let messages = row[0].split(" (`").next().unwrap();
        for message in messages.split('`').skip(1).step_by(2) {
            // What differs from line to line is three dots, at the end.
            let start = message.split('…').next().unwrap().trim_end();
            assert!(code.contains(start), "nobody logs {message:?}");
        }
    }
}

#[test]
fn every_service_connects_as_the_role_that_is_said() {
    let mut said = Names::new();
    for row in rows(OPERATING, "| Service | Role |") {
        for service in row[0].split(", ") {
            let file = if service == "admin" {
                "functions/src/admin/mod.rs".into()
            } else {
                format!("functions/src/{service}.rs")
            };
            let code = code(&file);
            let role = match row[1].trim_matches('`') {
                "service" => "wiring::moves(",
                "reaper" => "DatabaseRole::Reaper",
                "admin" => "DatabaseRole::Admin",
                other => panic!("{other} is no role"),
            };
            assert!(code.contains(role), "{service} is not {}", row[1]);
            said.insert(service.to_owned());
        }
    }
    let services = fs::read_dir(root().join("functions/src/bin")).unwrap();
    let services = services.map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned());
    assert_eq!(said, services.collect::<Names>());
}

/// `noun.what_happened`, as acts and events are called.
fn is_act(word: &str) -> bool {
    word.split_once('.').is_some_and(|(noun, verb)| {
        let plain = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        plain(noun) && plain(verb)
    })
}

#[test]
fn every_audited_act_and_every_event_is_named_and_done() {
    let code = ["core/src", "migrations"].map(|folder| {
        let sql = fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap().path());
        let sql = sql.filter(|path| path.extension().is_some_and(|kind| kind == "sql"));
        let sql: String = sql.map(|path| fs::read_to_string(path).unwrap().replace('\'', "\"")).collect();
        if folder == "migrations" { sql } else { code(folder) }
    });
    let acts = listed(API, "* Actions:", "### Erasures");
    let events = rows(API, "| `kind` | `payload` |");
    let events = events.iter().flat_map(|row| row[0].split('`').skip(1).step_by(2));
    let documented = names(acts.into_iter().chain(events).filter(|word| is_act(word)));
    assert!(documented.len() > 20);
    // The records write it as `license.` and the state that it has now.
    for act in documented.iter().filter(|act| *act != "license.active") {
        assert!(code.iter().any(|code| literals(code).any(|word| word == act)), "nobody does {act}");
    }
    let nouns: Names = documented.iter().map(|act| act.split_once('.').unwrap().0.to_owned()).collect();
    let done = literals(&code[0]).filter(|word| is_act(word) && nouns.contains(word.split_once('.').unwrap().0));
    let done = names(done.filter(|word| !["rs", "sql", "lua"].contains(&word.split_once('.').unwrap().1)));
    assert_eq!(done.difference(&documented).collect::<Vec<_>>(), Vec::<&String>::new());
}
