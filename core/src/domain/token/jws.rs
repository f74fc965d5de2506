//! The compact form of a JWS (RFC 7515 section 7.1): `base64url(header) . base64url(claims) . base64url(signature)`.

use crate::{
    Error, Result,
    domain::secret::{base64url, from_base64url},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::fmt;

/// What a JWS of ours is. Fixes its `typ`, its one algorithm and its greatest size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JwsKind {
    /// A license token, signed by an instance.
    Token,
    /// An instance key's certificate, signed by a root.
    Certificate,
    /// A refusal, signed by an instance.
    Refusal,
}

impl JwsKind {
    /// The header's `typ` (RFC 8725 section 3.11: no kind may pass for another).
    pub const fn typ(self) -> &'static str {
        match self {
            Self::Token => "license-token+jwt",
            Self::Certificate => "license-cert+jwt",
            Self::Refusal => "license-refusal+jwt",
        }
    }

    /// The header's `alg`: follows from the key that signs this kind.
    pub const fn alg(self) -> &'static str {
        match self {
            Self::Token | Self::Refusal => "EdDSA",
            Self::Certificate => "RS256",
        }
    }

    /// The longest text that is looked at, in bytes. Facts are at most 4 KiB, so no token of ours comes near its limit.
    pub const fn max_bytes(self) -> usize {
        match self {
            Self::Token => 16 * 1024,
            Self::Certificate | Self::Refusal => 4 * 1024,
        }
    }
}

impl fmt::Display for JwsKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Token => "license token",
            Self::Certificate => "certificate",
            Self::Refusal => "refusal",
        })
    }
}

/// Ours have these three members. Anything more (`crit`, `jku`, `jwk`, `b64` …) would ask a verifier to do something we
/// never ask.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct JwsHeader {
    pub(super) alg: String,
    pub(super) typ: String,
    pub(super) kid: String,
}

/// What is signed.
///
/// # Errors
/// [`Error::Internal`] if the claims cannot be written as JSON, or would be too large for any verifier.
pub(crate) fn signing_input(kind: JwsKind, kid: &str, claims: &impl Serialize) -> Result<String> {
    let json = |value: serde_json::Result<Vec<u8>>| value.map_err(|e| Error::Internal(format!("{kind}: {e}")));
    let header = JwsHeader { alg: kind.alg().into(), typ: kind.typ().into(), kid: kid.into() };
    let (header, claims) = (json(serde_json::to_vec(&header))?, json(serde_json::to_vec(claims))?);
    let input = format!("{}.{}", base64url(&header), base64url(&claims));
    // A root's signature has 683 characters, an instance's 86.
    if input.len() + 700 > kind.max_bytes() {
        return Err(Error::Internal(format!("{kind}: its claims are too large")));
    }
    Ok(input)
}

/// The finished text.
pub(crate) fn assemble(mut signing_input: String, signature: &[u8]) -> String {
    signing_input.push('.');
    signing_input.push_str(&base64url(signature));
    signing_input
}

/// A text taken apart; nothing of it is believed yet.
pub(super) struct ParsedJws<'a, T> {
    pub(super) header: JwsHeader,
    pub(super) claims: T,
    pub(super) signing_input: &'a [u8],
    pub(super) signature: Vec<u8>,
}

/// The parts of a text, the header first so that its kind can be judged before the claims are read.
pub(super) fn parse_header(text: &str) -> Option<(JwsHeader, &str)> {
    let (header, rest) = text.split_once('.')?;
    Some((from_json(header)?, rest))
}

/// The rest of a text whose header was judged.
pub(super) fn parse_body<T: DeserializeOwned>(text: &str, header: JwsHeader) -> Option<ParsedJws<'_, T>> {
    let (signing_input, signature) = text.rsplit_once('.')?;
    let (_, claims) = signing_input.split_once('.')?;
    let (claims, signature) = (from_json(claims)?, from_base64url(signature)?);
    Some(ParsedJws { header, claims, signing_input: signing_input.as_bytes(), signature })
}

fn from_json<T: DeserializeOwned>(part: &str) -> Option<T> {
    serde_json::from_slice(&from_base64url(part)?).ok()
}
