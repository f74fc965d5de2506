//! E-mail addresses: as much of their syntax as is worth checking, since the identity provider verifies them anyway.

use super::id::Invalid;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// An address in small letters, which is how addresses are compared here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Email(String);

impl Email {
    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// True for the same address, however its letters are written.
    pub fn is(&self, other: &str) -> bool {
        self.0 == other.to_lowercase()
    }
}

impl FromStr for Email {
    type Err = Invalid;

    /// One `@` with something on both sides, no space or control character, at most 254 bytes (RFC 5321, section 4.5.3.1.3).
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let text = text.trim().to_lowercase();
        let sides = text.split_once('@').is_some_and(|(local, domain)| {
            !local.is_empty() && !domain.is_empty() && !domain.contains('@') && !domain.starts_with('.')
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
    fn an_address_is_compared_in_small_letters_and_what_is_none_is_refused() {
        let ada = " Ada@Example.COM ".parse::<Email>().unwrap();
        assert_eq!(ada.as_str(), "ada@example.com");
        assert!(ada.is("ADA@example.com") && !ada.is("ada@example.org"));
        let long = format!("{}@example.com", "x".repeat(243));
        let wrong = ["", "@", "ada", "ada@", "@example.com", "a@b@c", "a b@c.de", "a\u{7}@c.de", "a@.de", &long];
        for text in wrong {
            assert!(text.parse::<Email>().is_err(), "{text}");
        }
        assert!(long[1..].parse::<Email>().is_ok());
    }
}
