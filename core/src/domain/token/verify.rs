//! The offline verification that clients do, in the order of docs/PROTOCOL.md section 8. Each error names the check
//! that failed.
//!
//! The server never verifies its own tokens. This code is the reference for client libraries, and the tests use it to
//! check the signer.

use super::{
    MAX_CERTIFICATE_LIFE, REFUSAL_LIFE,
    claims::{CertificateClaims, RefusalClaims, TokenClaims},
    jwk::{InstanceJwk, RootKey},
    jws::{self, JwsKind, ParsedJws},
};
use crate::domain::id::{Hw, LicenseNumber, Nonce};
use serde::de::DeserializeOwned;

/// The largest difference between two correct clocks, in seconds. It is used where the age of a text is known only from
/// clocks.
const LEEWAY: i64 = 60;

/// The largest error of a client's clock, in seconds, where a nonce proves that the text was signed just now. It is not
/// unlimited because the holder of a stolen instance key could otherwise sign texts that are dated into the long past
/// validity of its certificate, and every client would accept them.
const LEEWAY_WITH_NONCE: i64 = 24 * 3600;

/// The values that a client knows beforehand and that the token must contain.
#[derive(Clone, Copy, Debug)]
pub struct ExpectedToken<'a> {
    /// The server's issuer.
    pub issuer: &'a str,
    /// The client's own product.
    pub audience: &'a str,
    /// The nonce of the request that this token answers; `None` for a token that the client stored earlier.
    pub nonce: Option<&'a Nonce>,
    /// The client's own machine.
    pub hw: &'a Hw,
}

/// The values that a client knows beforehand and that a refusal must contain.
#[derive(Clone, Copy, Debug)]
pub struct ExpectedRefusal<'a> {
    /// The server's issuer.
    pub issuer: &'a str,
    /// The nonce of the request that was refused.
    pub nonce: &'a Nonce,
    /// The license of the request.
    pub license: LicenseNumber,
}

/// The kind of the text that was refused, and the check that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the {kind} {check}")]
pub struct VerifyError {
    /// The kind of the text.
    pub kind: JwsKind,
    /// The check that failed.
    pub check: TokenCheck,
}

/// The checks of a verification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenCheck {
    /// The text is longer than any text of this kind that the server signs.
    #[error("is too large")]
    Size,
    /// The text is not a JWS of the form that the server writes.
    #[error("is malformed")]
    Form,
    /// The text is a JWS of another kind.
    #[error("has the wrong typ")]
    Typ,
    /// The header names another algorithm than that of the key.
    #[error("names an algorithm its key does not have")]
    Algorithm,
    /// The text is signed by a root key that is not pinned, or by another instance key than the certified one.
    #[error("is signed by a key that is not pinned or certified")]
    Key,
    /// The signature does not belong to these bytes and that key.
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
    /// The text was issued by another server.
    #[error("is of another issuer")]
    Issuer,
    /// The token is for another product.
    #[error("is for another product")]
    Audience,
    /// The text does not answer this request.
    #[error("answers another request")]
    Nonce,
    /// The token is for another machine.
    #[error("is for another machine")]
    Hw,
    /// The refusal is about another license.
    #[error("is about another license")]
    License,
    /// The text was signed in the future.
    #[error("is not valid yet")]
    NotYetValid,
    /// Lease and grace are over, or the term of the license is over, or a text with a nonce was signed more than a day
    /// ago.
    #[error("has expired")]
    Expired,
}

/// Verifies a token and its certificate with the pinned `roots`, without a request to the server.
///
/// `Ok` means that the client may run at `now_seconds`, under its lease (`exp`) or its grace (`offline_until`).
///
/// If a nonce is expected, its match proves that the token was signed just now, and the token is refused only if the
/// client's clock differs by more than a day. So a client whose wall clock is wrong by hours keeps its seat; it counts
/// the lease on its monotonic clock, from the time at which it sent the request.
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

/// Verifies a refusal and its certificate with the pinned `roots`. Its nonce proves that it was signed just now, so
/// `now_seconds` may be wrong by up to a day.
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

/// Checks size, form, `typ` and `alg`, and parses the claims. The caller must still verify the signature.
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

/// Verifies the certificate of an instance key with the pinned roots, and that it was valid at `iat`, when the key
/// signed.
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

/// Checks that `key` is named by the header and made the signature.
fn verify_signature<T>(kind: JwsKind, parsed: &ParsedJws<'_, T>, key: &InstanceJwk) -> Result<(), VerifyError> {
    if parsed.header.kid != key.kid() {
        return Err(VerifyError { kind, check: TokenCheck::Key });
    }
    if !key.verifies(parsed.signing_input, &parsed.signature) {
        return Err(VerifyError { kind, check: TokenCheck::Signature });
    }
    Ok(())
}

/// Checks that a text with a nonce was signed within a day of `now`, both in Unix seconds.
fn check_freshness(iat: i64, now: i64) -> Result<(), TokenCheck> {
    match now.saturating_sub(iat) {
        age if age > LEEWAY_WITH_NONCE => Err(TokenCheck::Expired),
        age if age < -LEEWAY_WITH_NONCE => Err(TokenCheck::NotYetValid),
        _ => Ok(()),
    }
}

/// Checks that `now` lies between the signing and the end of the lease, the grace and the term.
fn check_period(claims: &TokenClaims, now: i64) -> Result<(), TokenCheck> {
    if claims.iat > now.saturating_add(LEEWAY) {
        return Err(TokenCheck::NotYetValid);
    }
    let is_over = now >= claims.exp.max(claims.offline_until);
    if is_over || claims.license_exp.is_some_and(|end| now >= end) { Err(TokenCheck::Expired) } else { Ok(()) }
}
