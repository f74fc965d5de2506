//! The diagram of the modules in docs/ARCHITECTURE.md has the arrows that the paths in the code make, and no other.

use crate::{below, code, files, root};
use regex::Regex;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

/// The modules of core that stand in the diagram, and `domain`, the arrows to which it leaves out. What is not here
/// (errors, the clock, refusals, the steps of tests) is no module of the diagram.
const CORE: [&str; 8] =
    ["management", "protocol", "seat_store", "records", "signer", "identity", "access_token", "domain"];

type Arrow = (String, String);

/// The node that a file of production code belongs to.
fn node(name: &str) -> Option<&str> {
    let part = name.split('/').nth(2)?;
    match name.split('/').next()? {
        "pubsub" => Some("pubsub"),
        "functions" if part == "edge" => Some("edge"),
        "functions" if part == "wiring.rs" => Some("wiring"),
        "functions" => Some("handlers"),
        _ => CORE.contains(&part).then_some(part),
    }
}

/// The node that a path leads to, from a file of a package.
fn target(package: &str, root: &str, first: &str) -> Option<String> {
    match (root, package) {
        ("license_pubsub", _) => Some("pubsub".to_owned()),
        ("license_core", _) | ("crate", "core") => CORE.contains(&first).then(|| first.to_owned()),
        ("crate", "functions") if ["edge", "wiring"].contains(&first) => Some(first.to_owned()),
        _ => None,
    }
}

/// The arrows that the paths in the production code make.
fn used() -> BTreeSet<Arrow> {
    let mut arrows = BTreeSet::new();
    for folder in ["core/src", "functions/src", "pubsub/src"] {
        let package = folder.split('/').next().unwrap();
        for (name, text) in files(folder, &["rs"]) {
            let Some(from) = node(&name).filter(|_| !name.contains("/tests")) else { continue };
            let production = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
            let code = code(production);
            for root in ["crate", "license_core", "license_pubsub"] {
                let to = below(&code, root).into_iter().filter_map(|first| target(package, root, &first));
                arrows.extend(to.filter(|to| to != from).map(|to| (from.to_owned(), to)));
            }
        }
    }
    arrows
}

/// The arrows of the diagram: `a & b --> c & d` are four.
fn drawn(page: &str) -> BTreeSet<Arrow> {
    let start = page.find("subgraph functions[").expect("the page has the diagram of the modules");
    let diagram = &page[start..start + page[start..].find("```").expect("the diagram ends")];
    let arrow = Regex::new(r"(?m)^ +([a-z_& ]+) --> ([a-z_& ]+)$").unwrap();
    let mut arrows = BTreeSet::new();
    for found in arrow.captures_iter(diagram) {
        for from in found[1].split(" & ") {
            arrows.extend(found[2].split(" & ").map(|to| (from.to_owned(), to.to_owned())));
        }
    }
    arrows
}

/// What is drawn and is not so, and what is so and is not drawn.
fn wrong_arrows(page: &str, used: &BTreeSet<Arrow>) -> Vec<String> {
    let drawn = drawn(page);
    let expected: BTreeSet<Arrow> = used.iter().filter(|(_, to)| to != "domain").cloned().collect();
    let missing = expected.difference(&drawn).map(|(from, to)| format!("{from} uses {to}, which is not drawn"));
    let invented = drawn.difference(&expected).map(|(from, to)| format!("{from} does not use {to}, which is drawn"));
    missing.chain(invented).collect()
}

#[test]
fn the_diagram_of_the_modules_has_the_arrows_of_the_code() {
    let page = fs::read_to_string(root().join("docs/ARCHITECTURE.md")).unwrap();
    let used = used();
    assert_eq!(wrong_arrows(&page, &used), Vec::<String>::new());
    for (truth, lie) in [
        ("  edge --> protocol & seat_store", "  edge --> protocol"),
        ("    wiring --> edge\n", ""),
        ("  pubsub --> identity", "  pubsub --> records"),
        ("    protocol --> seat_store & records & signer", "    protocol --> seat_store & records & signer & identity"),
    ] {
        assert!(page.contains(truth), "the page no longer has {truth:?}");
        assert!(!wrong_arrows(&page.replacen(truth, lie, 1), &used).is_empty(), "{lie:?} is not found out");
    }
}

#[test]
fn every_module_of_the_diagram_uses_the_domain_as_the_page_says() {
    let mut by_module: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (from, to) in used() {
        by_module.entry(from).or_default().insert(to);
    }
    for module in CORE.into_iter().filter(|module| *module != "domain").chain(["handlers", "edge", "wiring", "pubsub"])
    {
        let uses = by_module.get(module).cloned().unwrap_or_default();
        assert!(uses.contains("domain"), "{module} uses {uses:?} and not the domain");
    }
    assert!(!by_module.contains_key("domain"), "the domain uses nothing");
}
