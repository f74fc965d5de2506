//! The documentation says what the code says. Each list in `docs/` that repeats something from the code is compared
//! with the code here, and each comparison is tried on a page with a lie planted in it, which it must find.
//!
//! `markdown.rs`: tables, links and code spans of a page · `facts.rs`: what the code says · the other files hold one
//! page or one kind of claim each.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests; clippy.toml's exception does not reach helpers")]

mod api;
mod architecture;
mod claims;
mod client_operations;
mod clocks;
mod data_model;
mod decisions;
mod facts;
mod glossary;
mod lists;
mod log_lines;
mod markdown;
mod named;
mod operating;
mod ports;
mod readme;
mod redis;
mod step_up;
mod walks;
mod words;
mod workflows;

use std::{
    collections::BTreeSet,
    fmt::Display,
    fs,
    path::{Path, PathBuf},
};

/// The root of the repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The text of a file of the repository.
fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Checks a page, and then checks the check: each lie replaces a piece of the page's text, and the check must object to
/// the result.
///
/// A check answers one sentence for each false claim it finds.
#[track_caller]
fn hold(page: &str, check: impl Fn(&str) -> Vec<String>, lies: &[(&str, &str)]) {
    let text = read(page);
    assert_eq!(check(&text), Vec::<String>::new(), "{page} makes false claims");
    assert!(!lies.is_empty(), "a check that was never seen to fail may not be one");
    for (truth, lie) in lies {
        assert!(text.contains(truth), "{page} no longer has the text {truth:?}, in which a lie is to be planted");
        assert!(
            !check(&text.replacen(truth, lie, 1)).is_empty(),
            "{page} with {lie:?} in place of {truth:?} is not found out"
        );
    }
}

/// What one set has and the other lacks, as sentences.
fn differences<T: Ord + Display>(what: &str, page: &BTreeSet<T>, code: &BTreeSet<T>) -> Vec<String> {
    let invented = page.difference(code).map(|name| format!("{what} {name} is on the page and not in the code"));
    let forgotten = code.difference(page).map(|name| format!("{what} {name} is in the code and not on the page"));
    invented.chain(forgotten).collect()
}
