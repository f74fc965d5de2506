//! What clients verify offline: each check refuses what it was made for.

use super::{HOUR, bench, failed, forge, keys, nonce, offline};
use keys::ISSUER;
use license_core::{
    ProblemCode,
    domain::{
        id::{Hw, LicenseNumber, Nonce},
        token::{
            ExpectedRefusal, ExpectedToken, JwsKind, RefusalClaims, TokenCheck, TokenClaims, verify, verify_refusal,
        },
    },
    signer::{LeaseSigner, SignerSettings},
};

#[tokio::test]
async fn a_token_verifies_with_nothing_but_the_pinned_root() {
    let it = bench().await;
    let key = it.signer.certified().await.unwrap();
    let claims = it.token();
    let token = key.sign_token(&claims).unwrap();
    assert_eq!(it.check(&token, &key), Ok(claims));
}

#[tokio::test]
async fn each_thing_that_is_wrong_with_a_token_is_named() {
    let it = bench().await;
    let key = it.signer.certified().await.unwrap();
    let good = key.sign_token(&it.token()).unwrap();
    let (now, cert) = (it.clock.now_seconds(), key.certificate());
    let on = |token: &str, expected: &ExpectedToken<'_>| verify(token, cert, &it.roots, expected, now);
    let token = |check| failed(JwsKind::Token, check);

    assert_eq!(on(&"a".repeat(20_000), &offline()), token(TokenCheck::Size));
    assert_eq!(on("a.b.c", &offline()), token(TokenCheck::Form));
    assert_eq!(on(cert, &offline()), token(TokenCheck::Typ));
    assert_eq!(
        on(&good, &ExpectedToken { issuer: "https://other", ..offline() }),
        failed(JwsKind::Certificate, TokenCheck::Issuer)
    );
    assert_eq!(on(&good, &ExpectedToken { audience: "other", ..offline() }), token(TokenCheck::Audience));
    assert_eq!(
        on(&good, &ExpectedToken { nonce: Some(&"f".repeat(16).parse().unwrap()), ..offline() }),
        token(TokenCheck::Nonce)
    );
    assert_eq!(on(&good, &ExpectedToken { hw: &Hw([8; 32]), ..offline() }), token(TokenCheck::Hw));

    // One bit of the signature, and one of the claims.
    let (input, signature) = good.rsplit_once('.').unwrap();
    let flipped = if signature.starts_with('A') { "B" } else { "A" };
    assert_eq!(on(&format!("{input}.{flipped}{}", &signature[1..]), &offline()), token(TokenCheck::Signature));
    let mut claims = it.token();
    claims.seat = 4;
    let other = key.sign_token(&claims).unwrap();
    assert_eq!(
        on(&format!("{}.{signature}", other.rsplit_once('.').unwrap().0), &offline()),
        token(TokenCheck::Signature)
    );

    // A token of another instance beside this one's certificate.
    let other =
        LeaseSigner::new(it.root.clone(), SignerSettings::new(ISSUER), it.clock.clone()).certified().await.unwrap();
    assert_eq!(on(&other.sign_token(&it.token()).unwrap(), &offline()), token(TokenCheck::Key));
}

#[tokio::test]
async fn the_algorithm_is_never_taken_from_the_token() {
    let it = bench().await;
    let key = it.signer.certified().await.unwrap();
    let claims = serde_json::to_value(it.token()).unwrap();
    for alg in ["none", "HS256", "RS256", "eddsa", ""] {
        let header = serde_json::json!({ "alg": alg, "typ": "license-token+jwt", "kid": key.kid() });
        assert_eq!(
            it.check(&forge(&header, &claims, |_| vec![]), &key),
            failed(JwsKind::Token, TokenCheck::Algorithm),
            "{alg}"
        );
    }
    let header = serde_json::json!({ "alg": "EdDSA", "typ": "license-token+jwt", "kid": key.kid(), "crit": ["b64"], "b64": false });
    assert_eq!(it.check(&forge(&header, &claims, |_| vec![0; 64]), &key), failed(JwsKind::Token, TokenCheck::Form));
}

#[tokio::test]
async fn a_certificate_holds_only_under_a_pinned_root_and_in_its_time() {
    let it = bench().await;
    let key = it.signer.certified().await.unwrap();
    let token = key.sign_token(&it.token()).unwrap();
    let now = it.clock.now_seconds();
    let cert = |check| failed(JwsKind::Certificate, check);
    assert_eq!(verify(&token, key.certificate(), &[], &offline(), now), cert(TokenCheck::Key));
    let other = keys::other_root();
    assert_eq!(verify(&token, key.certificate(), std::slice::from_ref(other), &offline(), now), cert(TokenCheck::Key));
    assert_eq!(verify(&token, &"a".repeat(5000), &it.roots, &offline(), now), cert(TokenCheck::Size));
    assert_eq!(verify(&token, &token, &it.roots, &offline(), now), cert(TokenCheck::Typ));

    // What an instance could try with its own key and a certificate it wrote itself or stretched.
    let (header, rest) = key.certificate().split_once('.').unwrap();
    let (claims, signature) = rest.split_once('.').unwrap();
    let mut stretched: serde_json::Value = serde_json::from_slice(&keys::unb64(claims)).unwrap();
    stretched["exp"] = (now + 1000 * HOUR).into();
    let forged = format!("{header}.{}.{signature}", keys::b64(stretched.to_string()));
    assert_eq!(verify(&token, &forged, &it.roots, &offline(), now), cert(TokenCheck::Signature));
    let header: serde_json::Value = serde_json::from_slice(&keys::unb64(header)).unwrap();
    let sign = |input: &[u8]| keys::rs256(keys::root_pair(), input);
    let long = forge(&header, &stretched, sign);
    assert_eq!(verify(&token, &long, &it.roots, &offline(), now), cert(TokenCheck::Validity));
    stretched["exp"] = (now - 10).into();
    stretched["nbf"] = (now - HOUR).into();
    let over = forge(&header, &stretched, sign);
    assert_eq!(verify(&token, &over, &it.roots, &offline(), now), cert(TokenCheck::Validity));
    // A stolen key cannot stretch leases or grace beyond what its certificate says.
    for (member, check) in [("max_token_ttl", TokenCheck::Ttl), ("max_grace", TokenCheck::Grace)] {
        let mut tight: serde_json::Value = serde_json::from_slice(&keys::unb64(claims)).unwrap();
        tight[member] = 300.into();
        let tight = forge(&header, &tight, sign);
        assert_eq!(verify(&token, &tight, &it.roots, &offline(), now), failed(JwsKind::Token, check));
    }
}

#[tokio::test]
async fn a_kept_token_holds_until_lease_and_grace_are_over() {
    let it = bench().await;
    let key = it.signer.certified().await.unwrap();
    let mut claims = it.token();
    let at = |claims: &TokenClaims, now| {
        let token = key.sign_token(claims).unwrap();
        verify(&token, key.certificate(), &it.roots, &offline(), now).map(|_| ())
    };
    let now = claims.iat;
    assert_eq!(at(&claims, now - 61), failed(JwsKind::Token, TokenCheck::NotYetValid));
    assert_eq!(at(&claims, now - 60), Ok(()));
    // Long after the certificate's own end: it had to hold when the token was signed.
    assert_eq!(at(&claims, now + 72 * HOUR - 1), Ok(()));
    assert_eq!(at(&claims, now + 72 * HOUR), failed(JwsKind::Token, TokenCheck::Expired));
    claims.offline_until = claims.exp;
    assert_eq!(at(&claims, claims.exp - 1), Ok(()));
    assert_eq!(at(&claims, claims.exp), failed(JwsKind::Token, TokenCheck::Expired));
    claims.license_exp = Some(now + 10);
    assert_eq!(at(&claims, now + 10), failed(JwsKind::Token, TokenCheck::Expired));
}

#[tokio::test]
async fn a_client_with_a_wrong_clock_keeps_its_seat_because_its_nonce_proves_freshness() {
    let it = bench().await;
    let key = it.signer.certified().await.unwrap();
    let token = key.sign_token(&it.token()).unwrap();
    let (now, nonce) = (it.clock.now_seconds(), nonce());
    let expected = ExpectedToken { nonce: Some(&nonce), ..offline() };
    let at = |now| verify(&token, key.certificate(), &it.roots, &expected, now).map(|_| ());
    assert_eq!(at(now - HOUR), Ok(()));
    assert_eq!(at(now + HOUR), Ok(()));
    assert_eq!(at(now + 25 * HOUR), failed(JwsKind::Token, TokenCheck::Expired));
    assert_eq!(at(now - 25 * HOUR), failed(JwsKind::Token, TokenCheck::NotYetValid));
}

#[tokio::test]
async fn a_refusal_is_believed_only_for_its_own_request() {
    let it = bench().await;
    let key = it.signer.certified().await.unwrap();
    let (now, license, nonce) = (it.clock.now_seconds(), "0123456789ABC".parse().unwrap(), nonce());
    let claims =
        RefusalClaims::new(ISSUER, now, nonce.clone(), ProblemCode::SessionGone, Some("kicked"), license, None);
    let refusal = key.sign_refusal(&claims).unwrap();
    let expected = ExpectedRefusal { issuer: ISSUER, nonce: &nonce, license };
    let check = |text: &str, expected: &_| verify_refusal(text, key.certificate(), &it.roots, expected, now);
    assert_eq!(check(&refusal, &expected).unwrap().code, "session_gone");
    assert_eq!(check(&refusal, &expected).unwrap().reason.as_deref(), Some("kicked"));
    assert_eq!(check(&refusal, &expected).unwrap(), claims);
    let other: Nonce = "x".repeat(20).parse().unwrap();
    assert_eq!(
        check(&refusal, &ExpectedRefusal { nonce: &other, ..expected }),
        failed(JwsKind::Refusal, TokenCheck::Nonce)
    );
    let other = ExpectedRefusal { license: LicenseNumber(5), ..expected };
    assert_eq!(check(&refusal, &other), failed(JwsKind::Refusal, TokenCheck::License));
    // Neither kind passes for the other.
    assert_eq!(check(&key.sign_token(&it.token()).unwrap(), &expected), failed(JwsKind::Refusal, TokenCheck::Typ));
    assert_eq!(it.check(&refusal, &key).map(|_| ()), failed(JwsKind::Token, TokenCheck::Typ));
}
