//! The demo identity provider of one machine: signs ID tokens shaped like those of Identity Platform for whoever asks,
//! and the push tokens of the bus.
//!
//! It makes a token for every address that it is given. So it listens on the loopback interface only (`guard.rs`), and
//! a caller who wants a token of staff must send a secret that only the owner of the machine's data can read.

use crate::secrets;
use aws_lc_rs::{
    constant_time::verify_slices_are_equal,
    digest,
    encoding::{AsDer, Pkcs8V1Der},
    rand::SystemRandom,
    rsa::{KeyPair, KeySize},
    signature::{KeyPair as _, RSA_PKCS1_SHA256},
};
use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64URL};
use http::{HeaderMap, header};
use license_core::{
    Clock,
    domain::{email, secret::Secret},
    error::{ErrorContext, chain},
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{io, ops::RangeInclusive, path::Path, sync::Arc};

/// `iss` of people's tokens. It is a name and no address, so that it stays the same on every port, and a person who
/// registered yesterday is the same person today.
pub const ISSUER: &str = "http://127.0.0.1/license-local";
/// `aud` of people's tokens; a project's id at Identity Platform.
pub const AUDIENCE: &str = "license-local";
/// `aud` of tokens of the vendor's staff.
pub const STAFF_AUDIENCE: &str = "license-local-staff";
/// `iss` of push tokens, as Google spells it.
pub const PUSH_ISSUER: &str = "https://accounts.google.com";
/// The service account push tokens are made out to.
pub const PUSH_EMAIL: &str = "push@license-local.invalid";

/// How long a token is good for unless asked otherwise, in seconds; no longer than those of Identity Platform.
const LIFETIME: i64 = 3600;
/// What may be asked for instead.
const LIFETIMES: RangeInclusive<i64> = -86_400..=LIFETIME;

/// The issuer's key and clock. Cheap to clone.
#[derive(Clone)]
pub struct DemoIssuer {
    inner: Arc<IssuerInner>,
}

struct IssuerInner {
    key: KeyPair,
    kid: String,
    jwk: Value,
    clock: Clock,
}

/// What [`DemoIssuer::id_token`] is asked for: a person. The optional fields are for trying what a service refuses.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenRequest {
    /// The address the token vouches for.
    pub email: String,
    /// The person's name.
    pub name: Option<String>,
    /// How the person signed in: `google.com` unless said, `github.com`, `password` …
    pub provider: Option<String>,
    /// False for an address nobody has verified.
    pub email_verified: Option<bool>,
    /// True for staff, who may do everything in the management API.
    pub staff: Option<bool>,
    /// How long the token is good for, in seconds: 3600 at most; negative for one that is over.
    pub expires_in: Option<i64>,
    /// When the person signed in, in Unix seconds; now if it is not given.
    pub auth_time: Option<i64>,
    /// How strong the sign-in was, as the word that an access policy may demand; none if it is not given.
    pub acr: Option<String>,
}

impl DemoIssuer {
    /// Opens the RSA-2048 key in the file `path`, made there at the first start (mode 0600).
    ///
    /// # Errors
    /// If the file cannot be read or written, others may read it, or it holds no such key.
    pub fn open(path: &Path, clock: Clock) -> io::Result<Self> {
        let text = secrets::kept(path, draw_key)?;
        let unusable = || format!("{} holds no RSA key; delete it", path.display());
        let der = BASE64URL.decode(text).map_err(|error| io::Error::other(ErrorContext::new(unusable(), error)))?;
        let key = KeyPair::from_pkcs8(&der).map_err(|error| io::Error::other(ErrorContext::new(unusable(), error)))?;
        let public = key.public_key();
        let modulus = BASE64URL.encode(public.modulus().big_endian_without_leading_zero());
        let exponent = BASE64URL.encode(public.exponent().big_endian_without_leading_zero());
        // RFC 7638: the members in this order, without spaces.
        let kid = hash(&format!(r#"{{"e":"{exponent}","kty":"RSA","n":"{modulus}"}}"#));
        let jwk = json!({ "kty": "RSA", "use": "sig", "alg": "RS256", "kid": kid, "n": modulus, "e": exponent });
        Ok(Self { inner: Arc::new(IssuerInner { key, kid, jwk, clock }) })
    }

    /// The set of public keys by which its tokens are verified.
    pub fn jwks(&self) -> Value {
        json!({ "keys": [self.inner.jwk] })
    }

    /// An ID token for a person, with the claims Identity Platform gives. The same address and provider are the same
    /// subject, always.
    ///
    /// # Errors
    /// If the key could not sign.
    pub fn id_token(&self, person: &TokenRequest) -> io::Result<String> {
        let provider = person.provider.as_deref().unwrap_or("google.com");
        let email = person.email.as_str();
        let audience = if person.staff == Some(true) { STAFF_AUDIENCE } else { AUDIENCE };
        let mut subject = hash(&format!("{provider}\n{}", email::comparison_key(email)));
        subject.truncate(28); // as long as those of Identity Platform
        let now = self.inner.clock.now_seconds();
        let expires = now + person.lifetime();
        let issued = now.min(expires.saturating_sub(1));
        self.sign(&json!({
            "iss": ISSUER, "aud": audience, "sub": subject, "user_id": subject,
            "auth_time": person.auth_time.unwrap_or(issued), "acr": person.acr, "iat": issued, "exp": expires,
            "name": person.name, "email": email, "email_verified": person.email_verified.unwrap_or(true),
            "firebase": {
                "identities": { provider: [subject], "email": [email] },
                "sign_in_provider": provider,
            },
        }))
    }

    /// A token as Google signs for pushes, made out to `audience` for [`PUSH_EMAIL`].
    ///
    /// # Errors
    /// If the key could not sign.
    pub fn push_token(&self, audience: &str) -> io::Result<String> {
        let now = self.inner.clock.now_seconds();
        self.sign(&json!({
            "iss": PUSH_ISSUER, "aud": audience, "sub": hash(PUSH_EMAIL), "azp": hash(PUSH_EMAIL),
            "iat": now, "exp": now + LIFETIME, "email": PUSH_EMAIL, "email_verified": true,
        }))
    }

    /// The paths of the identity provider. `staff` is the secret for tokens of staff; without it, where a real identity
    /// provider is configured, only the public keys are served, which the check of push tokens needs.
    pub fn router(&self, staff: Option<Secret<String>>) -> Router {
        let keys = Router::new()
            .route("/.well-known/jwks.json", get(async |State(me): State<Self>| Json(me.jwks())))
            .with_state(self.clone());
        let Some(staff) = staff else { return keys };
        let desk = IssuerService { issuer: self.clone(), staff: Arc::new(staff) };
        let people =
            Router::new().route("/.well-known/openid-configuration", get(configuration)).route("/token", post(token));
        keys.merge(people.with_state(desk))
    }

    /// A JWS in compact form (RFC 7515), signed with RS256.
    fn sign(&self, claims: &Value) -> io::Result<String> {
        let header = json!({ "alg": "RS256", "kid": self.inner.kid, "typ": "JWT" });
        let part = |value: &Value| BASE64URL.encode(value.to_string());
        let message = format!("{}.{}", part(&header), part(claims));
        let mut signature = vec![0; self.inner.key.public_modulus_len()];
        let signed = self.inner.key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message.as_bytes(), &mut signature);
        signed.map_err(|_| io::Error::other("the issuer's key could not sign"))?;
        Ok(format!("{message}.{}", BASE64URL.encode(signature)))
    }
}

impl TokenRequest {
    /// Within what may be asked for.
    fn lifetime(&self) -> i64 {
        self.expires_in.unwrap_or(LIFETIME).clamp(*LIFETIMES.start(), *LIFETIMES.end())
    }
}

/// Where people ask for tokens.
#[derive(Clone)]
struct IssuerService {
    issuer: DemoIssuer,
    staff: Arc<Secret<String>>,
}

impl IssuerService {
    /// Whether a request has the secret that only the owner of the machine's data can read.
    fn knows_the_secret(&self, headers: &HeaderMap) -> bool {
        let brought = headers.get(header::AUTHORIZATION).and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
        brought.is_some_and(|brought| verify_slices_are_equal(brought, self.staff.reveal().as_bytes()).is_ok())
    }
}

fn draw_key() -> io::Result<String> {
    let drawn = KeyPair::generate(KeySize::Rsa2048);
    let der = drawn.and_then(|key| AsDer::<Pkcs8V1Der<'_>>::as_der(&key));
    der.map(|der| BASE64URL.encode(der.as_ref())).map_err(|_| io::Error::other("no RSA key could be made"))
}

fn hash(text: &str) -> String {
    BASE64URL.encode(digest::digest(&digest::SHA256, text.as_bytes()))
}

async fn configuration(headers: HeaderMap) -> Json<Value> {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("127.0.0.1");
    Json(json!({
        "issuer": ISSUER,
        "jwks_uri": format!("http://{host}/.well-known/jwks.json"),
        "token_endpoint": format!("http://{host}/token"),
        "id_token_signing_alg_values_supported": ["RS256"],
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
    }))
}

/// `Json` refuses what is not declared as JSON, so no web page of elsewhere can ask on a visitor's behalf without a
/// preflight.
async fn token(State(desk): State<IssuerService>, headers: HeaderMap, Json(person): Json<TokenRequest>) -> Response {
    if person.expires_in.is_some_and(|seconds| !LIFETIMES.contains(&seconds)) {
        let why = "expires_in must be a number of seconds from -86400 to 3600";
        return refuse(StatusCode::BAD_REQUEST, "invalid_request", why);
    }
    if person.staff == Some(true) && !desk.knows_the_secret(&headers) {
        let why = "a token of staff wants the secret in the file staff.secret of the data directory: \
            Authorization: Bearer <secret>";
        return refuse(StatusCode::UNAUTHORIZED, "invalid_client", why);
    }
    match desk.issuer.id_token(&person) {
        Ok(token) => {
            Json(json!({ "id_token": token, "token_type": "Bearer", "expires_in": person.lifetime() })).into_response()
        }
        Err(error) => refuse(StatusCode::INTERNAL_SERVER_ERROR, "server_error", &chain(&error).to_string()),
    }
}

/// An error in the form of RFC 6749, section 5.2.
fn refuse(status: StatusCode, error: &str, why: &str) -> Response {
    let body = Json(json!({ "error": error, "error_description": why }));
    if status == StatusCode::UNAUTHORIZED {
        return (status, [(header::WWW_AUTHENTICATE, "Bearer")], body).into_response();
    }
    (status, body).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};

    fn open(dir: &tempfile::TempDir) -> DemoIssuer {
        DemoIssuer::open(&dir.path().join("issuer.key"), Clock::system()).unwrap()
    }

    fn person(email: &str, provider: &str) -> TokenRequest {
        serde_json::from_value(json!({ "email": email, "name": "A", "provider": provider })).unwrap()
    }

    /// The claims, after the signature was verified with nothing but the published keys.
    fn claims(jwks: &Value, token: &str) -> Value {
        let decode = |text: &str| BASE64URL.decode(text).unwrap();
        let key = &jwks["keys"][0];
        let component = |name: &str| decode(key[name].as_str().unwrap());
        let (message, signature) = token.rsplit_once('.').unwrap();
        RsaPublicKeyComponents { n: component("n"), e: component("e") }
            .verify(&RSA_PKCS1_2048_8192_SHA256, message.as_bytes(), &decode(signature))
            .unwrap();
        let (header, claims) = message.split_once('.').unwrap();
        let header: Value = serde_json::from_slice(&decode(header)).unwrap();
        assert_eq!((&header["alg"], &header["kid"]), (&json!("RS256"), &key["kid"]));
        serde_json::from_slice(&decode(claims)).unwrap()
    }

    #[test]
    fn a_person_keeps_the_subject_over_restarts_and_another_provider_is_another_person() {
        let dir = tempfile::tempdir().unwrap();
        let first = open(&dir);
        let jwks = first.jwks();
        let a = claims(&jwks, &first.id_token(&person("a@example.com", "google.com")).unwrap());
        let again = claims(&jwks, &open(&dir).id_token(&person("A@example.com", "google.com")).unwrap());
        let other = claims(&jwks, &first.id_token(&person("a@example.com", "github.com")).unwrap());
        assert_eq!(a["sub"], again["sub"]);
        assert_ne!(a["sub"], other["sub"]);
        assert_eq!(a["firebase"]["sign_in_provider"], "google.com");
        assert_eq!((&a["iss"], &a["aud"], &a["email_verified"]), (&json!(ISSUER), &json!(AUDIENCE), &json!(true)));
    }

    #[test]
    fn staff_is_of_another_audience_and_only_who_asks_for_it_is_staff() {
        let dir = tempfile::tempdir().unwrap();
        let issuer = open(&dir);
        let token = |wish: Value| issuer.id_token(&serde_json::from_value(wish).unwrap()).unwrap();
        let audience = |wish: Value| claims(&issuer.jwks(), &token(wish))["aud"].clone();
        assert_eq!(audience(json!({ "email": "a@example.com", "staff": true })), json!(STAFF_AUDIENCE));
        assert_eq!(audience(json!({ "email": "a@example.com", "staff": false })), json!(AUDIENCE));
        assert_eq!(audience(json!({ "email": "a@example.com" })), json!(AUDIENCE));
        assert_ne!(STAFF_AUDIENCE, AUDIENCE);
    }

    #[test]
    fn a_push_token_is_googles_in_form_and_no_persons_token() {
        let dir = tempfile::tempdir().unwrap();
        let issuer = open(&dir);
        let push = claims(&issuer.jwks(), &issuer.push_token("http://127.0.0.1:1/tick").unwrap());
        assert_eq!(push["iss"], PUSH_ISSUER);
        assert_eq!(push["aud"], "http://127.0.0.1:1/tick");
        assert_eq!(push["email"], PUSH_EMAIL);
        assert_ne!(push["iss"], ISSUER);
    }

    #[test]
    fn failures_can_be_asked_for_and_unknown_wishes_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let issuer = open(&dir);
        let wish = json!({ "email": "a@example.com", "email_verified": false, "expires_in": -60 });
        let token = claims(&issuer.jwks(), &issuer.id_token(&serde_json::from_value(wish).unwrap()).unwrap());
        assert_eq!(token["email_verified"], json!(false));
        assert!(token["exp"].as_i64().unwrap() < Clock::system().now_seconds());
        assert!(serde_json::from_value::<TokenRequest>(json!({ "email": "a@example.com", "iss": "me" })).is_err());
    }

    /// What `POST /token` answers.
    async fn asked(issuer: &DemoIssuer, bearer: Option<&str>, wish: &Value) -> (u16, Value) {
        use tower::ServiceExt;
        let mut request = http::Request::post("/token").header("content-type", "application/json");
        if let Some(bearer) = bearer {
            request = request.header("authorization", bearer);
        }
        let request = request.body(axum::body::Body::from(wish.to_string())).unwrap();
        let answer = issuer.router(Some(Secret::new("s3cret".into()))).oneshot(request).await.unwrap();
        let status = answer.status().as_u16();
        let body = axum::body::to_bytes(answer.into_body(), 1 << 20).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }

    #[tokio::test]
    async fn a_token_of_staff_is_for_whom_can_read_the_secret() {
        let dir = tempfile::tempdir().unwrap();
        let issuer = open(&dir);
        let staff = json!({ "email": "a@example.com", "staff": true });
        for bearer in [
            None,
            Some(""),
            Some("Bearer"),
            Some("Bearer "),
            Some("Bearer s3cre"),
            Some("Bearer s3crett"),
            Some("Bearer S3CRET"),
            Some("Basic s3cret"),
            Some("s3cret"),
        ] {
            let (status, body) = asked(&issuer, bearer, &staff).await;
            assert_eq!(
                (status, &body["error"], &body["id_token"]),
                (401, &json!("invalid_client"), &json!(null)),
                "{bearer:?}"
            );
        }
        let (status, body) = asked(&issuer, Some("Bearer s3cret"), &staff).await;
        assert_eq!(status, 200, "{body}");
        assert_eq!(claims(&issuer.jwks(), body["id_token"].as_str().unwrap())["aud"], STAFF_AUDIENCE);
        let (status, body) = asked(&issuer, None, &json!({ "email": "a@example.com" })).await;
        assert_eq!(status, 200, "{body}");
        assert_eq!(claims(&issuer.jwks(), body["id_token"].as_str().unwrap())["aud"], AUDIENCE);
    }

    #[tokio::test]
    async fn no_token_is_good_for_longer_than_an_hour() {
        let dir = tempfile::tempdir().unwrap();
        let issuer = open(&dir);
        let wish = |seconds: i64| json!({ "email": "a@example.com", "expires_in": seconds });
        for seconds in [3601, 86_400, i64::MAX, i64::MIN, -86_401] {
            let (status, body) = asked(&issuer, None, &wish(seconds)).await;
            assert_eq!((status, &body["error"]), (400, &json!("invalid_request")), "{seconds}");
            let token = issuer.id_token(&serde_json::from_value(wish(seconds)).unwrap()).unwrap();
            let claims = claims(&issuer.jwks(), &token);
            assert!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap() <= 3600, "{claims}");
        }
        for seconds in [3600, 1, 0, -60, -86_400] {
            assert_eq!(asked(&issuer, None, &wish(seconds)).await.0, 200, "{seconds}");
        }
    }
}
