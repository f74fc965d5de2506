//! What is demanded of the vendor's staff besides an ID token of theirs.

use super::env::{ConfigResult, Environment, wrong};
use license_core::domain::{
    network::IpNetwork,
    step_up::{StepUpPolicy, parse_acr_value},
};
use std::net::IpAddr;

/// From where staff may come, and how they must have signed in to change something.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StaffRules {
    /// From these networks alone; none: from everywhere.
    pub networks: Vec<IpNetwork>,
    /// For everything but reading.
    pub step_up: StepUpPolicy,
}

impl StaffRules {
    /// Reads `STAFF_ALLOWED_NETWORKS` (CIDR, commas or blanks between them), `STAFF_STEP_UP_MAX_AGE_SECONDS` and
    /// `STAFF_STEP_UP_ACR_VALUES` (blanks between them). Nothing is demanded unless set.
    ///
    /// # Errors
    /// A sentence that names the variable that is wrong.
    pub(super) fn from_env(env: &Environment) -> ConfigResult<Self> {
        Ok(Self {
            networks: networks(env)?,
            step_up: StepUpPolicy { max_age: max_age(env)?, acr_values: acr_values(env)? },
        })
    }

    /// Whether staff may come from there. Nobody knows where from: not where it matters.
    pub fn admit(&self, from: Option<IpAddr>) -> bool {
        self.networks.is_empty() || from.is_some_and(|from| self.networks.iter().any(|one| one.contains(from)))
    }
}

fn networks(env: &Environment) -> ConfigResult<Vec<IpNetwork>> {
    const NAME: &str = "STAFF_ALLOWED_NETWORKS";
    let Some(text) = env.get(NAME) else { return Ok(Vec::new()) };
    let words: Vec<_> = text.split([',', ' ']).filter(|word| !word.is_empty()).collect();
    if words.is_empty() {
        // Somebody meant to name a network; without one everybody would be let in.
        return wrong(NAME, "names no network; leave it out to let staff in from everywhere");
    }
    let read = |word: &str| word.parse().or_else(|problem| wrong(NAME, format!("has {word:?}, which {problem}")));
    words.into_iter().map(read).collect()
}

fn max_age(env: &Environment) -> ConfigResult<Option<u32>> {
    const NAME: &str = "STAFF_STEP_UP_MAX_AGE_SECONDS";
    let (least, most) = StepUpPolicy::MAX_AGE_RANGE;
    let Some(text) = env.get(NAME) else { return Ok(None) };
    match text.parse() {
        Ok(seconds) if (least..=most).contains(&seconds) => Ok(Some(seconds)),
        _ => wrong(NAME, format!("must be a whole number of seconds from {least} to {most}, and is {text:?}")),
    }
}

fn acr_values(env: &Environment) -> ConfigResult<Vec<String>> {
    const NAME: &str = "STAFF_STEP_UP_ACR_VALUES";
    let text = env.get(NAME).unwrap_or_default();
    let words = text.split_whitespace();
    let values: Vec<String> = words
        .map(|word| parse_acr_value(word).or_else(|problem| wrong(NAME, format!("has {word:?}, which {problem}"))))
        .collect::<ConfigResult<_>>()?;
    if values.len() > StepUpPolicy::MAX_ACR_VALUES {
        return wrong(NAME, format!("has more than {} values", StepUpPolicy::MAX_ACR_VALUES));
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(values: &[(&str, &str)]) -> ConfigResult<StaffRules> {
        StaffRules::from_env(&Environment::map(
            values.iter().map(|&(name, value)| (name.into(), value.into())).collect(),
        ))
    }

    #[test]
    fn nothing_is_demanded_unless_set() {
        let none = rules(&[]).unwrap();
        assert_eq!(none, StaffRules::default());
        assert!(none.admit(None) && none.admit("192.0.2.1".parse().ok()));
    }

    #[test]
    fn what_is_set_is_demanded() {
        let some = rules(&[
            ("STAFF_ALLOWED_NETWORKS", " 192.0.2.0/24,2001:db8::/32 ::ffff:198.51.100.7"),
            ("STAFF_STEP_UP_MAX_AGE_SECONDS", "900"),
            ("STAFF_STEP_UP_ACR_VALUES", "phr  phrh"),
        ])
        .unwrap();
        for ip in ["192.0.2.9", "2001:db8::9", "198.51.100.7", "::ffff:192.0.2.9"] {
            assert!(some.admit(ip.parse().ok()), "{ip}");
        }
        assert!(!some.admit("203.0.113.9".parse().ok()) && !some.admit(None), "nobody knows from where: from nowhere");
        assert_eq!(some.step_up, StepUpPolicy { max_age: Some(900), acr_values: vec!["phr".into(), "phrh".into()] });
    }

    #[test]
    fn a_wrong_value_names_its_variable_and_lets_nobody_in() {
        for (name, value) in [
            ("STAFF_ALLOWED_NETWORKS", "192.0.2.0/24, office"),
            ("STAFF_ALLOWED_NETWORKS", "192.0.2.1/24"),
            ("STAFF_ALLOWED_NETWORKS", " , "),
            ("STAFF_STEP_UP_MAX_AGE_SECONDS", "59"),
            ("STAFF_STEP_UP_MAX_AGE_SECONDS", "2592001"),
            ("STAFF_STEP_UP_MAX_AGE_SECONDS", "15m"),
            ("STAFF_STEP_UP_ACR_VALUES", "a\"b"),
            ("STAFF_STEP_UP_ACR_VALUES", "1 2 3 4 5 6 7 8 9 10 11"),
        ] {
            let error = rules(&[(name, value)]).unwrap_err();
            assert_eq!(error.variable, name, "{value}");
        }
    }
}
