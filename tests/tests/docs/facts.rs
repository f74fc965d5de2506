//! What the code says, read from its text or from the document that is made of it. When a list moves in the code, only
//! this file needs to know.

use super::{read, root};
use license_functions::{SERVICES, edge::config::VARIABLES};
use regex::Regex;
use std::{collections::BTreeSet, fs, path::Path};

/// Every file of one kind below a folder, with its path from the root. Unit tests in files or folders called `tests`
/// are left out.
pub(crate) fn files(folder: &str, kind: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    collect(&root().join(folder), kind, &mut found);
    assert!(!found.is_empty(), "{folder} has files of the kind {kind}");
    found
}

fn collect(folder: &Path, kind: &str, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())).map(Result::unwrap) {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if path.is_dir() && name != "tests" && name != "node_modules" && !name.starts_with('.') {
            collect(&path, kind, found);
        } else if path.extension().is_some_and(|k| k == kind) && name != "tests.rs" {
            let name = path.strip_prefix(root()).unwrap().display().to_string();
            found.push((name, fs::read_to_string(&path).unwrap()));
        }
    }
}

/// The first group of every match in every file of a folder.
pub(crate) fn found(folder: &str, kind: &str, pattern: &str) -> BTreeSet<String> {
    let pattern = Regex::new(pattern).unwrap();
    let texts = files(folder, kind);
    let all = texts.iter().flat_map(|(_, text)| pattern.captures_iter(text).map(|found| found[1].to_owned()));
    all.collect()
}

/// The names of the services.
pub(crate) fn services() -> BTreeSet<String> {
    SERVICES.iter().map(|service| service.name.to_owned()).collect()
}

/// The text of a service's own files.
pub(crate) fn service_text(service: &str) -> String {
    let folder = format!("functions/src/{service}");
    let mut text = fs::read_to_string(root().join(format!("{folder}.rs"))).unwrap_or_default();
    if root().join(&folder).is_dir() {
        text.extend(files(&folder, "rs").into_iter().map(|(_, text)| text));
    }
    assert!(!text.is_empty(), "{service} has files");
    text
}

/// The PostgreSQL role that a service connects as.
pub(crate) fn database_role(service: &str) -> &'static str {
    SERVICES.iter().find(|entry| entry.name == service).map(|entry| entry.role.name()).expect("a service")
}

/// The names of the variables that the services and `license-local` read.
pub(crate) fn variables() -> BTreeSet<String> {
    VARIABLES.iter().map(|variable| variable.name.to_owned()).collect()
}

/// The services that read a variable.
pub(crate) fn readers(variable: &str) -> BTreeSet<String> {
    let variable = VARIABLES.iter().find(|it| it.name == variable).expect("a variable");
    services().into_iter().filter(|service| variable.is_read_by(service)).collect()
}

/// Names in capitals between quotes in the code of the services and of `license-local`, outside the table of variables.
fn variables_in_code() -> BTreeSet<String> {
    // What others set or what is no variable of ours: of Cloud Run, of cargo, of the system, and words of other protocols.
    // The last is told by `license-local` to the script that it starts, and to nobody else.
    const NOT_OURS: [&str; 12] = [
        "CARGO_MANIFEST_DIR",
        "K_SERVICE",
        "CLOUD_RUN_JOB",
        "LC_ALL",
        "PG_VERSION",
        "EPOCH_STALE",
        "INVALID_ARGUMENT",
        "NOT_FOUND",
        "NO_PRODUCT",
        "CDI_0123456789",
        "RSA_SIGN_PKCS1_4096_SHA256",
        "LICENSE_KEEPER",
    ];
    let name = Regex::new(r#""([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+|PORT)""#).unwrap();
    let mut texts = files("functions/src", "rs");
    texts.extend(files("local/src", "rs"));
    texts.retain(|(file, _)| file != "functions/src/edge/config/variables.rs");
    let mut names = BTreeSet::new();
    for (_, text) in &texts {
        names.extend(name.captures_iter(text).map(|found| found[1].to_owned()));
    }
    names.retain(|name| !NOT_OURS.contains(&name.as_str()));
    names
}

#[test]
fn the_table_has_every_variable_that_the_code_names_and_no_other() {
    assert_eq!(variables(), variables_in_code());
}

/// One line of `tests/tests/isolation/rights.rs`, which a test there compares with the catalog of a migrated database.
pub(crate) struct Right {
    /// With its schema.
    pub(crate) name: String,
    /// Runs as the owner (functions).
    pub(crate) as_owner: bool,
    /// Role and what it may do with a table; of a function the role alone.
    pub(crate) roles: Vec<(String, String)>,
}

impl Right {
    /// The name without its schema.
    pub(crate) fn bare(&self) -> &str {
        self.name.split_once('.').unwrap().1
    }

    /// What a role may do; empty if nothing.
    pub(crate) fn of(&self, role: &str) -> &str {
        self.roles.iter().find(|(name, _)| name == role).map_or("", |(_, may)| may)
    }

    /// The roles that may do something.
    pub(crate) fn names(&self) -> BTreeSet<String> {
        self.roles.iter().map(|(role, _)| role.clone()).collect()
    }
}

/// The rights of every table (`TABLES`) or function (`FUNCTIONS`).
pub(crate) fn rights(list: &str) -> Vec<Right> {
    let text = read("tests/tests/isolation/rights.rs");
    let start = text.find(&format!("const {list}: [&str;")).unwrap_or_else(|| panic!("rights.rs has {list}"));
    let text = &text[start..start + text[start..].find("];").unwrap()];
    let line = Regex::new(r#""([a-z_.0-9]+)( as owner)?: ([^"]+)""#).unwrap();
    let rights: Vec<Right> = line.captures_iter(text).map(|found| right(&found)).collect();
    assert!(rights.len() > 20, "{list} has rows");
    rights
}

fn right(found: &regex::Captures<'_>) -> Right {
    // A function's line has roles alone; a table's has what each of them may do.
    let roles_alone = Regex::new(r"^(service|reaper|admin)(, (service|reaper|admin))*$").unwrap().is_match(&found[3]);
    let parts = found[3].split(if roles_alone { ", " } else { "; " }).filter(|part| *part != "nobody");
    let roles = parts.map(|part| part.split_once(' ').unwrap_or((part, "execute")));
    Right {
        name: found[1].to_owned(),
        as_owner: found.get(2).is_some(),
        roles: roles.map(|(role, may)| (role.to_owned(), may.to_owned())).collect(),
    }
}

/// An operation of openapi.json, which a test of `functions` compares with the handlers and the access table.
pub(crate) struct DocumentedOperation {
    pub(crate) method: String,
    pub(crate) path: String,
    /// The least role of a caller; of operations outside the management API there is none.
    pub(crate) least_role: Option<String>,
    /// The scope of an API token that may do it.
    pub(crate) scope: Option<String>,
}

/// Every operation of openapi.json.
pub(crate) fn operations() -> Vec<DocumentedOperation> {
    let document: serde_json::Value = serde_json::from_str(&read("openapi.json")).unwrap();
    let least = Regex::new(r"Least role: ([a-z ]+)\.").unwrap();
    let scope = Regex::new(r"Scope of an API token: `([a-z:]+)`").unwrap();
    let first = |pattern: &Regex, text: &str| pattern.captures(text).map(|found| found[1].to_owned());
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let text = operation["description"].as_str().unwrap_or_default();
            operations.push(DocumentedOperation {
                method: method.to_uppercase(),
                path: path.clone(),
                least_role: first(&least, text),
                scope: first(&scope, text),
            });
        }
    }
    assert!(operations.len() > 40, "openapi.json has operations");
    operations
}
