//! register over HTTP: who gets an organization, what the answer shows, and who is refused.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure is a panic with its place")]

mod keys;

use aws_lc_rs::rsa::{KeyPair, KeySize};
use axum::{Router, body::Body};
use http::Request;
use http_body_util::BodyExt;
use keys::b64;
use license_core::{
    domain::{key::LicenseKey, secret::KeyRing},
    identity::{IdentitySettings, IdentityVerifier, LONGEST_LIFE},
};
use license_functions::{
    edge::{
        config::{LayersConfig, LogConfig},
        credential_guesses::CredentialGuesses,
        layers::LayerSettings,
        rate::{ByAddress, NamedLimit},
        serve::layers,
    },
    register,
};
use license_tests::World;
use serde_json::{Value, json};
use std::sync::{Arc, OnceLock};
use tower::ServiceExt;
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::path};

const ISSUER: &str = "https://securetoken.google.com/project";

fn key() -> &'static KeyPair {
    static KEY: OnceLock<KeyPair> = OnceLock::new();
    KEY.get_or_init(|| KeyPair::generate(KeySize::Rsa2048).unwrap())
}

struct Desk {
    world: World,
    issuer: MockServer,
    app: Router,
}

impl Desk {
    async fn new() -> Self {
        keys::install_crypto();
        let (world, issuer) = (World::new().await, MockServer::start().await);
        let keys = ResponseTemplate::new(200).set_body_json(json!({ "keys": [keys::jwk(key(), "k")] }));
        Mock::given(path("/keys")).respond_with(keys).mount(&issuer).await;
        let jwks_url = format!("{}/keys", issuer.uri());
        let settings = IdentitySettings {
            issuer: ISSUER.into(),
            audience: "project".into(),
            jwks_url,
            longest_life: LONGEST_LIFE,
        };
        let router = register::router(register::RegisterService {
            records: world.admin.clone(),
            management: world.management.clone(),
            verifier: IdentityVerifier::new(settings, world.clock.clone()),
            peppers: Arc::new(KeyRing::single(vec![2; 32])),
            limit: ByAddress::new(NamedLimit::off(), 0),
            credential_guesses: CredentialGuesses::new(
                ByAddress::new(NamedLimit::off(), 0),
                world.seats(),
                world.clock.clone(),
            ),
        });
        let logging = LogConfig { filter: "info".into(), text: false, project: None };
        let app = layers(router, &LayerSettings::new(&LayersConfig::default(), &logging));
        Self { world, issuer, app }
    }

    /// An ID token of Ada, spoilt by `spoil`.
    fn token(&self, spoil: impl FnOnce(&mut Value)) -> String {
        let now = self.world.clock.now_seconds();
        let mut claims = json!({
            "iss": ISSUER, "aud": "project", "sub": "ada", "iat": now, "exp": now + 3600, "auth_time": now,
            "email": "ada@example.com", "email_verified": true, "name": "Ada Lovelace",
        });
        spoil(&mut claims);
        let header = json!({ "alg": "RS256", "typ": "JWT", "kid": "k" });
        let input = format!("{}.{}", b64(header.to_string()), b64(claims.to_string()));
        format!("{input}.{}", b64(keys::rs256(key(), input.as_bytes())))
    }

    async fn send(&self, token: &str, body: &Value) -> (u16, Value) {
        let request = Request::post("/api/v1/auth/register").header("authorization", format!("Bearer {token}"));
        let body = if body.is_null() { Body::empty() } else { body.to_string().into() };
        let (parts, body) = self.app.clone().oneshot(request.body(body).unwrap()).await.unwrap().into_parts();
        (parts.status.as_u16(), serde_json::from_slice(&body.collect().await.unwrap().to_bytes()).unwrap())
    }

    async fn refused(&self, spoil: impl FnOnce(&mut Value)) -> (u16, String) {
        let (status, body) = self.send(&self.token(spoil), &Value::Null).await;
        assert_eq!(self.organizations().await, 1, "nothing was made: only the world's own is there");
        (status, body["code"].as_str().unwrap_or_default().to_owned())
    }

    /// The code of a token's refusal; nothing is made.
    async fn unbelieved(&self, token: &str) -> String {
        let before = self.organizations().await;
        let (status, body) = self.send(token, &Value::Null).await;
        assert_eq!((status, self.organizations().await), (401, before));
        body["code"].as_str().unwrap().to_owned()
    }

    async fn organizations(&self) -> i64 {
        self.world.count("select count(*) from organizations").await
    }
}

fn license_key(body: &Value) -> LicenseKey {
    LicenseKey::parse(body["license"]["key"].as_str().expect("the key is shown")).unwrap()
}

#[tokio::test]
async fn a_person_gets_an_organization_and_a_trial_license_with_its_key() {
    let desk = Desk::new().await;
    let (status, body) = desk.send(&desk.token(|_| ()), &json!({ "organization_name": " Engines Ltd " })).await;
    assert_eq!(status, 201, "{body}");
    assert_eq!(body["organization"]["name"], "Engines Ltd");
    assert_eq!((&body["user"]["email"], &body["user"]["role"]), (&"ada@example.com".into(), &"owner".into()));
    let license = &body["license"];
    assert_eq!((&license["seats_total"], &license["status"]), (&5.into(), &"active".into()));
    assert_eq!(license["number"], license_key(&body).number().to_string());
    assert!(license["expires_at"].as_str().unwrap().ends_with('Z'), "a trial ends");
}

#[tokio::test]
async fn without_any_wish_the_organization_is_named_after_the_person() {
    let desk = Desk::new().await;
    let (status, body) = desk.send(&desk.token(|_| ()), &Value::Null).await;
    assert_eq!((status, &body["organization"]["name"]), (201, &"Ada Lovelace".into()), "{body}");
}

#[tokio::test]
async fn registering_again_before_first_use_shows_a_new_key_and_the_old_one_is_over() {
    let desk = Desk::new().await;
    let (_, first) = desk.send(&desk.token(|_| ()), &Value::Null).await;
    let (status, second) = desk.send(&desk.token(|_| ()), &Value::Null).await;
    assert_eq!(status, 200, "{second}");
    assert_eq!(first["organization"]["id"], second["organization"]["id"]);
    assert_eq!(first["license"]["number"], second["license"]["number"]);
    assert_ne!(license_key(&first).reveal(), license_key(&second).reveal());
    let mut machine = desk.world.machine("a");
    machine.key = license_key(&first);
    let outcome = machine.acquire(&desk.world.protocol).await;
    assert!(
        matches!(
            outcome,
            license_core::protocol::acquire::AcquireOutcome::KeyRejected(
                license_core::protocol::acquire::KeyRejection::BadKey
            )
        ),
        "{outcome:?}"
    );
    machine.key = license_key(&second);
    machine.seated(&desk.world.protocol).await;
    assert_eq!(desk.organizations().await, 2);
}

#[tokio::test]
async fn after_first_use_the_key_is_never_shown_again_and_stays_good() {
    let desk = Desk::new().await;
    let (_, first) = desk.send(&desk.token(|_| ()), &Value::Null).await;
    let mut machine = desk.world.machine("a");
    machine.key = license_key(&first);
    machine.seated(&desk.world.protocol).await;
    let (status, again) = desk.send(&desk.token(|_| ()), &Value::Null).await;
    assert_eq!((status, &again["license"]["key"]), (200, &Value::Null), "{again}");
    machine.seated(&desk.world.protocol).await;
}

#[tokio::test]
async fn a_token_of_another_issuer_is_refused() {
    let desk = Desk::new().await;
    assert_eq!(desk.refused(|c| c["iss"] = "https://evil.example".into()).await, (401, "token_invalid".into()));
}

#[tokio::test]
async fn a_token_for_another_audience_is_refused() {
    let desk = Desk::new().await;
    assert_eq!(desk.refused(|c| c["aud"] = "another".into()).await, (401, "token_invalid".into()));
}

#[tokio::test]
async fn an_expired_token_is_refused_with_its_own_code() {
    let desk = Desk::new().await;
    let past = desk.world.clock.now_seconds() - 3600;
    assert_eq!(desk.refused(|c| c["exp"] = past.into()).await, (401, "token_expired".into()));
}

#[tokio::test]
async fn a_token_of_the_future_is_refused() {
    let desk = Desk::new().await;
    let future = desk.world.clock.now_seconds() + 3600;
    let spoil = |c: &mut Value| (c["iat"], c["nbf"], c["exp"]) = (future.into(), future.into(), (future + 3600).into());
    assert_eq!(desk.refused(spoil).await, (401, "token_invalid".into()));
}

#[tokio::test]
async fn an_address_nobody_verified_is_refused() {
    let desk = Desk::new().await;
    assert_eq!(desk.refused(|c| c["email_verified"] = false.into()).await, (401, "token_invalid".into()));
    assert_eq!(desk.refused(|c| c["email"].take().as_str().map_or((), |_| ())).await, (401, "token_invalid".into()));
}

#[tokio::test]
async fn a_token_without_a_signature_is_refused() {
    let desk = Desk::new().await;
    let good = desk.token(|_| ());
    let claims = good.split('.').nth(1).unwrap();
    let none = format!("{}.{claims}.", b64(json!({ "alg": "none", "typ": "JWT" }).to_string()));
    assert_eq!(desk.unbelieved(&none).await, "token_invalid");
    assert_eq!(desk.unbelieved("x").await, "token_invalid");
}

#[tokio::test]
async fn a_token_signed_with_the_public_key_as_a_shared_secret_is_refused() {
    let desk = Desk::new().await;
    let good = desk.token(|_| ());
    let claims = good.split('.').nth(1).unwrap();
    let input = format!("{}.{claims}", b64(json!({ "alg": "HS256", "typ": "JWT", "kid": "k" }).to_string()));
    let secret = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, keys::public_pem(key()).as_bytes());
    let shared = format!("{input}.{}", b64(aws_lc_rs::hmac::sign(&secret, input.as_bytes())));
    assert_eq!(desk.unbelieved(&shared).await, "token_invalid");
}

#[tokio::test]
async fn wrong_wishes_are_422_before_anybody_is_asked() {
    let desk = Desk::new().await;
    let long = "x".repeat(201);
    for (body, field) in [
        (json!({ "organization_name": "  " }), "organization_name"),
        (json!({ "organization_name": long }), "organization_name"),
        (json!({ "product": "No Such" }), "product"),
        (json!({ "product": "no-such" }), "product"),
        (json!({ "seats": 500 }), "seats"),
    ] {
        let (status, answer) = desk.send(&desk.token(|_| ()), &body).await;
        assert_eq!((status, &answer["errors"][0]["field"]), (422, &field.into()), "{answer}");
    }
    assert_eq!(desk.organizations().await, 1);
}

#[tokio::test]
async fn with_the_identity_provider_away_it_is_503_and_nothing_is_made() {
    let desk = Desk::new().await;
    desk.issuer.reset().await;
    let (status, body) = desk.send(&desk.token(|_| ()), &Value::Null).await;
    assert_eq!((status, &body["code"]), (503, &"identity_unavailable".into()));
    assert_eq!(desk.organizations().await, 1);
}
