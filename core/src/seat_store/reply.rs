//! Reads the answer of a script from front to back: first a word, then the values that the script's contract lists.

use crate::{
    Error, Result,
    domain::{
        id::SessionId,
        license::{LicenseFacts, LicenseRefusal, RefusalReason},
        secret,
    },
};
use redis::{FromRedisValue, Value};
use std::{collections::VecDeque, str::FromStr};
use uuid::Uuid;

/// An answer of which the values are taken one after the other.
pub(super) struct ScriptReply {
    word: String,
    rest: VecDeque<Value>,
}

impl ScriptReply {
    pub(super) fn new(value: Value) -> Result<Self> {
        let mut rest: VecDeque<Value> = Vec::from_redis_value(value).map_err(unread)?.into();
        let first = rest.pop_front().ok_or_else(|| Error::Seats("empty answer".into()))?;
        Ok(Self { word: String::from_redis_value(first).map_err(unread)?, rest })
    }

    pub(super) fn word(&self) -> &str {
        &self.word
    }

    pub(super) fn is(&self, word: &str) -> bool {
        self.word == word
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn take<T: FromRedisValue>(&mut self) -> Result<T> {
        let value =
            self.rest.pop_front().ok_or_else(|| Error::Seats(format!("{} answered too little", self.word).into()))?;
        T::from_redis_value(value).map_err(unread)
    }

    /// A list within the answer. It is read like an answer.
    pub(super) fn list(&mut self) -> Result<Self> {
        Ok(Self { word: self.word.clone(), rest: self.take::<Vec<Value>>()?.into() })
    }

    pub(super) fn parse<T: FromStr<Err: std::error::Error + Send + Sync + 'static>>(&mut self) -> Result<T> {
        self.take::<String>()?
            .parse()
            .map_err(|e| Error::seats(format!("{} answered what cannot be read", self.word), e))
    }

    pub(super) fn session(&mut self) -> Result<SessionId> {
        let text: String = self.take()?;
        let bytes = secret::from_base64url(&text).and_then(|b| b.try_into().ok());
        bytes.map(|b| SessionId(Uuid::from_bytes(b))).ok_or_else(|| Error::Seats("a session id cannot be read".into()))
    }

    pub(super) fn facts(&mut self) -> Result<LicenseFacts> {
        let text: String = self.take()?;
        serde_json::from_str(&text).map_err(|e| Error::seats("the license's facts cannot be read", e))
    }

    /// How long a seat was held, ms; `None` where its tokens carry no grace.
    pub(super) fn held_ms(&mut self) -> Result<Option<i64>> {
        Ok(Some(self.take()?).filter(|&held| held >= 0))
    }

    pub(super) fn refusal(&mut self) -> Result<LicenseRefusal> {
        let why = match self.take::<String>()?.as_str() {
            "suspended" => RefusalReason::Suspended,
            "revoked" => RefusalReason::Revoked,
            "expired" => RefusalReason::Expired,
            "not_started" => RefusalReason::NotStarted,
            other => return Err(Error::Seats(format!("unknown refusal {other}").into())),
        };
        Ok(LicenseRefusal { why, since_ms: self.take()? })
    }

    /// The error for a word that the script's contract does not list.
    pub(super) fn unknown(&self) -> Error {
        Error::Seats(format!("unknown answer {}", self.word).into())
    }
}

/// A session id as scripts keep it: 22 base64url characters.
pub(super) fn short(id: Uuid) -> String {
    secret::base64url(id.as_bytes())
}

fn unread(e: redis::ParsingError) -> Error {
    Error::seats("an answer cannot be read", e)
}
