//! How freshly and how strongly somebody must have signed in (RFC 9470, OAuth 2.0 Step Up Authentication Challenge
//! Protocol).

use super::id::InvalidText;

/// What two honest clocks may differ by, in seconds.
const LEEWAY: i64 = 60;

/// How somebody signed in, as their ID token says it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SignIn {
    /// For how many seconds they have been signed in, from `auth_time`. `None`: the issuer does not say, or names a
    /// time to come.
    pub ago: Option<i64>,
    /// `acr`: how strongly, in a word of the issuer's.
    pub acr: Option<String>,
}

/// What is demanded of a sign-in. Without either nothing is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StepUpPolicy {
    /// How many seconds ago it may be, at most.
    pub max_age: Option<u32>,
    /// One of these is its `acr`; none: any will do.
    pub acr_values: Vec<String>,
}

impl StepUpPolicy {
    /// The shortest and the longest `max_age` that can be demanded, in seconds: a minute, and 30 days.
    pub const MAX_AGE_RANGE: (u32, u32) = (60, 30 * 86_400);
    /// The most values of `acr` to choose from.
    pub const MAX_ACR_VALUES: usize = 10;

    /// Whether a sign-in is as demanded. One that does not say when or how strongly it was is not.
    pub fn is_met_by(&self, sign_in: &SignIn) -> bool {
        let is_fresh = self.max_age.is_none_or(|max| sign_in.ago.is_some_and(|ago| ago <= i64::from(max) + LEEWAY));
        let is_strong =
            self.acr_values.is_empty() || sign_in.acr.as_ref().is_some_and(|acr| self.acr_values.contains(acr));
        is_fresh && is_strong
    }
}

/// Reads one value of `acr`: it stands in a header between others, so it has neither blanks nor quotes.
///
/// # Errors
/// With what it must be.
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
        SignIn { ago, acr: acr.map(str::to_owned) }
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
