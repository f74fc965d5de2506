//! docs/ARCHITECTURE.md: each invariant names the tests that keep it, the map has every module and everything at the
//! top of the repository, and what is not built yet is not there.

use super::{
    facts::files,
    hold,
    markdown::{code_spans, section, tables},
    read, readme, root,
};
use regex::Regex;
use std::{collections::BTreeSet, fs};

/// The paragraphs that state an invariant.
fn invariants(text: &str) -> Vec<String> {
    let named = Regex::new(r"`([a-z_/]+\.rs)`:\s`([a-z0-9_]+)`").unwrap();
    let mut wrong = Vec::new();
    // The first paragraph introduces the section, and the last one has the rules that no test keeps.
    let paragraphs: Vec<&str> = section(text, "## Invariants").trim().split("\n\n").collect();
    let all = &paragraphs[1..paragraphs.len() - 1];
    for invariant in all {
        let start: String = invariant.chars().take(60).collect();
        if !invariant.starts_with("*Invariant:*") {
            wrong.push(format!("{start}… does not say that it is an invariant"));
        }
        let mut tests = 0;
        for found in named.captures_iter(invariant) {
            let path = root().join("tests/tests").join(&found[1]);
            let has = fs::read_to_string(&path).is_ok_and(|text| text.contains(&format!("fn {}(", &found[2])));
            if !has {
                wrong.push(format!("{start}…: {} has no test {}", &found[1], &found[2]));
            }
            tests += 1;
        }
        if tests == 0 {
            wrong.push(format!("{start}… names no test that keeps it"));
        }
    }
    wrong
}

#[test]
fn every_invariant_names_a_test_that_keeps_it() {
    let lies = [("`core_has_no_outward_arrow`", "`core_has_no_inward_arrow`"), ("\n\n*Invariant:*", "\n\n*Rule:*")];
    hold("docs/ARCHITECTURE.md", invariants, &lies);
}

/// Modules of `core` and `functions`: folders and files of the first level.
fn modules(text: &str) -> Vec<String> {
    let spans = code_spans(text);
    let mut wrong = Vec::new();
    for folder in ["core/src", "functions/src", "pubsub/src", "local/src"] {
        for (name, _) in files(folder, "rs") {
            let rest = &name[folder.len() + 1..];
            let first = rest.split('/').next().unwrap();
            if ["lib.rs", "main.rs"].contains(&first) {
                continue;
            }
            let path = format!("{folder}/{first}");
            if !spans.iter().any(|span| span.trim_end_matches('/') == path) {
                wrong.push(format!("the map lacks {path}"));
            }
        }
    }
    wrong.sort();
    wrong.dedup();
    wrong
}

#[test]
fn the_map_has_every_module_of_the_first_level() {
    hold("docs/ARCHITECTURE.md", modules, &[("`core/src/signer`", "`core/src/sign`")]);
}

/// What lies at the top of the repository, but for what every repository has, and what the map names and is not there.
fn top_of_the_map(text: &str) -> Vec<String> {
    let rows = tables(text, &["Path", "What it contains"]);
    let paths: Vec<String> = rows.iter().flat_map(|row| code_spans(&row[0])).collect();
    let named: BTreeSet<&str> = paths.iter().filter_map(|path| path.split('/').next()).collect();
    let is_map = |name: &String| !readme::is_setting(name) && !name.starts_with('.') && !name.contains(".json");
    let missing = readme::top().into_iter().filter(|name| is_map(name) && !named.contains(name.as_str()));
    let mut wrong: Vec<String> = missing.map(|name| format!("the map lacks {name}")).collect();
    wrong.extend(paths.iter().filter(|path| !root().join(path).exists()).map(|path| format!("{path} is not there")));
    wrong
}

#[test]
fn the_map_has_everything_that_lies_at_the_top() {
    let lies = [
        ("| `opentofu/` |", "| `tofu/` |"),
        ("`deploy`, `deploy.d/`", "`deploy.d/`"),
        ("| `kubernetes/`, `Dockerfile`", "| `Dockerfile`"),
        ("| `dev`, `dev.d/` |", "| `dev`, `dev.d/make` |"),
    ];
    hold("docs/ARCHITECTURE.md", top_of_the_map, &lies);
}

/// What the page may say is not built yet, and what is in the repository once it is: a path, or a text in the schema,
/// in openapi.json or in the table of variables.
const NOT_BUILT: [(&str, &[&str]); 3] = [
    ("web console", &["console/", "sdk/console"]),
    ("devices", &["/devices", "create table devices"]),
    ("billing", &["billing", "create table invoices"]),
];

/// What the section says is not built and somebody could find.
fn not_built(text: &str) -> Vec<String> {
    let section = section(text, "## Not built yet").trim();
    let list = section.split(['.', '\n']).next().unwrap().trim_start_matches("The ").replace(", and ", ", ");
    let mut code = read("openapi.json") + &read("functions/src/edge/config/variables.rs");
    code.extend(files("migrations", "sql").into_iter().map(|(_, text)| text));
    let there = |sign: &str| root().join(sign).exists() || code.to_lowercase().contains(&sign.to_lowercase());
    let mut wrong = Vec::new();
    for part in list.split(", ") {
        match NOT_BUILT.iter().find(|(name, _)| *name == part) {
            None => wrong.push(format!("nothing says where {part} would be if it were built")),
            Some((_, signs)) => {
                let found = signs.iter().filter(|sign| there(sign));
                wrong.extend(found.map(|sign| format!("{part} is not built yet, and {sign} is there")));
            }
        }
    }
    wrong
}

#[test]
fn what_is_not_built_yet_is_not_there() {
    let lies = [("and billing.", "and a migration command."), ("console, devices,", "console, images,")];
    hold("docs/ARCHITECTURE.md", not_built, &lies);
    // A sign that is there is seen.
    assert!(read("functions/src/edge/config/variables.rs").contains("PUBSUB_"), "the table of variables is read");
}
