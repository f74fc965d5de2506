//! The head of each script says what it is called with and what it answers. These tests hold the scripts and their
//! callers to it.

use super::{
    keys::PoolKey,
    scripts::{CONTRACTS, DENY_OOM, PROLOGUE_ARGUMENTS, source},
};
use crate::domain::id::LicenseNumber;
use std::collections::BTreeSet;

/// What the table of scripts says of one of them, and its text.
pub(super) struct Contract {
    pub(super) name: &'static str,
    pub(super) keys: usize,
    pub(super) arguments: usize,
    /// The prologue first, then what it shares with others, its own file last.
    pub(super) parts: &'static [&'static str],
}

/// The head of a script: the comment that it begins with.
#[derive(Debug, Default)]
struct Head {
    title: String,
    /// The numbers that stand behind `Keys:` and `Arguments:`.
    counts: [Option<usize>; 2],
    /// The names that are listed below them.
    names: [Vec<String>; 2],
    takes_list: bool,
    answers: Vec<String>,
}

const SECTIONS: [&str; 3] = ["Keys: ", "Arguments: ", "Answers:"];

fn head(text: &str) -> Head {
    let mut head = Head::default();
    let mut section = None;
    for line in text.lines().map_while(|line| line.strip_prefix("-- ")) {
        if let Some(at) = SECTIONS.iter().position(|title| line.starts_with(title)) {
            section = Some(at);
            if at < 2 {
                let digits: String = line[SECTIONS[at].len()..].chars().take_while(char::is_ascii_digit).collect();
                head.counts[at] = digits.parse().ok();
            }
            head.takes_list |= at == 1 && line.contains("then a list");
            continue;
        }
        let entry = line.strip_prefix("  ").filter(|rest| !rest.starts_with(' '));
        match (section, entry.and_then(|rest| rest.split([' ', ':']).next())) {
            (None, _) if head.title.is_empty() => head.title = line.split(':').next().unwrap_or_default().to_owned(),
            (Some(2), Some(word)) => head.answers.push(word.to_owned()),
            (Some(at), Some(name)) if name != "…" => head.names[at].push(name.to_owned()),
            _ => {}
        }
    }
    head
}

/// What a script must contain to name its keys or arguments as its head does.
fn naming(table: &str, names: &[String], before: usize) -> String {
    format!("local {} = unpack({table}, {}, {})", names.join(", "), before + 1, before + names.len())
}

/// A text with every stretch of white space as one blank.
fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn own(contract: &Contract) -> (&'static str, Head, Head) {
    let (&text, &prologue) = (contract.parts.last().unwrap(), contract.parts.first().unwrap());
    (text, head(text), head(prologue))
}

#[test]
fn every_script_is_called_with_as_many_keys_and_arguments_as_its_head_lists() {
    assert!(CONTRACTS.len() > 10, "the table of scripts is read");
    for contract in CONTRACTS {
        let (_, head, _) = own(contract);
        assert_eq!(head.counts, [Some(contract.keys), Some(contract.arguments)], "{}: keys, arguments", contract.name);
        let listed = head.names.each_ref().map(|names| Some(names.len()));
        assert_eq!(listed, head.counts, "{}: one line for each key and argument", contract.name);
        assert_eq!(head.title, contract.name.trim_end_matches("_HELD"), "the head of a script begins with its name");
    }
}

#[test]
fn every_script_names_its_keys_and_arguments_at_its_head() {
    for contract in CONTRACTS {
        let (text, head, prologue) = own(contract);
        for (at, table) in ["KEYS", "ARGV"].into_iter().enumerate() {
            let before = prologue.names[at].len();
            if !head.names[at].is_empty() {
                let naming = naming(table, &head.names[at], before);
                assert!(squeezed(text).contains(&naming), "{} lacks: {naming}", contract.name);
            }
            for part in contract.parts {
                let numbered = part.match_indices(&format!("{table}[")).any(|(found, matched)| {
                    part[found + matched.len()..].starts_with(|next: char| next.is_ascii_digit())
                });
                assert!(!numbered, "{} reads {table} by a number", contract.name);
            }
        }
        let whole = contract.parts.concat();
        let reads_list = whole.contains("#ARGV") || whole.contains("while ARGV[");
        assert_eq!(head.takes_list, reads_list, "{}: a list behind its arguments", contract.name);
    }
}

#[test]
fn the_prologues_read_what_every_script_is_called_with() {
    let pool = PoolKey { license: LicenseNumber::draw(), pool: "default".parse().unwrap() };
    for (text, keys, arguments) in [
        (include_str!("prologue.lua"), pool.keys().len(), PROLOGUE_ARGUMENTS),
        (include_str!("rate_prologue.lua"), 0, 1),
    ] {
        let head = head(text);
        assert_eq!(head.counts, [Some(keys), Some(arguments)]);
        assert_eq!(head.names.each_ref().map(Vec::len), [keys, arguments]);
        for (at, table) in ["KEYS", "ARGV"].into_iter().enumerate() {
            if !head.names[at].is_empty() {
                assert!(squeezed(text).contains(&naming(table, &head.names[at], 0)), "{table}");
            }
        }
    }
}

/// The words that a text answers with: `return {'WORD'…`.
fn answered(text: &str) -> BTreeSet<String> {
    let words = text.split("{'").skip(1).filter_map(|rest| rest.split('\'').next());
    words.filter(|word| !word.is_empty() && word.chars().all(|c| c.is_ascii_uppercase())).map(str::to_owned).collect()
}

#[test]
fn every_answer_of_a_script_has_its_line_in_its_head() {
    for contract in CONTRACTS {
        let (text, head, _) = own(contract);
        let listed: BTreeSet<String> = head.answers.iter().cloned().collect();
        assert_eq!(listed.len(), head.answers.len(), "{}: an answer is listed twice", contract.name);
        let missing: Vec<_> = answered(text).difference(&listed).cloned().collect();
        assert!(missing.is_empty(), "{} answers {missing:?}, and its head does not say so", contract.name);
        let whole = contract.parts.concat();
        for word in listed {
            assert!(whole.contains(&format!("'{word}'")), "{} never answers {word}", contract.name);
        }
    }
}

#[test]
fn a_build_for_production_says_so_to_its_scripts() {
    assert!(source(DENY_OOM, false, &["x"]).starts_with("#!lua\nlocal TEST_BUILD = false\n"));
}
