//! The reasons for which a session ends.

use super::id::InvalidText;
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// The reason for which a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EndReason {
    /// Its client released it.
    Released,
    /// Its client sent no heartbeat before the lease ended.
    Expired,
    /// A person ended it.
    Kicked,
}

impl EndReason {
    /// All reasons.
    pub const ALL: [Self; 3] = [Self::Released, Self::Expired, Self::Kicked];

    /// The text on the wire and in PostgreSQL.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Released => "released",
            Self::Expired => "expired",
            Self::Kicked => "kicked",
        }
    }
}

impl FromStr for EndReason {
    type Err = InvalidText;
    fn from_str(text: &str) -> Result<Self, InvalidText> {
        let found = Self::ALL.into_iter().find(|reason| reason.as_str() == text);
        found.ok_or(InvalidText("must be released, expired or kicked"))
    }
}

/// Why a session is gone, as its client is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GoneReason {
    /// It ended, for this reason.
    Ended(EndReason),
    /// There never was such a session, or it was forgotten when its month was over.
    Unknown,
    /// It ended for a reason that only a newer version knows. The word is passed on as it is.
    Other(String),
}

impl GoneReason {
    /// The word on the wire and in the records.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Ended(reason) => reason.as_str(),
            Self::Unknown => "unknown",
            Self::Other(word) => word,
        }
    }
}

/// Every word is a reason: a service that is older than the one that ended the session still answers its client.
impl From<&str> for GoneReason {
    fn from(word: &str) -> Self {
        match word.parse() {
            Ok(reason) => Self::Ended(reason),
            Err(_) if word == Self::Unknown.as_str() => Self::Unknown,
            Err(_) => Self::Other(word.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_that_a_newer_version_wrote_is_passed_on_as_it_is() {
        for (word, reason) in [
            ("released", GoneReason::Ended(EndReason::Released)),
            ("expired", GoneReason::Ended(EndReason::Expired)),
            ("kicked", GoneReason::Ended(EndReason::Kicked)),
            ("unknown", GoneReason::Unknown),
            ("evicted", GoneReason::Other("evicted".into())),
        ] {
            let read = GoneReason::from(word);
            assert_eq!((read.as_str(), &read), (word, &reason));
        }
    }
}
