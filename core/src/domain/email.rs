//! E-mail addresses: as much of their syntax as is worth checking, since the identity provider verifies them anyway.

use super::{
    id::Invalid,
    name::{clean, fold},
};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// An address in small letters, which is how addresses are shown here. Compared by [`Email::key`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Email(String);

impl Email {
    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What all spellings of the address have in common: see [`fold`].
    pub fn key(&self) -> String {
        fold(&self.0)
    }

    /// True for the same address, however it is written.
    pub fn is(&self, other: &str) -> bool {
        self.key() == fold(other)
    }
}

/// An address that somebody else vouches for or claims, as it is shown: cleaned and in small letters. It need not be one by its syntax.
pub fn small(text: &str) -> String {
    clean(&clean(text).to_lowercase())
}

impl FromStr for Email {
    type Err = Invalid;

    /// One `@` with something on both sides, no space or control character, at most 254 bytes (RFC 5321, section 4.5.3.1.3).
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let text = small(text);
        let sides = text.split_once('@').is_some_and(|(local, domain)| {
            !fold(local).is_empty() && !fold(domain).is_empty() && !domain.contains('@') && !domain.starts_with('.')
        });
        let plain = !text.chars().any(|c| c.is_whitespace() || c.is_control());
        if sides && plain && text.len() <= 254 {
            Ok(Self(text))
        } else {
            Err(Invalid("must be an e-mail address of at most 254 bytes, such as ada@example.com"))
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
    fn an_address_is_the_same_in_every_spelling_and_shown_as_it_was_given() {
        for (given, shown, same) in [
            ("JÜRGEN@Müller.DE", "jürgen@müller.de", "Ju\u{308}rgen@mu\u{308}ller.de\n"),
            ("Straße@example.com", "straße@example.com", "STRASSE@EXAMPLE.COM"),
            ("ΝΊΚΟΣ@example.com", "νίκος@example.com", "νίκοσ@example.com"),
            ("\u{FEFF}ada@example.com\u{A0}", "ada@example.com", "ada\u{200B}@example.com"),
        ] {
            let email: Email = given.parse().unwrap();
            assert_eq!(email.as_str(), shown);
            assert!(email.is(same), "{given} {same}");
        }
        let ilker: Email = "ILKER@example.com".parse().unwrap();
        assert!(ilker.is("ilker@example.com") && !ilker.is("ılker@example.com") && !ilker.is("İLKER@example.com"));
    }
}
