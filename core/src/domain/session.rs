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
