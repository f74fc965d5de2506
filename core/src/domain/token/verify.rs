//! The offline verification clients do, in the order of docs/PROTOCOL.md section 8. Each refusal names the check that
//! failed.
//!
//! The server never verifies its own tokens; this is the reference for clients and what the tests hold against the
//! signer.

use super::{
    MAX_CERTIFICATE_LIFE, REFUSAL_LIFE,
    claims::{CertificateClaims, RefusalClaims, TokenClaims},
    jwk::{InstanceJwk, RootKey},
    jws::{self, JwsKind, ParsedJws},
};
use crate::domain::id::{Hw, LicenseNumber, Nonce};
use serde::de::DeserializeOwned;

/// What two honest clocks may differ by, in seconds, when nothing but clocks says how old a text is.
const LEEWAY: i64 = 60;

/// How far a client's clock may be off, in seconds, when a nonce proves that the text was signed just now. Not
/// unlimited: a stolen instance key could otherwise go on signing for the days of its own certificate, long past, and
/// every client would believe it.
const LEEWAY_WITH_NONCE: i64 = 24 * 3600;

/// What a client knows beforehand and the token must say.
#[derive(Clone, Copy, Debug)]
pub struct ExpectedToken<'a> {
    /// The server's issuer.
    pub issuer: &'a str,
    /// The client's own product.
    pub audience: &'a str,
    /// What the client drew for the request this token answers; `None` for a token kept from earlier.
    pub nonce: Option<&'a Nonce>,
    /// The client's own machine.
    pub hw: &'a Hw,
}

/// What a client knows beforehand and a refusal must say.
#[derive(Clone, Copy, Debug)]
pub struct ExpectedRefusal<'a> {
    /// The server's issuer.
    pub issuer: &'a str,
    /// What the client drew for the request that was refused.
    pub nonce: &'a Nonce,
    /// The license asked for.
    pub license: LicenseNumber,
}

/// Which text was refused, and the check it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the {kind} {check}")]
pub struct VerifyError {
    /// The text.
    pub kind: JwsKind,
    /// The check.
    pub check: TokenCheck,
}

/// The checks, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenCheck {
    /// The text is longer than any of ours.
    #[error("is too large")]
    Size,
    /// No JWS of the form we write.
    #[error("is malformed")]
    Form,
    /// A JWS, but of another kind.
    #[error("has the wrong typ")]
    Typ,
    /// The header names another algorithm than the key's.
    #[error("names an algorithm its key does not have")]
    Algorithm,
    /// Signed by no pinned root, or by another instance key than the certified one.
    #[error("is signed by a key that is not pinned or certified")]
    Key,
    /// The bytes were not signed by that key.
    #[error("has a wrong signature")]
    Signature,
    /// The certificate was not valid when the token was signed, or claims to live too long.
    #[error("was not valid when the token was signed")]
    Validity,
    /// The token lives longer than its certificate allows.
    #[error("lives longer than its certificate allows")]
    Ttl,
    /// The token grants more time without contact than its certificate allows.
    #[error("grants more grace than its certificate allows")]
    Grace,
    /// Another server's.
    #[error("is of another issuer")]
    Issuer,
    /// For another product.
    #[error("is for another product")]
    Audience,
    /// No answer to this request.
    #[error("answers another request")]
    Nonce,
    /// For another machine.
    #[error("is for another machine")]
    Hw,
    /// About another license.
    #[error("is about another license")]
    License,
    /// Signed in the future.
    #[error("is not valid yet")]
    NotYetValid,
    /// Lease and grace are over, or the license's term is.
    #[error("has expired")]
    Expired,
}

/// Verifies a token with nothing but the pinned `roots`.
///
/// `Ok` means: at `now_seconds` the client may run, be it under its lease (`exp`) or its grace (`offline_until`).
///
/// Where a nonce is expected, its match proves that the token was signed just now, and only a clock more than a day off
/// is refused: a client whose wall clock is hours wrong keeps its seat and counts the lease on its monotonic clock,
/// from the time it sent the request.
///
/// # Errors
/// The first check that failed.
pub fn verify(
    token: &str,
    certificate: &str,
    roots: &[RootKey],
    expected: &ExpectedToken<'_>,
    now_seconds: i64,
) -> Result<TokenClaims, VerifyError> {
    let fail = |check| Err(VerifyError { kind: JwsKind::Token, check });
    let token: ParsedJws<'_, TokenClaims> = parse_unverified(JwsKind::Token, token)?;
    let claims = &token.claims;
    let certificate = verify_certificate(certificate, roots, expected.issuer, claims.iat)?;
    if !(0..=certificate.max_token_ttl).contains(&claims.exp.saturating_sub(claims.iat)) {
        return fail(TokenCheck::Ttl);
    }
    if claims.offline_until > claims.exp.max(claims.iat.saturating_add(certificate.max_grace)) {
        return fail(TokenCheck::Grace);
    }
    verify_signature(JwsKind::Token, &token, &certificate.cnf.jwk)?;
    if claims.iss != expected.issuer {
        return fail(TokenCheck::Issuer);
    }
    if claims.aud != expected.audience {
        return fail(TokenCheck::Audience);
    }
    if expected.nonce.is_some() && claims.nonce.as_ref() != expected.nonce {
        return fail(TokenCheck::Nonce);
    }
    if claims.hw != *expected.hw {
        return fail(TokenCheck::Hw);
    }
    let timing = if expected.nonce.is_some() {
        check_freshness(claims.iat, now_seconds)
    } else {
        check_period(claims, now_seconds)
    };
    timing.map_err(|check| VerifyError { kind: JwsKind::Token, check })?;
    Ok(token.claims)
}

/// Verifies a refusal likewise. Its nonce proves it fresh, so `now_seconds` may be a day off here too.
///
/// # Errors
/// The first check that failed; the client then treats the server as unreachable.
pub fn verify_refusal(
    refusal: &str,
    certificate: &str,
    roots: &[RootKey],
    expected: &ExpectedRefusal<'_>,
    now_seconds: i64,
) -> Result<RefusalClaims, VerifyError> {
    let fail = |check| Err(VerifyError { kind: JwsKind::Refusal, check });
    let refusal: ParsedJws<'_, RefusalClaims> = parse_unverified(JwsKind::Refusal, refusal)?;
    let claims = &refusal.claims;
    let certificate = verify_certificate(certificate, roots, expected.issuer, claims.iat)?;
    if !(0..=REFUSAL_LIFE).contains(&claims.exp.saturating_sub(claims.iat)) {
        return fail(TokenCheck::Ttl);
    }
    verify_signature(JwsKind::Refusal, &refusal, &certificate.cnf.jwk)?;
    if claims.iss != expected.issuer {
        return fail(TokenCheck::Issuer);
    }
    if claims.nonce != *expected.nonce {
        return fail(TokenCheck::Nonce);
    }
    if claims.license != expected.license {
        return fail(TokenCheck::License);
    }
    check_freshness(claims.iat, now_seconds).map_err(|check| VerifyError { kind: JwsKind::Refusal, check })?;
    Ok(refusal.claims)
}

/// Size, form, `typ`, `alg`; the signature is still to be checked.
fn parse_unverified<T: DeserializeOwned>(kind: JwsKind, text: &str) -> Result<ParsedJws<'_, T>, VerifyError> {
    let fail = |check| VerifyError { kind, check };
    if text.len() > kind.max_bytes() {
        return Err(fail(TokenCheck::Size));
    }
    let (header, _) = jws::parse_header(text).ok_or(fail(TokenCheck::Form))?;
    if header.typ != kind.typ() {
        return Err(fail(TokenCheck::Typ));
    }
    if header.alg != kind.alg() {
        return Err(fail(TokenCheck::Algorithm));
    }
    jws::parse_body(text, header).ok_or(fail(TokenCheck::Form))
}

/// What a pinned root said about an instance key, if it holds for something signed at `iat`.
fn verify_certificate(
    certificate: &str,
    roots: &[RootKey],
    issuer: &str,
    iat: i64,
) -> Result<CertificateClaims, VerifyError> {
    let fail = |check| Err(VerifyError { kind: JwsKind::Certificate, check });
    let parsed: ParsedJws<'_, CertificateClaims> = parse_unverified(JwsKind::Certificate, certificate)?;
    let Some(root) = roots.iter().find(|root| root.kid() == parsed.header.kid) else { return fail(TokenCheck::Key) };
    if !root.verifies(parsed.signing_input, &parsed.signature) {
        return fail(TokenCheck::Signature);
    }
    let claims = parsed.claims;
    if claims.iss != issuer {
        return fail(TokenCheck::Issuer);
    }
    let is_short_lived = claims.exp.saturating_sub(claims.nbf) <= MAX_CERTIFICATE_LIFE;
    if !is_short_lived || !(claims.nbf..claims.exp).contains(&iat) {
        return fail(TokenCheck::Validity);
    }
    Ok(claims)
}

fn verify_signature<T>(kind: JwsKind, parsed: &ParsedJws<'_, T>, key: &InstanceJwk) -> Result<(), VerifyError> {
    if parsed.header.kid != key.kid() {
        return Err(VerifyError { kind, check: TokenCheck::Key });
    }
    if !key.verifies(parsed.signing_input, &parsed.signature) {
        return Err(VerifyError { kind, check: TokenCheck::Signature });
    }
    Ok(())
}

fn check_freshness(iat: i64, now: i64) -> Result<(), TokenCheck> {
    match now.saturating_sub(iat) {
        age if age > LEEWAY_WITH_NONCE => Err(TokenCheck::Expired),
        age if age < -LEEWAY_WITH_NONCE => Err(TokenCheck::NotYetValid),
        _ => Ok(()),
    }
}

fn check_period(claims: &TokenClaims, now: i64) -> Result<(), TokenCheck> {
    if claims.iat > now.saturating_add(LEEWAY) {
        return Err(TokenCheck::NotYetValid);
    }
    let is_over = now >= claims.exp.max(claims.offline_until);
    if is_over || claims.license_exp.is_some_and(|end| now >= end) { Err(TokenCheck::Expired) } else { Ok(()) }
}
