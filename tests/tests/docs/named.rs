//! Paths and names of tests on every page, and the index of the pages. (Links are checked by `./dev check`.)

use super::{
    facts::files,
    hold,
    markdown::{code_spans, links, prose, tables},
    read, root,
};
use regex::Regex;
use std::{collections::BTreeSet, fs, path::Path};

/// Every page of the repository, by its path from the root.
fn pages() -> Vec<String> {
    let top = fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
    let mut pages: Vec<String> = top.filter(|name| name.ends_with(".md")).collect();
    for folder in ["docs", "sdk/python", "migrations", ".github"] {
        if folder != "migrations" || root().join("migrations/README.md").exists() {
            pages.extend(files(folder, "md").into_iter().map(|(name, _)| name));
        }
    }
    pages
}

/// Paths that a page names, from the root or from its own folder, and that are not there. Decisions are left out: they describe the day on
/// which they were made.
fn missing_paths(page: &str, text: &str) -> Vec<String> {
    const FOLDERS: &str =
        r"^(core|functions|pubsub|local|tests|migrations|sdk|docs|\.ci|\.github|\.githooks)/[\w./*-]+$";
    let path = Regex::new(FOLDERS).unwrap();
    let named = code_spans(&prose(text)).into_iter().filter(|span| path.is_match(span));
    let page_path = root().join(page);
    let there = |name: &String| exists(&root(), name) || exists(page_path.parent().unwrap(), name);
    named.filter(|name| !there(name)).map(|name| format!("{page}: {name} is not there")).collect()
}

/// Whether a path is there below a folder; a name with a star stands for every file that begins as it does.
fn exists(folder: &Path, name: &str) -> bool {
    let Some((before, _)) = name.split_once('*') else { return folder.join(name).exists() };
    let (inner, start) = before.rsplit_once('/').unwrap();
    let there = fs::read_dir(folder.join(inner)).into_iter().flatten();
    there.filter_map(Result::ok).any(|entry| entry.file_name().to_string_lossy().starts_with(start))
}

#[test]
fn every_path_that_a_page_names_exists() {
    let pages = pages().into_iter().filter(|page| !page.starts_with("docs/decisions/2"));
    let missing: Vec<String> = pages.flat_map(|page| missing_paths(&page, &read(&page))).collect();
    assert_eq!(missing, Vec::<String>::new());
    let check = |text: &str| missing_paths("docs/DATA-MODEL.md", text);
    hold(
        "docs/DATA-MODEL.md",
        check,
        &[("`tests/tests/isolation/takeover.rs`", "`tests/tests/isolation/overtake.rs`")],
    );
}

/// Pages of `docs/` that the index does not lead to.
fn unlisted_pages(text: &str) -> Vec<String> {
    let linked: BTreeSet<String> = links(text).iter().map(|link| link.split('#').next().unwrap().to_owned()).collect();
    let pages = fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().file_name());
    let pages = pages.map(|name| name.to_string_lossy().into_owned()).filter(|name| name.ends_with(".md"));
    let missing = pages.filter(|name| name != "README.md" && !linked.contains(name));
    missing.map(|name| format!("the index does not list {name}")).collect()
}

#[test]
fn the_index_of_the_documentation_lists_every_page() {
    hold("docs/README.md", unlisted_pages, &[("(MODEL.md)", "(PROTOCOL.md)")]);
}

/// The names of all functions of the tests, in Rust and Python.
fn test_names() -> BTreeSet<String> {
    let name = Regex::new(r"\b(?:fn|def) ([a-z0-9_]+)\(").unwrap();
    let mut names = BTreeSet::new();
    for (folder, kind) in [
        ("tests", "rs"),
        ("tests/tests", "rs"),
        ("core/src", "rs"),
        ("functions/src", "rs"),
        ("sdk/python/tests", "py"),
    ] {
        for (_, text) in all_files(folder, kind) {
            names.extend(name.captures_iter(&text).map(|found| found[1].to_owned()));
        }
    }
    names
}

/// As [`files`], and those of tests too.
fn all_files(folder: &str, kind: &str) -> Vec<(String, String)> {
    let (mut found, mut left) = (Vec::new(), vec![root().join(folder)]);
    while let Some(folder) = left.pop() {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if path.is_dir() {
                left.push(path);
            } else if path.extension().is_some_and(|k| k == kind) {
                found.push((
                    path.strip_prefix(root()).unwrap().display().to_string(),
                    fs::read_to_string(&path).unwrap(),
                ));
            }
        }
    }
    found
}

/// Names of seven words or more, joined by underscores, are those of tests.
fn missing_tests(page: &str, text: &str, names: &BTreeSet<String>) -> Vec<String> {
    let long = Regex::new(r"^[a-z0-9]+(_[a-z0-9]+){6,}$").unwrap();
    let quoted = code_spans(&prose(text)).into_iter().filter(|span| long.is_match(span));
    quoted.filter(|name| !names.contains(name)).map(|name| format!("{page}: there is no test {name}")).collect()
}

#[test]
fn every_test_that_a_page_names_exists() {
    let names = test_names();
    let missing: Vec<String> = pages().iter().flat_map(|page| missing_tests(page, &read(page), &names)).collect();
    assert_eq!(missing, Vec::<String>::new());
    let check = |text: &str| missing_tests("docs/PROTOCOL.md", text, &names);
    hold(
        "docs/PROTOCOL.md",
        check,
        &[("`losing_any_one_key_loses_nobody_a_seat`", "`losing_any_two_keys_loses_nobody_a_seat`")],
    );
}

/// Tests that the table of guards looks for in files where they are not.
fn misplaced_guards(text: &str) -> Vec<String> {
    let quoted = Regex::new(r"`([a-z_]+)`: ((?:`[a-z0-9_]+`(?:, )?)+)").unwrap();
    let mut misplaced = Vec::new();
    for row in tables(text, &["Guard", "Fails without it"]) {
        for found in quoted.captures_iter(&row[1]) {
            let file = format!("tests/tests/{}", &found[1]);
            let file_text = fs::read_to_string(root().join(format!("{file}.rs")))
                .unwrap_or_else(|_| all_files(&file, "rs").into_iter().map(|(_, text)| text).collect());
            let absent = code_spans(&found[2]).into_iter().filter(|name| !file_text.contains(&format!("fn {name}(")));
            misplaced.extend(absent.map(|name| format!("{file} has no test {name}")));
        }
    }
    misplaced
}

#[test]
fn every_guard_of_the_protocol_names_a_test_where_it_is() {
    let lie = ("| `kicks`: `an_unrelated_rebuild", "| `clocks`: `an_unrelated_rebuild");
    hold("docs/PROTOCOL.md", misplaced_guards, &[lie]);
}
