//! docs/decisions: numbered in the index, and one for every dependency.

use super::{differences, facts::files, hold, markdown::tables, read};
use regex::Regex;
use std::collections::BTreeSet;

/// The decisions by name, with their titles.
fn decisions() -> Vec<(String, String)> {
    let dated = files("docs/decisions", "md").into_iter().filter(|(name, _)| !name.ends_with("README.md"));
    let mut all: Vec<(String, String)> = dated
        .map(|(name, text)| {
            let date = Regex::new(r"^\d{4}-\d\d-\d\d:? ").unwrap();
            let title = text.lines().next().unwrap().trim_start_matches("# ").to_owned();
            (name.rsplit('/').next().unwrap().to_owned(), date.replace(&title, "").into_owned())
        })
        .collect();
    all.sort();
    all
}

/// The index has each decision once, numbered in the order in which they were made: a number, once given, stays.
fn index(text: &str) -> Vec<String> {
    let rows = tables(text, &["Number", "Decision", "Date"]);
    let numbered = rows.iter().enumerate().filter(|(at, row)| row[0] != (at + 1).to_string());
    let mut wrong: Vec<String> =
        numbered.map(|(at, row)| format!("row {} has the number {}", at + 1, row[0])).collect();
    if !rows.is_sorted_by_key(|row| row[2].clone()) {
        wrong.push("a later decision has a lower number".to_owned());
    }
    let named = rows.iter().map(|row| format!("{} | {}", row[1], row[2])).collect();
    let expected = decisions().into_iter().map(|(name, title)| {
        let title = title[..1].to_uppercase() + &title[1..];
        format!("[{title}]({name}) | {}", &name[..10])
    });
    wrong.extend(differences("the row", &named, &expected.collect::<BTreeSet<String>>()));
    wrong
}

#[test]
fn the_index_has_every_decision_with_its_number() {
    hold(
        "docs/decisions/README.md",
        index,
        &[
            ("| 2 |", "| 102 |"),
            ("| 2026-11-21 |\n| 2 |", "| 2026-11-22 |\n| 2 |"),
            ("2026-11-28-one-rebuilder.md", "2026-11-28-two-rebuilders.md"),
        ],
    );
}

/// Dependencies of the workspace that no decision names.
fn unexplained(manifest: &str) -> Vec<String> {
    let said: String = files("docs/decisions", "md").into_iter().map(|(_, text)| text).collect();
    let start = manifest.find("[workspace.dependencies]").unwrap();
    let section = manifest[start..].split("\n[workspace.lints").next().unwrap();
    let name = Regex::new(r"(?m)^([a-z][a-z0-9_-]*) = ").unwrap();
    let named = name.captures_iter(section).map(|found| found[1].to_owned());
    let ours = |name: &String| name.starts_with("license-");
    let word = |name: &str| Regex::new(&format!(r"(?m)(^|[^a-z0-9_-]){}($|[^a-z0-9_-])", regex::escape(name))).unwrap();
    named
        .filter(|name| !ours(name) && !word(name).is_match(&said))
        .map(|name| format!("no decision says why {name} is used"))
        .collect()
}

#[test]
fn every_dependency_has_a_decision() {
    hold("Cargo.toml", unexplained, &[("\nlexopt = ", "\nclap-of-thunder = ")]);
    assert!(!read("docs/decisions/README.md").is_empty());
}
