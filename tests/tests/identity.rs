//! ID tokens and push tokens: which are accepted, and that a flood of bad ones causes no flood of requests to the
//! issuer.
#![allow(clippy::unwrap_used, reason = "a test that panics has said what it has to say")]

mod keys;

use aws_lc_rs::{
    hmac,
    rsa::{KeyPair, KeySize},
};
use keys::b64;
use license_core::{
    Clock, Error,
    identity::{IdentitySettings, IdentityVerifier, LONGEST_LIFE, NoAddress, TokenRejected, VerifyError},
};
use serde_json::{Value, json};
use std::sync::OnceLock;
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::path};

const ISSUER: &str = "https://securetoken.google.com/project";

/// The issuer's key, and one it rotates to.
fn key(number: usize) -> &'static KeyPair {
    static KEYS: OnceLock<Vec<KeyPair>> = OnceLock::new();
    &KEYS.get_or_init(|| (0..2).map(|_| KeyPair::generate(KeySize::Rsa2048).unwrap()).collect())[number]
}

struct Issuer {
    server: MockServer,
    clock: Clock,
    verifier: IdentityVerifier,
}

/// An issuer that publishes key 0 as `k0` for an hour.
async fn issuer() -> Issuer {
    keys::install_crypto();
    let (server, clock) = (MockServer::start().await, Clock::fake());
    let jwks_url = format!("{}/keys", server.uri());
    let settings =
        IdentitySettings { issuer: ISSUER.into(), audience: "project".into(), jwks_url, longest_life: LONGEST_LIFE };
    let verifier = IdentityVerifier::new(settings, clock.clone());
    let issuer = Issuer { server, clock, verifier };
    issuer.publish(json!({ "keys": [keys::jwk(key(0), "k0")] })).await;
    issuer
}

impl Issuer {
    async fn publish(&self, keys: Value) {
        self.answer(
            ResponseTemplate::new(200).set_body_json(keys).insert_header("cache-control", "public, max-age=3600"),
        )
        .await;
    }

    async fn answer(&self, answer: ResponseTemplate) {
        self.server.reset().await;
        Mock::given(path("/keys")).respond_with(answer).mount(&self.server).await;
    }

    /// Fetches since the last change of the answer.
    async fn asked(&self) -> usize {
        self.server.received_requests().await.unwrap().len()
    }

    fn claims(&self) -> Value {
        let now = self.clock.now_seconds();
        json!({
            "iss": ISSUER, "aud": "project", "sub": "u1", "iat": now, "exp": now + 3600, "auth_time": now,
            "email": "a@example.com", "email_verified": true, "name": "A",
            "firebase": { "sign_in_provider": "github.com", "tenant": "t1", "identities": {} },
        })
    }

    fn token(&self, kid: &str, spoil: impl FnOnce(&mut Value)) -> String {
        let mut claims = self.claims();
        spoil(&mut claims);
        let number = usize::from(kid == "k1");
        signed(&json!({ "alg": "RS256", "typ": "JWT", "kid": kid }), &claims, |input| keys::rs256(key(number), input))
    }

    async fn refused(&self, token: &str) -> Option<TokenRejected> {
        self.verifier.verify(token).await.err().map(|error| match error {
            VerifyError::Rejected(rejected) => rejected,
            VerifyError::Unavailable(error) => panic!("the keys cannot be fetched: {error}"),
        })
    }
}

fn signed(header: &Value, claims: &Value, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let input = format!("{}.{}", b64(header.to_string()), b64(claims.to_string()));
    let signature = sign(input.as_bytes());
    format!("{input}.{}", b64(signature))
}

#[tokio::test]
async fn a_person_s_token_says_who_they_are() {
    let it = issuer().await;
    let claims = it.verifier.verify(&it.token("k0", |_| {})).await.unwrap();
    assert_eq!((claims.issuer.as_str(), claims.subject.as_str()), (ISSUER, "u1"));
    assert_eq!((claims.email.as_deref(), claims.email_verified), (Some("a@example.com"), true));
    assert_eq!((claims.name.as_deref(), claims.provider.as_deref()), (Some("A"), Some("github.com")));
    assert_eq!(claims.provider_tenant.as_deref(), Some("t1"));
}

#[tokio::test]
async fn a_push_token_of_google_is_read_by_the_same_code() {
    let it = issuer().await;
    let token = it.token("k0", |claims| {
        let claims = claims.as_object_mut().unwrap();
        claims.retain(|name, _| !["firebase", "name", "auth_time"].contains(&name.as_str()));
        claims.insert("azp".into(), "1234".into());
        claims.insert("email".into(), "push@project.iam.gserviceaccount.com".into());
    });
    let claims = it.verifier.verify(&token).await.unwrap();
    assert_eq!(claims.email.as_deref(), Some("push@project.iam.gserviceaccount.com"));
    assert_eq!((claims.email_verified, claims.provider), (true, None));
}

#[tokio::test]
async fn an_email_is_verified_only_if_the_issuer_says_so() {
    let it = issuer().await;
    for said in [json!(false), json!("true"), json!(1), Value::Null] {
        let token = it.token("k0", |claims| claims["email_verified"] = said.clone());
        assert!(!it.verifier.verify(&token).await.unwrap().email_verified, "{said}");
    }
}

#[tokio::test]
async fn each_thing_that_is_wrong_with_a_token_is_named() {
    let it = issuer().await;
    let now = it.clock.now_seconds();
    let cases: [(&str, Value, Option<TokenRejected>); 16] = [
        ("iss", json!("https://securetoken.google.com/other"), Some(TokenRejected::Issuer)),
        ("iss", json!(format!("{ISSUER}/")), Some(TokenRejected::Issuer)),
        ("aud", json!("other"), Some(TokenRejected::Audience)),
        ("aud", json!(["project", "other"]), Some(TokenRejected::Audience)),
        ("aud", json!([]), Some(TokenRejected::Audience)),
        ("aud", json!(["project"]), None),
        ("exp", json!(now - 60), Some(TokenRejected::Expired)),
        ("exp", json!(now - 59), None),
        ("iat", json!(now + 61), Some(TokenRejected::NotYetValid)),
        ("iat", json!(now + 60), None),
        ("nbf", json!(now + 61), Some(TokenRejected::NotYetValid)),
        ("nbf", json!(now + 60), None),
        ("exp", Value::Null, Some(TokenRejected::Malformed)),
        ("iat", Value::Null, Some(TokenRejected::Malformed)),
        ("sub", json!(""), Some(TokenRejected::Malformed)),
        ("aud", Value::Null, Some(TokenRejected::Malformed)),
    ];
    for (member, value, refused) in cases {
        let token = it.token("k0", |claims| claims[member] = value.clone());
        assert_eq!(it.refused(&token).await, refused, "{member} {value}");
    }
    for text in ["", "a.b", "a.b.c", "a.b.c.d", &"a.".repeat(10_000)] {
        assert_eq!(it.refused(text).await, Some(TokenRejected::Malformed));
    }
}

#[tokio::test]
async fn a_token_that_is_good_for_longer_than_the_setting_says_is_refused() {
    let it = issuer().await;
    let now = it.clock.now_seconds();
    for (iat, exp, refused) in [
        (now, now + 12 * 3600, None),
        (now, now + 12 * 3600 + 1, Some(TokenRejected::TooLong)),
        (now, now + 365 * 86_400, Some(TokenRejected::TooLong)),
        (now, i64::MAX, Some(TokenRejected::TooLong)),
        (i64::MIN, i64::MAX, Some(TokenRejected::TooLong)),
        // Long before now and nearly over: the life counts, not what is left of it.
        (now - 30 * 86_400, now + 60, Some(TokenRejected::TooLong)),
        (0, now + 60, Some(TokenRejected::TooLong)),
        (now - 11 * 3600, now + 60, None),
    ] {
        let token = it.token("k0", |claims| (claims["iat"], claims["exp"]) = (json!(iat), json!(exp)));
        assert_eq!(it.refused(&token).await, refused, "{iat} {exp}");
    }
}

#[tokio::test]
async fn a_subject_has_nothing_that_cannot_be_seen_and_names_are_cleaned() {
    let it = issuer().await;
    for sub in ["\0", "u\0", "u\n", "\u{202E}u", "u\u{2028}", "u\u{200B}", "u\u{AD}", &"u".repeat(256)] {
        let token = it.token("k0", |claims| claims["sub"] = json!(sub));
        assert_eq!(it.refused(&token).await, Some(TokenRejected::Malformed), "{sub:?}");
    }
    for sub in ["1", "auth0|5f7c8ec7", "a b", "jürgen", &"u".repeat(255)] {
        assert_eq!(it.refused(&it.token("k0", |claims| claims["sub"] = json!(sub))).await, None, "{sub:?}");
    }
    let said = async |name: &str, value: Value| {
        let token = it.token("k0", |claims| claims[name] = value.clone());
        it.verifier.verify(&token).await.unwrap()
    };
    assert_eq!(said("name", json!("A\0d\u{202E}a\u{7}")).await.name.as_deref(), Some("A d a"));
    assert_eq!(said("name", json!("\0")).await.name, None);
    assert_eq!(said("email", json!("Ada@Example.com")).await.address().unwrap().as_str(), "ada@example.com");
    for email in ["ada\0@example.com", "ada", "аda@example.com", "a\u{202E}da@example.com"] {
        assert_eq!(said("email", json!(email)).await.address(), Err(NoAddress::Unusable), "{email:?}");
    }
    for (name, value) in [("email", json!("")), ("email", Value::Null), ("email_verified", json!(false))] {
        assert_eq!(said(name, value).await.address(), Err(NoAddress::Unverified));
    }
}

#[tokio::test]
async fn a_changed_token_or_another_key_s_signature_is_refused() {
    let it = issuer().await;
    let (good, other) = (it.token("k0", |_| {}), it.token("k0", |claims| claims["sub"] = "u2".into()));
    let (_, signature) = good.rsplit_once('.').unwrap();
    let (input, _) = other.rsplit_once('.').unwrap();
    assert_eq!(it.refused(&format!("{input}.{signature}")).await, Some(TokenRejected::Signature));
    assert_eq!(it.refused(&format!("{input}.")).await, Some(TokenRejected::Signature));
    let header = json!({ "alg": "RS256", "kid": "k0" });
    let forged = signed(&header, &it.claims(), |input| keys::rs256(key(1), input));
    assert_eq!(it.refused(&forged).await, Some(TokenRejected::Signature));
}

#[tokio::test]
async fn other_algorithms_are_refused_before_any_key_is_looked_up() {
    let it = issuer().await;
    let public = keys::public_pem(key(0));
    let with_public_key = |input: &[u8]| {
        let key = hmac::Key::new(hmac::HMAC_SHA256, public.as_bytes());
        hmac::sign(&key, input).as_ref().to_vec()
    };
    for alg in ["none", "None", "HS256", "RS384", "PS256", "ES256", "EdDSA", "rs256", ""] {
        let header = json!({ "alg": alg, "typ": "JWT", "kid": "k0" });
        for token in [signed(&header, &it.claims(), with_public_key), signed(&header, &it.claims(), |_| vec![])] {
            assert_eq!(it.refused(&token).await, Some(TokenRejected::Algorithm), "{alg}");
        }
    }
    let unnamed = signed(&json!({ "alg": "RS256" }), &it.claims(), |input| keys::rs256(key(0), input));
    assert_eq!(it.refused(&unnamed).await, Some(TokenRejected::UnknownKey));
    let critical = json!({ "alg": "RS256", "kid": "k0", "crit": ["b64"], "b64": false });
    let critical = signed(&critical, &it.claims(), |input| keys::rs256(key(0), input));
    assert_eq!(it.refused(&critical).await, Some(TokenRejected::Malformed));
    assert_eq!(it.asked().await, 0);
}

#[tokio::test]
async fn keys_are_fetched_once_for_as_long_as_the_issuer_says() {
    let it = issuer().await;
    let callers: Vec<_> = (0..20)
        .map(|_| {
            let (verifier, token) = (it.verifier.clone(), it.token("k0", |_| {}));
            tokio::spawn(async move { verifier.verify(&token).await.is_ok() })
        })
        .collect();
    for caller in callers {
        assert!(caller.await.unwrap());
    }
    assert_eq!(it.asked().await, 1, "callers at the same time share one request");
    it.clock.advance_ms(3_599_000);
    assert_eq!(it.refused(&it.token("k0", |_| {})).await, None);
    assert_eq!(it.asked().await, 1);
    it.clock.advance_ms(2_000);
    assert_eq!(it.refused(&it.token("k0", |_| {})).await, None);
    assert_eq!(it.asked().await, 2);
}

#[tokio::test]
async fn a_new_key_is_accepted_as_soon_as_a_token_names_it() {
    let it = issuer().await;
    assert_eq!(it.refused(&it.token("k0", |_| {})).await, None);
    it.publish(json!({ "keys": [keys::jwk(key(0), "k0"), keys::jwk(key(1), "k1")] })).await;
    it.clock.advance_ms(30_000);
    assert_eq!(it.refused(&it.token("k1", |_| {})).await, None);
    assert_eq!(it.refused(&it.token("k0", |_| {})).await, None);
    assert_eq!(it.asked().await, 1);
}

#[tokio::test]
async fn invented_key_names_do_not_hammer_the_issuer() {
    let it = issuer().await;
    assert_eq!(it.refused(&it.token("k0", |_| {})).await, None);
    for second in 0..120 {
        for stranger in 0..5 {
            assert_eq!(
                it.refused(&it.token(&format!("x{second}-{stranger}"), |_| {})).await,
                Some(TokenRejected::UnknownKey)
            );
        }
        it.clock.advance_ms(1000);
    }
    assert_eq!(it.asked().await, 1 + 3, "once per 30 s");
}

#[tokio::test]
async fn a_withdrawn_key_is_refused_once_the_keys_were_fetched_again() {
    let it = issuer().await;
    assert_eq!(it.refused(&it.token("k0", |_| {})).await, None);
    it.publish(json!({ "keys": [keys::jwk(key(1), "k1")] })).await;
    it.clock.advance_ms(3_600_000);
    assert_eq!(it.refused(&it.token("k0", |_| {})).await, Some(TokenRejected::UnknownKey));
}

#[tokio::test]
async fn without_any_keys_it_is_an_error_and_no_refusal() {
    let it = issuer().await;
    let small = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let mut encryption = keys::jwk(&small, "k0");
    encryption["use"] = "enc".into();
    for answer in [
        ResponseTemplate::new(500),
        ResponseTemplate::new(200).set_body_string("<html>"),
        ResponseTemplate::new(200).set_body_json(json!({ "keys": [] })),
        ResponseTemplate::new(200).set_body_json(json!({ "keys": [encryption, { "kty": "EC" }] })),
        ResponseTemplate::new(200).set_body_string(" ".repeat(300 * 1024)),
        ResponseTemplate::new(302).insert_header("location", "/elsewhere"),
    ] {
        it.answer(answer).await;
        assert!(matches!(
            it.verifier.verify(&it.token("k0", |_| {})).await,
            Err(VerifyError::Unavailable(Error::Identity(_)))
        ));
    }
    it.publish(json!({ "keys": [keys::jwk(key(0), "k0")] })).await;
    assert_eq!(it.refused(&it.token("k0", |_| {})).await, None, "and the next one asks again");
}

#[tokio::test]
async fn an_issuer_that_is_away_later_locks_nobody_out_for_a_day() {
    let it = issuer().await;
    assert_eq!(it.refused(&it.token("k0", |_| {})).await, None);
    it.answer(ResponseTemplate::new(503)).await;
    it.clock.advance_ms(4 * 3_600_000);
    for _ in 0..50 {
        assert_eq!(it.refused(&it.token("k0", |_| {})).await, None);
    }
    assert_eq!(it.asked().await, 1, "it is left in peace between tries");
    let unknown = it.verifier.verify(&it.token("k1", |_| {})).await;
    assert!(
        matches!(unknown, Err(VerifyError::Unavailable(Error::Identity(_)))),
        "whether the key is new cannot be found out"
    );
    it.clock.advance_ms(22 * 3_600_000);
    assert!(matches!(
        it.verifier.verify(&it.token("k0", |_| {})).await,
        Err(VerifyError::Unavailable(Error::Identity(_)))
    ));
}
