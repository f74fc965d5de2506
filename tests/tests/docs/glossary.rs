//! docs/GLOSSARY.md: one sentence for each word, in order, and known to the pages that newcomers read first.

use super::{hold, markdown::links, read};

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

#[test]
fn the_pages_that_a_newcomer_reads_first_link_to_the_glossary() {
    for page in [
        "README.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "docs/README.md",
        "docs/ARCHITECTURE.md",
        "docs/PROTOCOL.md",
        "docs/API.md",
        "docs/DATA-MODEL.md",
        "docs/OPERATING.md",
        "docs/REDIS.md",
        "docs/ERRORS.md",
        "docs/WORKFLOWS.md",
        "docs/MODEL.md",
        "docs/SIMULATION.md",
    ] {
        assert!(links(&read(page)).iter().any(|link| link.contains("GLOSSARY.md")), "{page} links to the glossary");
    }
}
