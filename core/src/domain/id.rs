//! Ids and other short texts. They are parsed once, where a request is received, and have types of their own from then
//! on.

use super::{base32, pasted, secret};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};
use uuid::Uuid;

/// What is wrong with a text: one sentence for a person. It does not repeat the text.
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
                // If the text does not have the usual form of a UUID, only its letters and digits count.
                let read = text.parse().or_else(|_| pasted::letters_and_digits(text).parse());
                read.map(Self).map_err(|_| InvalidText("must be a UUID"))
            }
        }
    )*};
}

uuid_id! {
    /// The id of an organization: the tenant to which a row belongs.
    TenantId,
    /// The id of a license.
    LicenseId,
    /// The id of a pool of seats of a license.
    PoolId,
    /// The id of a session: the time that one process spends on a seat. An ended session never becomes active again.
    SessionId,
    /// The id of a person.
    UserId,
    /// The id of a project, by which the sessions of an organization can be counted separately.
    ProjectId,
    /// The public id of a license key, by which people and sessions name it. It does not give access to anything.
    KeyId,
    /// The id of a webhook: an address that an organization registered for its events.
    WebhookId,
    /// The id of an alert rule: of what an organization wants to be told.
    AlertRuleId,
    /// The id of an alert: what a rule raised of one pool, license or webhook.
    AlertId,
    /// A UUID that a client draws once for each start of its process and repeats in every retry.
    Attempt,
}

/// A new UUID of version 7, which begins with the time: what is drawn later is greater, but for what is drawn within
/// one millisecond by two processes.
#[expect(clippy::disallowed_methods, reason = "the one place that draws ids")]
pub fn draw_uuid() -> Uuid {
    Uuid::now_v7()
}

impl TenantId {
    /// Stands for the vendor, whose catalog and staff belong to no organization. No organization has this id, so
    /// row-level security shows no row of a customer to a transaction that runs under it.
    pub const VENDOR: Self = Self(Uuid::nil());
}

impl SessionId {
    /// Makes a new id that is ordered by time (UUID version 7).
    pub fn draw() -> Self {
        Self(draw_uuid())
    }
}

impl AlertRuleId {
    /// Makes a new id that is ordered by time (UUID version 7).
    pub fn draw() -> Self {
        Self(draw_uuid())
    }
}

impl WebhookId {
    /// Makes a new id that is ordered by time (UUID version 7).
    pub fn draw() -> Self {
        Self(draw_uuid())
    }
}

impl Attempt {
    /// The first 64 bits of a SHA-256 hash of the attempt, in base64url. Redis stores it for every session, so it is
    /// short; it only has to distinguish the few live processes of one holder. A client that makes two of its processes
    /// collide merges their sessions, which it could also do by sending the same attempt for both.
    pub(crate) fn short_hash(self) -> String {
        secret::base64url(&secret::hash("attempt-v1", &[self.0.as_bytes()])[..8])
    }
}

/// The number of a seat within its pool, from 0.
pub type SeatNo = u32;

/// The public number of a license, which never changes: 64 random bits, written as 13 Crockford base32 symbols.
///
/// It is also one half of the hash tag of a pool's keys in Redis. It is read as a license key is: only its letters and
/// digits count.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LicenseNumber(pub u64);

impl LicenseNumber {
    /// Makes a new random number. PostgreSQL refuses a number that already exists.
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
    /// The name of the pool that every license has. It is used where a request names no pool.
    pub fn default_pool() -> Self {
        Self("default".into())
    }

    /// The name as text.
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

/// The text by which a client distinguishes its machine (hardware id) or its process (instance id) from others: 8 to
/// 128 printable ASCII characters, which the server does not interpret.
///
/// It is never stored, logged or printed; only hashes of it are kept beyond the request.
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

/// Defines a type for a hash that is written in base64url.
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
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    )*};
}

hash_id! {
    /// What occupies one seat: the first 128 bits of SHA-256("holder-v1" ‖ license number ‖ length-prefixed parts).
    ///
    /// Redis stores it twice for every seat, so it is short. A collision would let two machines count as one holder,
    /// but a client can do the same without one by sending the same hardware id from both.
    Holder = 16 "must be 22 base64url characters",
    /// The machine hash, which is stored, signed and logged: SHA-256("hw-v1" ‖ license number ‖ hardware id).
    ///
    /// A client can compute the hash of its own machine.
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
    /// The machine hash of a hardware id under one license.
    pub fn of(license: LicenseNumber, hardware: &ClientPart) -> Self {
        Self(secret::hash("hw-v1", &[license.to_string().as_bytes(), hardware.0.as_bytes()]))
    }
}

/// A random text that a client draws for one request and that the signed answer repeats: 16 to 64 base64url characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Nonce(String);

impl Nonce {
    /// The nonce as text.
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
