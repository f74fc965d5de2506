//! Ids and other short words, parsed once where a request comes in and never bare strings afterwards.

use super::{base32, pasted, secret};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};
use uuid::Uuid;

/// What was wrong with a word: one sentence for a person, without the value itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidText(pub &'static str);

macro_rules! uuid_id {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { self.0.fmt(f) }
        }
        impl FromStr for $name {
            type Err = InvalidText;
            fn from_str(text: &str) -> Result<Self, InvalidText> {
                // Only letters and digits count where it is not written as UUIDs are.
                let read = text.parse().or_else(|_| pasted::letters_and_digits(text).parse());
                read.map(Self).map_err(|_| InvalidText("must be a UUID"))
            }
        }
    )*};
}

uuid_id! {
    /// An organization: the tenant every row belongs to.
    TenantId,
    /// A license of an organization.
    LicenseId,
    /// A pool of seats of a license.
    PoolId,
    /// One process's time on a seat. Written once: an ended session never opens again.
    SessionId,
    /// A person.
    UserId,
    /// What sessions can be told apart by besides the license.
    ProjectId,
    /// A secret of a license, as people and sessions name it; opens nothing.
    KeyId,
    /// Drawn once by a client per process start and repeated by its retries.
    Attempt,
}

impl SessionId {
    /// A new id, ordered by time (UUID version 7).
    pub fn draw() -> Self {
        Self(Uuid::now_v7())
    }
}

impl Attempt {
    /// 64 bits of its SHA-256: what tells the few live processes of one holder apart where a byte per seat counts. A
    /// client that made two of its processes collide would merge their sessions, and could as well have sent one
    /// attempt for both.
    pub(crate) fn short(self) -> String {
        secret::base64url(&secret::hash("attempt-v1", &[self.0.as_bytes()])[..8])
    }
}

/// The number of a seat within its pool, from 0.
pub type SeatNo = u32;

/// The public, immutable number of a license: 64 random bits, written as 13 Crockford base32 symbols. Also the Redis
/// hash tag. Read as keys are: only its letters and digits count.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LicenseNumber(pub u64);

impl LicenseNumber {
    /// Draws a new number. Collisions are for the records to refuse.
    pub fn draw() -> Self {
        Self(u64::from_be_bytes(secret::random()))
    }
}

impl fmt::Display for LicenseNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base32::encode(self.0.into(), 13))
    }
}

impl fmt::Debug for LicenseNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for LicenseNumber {
    type Err = InvalidText;
    fn from_str(text: &str) -> Result<Self, InvalidText> {
        let wrong = InvalidText("must be 13 symbols of Crockford's base32");
        let symbols = pasted::letters_and_digits(text);
        if symbols.chars().count() != 13 {
            return Err(wrong);
        }
        base32::decode(&symbols).and_then(|bits| u64::try_from(bits).ok()).map(Self).ok_or(wrong)
    }
}

impl Serialize for LicenseNumber {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for LicenseNumber {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The name of a pool within its license: `[a-z0-9-]{1,32}`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct PoolName(String);

impl TryFrom<String> for PoolName {
    type Error = InvalidText;
    fn try_from(text: String) -> Result<Self, InvalidText> {
        text.parse()
    }
}

impl From<PoolName> for String {
    fn from(name: PoolName) -> Self {
        name.0
    }
}

impl PoolName {
    /// The pool every license has, and the one meant when none is named.
    pub fn main() -> Self {
        Self("default".into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PoolName {
    type Err = InvalidText;
    fn from_str(text: &str) -> Result<Self, InvalidText> {
        let fits =
            (1..=32).contains(&text.len()) && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        if fits { Ok(Self(text.into())) } else { Err(InvalidText("must be 1 to 32 of a-z, 0-9 and -")) }
    }
}

impl<'de> Deserialize<'de> for PoolName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for PoolName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a client says to tell its machine (hardware id) or its process (instance id) from others: 8 to 128 printable
/// ASCII characters, opaque to us. Never stored, logged or printed; only hashes of it leave the request.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientPart(String);

impl FromStr for ClientPart {
    type Err = InvalidText;
    fn from_str(text: &str) -> Result<Self, InvalidText> {
        let fits = (8..=128).contains(&text.len()) && text.bytes().all(|b| (0x20..0x7f).contains(&b));
        if fits { Ok(Self(text.into())) } else { Err(InvalidText("must be 8 to 128 printable ASCII characters")) }
    }
}

impl fmt::Debug for ClientPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[client part]")
    }
}

/// A hash, written in base64url.
macro_rules! hash_id {
    ($($(#[$doc:meta])* $name:ident = $bytes:literal $wrong:literal),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash)]
        pub struct $name(pub [u8; $bytes]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(&secret::base64url(&self.0)) }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { fmt::Display::fmt(self, f) }
        }
        impl FromStr for $name {
            type Err = InvalidText;
            fn from_str(text: &str) -> Result<Self, InvalidText> {
                let bytes = secret::from_base64url(text).and_then(|b| b.try_into().ok());
                bytes.map(Self).ok_or(InvalidText($wrong))
            }
        }
        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> { serializer.collect_str(self) }
        }
    )*};
}

hash_id! {
    /// What occupies one seat: the first 128 bits of SHA-256("holder-v1" ‖ license number ‖ length-prefixed parts).
    /// Redis keeps it twice per seat, so it is short. Who wanted two machines to be one holder need not search for a
    /// collision: one hardware id says it.
    Holder = 16 "must be 22 base64url characters",
    /// The machine as stored, signed and logged: SHA-256("hw-v1" ‖ license number ‖ hardware id). A client can compute
    /// its own.
    Hw = 32 "must be 43 base64url characters",
}

impl Holder {
    /// The holder for a license whose seats are counted by machine.
    pub fn machine(license: LicenseNumber, hardware: &ClientPart) -> Self {
        Self::from_parts(&[license.to_string().as_bytes(), hardware.0.as_bytes()])
    }

    /// The holder for a license whose seats are counted by process.
    pub fn process(license: LicenseNumber, hardware: &ClientPart, instance: &ClientPart) -> Self {
        Self::from_parts(&[license.to_string().as_bytes(), hardware.0.as_bytes(), instance.0.as_bytes()])
    }

    fn from_parts(parts: &[&[u8]]) -> Self {
        let hash = secret::hash("holder-v1", parts);
        Self(std::array::from_fn(|i| hash[i]))
    }
}

impl Hw {
    /// The public hash of a hardware id under one license.
    pub fn of(license: LicenseNumber, hardware: &ClientPart) -> Self {
        Self(secret::hash("hw-v1", &[license.to_string().as_bytes(), hardware.0.as_bytes()]))
    }
}

/// Drawn by a client for one request and signed back to it: 16 to 64 base64url characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Nonce(String);

impl Nonce {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Nonce {
    type Err = InvalidText;
    fn from_str(text: &str) -> Result<Self, InvalidText> {
        let fits = (16..=64).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        if fits { Ok(Self(text.into())) } else { Err(InvalidText("must be 16 to 64 base64url characters")) }
    }
}
