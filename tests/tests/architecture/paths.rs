//! A file that a comment names is there.

use crate::{files, root};
use regex::Regex;

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
