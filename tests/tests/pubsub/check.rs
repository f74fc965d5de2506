//! Which pushes are accepted.

use aws_lc_rs::{
    rand::SystemRandom,
    rsa::{KeyPair, KeySize},
    signature::{KeyPair as _, RSA_PKCS1_SHA256},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use license_core::{
    Clock, Error,
    identity::{IdentitySettings, IdentityVerifier, TokenRejected},
};
use license_pubsub::push::{PushCheck, PushCheckError, PushRefused};
use serde_json::{Value, json};
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::method};

const AUDIENCE: &str = "https://reaper.example";
const EMAIL: &str = "pusher@project.iam.gserviceaccount.com";

/// An issuer with one key, whose key set is served as Google serves its own.
struct Issuer {
    key: KeyPair,
    server: MockServer,
    clock: Clock,
}

impl Issuer {
    async fn start() -> Self {
        crate::install_crypto();
        let key = KeyPair::generate(KeySize::Rsa2048).unwrap();
        let server = MockServer::start().await;
        let public = key.public_key();
        let encode = |part: &[u8]| URL_SAFE_NO_PAD.encode(part);
        let jwk = json!({
            "kty": "RSA", "alg": "RS256", "use": "sig", "kid": "k1",
            "n": encode(public.modulus().big_endian_without_leading_zero()),
            "e": encode(public.exponent().big_endian_without_leading_zero()),
        });
        let answer = ResponseTemplate::new(200).set_body_json(json!({ "keys": [jwk] }));
        Mock::given(method("GET")).respond_with(answer).mount(&server).await;
        Self { key, server, clock: Clock::fake() }
    }

    fn check(&self) -> PushCheck {
        let settings =
            IdentitySettings { jwks_url: format!("{}/certs", self.server.uri()), ..IdentitySettings::google(AUDIENCE) };
        PushCheck { verifier: IdentityVerifier::new(settings, self.clock.clone()), email: EMAIL.into() }
    }

    /// What Google puts into a push token.
    fn claims(&self) -> Value {
        let now = self.clock.now_seconds();
        json!({
            "iss": "https://accounts.google.com", "aud": AUDIENCE, "azp": "113774264463038321964", "sub": "113774264463038321964",
            "email": EMAIL, "email_verified": true, "iat": now, "exp": now + 3600,
        })
    }

    /// The `Authorization` header for these claims, changed by `change`.
    fn header(&self, change: impl FnOnce(&mut Value)) -> String {
        let mut claims = self.claims();
        change(&mut claims);
        format!("Bearer {}", token(&self.key, &json!({"alg": "RS256", "kid": "k1", "typ": "JWT"}), &claims))
    }

    async fn outcome(&self, header: &str) -> Result<(), PushRefused> {
        refusal(self.check().check(Some(header)).await)
    }
}

/// What was decided about a push, where the issuer's keys could be fetched.
fn refusal(checked: Result<(), PushCheckError>) -> Result<(), PushRefused> {
    checked.map_err(|error| match error {
        PushCheckError::Refused(refused) => refused,
        PushCheckError::Unavailable(error) => panic!("the keys cannot be fetched: {error}"),
    })
}

fn token(key: &KeyPair, header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let input = format!("{}.{}", part(header), part(claims));
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), input.as_bytes(), &mut signature).unwrap();
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
}

#[tokio::test]
async fn a_push_of_our_subscription_is_believed() {
    let issuer = Issuer::start().await;
    let header = issuer.header(|_| ());
    assert_eq!(issuer.outcome(&header).await, Ok(()));
    assert_eq!(issuer.outcome(&header.replace("Bearer", "bearer")).await, Ok(()));
}

#[tokio::test]
async fn a_push_without_a_bearer_token_is_refused() {
    let issuer = Issuer::start().await;
    assert_eq!(refusal(issuer.check().check(None).await), Err(PushRefused::NoToken));
    for header in ["", "Bearer", "Bearer ", "Basic dXNlcjpwYXNz"] {
        assert_eq!(issuer.outcome(header).await, Err(PushRefused::NoToken), "{header:?}");
    }
}

#[tokio::test]
async fn a_token_for_another_audience_is_refused() {
    let issuer = Issuer::start().await;
    for audience in [json!("https://other.example"), json!("https://reaper.example/"), json!(""), Value::Null] {
        let header = issuer.header(|claims| claims["aud"] = audience.clone());
        assert!(matches!(issuer.outcome(&header).await, Err(PushRefused::Token(_))), "{audience}");
    }
    let header = issuer.header(|claims| claims["aud"] = json!("https://other.example"));
    assert_eq!(issuer.outcome(&header).await, Err(PushRefused::Token(TokenRejected::Audience)));
}

#[tokio::test]
async fn a_token_of_another_account_is_refused() {
    let issuer = Issuer::start().await;
    for email in [json!("stranger@gmail.com"), json!(EMAIL.to_uppercase()), json!(format!("{EMAIL}.evil")), Value::Null]
    {
        let header = issuer.header(|claims| claims["email"] = email.clone());
        assert_eq!(issuer.outcome(&header).await, Err(PushRefused::Email), "{email}");
    }
}

#[tokio::test]
async fn a_token_with_an_unverified_email_is_refused() {
    let issuer = Issuer::start().await;
    let header = issuer.header(|claims| claims["email_verified"] = json!(false));
    assert_eq!(issuer.outcome(&header).await, Err(PushRefused::EmailUnverified));
    let header = issuer.header(|claims| drop(claims.as_object_mut().unwrap().remove("email_verified")));
    assert_eq!(issuer.outcome(&header).await, Err(PushRefused::EmailUnverified));
}

#[tokio::test]
async fn a_token_of_another_issuer_or_time_is_refused() {
    let issuer = Issuer::start().await;
    let header = issuer.header(|claims| claims["iss"] = json!("https://accounts.example"));
    assert_eq!(issuer.outcome(&header).await, Err(PushRefused::Token(TokenRejected::Issuer)));
    let header = issuer.header(|claims| claims["exp"] = json!(claims["iat"].as_i64().unwrap() - 600));
    assert_eq!(issuer.outcome(&header).await, Err(PushRefused::Token(TokenRejected::Expired)));
}

#[tokio::test]
async fn a_forged_token_is_refused() {
    let issuer = Issuer::start().await;
    let rs256 = json!({"alg": "RS256", "kid": "k1", "typ": "JWT"});
    let stranger = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let forged = format!("Bearer {}", token(&stranger, &rs256, &issuer.claims()));
    assert_eq!(issuer.outcome(&forged).await, Err(PushRefused::Token(TokenRejected::Signature)));

    // The signature of one token under the claims of another.
    let good = issuer.header(|claims| claims["email"] = json!("stranger@gmail.com"));
    let wanted = issuer.header(|_| ());
    let spliced = format!("{}.{}", wanted.rsplit_once('.').unwrap().0, good.rsplit_once('.').unwrap().1);
    assert_eq!(issuer.outcome(&spliced).await, Err(PushRefused::Token(TokenRejected::Signature)));

    let none = token(&issuer.key, &json!({"alg": "none", "kid": "k1"}), &issuer.claims());
    let unsigned = format!("Bearer {}.", none.rsplit_once('.').unwrap().0);
    for header in [unsigned, "Bearer x".into(), "Bearer a.b.c".into()] {
        assert!(matches!(issuer.outcome(&header).await, Err(PushRefused::Token(_))), "{header}");
    }
}

#[tokio::test]
async fn keys_that_cannot_be_fetched_are_an_error_and_no_refusal() {
    let issuer = Issuer::start().await;
    let header = issuer.header(|_| ());
    issuer.server.reset().await;
    assert!(matches!(issuer.check().check(Some(&header)).await, Err(PushCheckError::Unavailable(Error::Identity(_)))));
}
