//! Who or what is erased, how far an erasure has come, and what it blanked.

use crate::{
    domain::{
        email,
        id::{Hw, InvalidText},
        secret,
    },
    records::licenses::PoolChange,
};
use serde::{Deserialize, Serialize};
use std::str::FromStr;
use uuid::Uuid;

/// Who or what is erased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ErasureSubject {
    /// A person, by their address or whatever clients say their user is called.
    Person(SubjectAddress),
    /// A machine, by its public hash under one license.
    Machine(Hw),
}

/// What a person is known by, in the form in which such words are compared.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SubjectAddress(pub(super) String);

impl SubjectAddress {
    /// The one place where what somebody typed becomes what is compared; as `history.names` in SQL.
    pub(super) fn folded(text: &str) -> Self {
        Self(email::key(text))
    }
}

impl FromStr for SubjectAddress {
    type Err = InvalidText;

    fn from_str(text: &str) -> std::result::Result<Self, InvalidText> {
        let address = Self::folded(text);
        let fits = (1..=255).contains(&address.0.chars().count()) && !address.0.chars().any(char::is_control);
        if fits {
            Ok(address)
        } else {
            Err(InvalidText("must be 1 to 255 characters, none of them a control character"))
        }
    }
}

/// What was blanked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErasureReport {
    /// The entry of the audit log that says it was done.
    pub id: Uuid,
    /// Sessions, open and ended.
    pub sessions: i64,
    /// Events, waiting and published.
    pub events: i64,
    /// Entries of the audit log.
    pub audit_entries: i64,
    /// People who left.
    pub people: i64,
    /// Invitations.
    pub invitations: i64,
    /// API tokens.
    pub api_tokens: i64,
    /// Projects.
    pub projects: i64,
    /// 1 where the organization was called like the person.
    pub organizations: i64,
    /// Where the next request goes on; `None`: all is done.
    pub next: Option<ErasureCursor>,
    /// Pools whose copies in Redis have labels that were blanked.
    pub tell: Vec<PoolChange>,
}

/// How far an erasure has come. Names nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErasureCursor {
    pub(super) erasure: Uuid,
    pub(super) stage: ErasureStage,
    pub(super) key: u8,
    pub(super) after: Uuid,
}

/// What is looked through, in this order. A session that ends meanwhile is found among the ended ones, and who a person is stays known to the
/// end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum ErasureStage {
    Open,
    Ended,
    Events,
    Entries,
    Acts,
    People,
}

pub(super) const STAGES: [ErasureStage; 6] = [
    ErasureStage::Open,
    ErasureStage::Ended,
    ErasureStage::Events,
    ErasureStage::Entries,
    ErasureStage::Acts,
    ErasureStage::People,
];

impl std::fmt::Display for ErasureCursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let head = [self.stage as u8, self.key];
        f.write_str(&secret::base64url(&[&head[..], self.erasure.as_bytes(), self.after.as_bytes()].concat()))
    }
}

impl FromStr for ErasureCursor {
    type Err = InvalidText;

    fn from_str(text: &str) -> std::result::Result<Self, InvalidText> {
        let read = || {
            let bytes: [u8; 34] = secret::from_base64url(text)?.try_into().ok()?;
            let id = |at: usize| Uuid::from_slice(&bytes[at..at + 16]).ok();
            let stage = *STAGES.get(usize::from(bytes[0]))?;
            Some(Self { stage, key: bytes[1], erasure: id(2)?, after: id(18)? })
        };
        read().ok_or(InvalidText("must be a next_cursor that an earlier request of this erasure answered"))
    }
}
