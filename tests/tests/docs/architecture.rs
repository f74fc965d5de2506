//! docs/ARCHITECTURE.md: each invariant names the tests that keep it, and the map has every module.

use super::{
    facts::files,
    hold,
    markdown::{code_spans, section},
    root,
};
use regex::Regex;
use std::fs;

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
