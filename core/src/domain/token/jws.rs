//! The compact form of a JWS (RFC 7515 section 7.1): `base64url(header) . base64url(claims) . base64url(signature)`.

use crate::{
    Error, Result,
    domain::secret::{base64url, from_base64url},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::fmt;

/// The kind of a JWS that this server signs. It determines the `typ`, the only algorithm and the greatest size.
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

    /// The longest text that is parsed, in bytes. Facts have at most 4 KiB, so every token of this server is much
    /// shorter.
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

/// The header of a JWS that this server signs. It has exactly these three members; every other member (`crit`, `jku`,
/// `jwk`, `b64` …) would demand something of the verifier that this server never demands, so it is refused.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct JwsHeader {
    pub(super) alg: String,
    pub(super) typ: String,
    pub(super) kid: String,
}

/// The text over which the signature is made: the header and the claims.
///
/// # Errors
/// [`Error::Internal`] if the claims cannot be written as JSON, or would be too large for any verifier.
pub(crate) fn signing_input(kind: JwsKind, kid: &str, claims: &impl Serialize) -> Result<String> {
    let unwritten = |e: serde_json::Error| Error::internal(format!("{kind}: it cannot be written as JSON"), e);
    let header = JwsHeader { alg: kind.alg().into(), typ: kind.typ().into(), kid: kid.into() };
    let (header, claims) =
        (serde_json::to_vec(&header).map_err(unwritten)?, serde_json::to_vec(claims).map_err(unwritten)?);
    let input = format!("{}.{}", base64url(&header), base64url(&claims));
    // A root's signature has 683 characters, an instance's 86.
    if input.len() + 700 > kind.max_bytes() {
        return Err(Error::Internal(format!("{kind}: its claims are too large").into()));
    }
    Ok(input)
}

/// The complete JWS: the signing input with its signature.
pub(crate) fn assemble(mut signing_input: String, signature: &[u8]) -> String {
    signing_input.push('.');
    signing_input.push_str(&base64url(signature));
    signing_input
}

/// The parts of a JWS whose signature has not been verified yet.
pub(super) struct ParsedJws<'a, T> {
    pub(super) header: JwsHeader,
    pub(super) claims: T,
    pub(super) signing_input: &'a [u8],
    pub(super) signature: Vec<u8>,
}

/// Parses the header of a JWS and returns the text after it, so that the header can be checked before the claims are
/// parsed.
pub(super) fn parse_header(text: &str) -> Option<(JwsHeader, &str)> {
    let (header, rest) = text.split_once('.')?;
    Some((from_json(header)?, rest))
}

/// Parses the claims and the signature of a JWS whose header was checked.
pub(super) fn parse_body<T: DeserializeOwned>(text: &str, header: JwsHeader) -> Option<ParsedJws<'_, T>> {
    let (signing_input, signature) = text.rsplit_once('.')?;
    let (_, claims) = signing_input.split_once('.')?;
    let (claims, signature) = (from_json(claims)?, from_base64url(signature)?);
    Some(ParsedJws { header, claims, signing_input: signing_input.as_bytes(), signature })
}

fn from_json<T: DeserializeOwned>(part: &str) -> Option<T> {
    serde_json::from_slice(&from_base64url(part)?).ok()
}
