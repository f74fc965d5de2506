//! Lists of docs/OPERATING.md that are short and easily forgotten: how `migrate` ends, which commands Redis is sent,
//! what lies in the data directory, and for how long anything is kept.

use super::{
    differences,
    facts::{files, found},
    hold,
    markdown::{code_spans, section, tables},
    read,
};
use regex::Regex;
use std::collections::{BTreeMap, BTreeSet};

/// The numbers with which `migrate` ends, and what each means.
fn exit_codes() -> BTreeMap<String, String> {
    let text = read("functions/src/migrate/exit.rs");
    let start = text.find("const ALL: [(Self, u8").expect("the codes have a table");
    let list = &text[start..start + text[start..].find("];").expect("its end")];
    let row = Regex::new(r#"Self::[A-Za-z:()]+,\s+([0-9]+),\s+"([^"]+)""#).unwrap();
    let codes: BTreeMap<String, String> =
        row.captures_iter(list).map(|found| (found[1].to_owned(), found[2].to_owned())).collect();
    assert_eq!(codes.len(), Regex::new(r"\(\s*Self::").unwrap().find_iter(list).count(), "every row is read");
    codes
}

fn exits(text: &str) -> Vec<String> {
    let codes: BTreeSet<String> = exit_codes().into_iter().map(|(code, means)| format!("{code}: {means}")).collect();
    let rows = tables(text, &["Exit code", "Means"]);
    let said = rows.iter().map(|row| format!("{}: {}", row[0], row[1])).collect();
    let mut wrong = differences("the exit code", &said, &codes);
    let in_words = Regex::new(r"\(exit code ([0-9]+)\)").unwrap();
    let unknown = in_words.captures_iter(text).filter(|found| !exit_codes().contains_key(&found[1]));
    wrong.extend(unknown.map(|found| format!("there is no exit code {}", &found[1])));
    wrong
}

#[test]
fn the_page_names_every_exit_code_of_migrate_and_what_it_means() {
    let lies = [
        ("| 8 | another migrate was at work for a minute |\n", ""),
        ("| 3 | the database server does not answer |", "| 3 | the database server answers |"),
        ("what is not (exit code 10)", "what is not (exit code 20)"),
    ];
    hold("docs/OPERATING.md", exits, &lies);
}

/// The commands that Redis is sent from outside of scripts. `AUTH` is the client library's, with what
/// `address.rs` gives it.
fn commands_sent() -> BTreeSet<String> {
    let mut sent = found("core/src/seat_store", "rs", r#"(?:redis::cmd|\.command)\("([A-Z]+)""#);
    if read("core/src/seat_store/address.rs").contains("password") {
        sent.insert("AUTH".to_owned());
    }
    sent
}

fn commands(text: &str) -> Vec<String> {
    let line = Regex::new(r"\* Commands that are sent: ([^;]+); inside scripts ([^.]+)\. ([^.]+) are not\.").unwrap();
    let Some(said) = line.captures(text) else { return vec!["the page lists no commands of Redis".to_owned()] };
    let named = |list: &str| -> BTreeSet<String> {
        let upper = |span: &String| span.chars().all(|c| c.is_ascii_uppercase());
        code_spans(&list.replace('\n', " ")).into_iter().filter(upper).collect()
    };
    let in_scripts = found("core/src/seat_store", "lua", r"redis\.p?call\('([A-Z]+)'");
    let mut wrong = differences("the command", &named(&said[1]), &commands_sent());
    wrong.extend(differences("in scripts, the command", &named(&said[2]), &in_scripts));
    // A command that is built has its name in the code as well.
    let code: String = files("core/src/seat_store", "rs").into_iter().map(|(_, text)| text).collect();
    let never = code_spans(&said[3].replace('\n', " "))
        .into_iter()
        .filter(|command| command.split(' ').all(|word| code.contains(&format!("\"{word}\""))));
    wrong.extend(never.map(|command| format!("{command} is sent")));
    wrong
}

#[test]
fn the_page_names_every_command_that_redis_is_sent() {
    let lies = [
        ("`EVALSHA`, `EVAL` and `INFO`; inside", "`EVALSHA` and `INFO`; inside"),
        ("`HDEL`, `HEXISTS`", "`HEXISTS`"),
        (", and `FLUSHALL` for", ", for"),
        ("`SCRIPT LOAD` and `CONFIG`, which", "`SCRIPT LOAD` and `INFO`, which"),
        ("`AUTH`, `EVALSHA`", "`AUTH`, `SELECT`, `EVALSHA`"),
    ];
    hold("docs/OPERATING.md", commands, &lies);
}

/// The files that `license-local` has in its data directory, and the folders of its stores.
fn data_files() -> BTreeSet<String> {
    let text = read("local/src/data.rs");
    let start = text.find("const FILES: [&str;").expect("the files have a list");
    let list = &text[start..start + text[start..].find("];").unwrap()];
    let name = Regex::new(r#""([a-z.-]+)""#).unwrap();
    let mut names: BTreeSet<String> = name.captures_iter(list).map(|found| found[1].to_owned()).collect();
    let folder = Regex::new(r#"(?m)^        self\.path\("([a-z]+)"\)$"#).unwrap();
    names.extend(folder.captures_iter(&text).map(|found| format!("{}/", &found[1])));
    assert!(names.contains("redis/") && names.contains("postgres/"), "the folders are found: {names:?}");
    names
}

fn directory(text: &str) -> Vec<String> {
    let rows = tables(text, &["", "What", "If it is lost"]);
    let spans = rows.iter().flat_map(|row| code_spans(&row[0]));
    let said =
        spans.map(|name| name.split_once('/').map_or(name.clone(), |(folder, _)| format!("{folder}/"))).collect();
    differences("in the data directory", &said, &data_files())
}

#[test]
fn the_page_names_everything_in_the_data_directory() {
    let lies = [
        ("| `bus.token` |", "| `bus.key` |"),
        ("| `endpoints.json`, `env`, `lock` |", "| `endpoints.json`, `lock` |"),
        ("| `redis/` |", "| `valkey/` |"),
    ];
    hold("docs/OPERATING.md", directory, &lies);
}

/// What is kept for a time, and the place in the code that says so.
fn kept(text: &str) -> Vec<String> {
    let section = section(text, "## 9. What is kept, and for how long");
    let rows: BTreeMap<String, (String, String)> = tables(section, &["What", "Kept", "Where the time stands"])
        .into_iter()
        .map(|row| (row[0].clone(), (row[1].clone(), row[2].clone())))
        .collect();
    let mut wrong = Vec::new();
    let mut demand = |what: &str, begins: &str, place: &str| match rows.get(what) {
        Some((kept, stands)) if kept.starts_with(begins) && stands.contains(place) => {}
        Some(said) => wrong.push(format!("{what} are kept {begins} ({place}), and the page says {said:?}")),
        None => wrong.push(format!("the page does not say how long {what} are kept")),
    };
    // The times of the first migration, of which each has a row.
    let retention = read("migrations/0102_retention.sql");
    let start = retention.find("insert into catalog.retention values").expect("the times are set");
    let values = &retention[start..start + retention[start..].find(';').unwrap()];
    let time = Regex::new(r"\('([a-z_]+)', '([0-9]+ days)'\)").unwrap();
    let mut times = 0;
    for found in time.captures_iter(values) {
        let what = match &found[1] {
            "sessions" => "ended sessions",
            "events" => "published events",
            "usage_minutes" => "how pools were used, by minutes",
            "usage_hours" => "the same by hours",
            "denials" => "who wanted a seat of a full pool",
            "deliveries" => "to whom events were sent, and what came of it",
            "alerts" => "alerts",
            "mails" => "to whom mails were sent, and what became of them",
            _ => "something else",
        };
        demand(what, &found[2], &format!("`catalog.retention`, `{}`", &found[1]));
        times += 1;
    }
    let change = read("core/src/records/change.rs");
    let hours = Regex::new(r"const REPEAT_HOURS: i32 = ([0-9]+);").unwrap();
    let hours = hours.captures(&change).expect("outcomes are kept for some hours")[1].to_owned();
    demand("outcomes of idempotency keys", &format!("{hours} hours"), "–");
    demand("which machines may work without contact (hashes)", "until their grace is over", "`grace_hours`");
    demand("events that were not published yet", "until they are", "–");
    demand("open sessions, seats, licenses, people, projects", "as long as they are", "–");
    demand("the audit log, the log of what staff did to the catalog", "for ever", "–");
    // Rows of tables are deleted in these places alone: another one would need a row of the page.
    let deletes = found("migrations", "sql", r"(?i)\bdelete from ((?:[a-z_]+\.)?[a-z_]*)");
    let expected: BTreeSet<String> = DELETED.iter().map(|(table, _)| (*table).to_owned()).collect();
    let rowless = DELETED.iter().filter(|(_, what)| !rows.contains_key(*what));
    wrong.extend(rowless.map(|(table, what)| format!("{table}: the page does not say how long {what} are kept")));
    wrong.extend(differences("rows that functions delete are of", &expected, &deletes));
    if times != retention.matches("days')").count() {
        wrong.push("a time of catalog.retention was not read".to_owned());
    }
    wrong
}

/// The tables from which SQL functions delete, and why no row of the page but these is needed.
const DELETED: [(&str, &str); 4] = [
    ("public.graces", "which machines may work without contact (hashes)"),
    ("alerts", "alerts"),
    // Copies of what licenses and organizations have, which are gone when that is.
    ("directory.metadata", "open sessions, seats, licenses, people, projects"),
    // One of its tables, from which rows are moved to another.
    ("history.", "ended sessions"),
];

#[test]
fn the_page_says_for_how_long_everything_is_kept() {
    let lies = [
        ("| ended sessions | 400 days", "| ended sessions | 40 days"),
        ("| published events | 30 days", "| published events | 60 days"),
        ("| the same by hours | 1096 days", "| the same by hours | 365 days"),
        ("| outcomes of idempotency keys | 24 hours |", "| outcomes of idempotency keys | 48 hours |"),
        ("| events that were not published yet | until they are |", "| events that were not published yet | 30 days |"),
    ];
    hold("docs/OPERATING.md", kept, &lies);
}
