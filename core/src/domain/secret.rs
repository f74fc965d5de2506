//! Values that must never be printed, and the hashes taken of them.

use aws_lc_rs::{digest, hmac};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use std::fmt;

/// A value that prints as `[secret]` in `Debug` and has no `Display`. [`Secret::reveal`] is the one way in.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    /// Wraps a value.
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself. Whoever calls this answers for where it goes.
    pub fn reveal(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// A key of the service with the number that says which one it is, so that it can be replaced while values made with the old one live on.
#[derive(Clone, Debug)]
pub struct KeyVersion {
    /// Which key this is; stored or sent beside everything made with it.
    pub version: u8,
    /// The key's bytes; at least 32.
    pub key: Secret<Vec<u8>>,
}

/// The current key and, while it is being replaced, the previous one. New values use the current; both are accepted.
#[derive(Clone, Debug)]
pub struct KeyRing {
    /// What new values are made with.
    pub current: KeyVersion,
    /// Still accepted.
    pub previous: Option<KeyVersion>,
}

impl KeyRing {
    /// A ring of one key, version 1.
    pub fn single(key: Vec<u8>) -> Self {
        Self { current: KeyVersion { version: 1, key: Secret::new(key) }, previous: None }
    }

    /// The key of that version, if it is still accepted.
    pub fn get(&self, version: u8) -> Option<&KeyVersion> {
        self.all().find(|key| key.version == version)
    }

    /// Every accepted key, the current one first.
    pub fn all(&self) -> impl Iterator<Item = &KeyVersion> {
        std::iter::once(&self.current).chain(&self.previous)
    }
}

impl KeyVersion {
    /// HMAC-SHA-256 of `message` under this key.
    pub fn sign(&self, message: &[u8]) -> [u8; 32] {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.key.reveal());
        let mut out = [0; 32];
        out.copy_from_slice(hmac::sign(&key, message).as_ref());
        out
    }
}

/// SHA-256 of a domain-separating label followed by length-prefixed parts (u32, big endian), so that no two lists of parts collide.
pub(crate) fn hash(label: &str, parts: &[&[u8]]) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(label.as_bytes());
    for part in parts {
        context.update(&(part.len() as u32).to_be_bytes());
        context.update(part);
    }
    let mut out = [0; 32];
    out.copy_from_slice(context.finish().as_ref());
    out
}

/// Bytes as base64url without padding (RFC 4648 section 5).
pub(crate) fn base64url(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// The bytes of a base64url text without padding.
pub(crate) fn from_base64url(text: &str) -> Option<Vec<u8>> {
    BASE64_URL_SAFE_NO_PAD.decode(text).ok()
}

/// Fills a fixed number of bytes from the system's random source.
///
/// # Panics
/// If the operating system has no randomness to give, which no process can go on from.
#[expect(clippy::expect_used, reason = "no key, id or nonce may ever be made without randomness")]
pub fn random<const N: usize>() -> [u8; N] {
    let mut out = [0; N];
    aws_lc_rs::rand::fill(&mut out).expect("the operating system's random source answers");
    out
}
