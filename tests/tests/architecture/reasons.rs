//! Why something is refused is a value. The sentences that clients read stand in `functions`, so that a reason cannot
//! be written where nobody who reads the API looks for it.

use crate::files;
use regex::Regex;

/// Texts in the place of reasons: sentences for clients in the modules of records and management, and texts in the
/// reasons for which changes and terms are refused.
fn texts_as_reasons(name: &str, text: &str) -> Vec<String> {
    let sentence = Regex::new(r#"\b(?:InvalidText|Err|ok_or)\("(?:must|is|cannot|needs)\b"#).unwrap();
    let reason = Regex::new(r"^ +[A-Z][A-Za-z]+\(.*\b(?:str|String)\b.*\),$|^pub type \w+ = \(.*str").unwrap();
    let is_of_reasons = ["core/src/refusal.rs", "core/src/domain/terms.rs"].contains(&name);
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"));
    let wrong = lines.filter(|(_, line)| sentence.is_match(line) || is_of_reasons && reason.is_match(line));
    wrong.map(|(at, line)| format!("{name}:{}: {}", at + 1, line.trim())).collect()
}

#[test]
fn the_records_and_the_rules_have_no_sentences_for_clients() {
    let mut read = files("core/src/records", &["rs"]);
    read.extend(files("core/src/management", &["rs"]));
    read.extend(files("core/src/domain", &["rs"]).into_iter().filter(|(name, _)| name.ends_with("/terms.rs")));
    let refusal = std::fs::read_to_string(crate::root().join("core/src/refusal.rs")).unwrap();
    read.push(("core/src/refusal.rs".to_owned(), refusal));
    let wrong: Vec<String> = read.iter().flat_map(|(name, text)| texts_as_reasons(name, text)).collect();
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn a_text_in_the_place_of_a_reason_is_seen() {
    for (name, line) in [
        (
            "core/src/records/x.rs",
            "        read().ok_or(InvalidText(\"must be a next_cursor that an earlier page answered\"))",
        ),
        ("core/src/management/x.rs", "    return Err(\"is not a plan of this server\");"),
        ("core/src/refusal.rs", "    UnknownPlan(&'static str),"),
        ("core/src/domain/terms.rs", "pub type InvalidTerm = (&'static str, &'static str);"),
    ] {
        assert_eq!(texts_as_reasons(name, line).len(), 1, "{line}");
    }
    let value = "    /// There is no such plan: \"must\".\n    UnknownPlan(PlanField),";
    assert_eq!(texts_as_reasons("core/src/refusal.rs", value), Vec::<String>::new());
}
