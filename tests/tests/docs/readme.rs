//! README.md: its table of folders has everything that lies at the top of the repository.

use super::{
    hold,
    markdown::{code_spans, section},
    root,
};
use std::{collections::BTreeSet, process::Command};

/// What every repository has under these names, so that nobody looks for it in a table.
const KNOWN_TO_EVERYBODY: [&str; 7] =
    ["CODE_OF_CONDUCT.md", "CONTRIBUTING.md", "Cargo.lock", "Cargo.toml", "LICENSE", "README.md", "SECURITY.md"];

/// Settings of tools, each of which looks for its file under this very name.
const SETTINGS: [&str; 4] = ["clippy.toml", "deny.toml", "rust-toolchain.toml", "rustfmt.toml"];

/// The first part of the path of every file that git knows, so that nobody's own files matter.
pub(crate) fn top() -> BTreeSet<String> {
    let listed = Command::new("git").arg("-C").arg(root()).arg("ls-files").output().expect("git");
    assert!(listed.status.success(), "git ls-files: {}", String::from_utf8_lossy(&listed.stderr));
    let paths = String::from_utf8(listed.stdout).expect("names in UTF-8");
    paths.lines().map(|path| path.split('/').next().unwrap().to_owned()).collect()
}

/// Whether a name at the top is a setting of a tool, or one that every repository has.
pub(crate) fn is_setting(name: &str) -> bool {
    KNOWN_TO_EVERYBODY.contains(&name) || SETTINGS.contains(&name)
}

fn folders(text: &str) -> Vec<String> {
    let named: BTreeSet<String> = code_spans(section(text, "## The folders"))
        .into_iter()
        .map(|span| span.trim_end_matches('/').split('/').next().unwrap_or_default().to_owned())
        .collect();
    top()
        .into_iter()
        .filter(|name| !name.starts_with('.') && !named.contains(name))
        .filter(|name| !is_setting(name))
        .map(|name| format!("the table of folders lacks {name}"))
        .collect()
}

#[test]
fn the_table_of_folders_has_everything_at_the_top() {
    hold("README.md", folders, &[("| `migrations/` |", "| `migration/` |"), ("`cloudbuild.yaml`", "`build.yaml`")]);
}
