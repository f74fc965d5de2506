//! The patterns of docs/SECRET-SCANNING.md find every secret that the server makes, and no text that is none.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure is a panic with its place")]

use license_core::domain::{
    id::{LicenseNumber, TenantId},
    key::LicenseKey,
    opaque::{OpaqueSecret, SecretKind},
};
use regex::Regex;
use uuid::Uuid;

const PAGE: &str = include_str!("../../docs/SECRET-SCANNING.md");
const RULES: &str = include_str!("../../docs/secret-scanning/gitleaks.toml");
/// What GitHub puts around a pattern unless told otherwise.
const AROUND: (&str, &str) = (r"\A|[^0-9A-Za-z]", r"\z|[^0-9A-Za-z]");

/// The patterns of one kind as each scanner reads them; the first group is the secret.
fn patterns(prefix: &str) -> Vec<Regex> {
    let block = PAGE.split("```regex\n").nth(1).unwrap().split("```").next().unwrap();
    let (before, after) = AROUND;
    assert!(PAGE.contains(before) && PAGE.contains(after));
    let github =
        block.lines().filter(|line| line.starts_with(prefix)).map(|line| format!("(?:{before})({line})(?:{after})"));
    let rules =
        RULES.lines().filter_map(|line| line.strip_prefix("regex = '''")?.strip_suffix("'''")).map(str::to_owned);
    let rules = rules.filter(|rule| rule.contains(&format!("({prefix}")));
    let all: Vec<_> = github.chain(rules).map(|pattern| Regex::new(&pattern).unwrap()).collect();
    assert_eq!(all.len(), 2, "one of GitHub and one of gitleaks for {prefix}");
    all
}

/// Secrets of every kind with the word they begin with.
fn drawn() -> Vec<(&'static str, String)> {
    let mut secrets = Vec::new();
    for n in 0..500_u64 {
        // Small and large ids too: what spells them begins otherwise.
        let tenant = TenantId(if n % 2 == 0 { Uuid::new_v4() } else { Uuid::from_u128(u128::MAX >> (n % 128)) });
        secrets.push(("cdt_live_", OpaqueSecret::draw(SecretKind::ApiToken, tenant).reveal()));
        secrets.push(("cdv_live_", OpaqueSecret::draw(SecretKind::VendorToken, tenant).reveal()));
        secrets.push(("cdi_", OpaqueSecret::draw(SecretKind::Invitation, tenant).reveal()));
        secrets.push(("CODI", LicenseKey::draw(LicenseNumber(u64::MAX >> (n % 64))).reveal()));
    }
    secrets
}

#[test]
fn every_secret_is_found_whole_wherever_people_leave_it() {
    let kinds = ["cdt_live_", "cdv_live_", "cdi_", "CODI"].map(|prefix| (prefix, patterns(prefix)));
    for (prefix, secret) in drawn() {
        for text in [
            secret.clone(),
            format!("key = \"{secret}\""),
            format!("TOKEN={secret}\nNEXT=1"),
            format!("Authorization: Bearer {secret}"),
            format!("https://example.com/?t={secret}&x=1"),
            format!("MY_{secret}_OLD"),
            format!("a sentence that ends with {secret}."),
        ] {
            for (kind, patterns) in &kinds {
                for pattern in patterns {
                    let found = pattern.captures(&text).map(|found| found[1].to_owned());
                    let expected = (*kind == prefix).then(|| secret.clone());
                    assert_eq!(found, expected, "{pattern} in {text}");
                }
            }
        }
    }
}

#[test]
fn what_is_no_secret_is_not_found() {
    let all: Vec<_> = ["cdt_live_", "cdv_live_", "cdi_", "CODI"].into_iter().flat_map(patterns).collect();
    for (prefix, secret) in drawn().into_iter().take(60) {
        let body = &secret[prefix.len()..];
        let texts = [
            // Cut short, too long, within a longer word.
            secret[..secret.len() - 1].to_owned(),
            format!("{secret}0"),
            format!("x{secret}"),
            format!("{secret}Z"),
            // Letters that the alphabet does not have.
            format!("{prefix}{}", body.replace(|c: char| c.is_ascii_alphanumeric(), "u")),
            secret.replacen(&body[1..2], "l", 1),
            // Another prefix, and what a document says instead of one.
            secret.replacen(prefix, "cdx_", 1),
            format!("{prefix}…"),
            prefix.to_owned(),
            format!("{prefix}{}", "*".repeat(body.len())),
        ];
        for text in texts.iter().filter(|text| **text != secret) {
            for pattern in &all {
                assert!(!pattern.is_match(text), "{pattern} in {text}");
            }
        }
    }
    // 130 bits are more than a group has: its first symbol is at most 7.
    for word in ["cdt_live_", "cdv_live_", "cdi_"] {
        for pattern in patterns(word) {
            assert!(!pattern.is_match(&format!("{word}{}", "z".repeat(78))), "{pattern}");
        }
    }
}
