//! docs/GLOSSARY.md: one sentence for each word, in order, and known to every page that uses one.

use super::{
    hold,
    markdown::{links, prose},
    read, root,
};
use regex::Regex;
use std::{collections::BTreeSet, fs};

/// The terms with what is said of each.
fn entries(text: &str) -> Vec<(&str, &str)> {
    text.split("\n### ")
        .skip(1)
        .map(|entry| entry.split_once('\n').unwrap())
        .map(|(term, text)| (term, text.trim()))
        .collect()
}

fn form(text: &str) -> Vec<String> {
    let entries = entries(text);
    let mut wrong = Vec::new();
    for pair in entries.windows(2) {
        if pair[0].0.to_lowercase() >= pair[1].0.to_lowercase() {
            wrong.push(format!("{} does not belong before {}", pair[0].0, pair[1].0));
        }
    }
    for (term, text) in entries {
        let one = text.ends_with('.') && !text.contains(". ") && !text.contains('\n') && text.len() < 340;
        if !one {
            wrong.push(format!("{term} is not explained in one sentence"));
        }
    }
    wrong
}

#[test]
fn every_word_has_one_sentence_and_its_place_in_the_alphabet() {
    let lies = [("### Seal\n", "### Zeal\n"), ("### Sweep\nOne pass", "### Sweep\nAnd so on. One pass")];
    hold("docs/GLOSSARY.md", form, &lies);
    assert!(entries(&read("docs/GLOSSARY.md")).len() >= 25, "the glossary has the words that a newcomer meets");
}

/// Pages that use words of the glossary and do not link to it: this one is printed by `tests/cloud/cost`, where a link
/// would lead elsewhere.
const WITHOUT_A_LINK: [&str; 1] = ["docs/COST.md"];

/// Every page below `docs/` but the glossary, and those of the root that explain the project. Decisions are left out:
/// they have the words of the day on which they were made.
fn pages() -> Vec<String> {
    let names = fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().file_name());
    let names = names.map(|name| name.to_string_lossy().into_owned());
    let pages = names.filter(|name| name.ends_with(".md") && name != "GLOSSARY.md").map(|name| format!("docs/{name}"));
    pages.chain(["README.md", "CONTRIBUTING.md", "SECURITY.md"].map(str::to_owned)).collect()
}

/// The words of the glossary that the prose of a page uses, where it links to none of them.
fn unlinked_words(text: &str) -> Vec<String> {
    if links(text).iter().any(|link| link.contains("GLOSSARY.md")) {
        return Vec::new();
    }
    let prose = prose(text);
    let glossary = read("docs/GLOSSARY.md");
    let is_used = |term: &&str| Regex::new(&format!(r"(?i)\b{}s?\b", regex::escape(term))).unwrap().is_match(&prose);
    let used = entries(&glossary).into_iter().map(|(term, _)| term).filter(is_used);
    used.map(|term| format!("{term} is used without a link to the glossary")).collect()
}

#[test]
fn every_page_that_uses_a_word_of_the_glossary_links_to_it() {
    let pages = pages();
    let without: BTreeSet<&str> =
        pages.iter().filter(|page| !unlinked_words(&read(page)).is_empty()).map(String::as_str).collect();
    assert_eq!(without, BTreeSet::from(WITHOUT_A_LINK), "a page links to the glossary where it uses its words first");
    hold("docs/START.md", unlinked_words, &[("GLOSSARY.md#seat", "API.md#seats")]);
    assert_eq!(unlinked_words("# A page\n\nIt explains nothing of this.\n"), Vec::<String>::new());
}
