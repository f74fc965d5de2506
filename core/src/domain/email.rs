//! E-mail addresses: the part of their syntax that is checked, and the rule by which two addresses are the same
//! mailbox.
//!
//! Addresses are compared by one rule everywhere: two addresses are the same if they have the same composed letters in
//! the same order, in upper or lower case. The rule never treats two different mailboxes as the same. Case folding
//! would do so with `straße@` and `strasse@`, and removal of invisible characters with `a\u{200B}da@` and `ada@`.

use super::{
    id::InvalidText,
    name::{clean, fold, is_invisible},
};
use icu_normalizer::ComposingNormalizerBorrowed;
use icu_properties::{CodePointMapData, props::Script};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// An address in lower case, the form in which addresses are shown and compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Email(String);

impl Email {
    /// The address as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form in which all spellings of the address are equal (see [`comparison_key`]).
    pub fn key(&self) -> String {
        comparison_key(&self.0)
    }

    /// True if `other` is the same address in upper or lower case.
    pub fn is(&self, other: &str) -> bool {
        self.key() == comparison_key(other)
    }
}

/// Cleans an address and converts it to lower case, for display and comparison. It is used for addresses that another
/// party states, so the text need not be an address by its syntax.
pub fn small(text: &str) -> String {
    clean(&clean(text).to_lowercase())
}

/// The form in which two texts that name a person are compared. For an address it is [`small`]; a text without `@` is a
/// name, and for it the form is [`fold`].
pub fn comparison_key(text: &str) -> String {
    if text.contains('@') { small(text) } else { fold(text) }
}

/// The combinations of scripts that one word may contain (Unicode Technical Standard 39, "Highly Restrictive"). A word
/// may also be written in any single script.
const COMBINED_SCRIPTS: [&[Script]; 3] = [
    &[Script::Latin, Script::Han, Script::Hiragana, Script::Katakana],
    &[Script::Latin, Script::Han, Script::Bopomofo],
    &[Script::Latin, Script::Han, Script::Hangul],
];

/// True if all letters of a word belong to one script or to one of [`COMBINED_SCRIPTS`]. `pаypal` with a Cyrillic `а`
/// is an attempt to deceive its reader.
fn is_single_script(word: &str) -> bool {
    let script = |c| CodePointMapData::<Script>::new().get(c);
    let mut scripts: Vec<Script> = word.chars().map(script).collect();
    scripts.retain(|script| ![Script::Common, Script::Inherited].contains(script));
    let Some(first) = scripts.first() else { return true };
    scripts.iter().all(|script| script == first)
        || COMBINED_SCRIPTS.iter().any(|together| scripts.iter().all(|script| together.contains(script)))
}

/// True for a character outside ASCII that is only another form of ASCII characters: a full-width letter, a ligature,
/// the Kelvin sign.
fn is_ascii_lookalike(c: char) -> bool {
    let to_compatibility_form =
        |c: char| ComposingNormalizerBorrowed::new_nfkc().normalize(c.encode_utf8(&mut [0; 4])).into_owned();
    !c.is_ascii() && to_compatibility_form(c).contains(|c: char| c.is_ascii())
}

impl FromStr for Email {
    type Err = InvalidText;

    /// An address has one `@` with text on both sides; no blank, control or invisible character; each of its words in
    /// one script and without other forms of ASCII letters; and at most 254 bytes (RFC 5321, section 4.5.3.1.3).
    fn from_str(text: &str) -> Result<Self, InvalidText> {
        let given = clean(text);
        // Composition turns some of these characters into ASCII letters, so they are searched for in the text before
        // it.
        let has_lookalikes = text.trim().contains(is_ascii_lookalike);
        let text = small(&given);
        let (local, domain) = text.split_once('@').unwrap_or_default();
        let has_both_sides =
            !local.is_empty() && !domain.is_empty() && !domain.contains('@') && !domain.starts_with('.');
        let is_visible = !text.contains(|c: char| c.is_whitespace() || c.is_control() || is_invisible(c));
        let is_unambiguous = !has_lookalikes && is_single_script(local) && domain.split('.').all(is_single_script);
        if !(has_both_sides && is_visible && text.len() <= 254) {
            Err(InvalidText("must be an e-mail address of at most 254 bytes, such as ada@example.com"))
        } else if !is_unambiguous {
            Err(InvalidText("must not mix letters of several scripts or have forms of letters that look like others"))
        } else {
            Ok(Self(text))
        }
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_in_small_letters_and_what_is_none_is_refused() {
        let ada = " Ada@Example.COM ".parse::<Email>().unwrap();
        assert_eq!(ada.as_str(), "ada@example.com");
        assert!(ada.is("ADA@example.com") && !ada.is("ada@example.org"));
        let long = format!("{}@example.com", "x".repeat(243));
        let wrong = [
            "",
            "@",
            "ada",
            "ada@",
            "@example.com",
            "a@b@c",
            "a b@c.de",
            "a\u{7}@c.de",
            "a@.de",
            "\u{200B}@c.de",
            &long,
        ];
        for text in wrong {
            assert!(text.parse::<Email>().is_err(), "{text}");
        }
        assert!(long[1..].parse::<Email>().is_ok());
    }

    #[test]
    fn an_address_is_the_same_in_large_and_small_letters_and_however_it_is_composed() {
        for (given, shown, same) in [
            ("JÜRGEN@Müller.DE", "jürgen@müller.de", "Ju\u{308}rgen@mu\u{308}ller.de\n"),
            ("ΝΊΚΟΣ@example.com", "νίκος@example.com", "Νίκος@example.com"),
            ("\u{FEFF}ada@example.com\u{A0}", "ada@example.com", "ADA@example.com\u{200B}"),
            ("山田taro@例え.jp", "山田taro@例え.jp", "山田TARO@例え.JP"),
        ] {
            let email: Email = given.parse().unwrap();
            assert_eq!(email.as_str(), shown);
            assert!(email.is(same), "{given} {same}");
            assert_eq!(comparison_key(&email.key()), email.key());
        }
    }

    #[test]
    fn no_other_mailbox_is_taken_for_an_address() {
        for (ours, theirs) in [
            ("ilker@example.com", "ılker@example.com"),
            ("ilker@example.com", "İLKER@example.com"),
            ("strasse@example.com", "straße@example.com"),
            ("STRASSE@example.com", "STRAẞE@example.com"),
            ("ada@strasse.example", "ada@straße.example"),
            ("asda@example.com", "aſda@example.com"),
            ("fire@example.com", "ﬁre@example.com"),
            ("νίκοσ@example.com", "νίκος@example.com"),
            ("ada@example.com", "a\u{200B}da@example.com"),
            ("ada@example.com", "ada@exam\u{AD}ple.com"),
            ("ada@example.com", "ada\u{202E}@example.com"),
            ("ada@example.com", "аda@example.com"),
            ("ada@example.com", "ａda@example.com"),
            ("ada@example.com", "ada.@example.com"),
            ("ada@example.com", "ada+x@example.com"),
            ("ada@example.com", "ada@example.com."),
        ] {
            let ours: Email = ours.parse().unwrap();
            assert!(!ours.is(theirs), "{theirs:?}");
        }
    }

    #[test]
    fn what_only_looks_like_an_address_or_cannot_be_seen_is_none() {
        for wrong in [
            "ada\0@example.com",
            "ada@example.com\0",
            "a\u{200B}da@example.com",
            "a\u{AD}da@example.com",
            "a\u{202E}da@example.com",
            "ada@\u{2066}example.com",
            "ada\u{FE0F}@example.com",
            "\u{212A}elvin@example.com",
            "ａda@example.com",
            "ada＠example.com@example.com",
            "ﬁre@example.com",
            "aſda@example.com",
            "𝐚da@example.com",
            "аda@example.com",
            "ada@exаmple.com",
            "αda@example.com",
        ] {
            assert!(wrong.parse::<Email>().is_err(), "{wrong:?}");
        }
        for good in [
            "мария@пример.рф",
            "мария@example.com",
            "ada@пример.рф",
            "คำ@example.com",
            "김hana@example.com",
            "o'neil+x_1@a-b.example",
        ] {
            assert!(good.parse::<Email>().is_ok(), "{good}");
        }
    }
}
