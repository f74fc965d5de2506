//! License keys as people and attackers type them.

use crate::{
    CASES,
    change::{changed, like, noise, text},
    memory::counted,
    property::hold,
};
use license_core::domain::{
    id::LicenseNumber,
    key::{KeyError, LicenseKey},
    pasted::letters_and_digits,
};
use proptest::{prelude::*, prop_assert, prop_assert_eq};
use std::sync::LazyLock;

/// No key needs more bytes, however it is written and spaced.
const LIMIT: usize = 512;

static GOOD: LazyLock<Vec<String>> = LazyLock::new(|| {
    let edges = [0, 1, u64::MAX, u64::MAX - 1].map(LicenseNumber);
    let drawn = (0..60).map(|_| LicenseNumber::draw());
    edges.into_iter().chain(drawn).map(|number| LicenseKey::draw(number).reveal()).collect()
});

/// What a key says, whoever typed it: written here anew.
fn normal(text: &str) -> String {
    let folded = |c: char| match c.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' | 'İ' | 'ı' => '1',
        other => other,
    };
    // What else Unicode calls a letter or a digit is put into its plain form as the key's reader does.
    let plain = if text.is_ascii() { text.into() } else { letters_and_digits(text) };
    plain.chars().map(folded).filter(char::is_ascii_alphanumeric).collect()
}

fn typed() -> impl Strategy<Value = String> {
    prop_oneof![
        5 => changed(&GOOD, 3).prop_map(text),
        1 => noise(LIMIT).prop_map(text),
        // The right shape: one in 32 has the right check symbol.
        4 => (like("[cC][oO0][dD][iIlL1]"), like("[ -]{0,3}"), like("[0-9A-HJKMNP-TV-Za-hjkmnp-tv-zOoIiLl]{29,31}")).prop_map(|(a, b, c)| a + &b + &c),
    ]
}

#[test]
fn a_key_that_is_read_says_what_was_typed_and_prints_back_to_itself() {
    let tally = hold(CASES, typed(), |text| {
        let (read, held) = counted(|| LicenseKey::parse(&text));
        if text.len() > LIMIT {
            prop_assert_eq!((&read, held), (&Err(KeyError::Malformed), 0));
            return Ok("too long");
        }
        // Unicode has characters of three bytes whose plain form has eighteen letters.
        prop_assert!(held <= 32 * LIMIT as u64, "held {} bytes", held);
        match read {
            Err(KeyError::Malformed) => Ok("malformed"),
            Err(KeyError::Mistyped) => Ok("mistyped"),
            Ok(key) => {
                let printed = key.reveal();
                // What stands before the key is the name with which it was copied, such as `KEY=`.
                prop_assert!(normal(&text).ends_with(&normal(&printed)), "{printed} was read");
                prop_assert_eq!(LicenseKey::parse(&printed), Ok(key));
                Ok("read")
            }
        }
    });
    for outcome in ["too long", "malformed", "mistyped", "read"] {
        assert!(tally.of(outcome) > CASES / 100, "{outcome} is tried: {tally:?}");
    }
}
