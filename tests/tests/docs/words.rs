//! Words of the wire that API.md lists, and the sentences that refuse any other word.

use super::{differences, facts::found, hold, markdown::section};
use license_core::domain::{
    access::{PersonRole, Scope},
    license::{HolderBy, OfflinePolicy, Status},
};
use regex::Regex;
use std::collections::BTreeSet;

fn scopes(text: &str) -> Vec<String> {
    let section = section(text, "### API tokens");
    let list = Regex::new(r"`([a-z]+:[a-z]+(?: [a-z]+:[a-z]+)+)`").unwrap();
    let named = list.captures(section).map(|found| found[1].split(' ').map(str::to_owned).collect());
    differences("the scope", &named.unwrap_or_default(), &Scope::ALL.iter().map(ToString::to_string).collect())
}

#[test]
fn the_page_names_every_scope_of_an_api_token() {
    hold(
        "docs/API.md",
        scopes,
        &[(" usage:read webhooks:read", " webhooks:read"), ("`organization:read people", "`org:read people")],
    );
}

fn kinds_of_faults(text: &str) -> Vec<String> {
    let section = section(text, "### Whether the audit log is whole");
    let start = section.find("and a sentence: ").expect("the page lists the kinds");
    let list = &section[start..start + section[start..].find("More kinds may come").expect("its end")];
    let word = Regex::new(r"`([a-z]+)`").unwrap();
    let named: BTreeSet<String> = word.captures_iter(list).map(|found| found[1].to_owned()).collect();
    let known = found("core/src/records/chain", "rs", r#"Self::[A-Z][a-z]+ => "([a-z]+)","#);
    differences("the kind of fault", &named, &known)
}

#[test]
fn the_page_names_every_kind_of_fault_of_an_audit_log() {
    hold(
        "docs/API.md",
        kinds_of_faults,
        &[("`blanked` (by no erasure", "`erased` (by no erasure"), ("`rewritten` (below)", "")],
    );
}

#[test]
fn the_sentence_about_a_wrong_word_lists_the_words_there_are() {
    fn words<T: std::str::FromStr>(of: &str) -> BTreeSet<String>
    where
        T::Err: std::fmt::Display,
    {
        let sentence = of.parse::<T>().err().expect("no such word").to_string();
        let list = sentence.trim_start_matches("must be one of ").trim_start_matches("must be ").to_owned();
        list.replace(" or ", ", ").replace(" and ", ", ").split(", ").map(str::to_owned).collect()
    }
    assert_eq!(words::<Scope>("-"), Scope::ALL.iter().map(ToString::to_string).collect());
    assert_eq!(words::<PersonRole>("-"), PersonRole::ALL.iter().map(ToString::to_string).collect());
    assert_eq!(words::<OfflinePolicy>("-"), OfflinePolicy::ALL.iter().map(ToString::to_string).collect());
    assert_eq!(words::<Status>("-"), Status::ALL.iter().map(ToString::to_string).collect());
    assert_eq!(words::<HolderBy>("-"), HolderBy::ALL.iter().map(ToString::to_string).collect());
}
