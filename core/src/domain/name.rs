//! Names that people give: how they are cleaned before they are stored, and the rule by which two texts are the same
//! name.
//!
//! Both sides of a comparison with a stored name are folded by [`fold`] before they reach PostgreSQL. PostgreSQL
//! compares bytes and never folds letters itself, so its locale has no influence.

use super::id::InvalidText;
use icu_casemap::CaseMapper;
use icu_normalizer::{ComposingNormalizerBorrowed, DecomposingNormalizerBorrowed};
use icu_properties::{
    CodePointMapData, CodePointSetData,
    props::{DefaultIgnorableCodePoint, GeneralCategory},
};
use std::str::FromStr;

/// The longest name of an organization, a person, a project or a token, in characters.
const MAX_CHARS: usize = 200;

/// Cleans a text for storage and display: the result is composed (Unicode's form NFC) and has no blanks and invisible
/// characters around it.
pub fn clean(text: &str) -> String {
    let composed = ComposingNormalizerBorrowed::new_nfc().normalize(text);
    composed.trim_matches(|c: char| c.is_whitespace() || is_invisible_format(c)).to_owned()
}

/// Prepares a text that is only displayed, so that it never has to be refused.
///
/// The text is cleaned; control characters, line ends and characters that change the direction of writing become
/// blanks; and the text is cut after `max_chars` characters.
///
/// `None` if no visible character is left.
pub fn clean_for_display(text: &str, max_chars: usize) -> Option<String> {
    let line: String =
        text.chars().map(|c| if is_line_end_or_control(c) || is_direction_control(c) { ' ' } else { c }).collect();
    let cut: String = clean(&line).chars().take(max_chars).collect();
    // After the cut there may be a blank at the end.
    Some(clean(&cut)).filter(|cut| !fold(cut).is_empty())
}

/// The form in which all spellings of one name are equal: the text is case-folded, composed, without invisible
/// characters and with single blanks. Two texts are the same name if their results are equal.
///
/// This is Unicode's canonical caseless matching (The Unicode Standard, section 3.13, D145), the same in every
/// language: `ẞ` is `ss`, and `İ` is not `i`. Letters that only look alike, such as full-width letters, stay different.
/// Folding a result again does not change it.
pub fn fold(text: &str) -> String {
    let ignored = CodePointSetData::new::<DefaultIgnorableCodePoint>();
    let visible: String = text.chars().filter(|c| !ignored.contains(*c)).collect();
    let folded =
        CaseMapper::new().fold_string(&DecomposingNormalizerBorrowed::new_nfd().normalize(&visible)).into_owned();
    let words: Vec<&str> = folded.split_whitespace().collect();
    ComposingNormalizerBorrowed::new_nfc().normalize(&words.join(" ")).into_owned()
}

/// True for an invisible character that copying may leave at the ends of texts: zero-width spaces and joiners, byte
/// order marks, direction marks. False for characters that change the shape of the character before them.
fn is_invisible_format(c: char) -> bool {
    c < '\u{E0000}'
        && CodePointMapData::<GeneralCategory>::new().get(c) == GeneralCategory::Format
        && CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
}

/// True for every character that is invisible in any place of a text: zero-width characters, direction marks, variation
/// selectors and fillers.
pub(crate) fn is_invisible(c: char) -> bool {
    CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
        || CodePointMapData::<GeneralCategory>::new().get(c) == GeneralCategory::Format
}

/// True for a character that changes the direction of writing of the text after it. A text with such a character in the
/// middle can look like another text.
fn is_direction_control(c: char) -> bool {
    matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

fn is_line_end_or_control(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')
}

/// The name of an organization, a person, a project or a token: a cleaned text of 1 to 200 characters, none of which is
/// a control character or changes the direction of writing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DisplayName(String);

impl DisplayName {
    /// The name as it is stored and shown.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form in which all spellings of the name are equal (see [`fold`]).
    pub fn key(&self) -> String {
        fold(&self.0)
    }
}

impl FromStr for DisplayName {
    type Err = InvalidText;

    fn from_str(text: &str) -> Result<Self, InvalidText> {
        let name = clean(text);
        let fits = name.chars().count() <= MAX_CHARS
            && !name.contains(|c| is_line_end_or_control(c) || is_direction_control(c))
            && !fold(&name).is_empty();
        if fits {
            Ok(Self(name))
        } else {
            Err(InvalidText(
                "must be 1 to 200 characters, none of them a control character or one that turns the direction of \
                 writing",
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_name_fold_to_the_same() {
        for (one, other) in [
            ("Ünal", "ünal"),
            ("Cafe\u{301}", "CAFÉ"),
            ("ΟΔΟΣ", "οδος"),
            ("ὈΔΥΣΣΕΎΣ", "ὀδυσσεύς"),
            ("Straße", "STRASSE"),
            ("STRAẞE", "strasse"),
            ("ﬁre", "FIRE"),
            ("ЁЛКА", "ёлка"),
            ("ՄԱՍԻՍ", "մասիս"),
            ("ＡＢＣ", "ａｂｃ"),
            ("𐐀", "𐐨"),
            ("\u{212A}elvin", "Kelvin"),
            ("Åse", "A\u{30A}SE"),
            ("i\u{307}", "İ"),
            (" Turbine\u{A0}", "turbine"),
            ("Big\u{A0}Turbine", "big  turbine"),
            ("\u{FEFF}Tur\u{200B}bi\u{AD}ne\u{2060}", "Turbine"),
            ("한글", "\u{1112}\u{1161}\u{11AB}\u{1100}\u{1173}\u{11AF}"),
        ] {
            assert_eq!(fold(one), fold(other), "{one} {other}");
            assert_eq!(fold(&fold(one)), fold(one), "{one}");
        }
    }

    #[test]
    fn different_names_stay_different() {
        for (one, other) in [
            ("ILGAZ", "ılgaz"),
            ("Cafe", "Café"),
            ("ＡＢＣ", "abc"),
            ("a b", "ab"),
            ("İ", "i"),
            ("Turbine²", "Turbine2"),
        ] {
            assert_ne!(fold(one), fold(other), "{one} {other}");
        }
    }

    #[test]
    fn every_character_folds_once_and_for_all_however_it_is_composed() {
        let nfd = DecomposingNormalizerBorrowed::new_nfd();
        // Above these are private ones and none.
        for c in (0..0x3_0000).chain(0xE_0000..0xE_1000).filter_map(char::from_u32) {
            let text = format!("a{c}");
            let once = fold(&text);
            assert_eq!(fold(&once), once, "{c:?}");
            assert_eq!(fold(&nfd.normalize(&text)), once, "{c:?}");
            assert_eq!(fold(&clean(&text)), once, "{c:?}");
        }
    }

    #[test]
    fn a_name_is_kept_composed_and_without_what_copying_leaves_around_it() {
        for (given, kept) in [
            (" Turbine\u{3000}\n", "Turbine"),
            ("\u{FEFF}Cafe\u{301}\u{200B}", "Café"),
            ("Big\u{A0}Turbine", "Big\u{A0}Turbine"),
            ("\u{2764}\u{FE0F}", "\u{2764}\u{FE0F}"),
            ("\u{202A}Ünal\u{202C}", "Ünal"),
        ] {
            assert_eq!(given.parse::<DisplayName>().unwrap().as_str(), kept);
        }
    }

    #[test]
    fn what_is_no_name_is_refused_as_it_is_after_cleaning() {
        let long = format!("{} ", "e\u{301}".repeat(200));
        assert_eq!(long.parse::<DisplayName>().unwrap().as_str(), "é".repeat(200));
        let longer = "é".repeat(201);
        // Its composed form has two characters more.
        let grows = "\u{FB2C}".repeat(67);
        for wrong in [
            "",
            " ",
            "\u{200B}\u{FEFF}",
            "\u{3164}",
            "\u{FE0F}",
            "a\u{7}",
            "a\nb",
            "a\u{2028}b",
            "\u{0}",
            "invoice\u{202E}fdp.exe",
            "a\u{2066}b\u{2069}c",
            &longer,
            &grows,
        ] {
            assert!(wrong.parse::<DisplayName>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn what_is_only_shown_is_cut_and_cleaned_and_never_refused() {
        assert_eq!(clean_for_display("web-1\n", 255).as_deref(), Some("web-1"));
        assert_eq!(clean_for_display("web\0-\r\n1", 255).as_deref(), Some("web -  1"));
        assert_eq!(clean_for_display(&"x".repeat(300), 255), Some("x".repeat(255)));
        assert_eq!(clean_for_display("abc def", 4).as_deref(), Some("abc"));
        assert_eq!(clean_for_display("invoice\u{202E}fdp.exe", 255).as_deref(), Some("invoice fdp.exe"));
        for nothing in ["", "\n", "\u{200B}", "\0\u{1b}", "\u{3164}"] {
            assert_eq!(clean_for_display(nothing, 255), None, "{nothing:?}");
        }
    }
}
