//! Dependencies point inwards: the arrows of docs/ARCHITECTURE.md, compared with the paths in the code and the packages
//! in each Cargo.toml.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests; clippy.toml's exception does not reach helpers")]

mod actions;
mod causes;
mod diagram;
mod outer;
mod paths;
mod reasons;
mod statements;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// What may be used where: names below `crate` and `license_core`, and packages. Everything else is an outward arrow.
struct CoreModule {
    folder: &'static str,
    /// The name the folder's own modules have below `crate`.
    own: &'static str,
    /// Besides [`COMMON`], which every module but the domain may use.
    modules: &'static [&'static str],
    packages: &'static [&'static str],
}

/// Every module of core may speak of errors and the clock.
const COMMON: &[&str] = &["domain", "clock", "error", "Clock", "Error", "Result", "ProblemCode"];
/// No way to the outside in any of these.
const PLAIN: &[&str] = &["aws_lc_rs", "base64", "serde", "serde_json", "thiserror", "time", "uuid", "tracing"];

const CORE: &[CoreModule] = &[
    CoreModule {
        folder: "core/src/domain",
        own: "domain",
        modules: &["ProblemCode", "Error", "Result"],
        // Tables, compiled in, and what reads them.
        packages: &["icu_casemap", "icu_normalizer", "icu_properties", "idna", "url"],
    },
    CoreModule { folder: "core/src/access_token", own: "access_token", modules: &[], packages: &["reqwest", "tokio"] },
    CoreModule {
        folder: "core/src/seat_store",
        own: "seat_store",
        modules: &["access_token"],
        packages: &["redis", "tokio"],
    },
    CoreModule {
        folder: "core/src/records",
        own: "records",
        modules: &["access_token", "refusal"],
        packages: &["sqlx", "tokio"],
    },
    CoreModule {
        folder: "core/src/signer",
        own: "signer",
        modules: &["access_token"],
        packages: &["reqwest", "tokio", "crc32c"],
    },
    CoreModule {
        folder: "core/src/identity",
        own: "identity",
        modules: &[],
        packages: &["reqwest", "tokio", "jsonwebtoken"],
    },
    CoreModule {
        folder: "core/src/webhooks",
        own: "webhooks",
        modules: &[],
        // rustls in tests: a receiver with TLS.
        packages: &["reqwest", "tokio", "url", "rustls"],
    },
    CoreModule {
        folder: "core/src/protocol",
        own: "protocol",
        modules: &["seat_store", "records", "signer", "steps"],
        packages: &["tokio"],
    },
    CoreModule {
        folder: "core/src/management",
        own: "management",
        modules: &["seat_store", "records", "protocol", "refusal", "steps"],
        packages: &["tokio"],
    },
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Every file of one of these kinds below a folder of the repository, with its text.
fn files(folder: &str, kinds: &[&str]) -> Vec<(String, String)> {
    let (mut found, mut left) = (Vec::new(), vec![root().join(folder)]);
    while let Some(dir) = left.pop() {
        for entry in fs::read_dir(&dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display())).map(Result::unwrap) {
            let path = entry.path();
            if path.is_dir() {
                left.push(path);
            } else if path.extension().is_some_and(|kind| kinds.iter().any(|k| *k == kind)) {
                let name = path.strip_prefix(root()).unwrap().display().to_string();
                found.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    assert!(!found.is_empty(), "{folder} has files");
    found
}

/// The code of a file without comments, and without what is between quotes.
fn code(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    let mut code = String::new();
    for line in lines {
        for (at, part) in line.split('"').enumerate() {
            if at % 2 == 0 {
                let end = part.find("// ").unwrap_or(part.len());
                code.push_str(&part[..end]);
            }
        }
        code.push('\n');
    }
    code
}

/// The first names below a root (`crate`, `license_core`) that a file uses: in paths, and in groups such as `crate::{a::B, c}`.
fn below(code: &str, root: &str) -> BTreeSet<String> {
    let start = format!("{root}::");
    let mut names = BTreeSet::new();
    for (at, _) in code.match_indices(&start) {
        if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':' || c == '$') {
            continue;
        }
        let rest = &code[at + start.len()..];
        match rest.strip_prefix('{') {
            Some(group) => names.extend(heads(group)),
            None => names.extend(word(rest)),
        }
    }
    names
}

fn word(text: &str) -> Option<String> {
    let word: String = text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    (!word.is_empty()).then_some(word)
}

/// The first name of each member of a group that ends with its closing brace.
fn heads(group: &str) -> Vec<String> {
    let (mut depth, mut names, mut start) = (0, Vec::new(), true);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => start = true,
            c if start && !c.is_whitespace() => {
                names.extend(word(&group[at..]));
                start = false;
            }
            _ => {}
        }
    }
    names
}

/// Packages a file names: the first name of a path, where it is one of those the workspace declares.
fn packages(code: &str, known: &[String]) -> BTreeSet<String> {
    known
        .iter()
        .filter(|name| !below(code, name).is_empty() || code.contains(&format!("use {name};")))
        .cloned()
        .collect()
}

/// Package names in one section of a Cargo.toml, spelled as in code.
fn declared(manifest: &str, section: &str) -> Vec<String> {
    let text = fs::read_to_string(root().join(manifest)).unwrap();
    let lines = text.lines().skip_while(|line| *line != format!("[{section}]")).skip(1);
    let lines = lines.take_while(|line| !line.starts_with('['));
    let names: Vec<String> = lines
        .filter_map(|line| line.split(['.', ' ', '=']).next())
        .filter(|n| !n.is_empty() && !n.starts_with('#'))
        .map(|n| n.replace('-', "_"))
        .collect();
    assert!(!names.is_empty(), "{manifest} has [{section}]");
    names
}

/// What a file uses that its module may not.
fn outward(module: &CoreModule, name: &str, text: &str, known: &[String]) -> Vec<String> {
    let code = code(text);
    let mut used = below(&code, "crate");
    // From a module's mod.rs `super` is the crate; deeper files that climb out are read the same way.
    let depth = name[module.folder.len()..].matches('/').count() - usize::from(name.ends_with("/mod.rs"));
    used.extend(below(&code, &vec!["super"; depth + 1].join("::")));
    let common = if module.own == "domain" { &[] } else { COMMON };
    let fits = |name: &String| name == module.own || [module.modules, common].concat().contains(&name.as_str());
    let mut wrong: Vec<String> = used.into_iter().filter(|n| !fits(n)).map(|n| format!("{name} uses {n}")).collect();
    if module.own == "management" {
        // Of the protocol only what repairs a copy, and until when: no operation of a client.
        let parts = below(&code, "protocol").into_iter().chain(below(&code, "crate::protocol"));
        let operations = parts.filter(|part| !["deadline", "rebuild"].contains(&part.as_str()));
        wrong.extend(operations.map(|part| format!("{name} uses protocol::{part}")));
    }
    let fits = |package: &String| PLAIN.contains(&package.as_str()) || module.packages.contains(&package.as_str());
    wrong.extend(packages(&code, known).into_iter().filter(|p| !fits(p)).map(|p| format!("{name} uses {p}")));
    wrong
}

#[test]
fn core_has_no_outward_arrow() {
    let known = declared("Cargo.toml", "workspace.dependencies");
    let mut wrong = Vec::new();
    for module in CORE {
        for (name, text) in files(module.folder, &["rs"]) {
            wrong.extend(outward(module, &name, &text, &known));
        }
    }
    // The floor: what every module stands on, and what stands on no module but the words.
    for file in [
        "core/src/error.rs",
        "core/src/clock.rs",
        "core/src/steps/mod.rs",
        "core/src/steps/step.rs",
        "core/src/refusal.rs",
    ] {
        let used = below(&code(&fs::read_to_string(root().join(file)).unwrap()), "crate");
        let words = file == "core/src/refusal.rs";
        let floor =
            |name: &String| matches!(name.as_str(), "Error" | "Result" | "steps") || words && name.as_str() == "domain";
        wrong.extend(used.into_iter().filter(|name| !floor(name)).map(|name| format!("{file} uses {name}")));
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn an_outward_arrow_is_seen_however_it_is_spelled() {
    let known = declared("Cargo.toml", "workspace.dependencies");
    let records = CORE.iter().find(|module| module.own == "records").unwrap();
    let management = CORE.iter().find(|module| module.own == "management").unwrap();
    let domain = &CORE[0];
    let cases = [
        (records, "core/src/records/x.rs", "use crate::management::Management;"),
        (management, "core/src/management/x.rs", "use crate::signer::LeaseSigner;"),
        (management, "core/src/management/x.rs", "fn f(sql: &mut sqlx::PgConnection) {}"),
        (
            management,
            "core/src/management/x.rs",
            "use crate::{\n    protocol::{acquire::Acquire, deadline::Deadline},\n};",
        ),
        (management, "core/src/management/x.rs", "fn f() { crate::protocol::reap::sweep() }"),
        (records, "core/src/records/x.rs", "use crate::seat_store::Seats;"),
        (
            records,
            "core/src/records/x.rs",
            "use crate::{\n    Error,\n    domain::{id::TenantId, key},\n    seat_store,\n};",
        ),
        (records, "core/src/records/x.rs", "fn f() { crate::protocol::go() }"),
        (records, "core/src/records/x.rs", "use super::super::signer::Signer;"),
        (records, "core/src/records/mod.rs", "use super::{identity::Verifier, Result};"),
        (records, "core/src/records/x.rs", "use redis::Client;"),
        (records, "core/src/records/x.rs", "pub(crate) use axum::{Router, body};"),
        (domain, "core/src/domain/x.rs", "use crate::Clock;"),
        (
            domain,
            "core/src/domain/token/x.rs",
            "use super::super::super::records;\nuse super::super::super::records::Records;",
        ),
        (domain, "core/src/domain/x.rs", "async fn f() { tokio::time::sleep(d).await }"),
        (domain, "core/src/domain/x.rs", "fn f(p: &sqlx::PgPool) {}"),
    ];
    for (module, name, text) in cases {
        assert_eq!(outward(module, name, text, &known).len(), 1, "{text}");
    }
    let inward = "//! See crate::protocol.\nuse crate::{Error, domain::id::PoolId};\nuse super::connect::Records;\nuse sqlx::Row;\nlet s = \"redis::x\";";
    assert_eq!(outward(records, "core/src/records/x.rs", inward, &known), Vec::<String>::new());
}

#[test]
fn pubsub_uses_core_for_words_clock_and_identity_only() {
    for (name, text) in files("pubsub/src", &["rs"]) {
        let used = below(&code(&text), "license_core");
        let allowed = ["domain", "identity", "Clock", "clock", "error", "Error", "Result", "ProblemCode"];
        let wrong: Vec<_> = used.into_iter().filter(|n| !allowed.contains(&n.as_str())).collect();
        assert_eq!(wrong, Vec::<String>::new(), "{name}");
    }
}

#[test]
fn packages_depend_inwards_only() {
    let stores = ["redis", "sqlx"];
    let web = ["axum", "http", "http_body_util", "tower", "tower_http", "hyper"];
    let ours =
        ["license_core", "license_pubsub", "license_functions", "license_local", "license_tests", "license_bench"];
    for (manifest, never) in [
        ("core/Cargo.toml", [&web[..], &ours[..]].concat()),
        ("pubsub/Cargo.toml", [&web[..], &stores[..], &ours[2..], &["license_pubsub"]].concat()),
        // A Postgres connection only through records, a Redis one only through seats.
        ("functions/Cargo.toml", [&stores[..], &["license_local", "license_tests", "license_bench"]].concat()),
        ("local/Cargo.toml", vec!["license_tests", "license_bench"]),
    ] {
        let found: Vec<_> =
            declared(manifest, "dependencies").into_iter().filter(|n| never.contains(&n.as_str())).collect();
        assert_eq!(found, Vec::<String>::new(), "{manifest}");
    }
}

/// What is generated, kept as it was found, or read by people only.
const NOT_CODE: [&str; 6] = ["md", "json", "lock", "sum", "txt", "operations"];

/// Every file that git knows or is about to know, by its name.
fn known_to_git() -> Vec<String> {
    let mut git = Command::new("git");
    git.current_dir(root()).args(["ls-files", "--cached", "--others", "--exclude-standard"]);
    let listed = git.output().expect("git is there");
    assert!(listed.status.success(), "git lists its files");
    String::from_utf8(listed.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn no_file_is_longer_than_400_lines() {
    let mut seen = BTreeSet::new();
    let mut long = Vec::new();
    for name in known_to_git() {
        let (path, kind) = (root().join(&name), name.rsplit_once('.').map_or("", |(_, kind)| kind));
        if NOT_CODE.contains(&kind) || !path.is_file() {
            continue;
        }
        let lines = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{name}: {e}")).lines().count();
        seen.insert(kind.to_owned());
        if lines > 400 {
            long.push(format!("{name} has {lines} lines"));
        }
    }
    assert!(["rs", "lua", "sql", "py", "sh", "go", ""].iter().all(|kind| seen.contains(*kind)), "{seen:?}");
    assert_eq!(long, Vec::<String>::new(), "what belongs together is smaller");
}
