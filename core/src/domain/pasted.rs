//! Cleaning of keys, numbers and tokens that were copied from a mail or a web page.
//!
//! Copying adds blanks, line ends, hyphens, quotes and other Unicode forms of letters; they are removed before the text
//! is parsed.

use icu_normalizer::ComposingNormalizerBorrowed;
use icu_properties::{
    CodePointSetData,
    props::{Dash, DefaultIgnorableCodePoint},
};
use std::borrow::Cow;

/// The letters and digits of a text, without all other characters.
///
/// Full-width letters, mathematical letters and ligatures become ordinary letters (Unicode's form NFKC). This is for
/// texts that are written in groups, with any separators between the groups.
pub fn letters_and_digits(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return text.into();
    }
    to_compatibility_form(text).chars().filter(|c| c.is_alphanumeric() && !is_hyphen(*c)).collect::<String>().into()
}

/// Cleans a word that never contains blanks, such as a bearer credential or an `Idempotency-Key`.
///
/// The result is in Unicode's form NFKC, without blanks, line ends, invisible characters and the quotes around it, and
/// with `-` for every hyphen and dash.
pub fn clean_word(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|b| b.is_ascii_graphic() && !is_quote(b.into())) {
        return text.into();
    }
    let ignored = CodePointSetData::new::<DefaultIgnorableCodePoint>();
    let kept = to_compatibility_form(text)
        .chars()
        .filter(|c| !c.is_whitespace() && !c.is_control() && !ignored.contains(*c))
        .collect::<String>();
    let word = kept.trim_matches(is_quote).chars().map(|c| if is_hyphen(c) { '-' } else { c });
    word.collect::<String>().into()
}

/// The longest text with a label, in bytes of its plain form: some characters stand for many letters.
const MAX_LABELLED: usize = 1024;
/// The most characters of a label.
const MAX_LABEL: usize = 100;
/// What may stand before a secret without a mark between them.
const LABEL_WORDS: [&str; 5] = ["bearer", "key", "license", "licence", "token"];

/// Splits a text into the name with which a secret was copied (`KEY=`, `License key:`, `Bearer`) and what follows it.
///
/// The label ends with the last colon or equals sign, and with the words after it that name a secret. It has no slash,
/// so that no address is read as a label; `None` where it has one or is long.
pub fn split_label(text: &str) -> Option<(String, String)> {
    let plain = to_compatibility_form(text);
    if plain.len() > MAX_LABELLED {
        return None;
    }
    let at = plain.rfind([':', '=']).map_or(0, |at| at + 1);
    let (label, mut rest) = plain.split_at(at);
    if label.contains('/') || label.chars().count() > MAX_LABEL {
        return None;
    }
    while let Some(start) = rest.find(char::is_alphanumeric) {
        let word = rest[start..].split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
        if !LABEL_WORDS.contains(&word.to_lowercase().as_str()) {
            break;
        }
        rest = &rest[start + word.len()..];
    }
    Some((label.to_owned(), rest.to_owned()))
}

/// The text in Unicode's form NFKC.
fn to_compatibility_form(text: &str) -> Cow<'_, str> {
    ComposingNormalizerBorrowed::new_nfkc().normalize(text)
}

/// True for Unicode's dashes and for characters that keyboards and typesetting use instead of them: a modifier minus
/// sign, a hyphen bullet, a line of a box, a heavy minus sign, and the long vowel mark that a Japanese keyboard writes
/// with the key `-`.
fn is_hyphen(c: char) -> bool {
    matches!(c, '\u{2D7}' | '\u{2043}' | '\u{2500}' | '\u{2796}' | '\u{30FC}')
        || CodePointSetData::new::<Dash>().contains(c)
}

fn is_quote(c: char) -> bool {
    matches!(c, '"' | '\'' | '`' | '´' | '«' | '»' | '‹' | '›' | '‘'..='‟' | '′' | '″' | '「'..='』' | '〝'..='〟')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_and_digits_are_left_and_nothing_else() {
        assert_eq!(letters_and_digits("AB12"), "AB12");
        for written in [
            "AB-12",
            " ab\u{A0}12\r\n".to_uppercase().as_str(),
            "“ＡＢ－１２”",
            "𝐀𝐁—12",
            "A\u{200B}B\u{AD}12\u{FEFF}",
            "ABー12",
            "<AB.12>",
        ] {
            assert_eq!(letters_and_digits(written), "AB12", "{written}");
        }
    }

    #[test]
    fn a_word_is_read_without_what_copying_adds_and_with_its_own_marks() {
        assert!(matches!(clean_word("cdt_live_ab-12.c=="), Cow::Borrowed("cdt_live_ab-12.c==")));
        for written in [
            "x_a-b.c==\n",
            "\"x_a-b.c==\"",
            "“x_a–b.c==”",
            "x_a\u{2011}b\u{200B}.c==",
            "x_a\n  -b.c==",
            "`x_a-b.c==`",
            "ｘ＿ａ－ｂ．ｃ＝＝",
        ] {
            assert_eq!(clean_word(written), "x_a-b.c==", "{written:?}");
        }
        assert_eq!(clean_word("-_a_-"), "-_a_-");
        assert_eq!(clean_word(" \"\" \u{FEFF}"), "");
    }
}
