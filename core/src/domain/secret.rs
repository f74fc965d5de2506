//! Values that must never be printed, and the hashes and encryption that are applied to them.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey},
    digest, hmac,
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A value that prints as `[secret]` in `Debug` and has no `Display`. Only [`Secret::reveal`] returns the value.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    /// Wraps a value.
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself. The caller is responsible for not printing or logging it.
    pub fn reveal(&self) -> &T {
        &self.0
    }
}

impl Secret<String> {
    /// True if somebody brought this secret. How long the comparison takes does not depend on where they differ.
    pub fn is_brought(&self, brought: &[u8]) -> bool {
        equal_in_constant_time(brought, self.0.as_bytes())
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// A secret that is shown in one answer.
///
/// It serializes as its plain text, so that the answer to the same request can be repeated. It may only be serialized
/// into an answer or into a stored answer that is encrypted ([`crate::records::RepeatableRequest`]), never into the
/// audit log or an event.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ShownSecret(String);

impl ShownSecret {
    /// Wraps the text.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The text itself, for the answer.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ShownSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// A key of the service with its version number. The number makes it possible to replace the key while values that were
/// made with the old key are still accepted.
#[derive(Clone, Debug)]
pub struct KeyVersion {
    /// The version number, which is stored or sent with everything that is made with the key.
    pub version: u8,
    /// The key's bytes; at least 32.
    pub key: Secret<Vec<u8>>,
}

/// The current key and, while a key is being replaced, the previous one. New values are made with the current key;
/// values of both keys are accepted.
#[derive(Clone, Debug)]
pub struct KeyRing {
    /// The key with which new values are made.
    pub current: KeyVersion,
    /// The key whose values are still accepted.
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

/// Encrypts and authenticates `text` under a key of 32 bytes (AES-256-GCM). The result is the random nonce and the
/// ciphertext, in base64url.
///
/// `None` only if the library refuses the input, which it does for no text of this server.
pub(crate) fn seal(key: &[u8; 32], text: &[u8]) -> Option<String> {
    let mut sealed = text.to_vec();
    let nonce =
        RandomizedNonceKey::new(&AES_256_GCM, key).ok()?.seal_in_place_append_tag(Aad::empty(), &mut sealed).ok()?;
    Some(base64url(&[&nonce.as_ref()[..], &sealed].concat()))
}

/// Decrypts a text that was encrypted by [`seal`] under this key; `None` for every other text.
pub(crate) fn unseal(key: &[u8; 32], sealed: &str) -> Option<Vec<u8>> {
    let bytes = from_base64url(sealed)?;
    let (nonce, sealed) = bytes.split_at_checked(NONCE_LEN)?;
    let (nonce, mut sealed) = (Nonce::try_assume_unique_for_key(nonce).ok()?, sealed.to_vec());
    let text = RandomizedNonceKey::new(&AES_256_GCM, key).ok()?.open_in_place(nonce, Aad::empty(), &mut sealed).ok()?;
    Some(text.to_vec())
}

/// SHA-256 of a domain-separating label followed by length-prefixed parts (u32, big endian), so that no two lists of
/// parts collide.
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

/// SHA-256 of the concatenation of all parts.
pub(crate) fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    parts.iter().for_each(|part| context.update(part));
    let mut out = [0; 32];
    out.copy_from_slice(context.finish().as_ref());
    out
}

/// True if two values are equal. The time of the comparison does not depend on where they differ.
pub(crate) fn equal_in_constant_time(a: &[u8], b: &[u8]) -> bool {
    aws_lc_rs::constant_time::verify_slices_are_equal(a, b).is_ok()
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
/// If the random source of the operating system fails. A process cannot continue without it.
#[expect(clippy::expect_used, reason = "no key, id or nonce may ever be made without randomness")]
pub fn random<const N: usize>() -> [u8; N] {
    let mut out = [0; N];
    aws_lc_rs::rand::fill(&mut out).expect("the operating system's random source answers");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sealed_opens_with_its_key_only_and_only_unchanged() {
        let (key, other) = (random::<32>(), random::<32>());
        let sealed = seal(&key, b"a license key").unwrap();
        assert_eq!(unseal(&key, &sealed).as_deref(), Some(&b"a license key"[..]));
        assert_eq!(unseal(&other, &sealed), None);
        let mut changed = sealed.clone().into_bytes();
        changed[20] = if changed[20] == b'A' { b'B' } else { b'A' };
        assert_eq!(unseal(&key, std::str::from_utf8(&changed).unwrap()), None);
        assert_eq!(unseal(&key, ""), None);
        assert_ne!(seal(&key, b"a license key").unwrap(), sealed, "the nonce is new each time");
    }
}
