//! Step-up: how recent and how strong the sign-in of a person must be (RFC 9470, OAuth 2.0 Step Up Authentication
//! Challenge Protocol).

use super::id::InvalidText;

/// The largest difference between two correct clocks, in seconds.
const LEEWAY: i64 = 60;

/// The sign-in of a person, as the ID token describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SignIn {
    /// The number of seconds since the sign-in, computed from `auth_time`. `None` if the issuer does not state the time
    /// or states one in the future.
    pub seconds_ago: Option<i64>,
    /// `acr`: the strength of the sign-in, as a value that the issuer defines.
    pub acr: Option<String>,
}

/// The demands on a sign-in. The default demands nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StepUpPolicy {
    /// The greatest number of seconds since the sign-in; `None` for any number.
    pub max_age: Option<u32>,
    /// The `acr` of the sign-in must be one of these; if the list is empty, every `acr` is accepted.
    pub acr_values: Vec<String>,
}

impl StepUpPolicy {
    /// The shortest and the longest `max_age` that can be demanded, in seconds: a minute, and 30 days.
    pub const MAX_AGE_RANGE: (u32, u32) = (60, 30 * 86_400);
    /// The largest number of `acr_values`.
    pub const MAX_ACR_VALUES: usize = 10;

    /// True if a sign-in meets the demands. A sign-in without a time or without an `acr` does not meet a demand on it.
    pub fn is_met_by(&self, sign_in: &SignIn) -> bool {
        let is_fresh =
            self.max_age.is_none_or(|max| sign_in.seconds_ago.is_some_and(|ago| ago <= i64::from(max) + LEEWAY));
        let is_strong =
            self.acr_values.is_empty() || sign_in.acr.as_ref().is_some_and(|acr| self.acr_values.contains(acr));
        is_fresh && is_strong
    }
}

/// Parses one value of `acr`. It is written in a header between other values, so it must not contain blanks, quotes or
/// backslashes.
///
/// # Errors
/// [`InvalidText`] if the value has another form.
pub fn parse_acr_value(text: &str) -> Result<String, InvalidText> {
    let is_allowed = |b: u8| b.is_ascii_graphic() && b != b'"' && b != b'\\';
    let fits = (1..=200).contains(&text.len()) && text.bytes().all(is_allowed);
    fits.then(|| text.to_owned())
        .ok_or(InvalidText("must be 1 to 200 printable ASCII characters without blanks, quotes and backslashes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed_in(ago: Option<i64>, acr: Option<&str>) -> SignIn {
        SignIn { seconds_ago: ago, acr: acr.map(str::to_owned) }
    }

    #[test]
    fn a_sign_in_is_fresh_enough_up_to_its_age_and_what_clocks_differ_by() {
        let rule = StepUpPolicy { max_age: Some(300), ..StepUpPolicy::default() };
        for (ago, met) in [
            (Some(0), true),
            (Some(360), true),
            (Some(361), false),
            (Some(i64::MAX), false),
            (Some(-59), true),
            (None, false),
        ] {
            assert_eq!(rule.is_met_by(&signed_in(ago, Some("phr"))), met, "{ago:?}");
        }
    }

    #[test]
    fn a_sign_in_is_strong_enough_by_one_of_the_words_and_by_no_other() {
        let rule = StepUpPolicy { acr_values: vec!["phr".into(), "phrh".into()], ..StepUpPolicy::default() };
        for (acr, met) in [
            (Some("phr"), true),
            (Some("phrh"), true),
            (Some("PHR"), false),
            (Some("phr phrh"), false),
            (Some(""), false),
            (None, false),
        ] {
            assert_eq!(rule.is_met_by(&signed_in(Some(0), acr)), met, "{acr:?}");
        }
        let both = StepUpPolicy { max_age: Some(300), ..rule };
        assert!(!both.is_met_by(&signed_in(Some(900), Some("phr"))) && !both.is_met_by(&signed_in(Some(0), Some("1"))));
        assert!(StepUpPolicy::default().is_met_by(&SignIn::default()), "where nothing is demanded, everybody will do");
    }

    #[test]
    fn a_word_of_a_header_has_nothing_in_it_that_ends_the_word() {
        for text in
            ["phr", "1", "urn:mace:incommon:iap:silver", "http://schemas.openid.net/pape/policies/2007/06/multi-factor"]
        {
            assert_eq!(parse_acr_value(text).as_deref(), Ok(text));
        }
        for text in ["", " ", "a b", "a\"b", "a\\b", "a\nb", "é", &"x".repeat(201)] {
            assert!(parse_acr_value(text).is_err(), "{text:?}");
        }
    }
}
