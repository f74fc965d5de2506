//! License tokens, refusals and certificates, as a client verifies them offline.

use crate::{
    CASES,
    change::{changed, noise, text},
    json,
    keys::ISSUER,
    memory::counted,
    property::{Tally, hold, runner},
    signed::{self, CERTIFICATES, HW, INSTANCES, LICENSE, NONCE, PRODUCT, ROOTS, THIEF, Thief},
};
use license_core::domain::token::{
    CertificateClaims, ExpectedRefusal, ExpectedToken, JwsKind, MAX_CERTIFICATE_LIFE, REFUSAL_LIFE, RefusalClaims,
    TokenCheck, TokenClaims, VerifyError, verify, verify_refusal,
};
use proptest::{prelude::*, prop_assert, prop_assert_eq, sample::Index, strategy::ValueTree};
use std::sync::LazyLock;

/// A good text, and which instance signed it.
type Good = Vec<String>;

static TOKENS: LazyLock<Good> = LazyLock::new(|| {
    let sign = |n: u32| INSTANCES[n as usize % 2].sign_token(&signed::claims(n)).unwrap();
    (0..32).map(sign).collect()
});
static REFUSALS: LazyLock<Good> = LazyLock::new(|| {
    let sign = |n: u8| INSTANCES[usize::from(n) % 2].sign_refusal(&signed::refusal(n)).unwrap();
    (0..32).map(sign).collect()
});

/// Most memory that looking at a text and its certificate may take: JSON numbers in a list take most, 32 bytes for two
/// characters.
fn bound(kind: JwsKind) -> u64 {
    64 * (kind.max_bytes() + JwsKind::Certificate.max_bytes()) as u64
}

fn trust(token: &str, certificate: &str) -> Result<TokenClaims, VerifyError> {
    let expected = ExpectedToken { issuer: ISSUER, audience: PRODUCT, nonce: None, hw: &HW };
    verify(token, certificate, &ROOTS, &expected, signed::now())
}

fn trust_refusal(refusal: &str, certificate: &str) -> Result<RefusalClaims, VerifyError> {
    let expected = ExpectedRefusal { issuer: ISSUER, nonce: &NONCE, license: LICENSE };
    verify_refusal(refusal, certificate, &ROOTS, &expected, signed::now())
}

/// A text and a certificate, each changed or not, or noise.
fn pairs(good: &'static Good, kind: JwsKind) -> impl Strategy<Value = (String, String)> {
    let one = prop_oneof![12 => changed(good, 1), 4 => changed(good, 3), 1 => noise(kind.max_bytes())];
    let certificate = prop_oneof![6 => changed(&CERTIFICATES, 0), 4 => changed(&CERTIFICATES, 2), 1 => noise(4096)];
    (one.prop_map(text), certificate.prop_map(text))
}

fn word(check: TokenCheck) -> &'static str {
    match check {
        TokenCheck::Size => "size",
        TokenCheck::Form => "form",
        TokenCheck::Typ | TokenCheck::Algorithm => "header",
        TokenCheck::Key => "key",
        TokenCheck::Signature => "signature",
        TokenCheck::Validity | TokenCheck::Ttl | TokenCheck::Grace => "limits",
        _ => "claims",
    }
}

/// Only what an instance signed is believed, beside that instance's certificate, and says what was signed.
fn only_originals<T: PartialEq + std::fmt::Debug>(
    good: &'static Good,
    kind: JwsKind,
    trust: impl Fn(&str, &str) -> Result<T, VerifyError>,
    signed: impl Fn(usize) -> T,
) -> Tally {
    hold(CASES, pairs(good, kind), |(text, certificate)| {
        let (answer, held) = counted(|| trust(&text, &certificate));
        prop_assert!(held <= bound(kind), "held {} bytes", held);
        if text.len() > kind.max_bytes() {
            prop_assert_eq!((answer.is_err(), held), (true, 0));
            return Ok("size");
        }
        let original = good.iter().position(|good| *good == text);
        let fits = original.is_some_and(|n| CERTIFICATES[n % 2] == certificate);
        match answer {
            Ok(claims) => {
                prop_assert!(fits, "{text} beside {certificate}");
                prop_assert_eq!(claims, signed(original.unwrap()));
                Ok("believed")
            }
            Err(refused) => {
                prop_assert!(!fits, "{refused}");
                Ok(word(refused.check))
            }
        }
    })
}

fn assert_deep(tally: &Tally) {
    for outcome in ["size", "form", "key", "signature", "believed"] {
        assert!(tally.of(outcome) > CASES / 1000, "{outcome} is tried: {tally:?}");
    }
}

#[test]
fn no_token_is_believed_but_those_that_were_signed() {
    let tally = only_originals(&TOKENS, JwsKind::Token, trust, |n| signed::claims(n as u32));
    assert_deep(&tally);
}

#[test]
fn no_refusal_is_believed_but_those_that_were_signed() {
    let tally = only_originals(&REFUSALS, JwsKind::Refusal, trust_refusal, |n| signed::refusal(n as u8));
    assert_deep(&tally);
}

/// What such a key says is bounded by its certificate.
#[test]
fn a_stolen_key_that_signs_anything_gives_no_more_than_its_certificate_allows() {
    let tally = hold(CASES, json::object(signed::token_members()), |says| {
        let token = THIEF.sign(JwsKind::Token.typ(), &says);
        let (answer, held) = counted(|| trust(&token, &THIEF.certificate));
        prop_assert!(held <= bound(JwsKind::Token), "held {} bytes", held);
        match answer {
            Ok(claims) => {
                let wide = i128::from;
                prop_assert!((0..=900).contains(&(wide(claims.exp) - wide(claims.iat))));
                prop_assert!(wide(claims.offline_until) <= wide(claims.exp).max(wide(claims.iat) + 72 * 3600));
                prop_assert_eq!((claims.iss.as_str(), claims.aud.as_str(), claims.hw), (ISSUER, PRODUCT, HW));
                let printed = serde_json::to_string(&claims).unwrap();
                prop_assert_eq!(trust(&THIEF.sign(JwsKind::Token.typ(), &printed), &THIEF.certificate), Ok(claims));
                Ok("believed")
            }
            Err(refused) => Ok(word(refused.check)),
        }
    });
    assert!(
        ["form", "limits", "claims", "believed"].iter().all(|outcome| tally.of(outcome) > CASES / 1000),
        "{tally:?}"
    );
}

#[test]
fn a_refusal_by_a_stolen_key_lives_no_longer_than_any() {
    let tally = hold(CASES, json::object(signed::refusal_members()), |says| {
        let (answer, held) = counted(|| trust_refusal(&THIEF.sign(JwsKind::Refusal.typ(), &says), &THIEF.certificate));
        prop_assert!(held <= bound(JwsKind::Refusal), "held {} bytes", held);
        match answer {
            Ok(claims) => {
                prop_assert!(
                    (0..=i128::from(REFUSAL_LIFE)).contains(&(i128::from(claims.exp) - i128::from(claims.iat)))
                );
                let printed = serde_json::to_string(&claims).unwrap();
                prop_assert_eq!(
                    trust_refusal(&THIEF.sign(JwsKind::Refusal.typ(), &printed), &THIEF.certificate),
                    Ok(claims)
                );
                Ok("believed")
            }
            Err(refused) => Ok(word(refused.check)),
        }
    });
    assert!(["form", "limits", "believed"].iter().all(|outcome| tally.of(outcome) > CASES / 1000), "{tally:?}");
}

/// The root signs what an operator's mistake made it say. A signature of the root takes milliseconds, so a few hundred
/// certificates are held beside very many tokens.
#[test]
fn whatever_a_certificate_says_it_holds_for_a_day_at_most() {
    let mut draw = runner(1).0;
    let certificates = json::object(Thief::certificate_members());
    let says: Vec<String> = (0..400).map(|_| certificates.new_tree(&mut draw).unwrap().current()).collect();
    let signed: Vec<String> = says.iter().map(|says| signed::certificate(says)).collect();
    let near = |far: i64| (-far..far).prop_map(|off| signed::now() + off);
    let iat = prop_oneof![4 => near(5000), 2 => near(2 * MAX_CERTIFICATE_LIFE), 1 => any::<i64>()];
    let tally = hold(CASES, (any::<Index>(), iat, 0..1000_i64), |(which, iat, ttl)| {
        let claims = TokenClaims {
            iat,
            exp: iat.saturating_add(ttl),
            offline_until: iat,
            license_exp: None,
            ..signed::claims(1)
        };
        let token = THIEF.sign(JwsKind::Token.typ(), &serde_json::to_string(&claims).unwrap());
        let expected = ExpectedToken { issuer: ISSUER, audience: PRODUCT, nonce: None, hw: &HW };
        let which = which.index(signed.len());
        let (answer, held) = counted(|| verify(&token, &signed[which], &ROOTS, &expected, iat));
        prop_assert!(held <= bound(JwsKind::Token), "held {} bytes", held);
        match answer {
            Ok(_) => {
                let said: CertificateClaims = serde_json::from_str(&says[which]).unwrap();
                prop_assert!(i128::from(said.exp) - i128::from(said.nbf) <= i128::from(MAX_CERTIFICATE_LIFE));
                prop_assert!(said.nbf <= iat && iat < said.exp && claims.exp - iat <= said.max_token_ttl);
                Ok("believed")
            }
            Err(refused) => Ok(word(refused.check)),
        }
    });
    assert!(["form", "limits", "believed"].iter().all(|outcome| tally.of(outcome) > CASES / 1000), "{tally:?}");
}

/// Tokens and refusals print back above, on their way through the verifier.
#[test]
fn the_claims_of_a_certificate_print_back_to_themselves() {
    let claims = json::object(Thief::certificate_members());
    let tally = hold(CASES, claims, |says| match serde_json::from_str::<CertificateClaims>(&says) {
        Ok(claims) => {
            let printed = serde_json::to_string(&claims).unwrap();
            prop_assert_eq!(serde_json::from_str(&printed).map_err(|e: serde_json::Error| e.to_string()), Ok(claims));
            Ok("read")
        }
        Err(_) => Ok("refused"),
    });
    assert!(tally.of("read") > CASES / 10 && tally.of("refused") > CASES / 10, "{tally:?}");
}

/// Found above: `serde_json`'s quick way of reading a number was off in the last digit, and a client would have been
/// told another number than the license says.
#[test]
fn a_number_in_a_feature_is_the_one_that_was_written() {
    let mut claims = signed::claims(1);
    for number in [2.877_691_218_902_363e209, -8.699_953_660_747_47e288] {
        claims.features.insert("rate".into(), number.into());
        let token = THIEF.sign(JwsKind::Token.typ(), &serde_json::to_string(&claims).unwrap());
        assert_eq!(trust(&token, &THIEF.certificate).as_ref(), Ok(&claims));
    }
}
