//! How a session ends.

use super::id::InvalidText;
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// Why a session is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EndReason {
    /// Its client gave it back.
    Released,
    /// Its client was not heard of for a lease.
    Expired,
    /// A person ended it.
    Kicked,
}

impl EndReason {
    /// Every one there is.
    pub const ALL: [Self; 3] = [Self::Released, Self::Expired, Self::Kicked];

    /// The word on the wire and in the records.
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
