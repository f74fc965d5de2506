//! License keys.
//!
//! A license key is `CODI-` and six groups of five Crockford base32 symbols. Of these 30 symbols, 13 spell the public
//! license number, 16 spell the secret (80 bits) and the last one detects typing errors (Luhn modulo 32).

use super::{
    base32,
    id::LicenseNumber,
    pasted,
    secret::{self, KeyRing, KeyVersion},
};
use std::fmt;

/// A well-formed license key. Its `Debug` output shows only the license number; [`LicenseKey::reveal`] returns the
/// whole key.
#[derive(Clone, PartialEq, Eq)]
pub struct LicenseKey {
    number: LicenseNumber,
    secret: u128,
}

/// The reason for which a text is not a license key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The text does not have the form of a license key.
    #[error("must be CODI- followed by six groups of five letters and digits")]
    Malformed,
    /// The text has the form of a license key, but the check symbol shows that a symbol is wrong or two were swapped.
    #[error("mistyped")]
    Mistyped,
}

/// The number of symbols that spell the 80 bits of the secret.
const SECRET_SYMBOLS: u32 = 16;
/// The number of symbols of a key, with `CODI`.
const KEY_SYMBOLS: usize = 34;
/// The longest text that is parsed as a key, in bytes. A key needs fewer bytes in every way of writing and spacing it.
const MAX_BYTES: usize = 512;

impl LicenseKey {
    /// Makes a key with a new random secret for a license.
    pub fn draw(number: LicenseNumber) -> Self {
        let mut bytes = [0; 16];
        bytes[6..].copy_from_slice(&secret::random::<10>());
        Self { number, secret: u128::from_be_bytes(bytes) }
    }

    /// Reads a key as it was typed or pasted. Only its letters and digits count, in upper or lower case and in every
    /// form that Unicode has of them, and look-alikes (`O` for 0, `I` and `L` for 1) are accepted. Blanks, line ends,
    /// hyphens, quotes and invisible characters may stand anywhere, and before the key the name with which it was copied
    /// (`KEY=`, `License key:`, `Bearer`).
    ///
    /// # Errors
    /// [`KeyError::Malformed`] or [`KeyError::Mistyped`]. Both are found without asking a store.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        if text.len() > MAX_BYTES {
            return Err(KeyError::Malformed);
        }
        let body = key_body(text).or_else(|| key_body(&without_label(text)?)).ok_or(KeyError::Malformed)?;
        if luhn_sum(&body) != 0 {
            return Err(KeyError::Mistyped);
        }
        let number_of = |part: &[u8]| part.iter().fold(0u128, |bits, &v| bits << 5 | u128::from(v));
        // 13 symbols hold 65 bits. This server never makes a number of more than 64 bits.
        let number = u64::try_from(number_of(&body[..13])).map_err(|_| KeyError::Malformed)?;
        Ok(Self { number: LicenseNumber(number), secret: number_of(&body[13..29]) })
    }

    /// The license's public number.
    pub fn number(&self) -> LicenseNumber {
        self.number
    }

    /// The whole key in its canonical form. It is only for the one answer that shows the key, and for the hash.
    pub fn reveal(&self) -> String {
        let mut body = format!("{}{}", self.number, base32::encode(self.secret, SECRET_SYMBOLS));
        let values: Vec<u8> = body.chars().filter_map(base32::value).chain([0]).collect();
        body.push(base32::symbol((32 - luhn_sum(&values)) % 32));
        let groups: Vec<&str> = (0..6).map(|at| &body[at * 5..at * 5 + 5]).collect();
        format!("CODI-{}", groups.join("-"))
    }

    /// The form in which the key is stored: `<pepper version>.<HMAC-SHA-256 as base64url>` under the current pepper.
    pub fn hash(&self, peppers: &KeyRing) -> String {
        self.hash_with(&peppers.current)
    }

    /// The hashes of the key under every accepted pepper. A stored hash is compared with these.
    pub fn hashes(&self, peppers: &KeyRing) -> Vec<String> {
        peppers.all().map(|pepper| self.hash_with(pepper)).collect()
    }

    fn hash_with(&self, pepper: &KeyVersion) -> String {
        format!("{}.{}", pepper.version, secret::base64url(&pepper.sign(self.reveal().as_bytes())))
    }
}

impl fmt::Debug for LicenseKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LicenseKey({}, [secret])", self.number)
    }
}

/// The values of the 30 symbols after `CODI`, if the text consists of these.
fn key_body(text: &str) -> Option<Vec<u8>> {
    let symbols: Vec<u8> = pasted::letters_and_digits(text).chars().map(base32::value).collect::<Option<_>>()?;
    let body = symbols.strip_prefix(prefix().as_slice())?;
    (body.len() == KEY_SYMBOLS - 4).then(|| body.to_vec())
}

/// The text after the name of a key. A label that holds a key itself is none, so that of two keys none is taken.
fn without_label(text: &str) -> Option<String> {
    let (label, rest) = pasted::split_label(text)?;
    let symbols: Vec<Option<u8>> = pasted::letters_and_digits(&label).chars().map(base32::value).collect();
    let prefix: Vec<Option<u8>> = prefix().into_iter().map(Some).collect();
    let start = symbols.windows(4).position(|four| four == prefix.as_slice());
    start.is_none_or(|start| symbols.len() - start < KEY_SYMBOLS).then_some(rest)
}

fn prefix() -> Vec<u8> {
    "CODI".chars().filter_map(base32::value).collect()
}

/// Luhn's sum modulo 32 over the values of all symbols, the check symbol last. The sum is 0 if the check symbol is
/// right.
/// <https://en.wikipedia.org/wiki/Luhn_mod_N_algorithm>
fn luhn_sum(values: &[u8]) -> u8 {
    let doubled = |v: u8| (v * 2) / 32 + (v * 2) % 32;
    let sum: u32 =
        values.iter().rev().enumerate().map(|(at, &v)| u32::from(if at % 2 == 1 { doubled(v) } else { v })).sum();
    (sum % 32) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> LicenseKey {
        LicenseKey::draw(LicenseNumber::draw())
    }

    #[test]
    fn a_key_reads_back_as_printed_and_as_people_type_it() {
        for _ in 0..1000 {
            let key = key();
            let text = key.reveal();
            assert_eq!(text.len(), 40);
            for typed in [
                text.clone(),
                text.to_lowercase(),
                text.replace('-', ""),
                text.replace('-', " "),
                text.replace('0', "O").replace('1', "l"),
            ] {
                assert_eq!(LicenseKey::parse(&typed), Ok(key.clone()), "{typed}");
            }
        }
    }

    /// The Python client is held to the same list (`sdk/python/tests/test_key.py`).
    #[test]
    fn a_key_reads_whatever_happened_to_it_on_its_way_and_nothing_else_does() {
        let list: serde_json::Value = serde_json::from_str(include_str!("../../../tests/spellings.json")).unwrap();
        let texts = |name: &str| list[name].as_array().unwrap().iter().map(|text| text.as_str().unwrap());
        let key = list["key"].as_str().unwrap();
        for written in texts("spellings") {
            assert_eq!(LicenseKey::parse(written).map(|read| read.reveal()).as_deref(), Ok(key), "{written:?}");
        }
        for written in texts("no_key") {
            assert_eq!(LicenseKey::parse(written), Err(KeyError::Malformed), "{written:?}");
        }
        for written in texts("mistyped") {
            assert_eq!(LicenseKey::parse(written), Err(KeyError::Mistyped), "{written:?}");
        }
    }

    #[test]
    fn every_single_wrong_symbol_is_called_mistyped() {
        let text = key().reveal();
        for at in 5..text.len() {
            let Some(was) = text[at..].chars().next().and_then(base32::value) else { continue };
            let mut typed = text.clone();
            typed.replace_range(at..=at, &base32::symbol(was ^ 9).to_string());
            assert_eq!(LicenseKey::parse(&typed), Err(KeyError::Mistyped), "{typed}");
        }
    }

    #[test]
    fn what_is_no_key_is_called_malformed() {
        for text in [
            "",
            "CODI",
            "CODI-",
            "XXXX-AAAAA-AAAAA-AAAAA-AAAAA-AAAAA-AAAAA",
            "CODI-UUUUU-AAAAA-AAAAA-AAAAA-AAAAA-AAAAA",
        ] {
            assert_eq!(LicenseKey::parse(text), Err(KeyError::Malformed), "{text}");
        }
        assert_eq!(LicenseKey::parse(&"CODI".repeat(1000)), Err(KeyError::Malformed));
    }

    #[test]
    fn printing_a_key_for_debugging_shows_no_secret() {
        let key = key();
        assert!(!format!("{key:?}").contains(&key.reveal()[19..30]));
    }
}
