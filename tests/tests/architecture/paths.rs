//! A file that a comment names is there: by its path from the root, or in the list of files in the head of a module.

use crate::{files, root};
use regex::Regex;
use std::path::Path;

/// The folders of this repository by which a path is known as one of its own.
const FOLDERS: &str = "core|functions|local|pubsub|tests|migrations|docs|sdk|deploy\\.d|opentofu|kubernetes";

/// What comments of a file name and what is not there. A path from the root or from the folder of the package counts.
fn lost_paths(name: &str, text: &str) -> Vec<String> {
    // Nothing stands before it that would make it the end of another path or of an address.
    let path = format!(r"(?:^|[^A-Za-z0-9_./-])((?:{FOLDERS})/[A-Za-z0-9_./-]+\.(?:rs|sql|lua|md|py|sh|tf|json))\b");
    let path = Regex::new(&path).unwrap();
    // An even number of quotes before it: it does not stand in a text.
    let comment = Regex::new(r#"^(?:[^"]*"[^"]*")*[^"]*?(?://|--|#|\*)[ /!](.*)$"#).unwrap();
    let mut lost = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let Some(said) = comment.captures(line) else { continue };
        for found in path.captures_iter(&said[1]) {
            let package = name.split('/').next().unwrap_or_default();
            if !root().join(&found[1]).exists() && !root().join(package).join(&found[1]).exists() {
                lost.push(format!("{name}:{}: {} is not there", at + 1, &found[1]));
            }
        }
    }
    lost
}

#[test]
fn every_file_that_a_comment_names_is_there() {
    let mut read: Vec<(String, String)> = ["clippy.toml", "Cargo.toml", "tests/clippy.toml", ".env.sample", "dev"]
        .into_iter()
        .map(|name| (name.to_owned(), std::fs::read_to_string(root().join(name)).unwrap()))
        .collect();
    for folder in ["core", "functions", "local", "pubsub", "tests", "migrations", "sdk/python/src", "dev.d", "deploy.d"]
    {
        read.extend(files(folder, &["rs", "sql", "lua", "toml", "py", "sh"]));
    }
    assert!(read.len() > 700, "the files are found: {}", read.len());
    let lost: Vec<String> = read.iter().flat_map(|(name, text)| lost_paths(name, text)).collect();
    assert_eq!(lost, Vec::<String>::new());
}

#[test]
fn a_path_that_leads_nowhere_is_seen() {
    for line in [
        "/// As `core/src/records/act.rs` does.",
        "    let x = 1; // see functions/src/edge/config.rs",
        "-- The order of core/src/records/chain.rs.",
        "# Only functions/src/edge/config.rs reads it.",
    ] {
        assert_eq!(lost_paths("x.rs", line).len(), 1, "{line}");
    }
    for line in [
        "/// As `core/src/records/change.rs` does.",
        "    let name = \"core/src/management/x.rs\";",
        "//! `migrations/README.md`, and an address: https://example.com/docs/page.md",
    ] {
        assert_eq!(lost_paths("core/src/x.rs", line), Vec::<String>::new(), "{line}");
    }
}

/// What the list in the head of a module names (`x.rs`, `x/`) and what is not there, beside the module's own file.
fn lost_neighbours(name: &str, text: &str) -> Vec<String> {
    let span = Regex::new(r"`([a-z][a-z0-9_]*(?:\.rs|/))`").unwrap();
    let folder = root().join(Path::new(name).parent().unwrap());
    // The parts of `x.rs` lie in `x/`.
    let own = folder.join(Path::new(name).file_stem().unwrap());
    let there = |part: &str| {
        let lies_in =
            |folder: &Path| if part.ends_with('/') { folder.join(part).is_dir() } else { folder.join(part).is_file() };
        lies_in(&folder) || lies_in(&own)
    };
    let mut lost = Vec::new();
    let mut in_list = false;
    for (at, line) in text.lines().take_while(|line| line.starts_with("//!")).enumerate() {
        // A point of the list goes on in the lines that are indented below it.
        in_list = line.starts_with("//! * ") || in_list && line.starts_with("//!   ");
        let named = span.captures_iter(line).filter(|found| in_list && !there(&found[1]));
        lost.extend(named.map(|found| format!("{name}:{}: {} is not there", at + 1, &found[1])));
    }
    lost
}

#[test]
fn every_file_that_the_head_of_a_module_lists_is_there() {
    let folders = ["core", "functions", "local", "pubsub", "tests"];
    let read: Vec<(String, String)> = folders.into_iter().flat_map(|folder| files(folder, &["rs"])).collect();
    let lists = read.iter().filter(|(_, text)| text.contains("\n//! * `")).count();
    assert!(lists >= 8, "the lists are found: {lists}");
    let lost: Vec<String> = read.iter().flat_map(|(name, text)| lost_neighbours(name, text)).collect();
    assert_eq!(lost, Vec::<String>::new());
}

#[test]
fn a_list_that_names_what_is_not_there_is_seen() {
    let module = "core/src/protocol/mod.rs";
    for line in [
        "//! * `manage/`: the operations that people ask for",
        "//! * `acquire.rs`, `confirm.rs`: the operations of clients",
        "//! * `acquire.rs`: takes a seat\n//!   `acquired.rs`: gives it back",
        "//! * `acquire/`: a file is no folder",
    ] {
        assert_eq!(lost_neighbours(module, line).len(), 1, "{line}");
    }
    for line in [
        "//! * `acquire.rs`, `validate.rs`: the operations of clients",
        "//! Not as `manage/` was.",
        "//! * `steps().cut()`, and `tests/tests/x.rs`, which other tests look for",
    ] {
        assert_eq!(lost_neighbours(module, line), Vec::<String>::new(), "{line}");
    }
    let parent = "//! * `chain/`: of the audit log";
    assert_eq!(lost_neighbours("core/src/records/mod.rs", parent), Vec::<String>::new());
}
