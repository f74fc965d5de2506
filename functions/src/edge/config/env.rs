//! Where configuration values come from, what is wrong with one, and the forms that several variables share.

use http::Uri;
use std::{collections::BTreeMap, fmt, net::IpAddr};

type VariableLookup = Box<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// Where configuration values come from.
pub struct Environment(VariableLookup);

/// What is wrong with which variable: a sentence that says what to do, without secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The variable's name.
    pub variable: &'static str,
    /// What is wrong with it.
    pub problem: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}.", self.variable, self.problem)
    }
}

impl std::error::Error for ConfigError {}

/// Shorthand for configuration that may be wrong.
pub type ConfigResult<T> = std::result::Result<T, ConfigError>;

pub(in crate::edge) fn wrong<T>(variable: &'static str, problem: impl Into<String>) -> ConfigResult<T> {
    Err(ConfigError { variable, problem: problem.into() })
}

impl Environment {
    /// The environment of this process: the one place that reads it.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    pub fn process() -> Self {
        Self(Box::new(|name| std::env::var(name).ok()))
    }

    /// Values from whatever has them.
    #[cfg(test)]
    pub(crate) fn looked_up(lookup: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        Self(Box::new(lookup))
    }

    /// Values from a map, for `local` and tests.
    pub fn map(values: BTreeMap<String, String>) -> Self {
        Self(Box::new(move |name| values.get(name).cloned()))
    }

    /// A value; an empty or blank one counts as absent, since templates often leave `NAME=`.
    pub fn get(&self, name: &str) -> Option<String> {
        (self.0)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    /// Whether there is a value, be it an empty one: for variables that others read too, to whom an empty one is a value.
    pub(in crate::edge) fn has(&self, name: &str) -> bool {
        (self.0)(name).is_some()
    }

    /// True on Cloud Run, which sets `K_SERVICE` for a service and `CLOUD_RUN_JOB` for a job: what is fine on one machine
    /// is refused there.
    pub fn on_cloud_run(&self) -> bool {
        self.get("K_SERVICE").is_some() || self.get("CLOUD_RUN_JOB").is_some()
    }

    /// A value whose default is right for one machine and wrong on Cloud Run: there it has to be said.
    pub(super) fn said(&self, name: &'static str, what: &str) -> ConfigResult<Option<String>> {
        let value = self.get(name);
        if value.is_none() && self.on_cloud_run() {
            return wrong(name, format!("is not set, and on Cloud Run it has no default; it must be {what}"));
        }
        Ok(value)
    }

    pub(in crate::edge) fn required(&self, name: &'static str, what: &str) -> ConfigResult<String> {
        self.get(name).map_or_else(|| wrong(name, format!("is not set; it must be {what}")), Ok)
    }

    /// A whole number within bounds, or the default.
    pub(in crate::edge) fn number(
        &self,
        name: &'static str,
        default: u64,
        from: u64,
        to: u64,
        unit: &str,
    ) -> ConfigResult<u64> {
        let Some(text) = self.get(name) else { return Ok(default) };
        match text.parse() {
            Ok(number) if (from..=to).contains(&number) => Ok(number),
            _ => wrong(name, format!("must be a whole number{unit} from {from} to {to}, and is {text:?}")),
        }
    }

    pub(super) fn seconds(&self, name: &'static str, default: u64, from: u64, to: u64) -> ConfigResult<u64> {
        self.number(name, default, from, to, " of seconds")
    }

    /// An absolute `https:` URL; `http:` is allowed to this machine, and this machine is refused on Cloud Run.
    pub(super) fn safe_url(&self, name: &'static str, text: String) -> ConfigResult<String> {
        let uri = text.parse::<Uri>().ok().filter(|uri| uri.host().is_some_and(|host| !host.is_empty()));
        let Some(uri) = uri else {
            return wrong(name, format!("must be an absolute URL such as https://example.com/path, and is {text:?}"));
        };
        let loopback = uri.host().is_some_and(is_loopback);
        match uri.scheme_str() {
            Some("https" | "http") if loopback && self.on_cloud_run() => {
                wrong(name, format!("points to the machine itself ({text}), which is refused on Cloud Run"))
            }
            Some("https") => Ok(text),
            Some("http") if loopback => Ok(text),
            _ => wrong(name, format!("must be an https: URL (http: only to this machine), and is {text:?}")),
        }
    }

    pub(in crate::edge) fn url(&self, name: &'static str, default: Option<&str>) -> ConfigResult<String> {
        let text = match (self.get(name), default) {
            (Some(text), _) => text,
            (None, Some(default)) => default.to_owned(),
            (None, None) => return wrong(name, "is not set; it must be an https: URL"),
        };
        self.safe_url(name, text)
    }
}

pub(in crate::edge) fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

pub(in crate::edge) fn without_slash(url: String) -> String {
    url.trim_end_matches('/').to_owned()
}
