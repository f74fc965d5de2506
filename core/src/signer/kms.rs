//! The root key in Cloud KMS, over REST: why not a client library, see docs/decisions/2026-11-21-kms-over-rest.md.
//!
//! <https://cloud.google.com/kms/docs/reference/rest/v1/projects.locations.keyRings.cryptoKeys.cryptoKeyVersions>

use super::{RootKey, RootSigner, SigningFuture};
use crate::{Error, Result, access_token::AccessTokens, error::ErrorContext};
use aws_lc_rs::digest;
use base64::{Engine, prelude::BASE64_STANDARD};
use reqwest::{Method, StatusCode};
use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned, de::Error as _};
use std::time::Duration;
use tokio::sync::OnceCell;

const ALGORITHM: &str = "RSA_SIGN_PKCS1_4096_SHA256";

/// One question is asked at most this often: 429 and 5xx are normal answers of a shared service.
const ATTEMPTS: u32 = 2;
const PAUSE: Duration = Duration::from_millis(100);

/// Where the key is.
#[derive(Clone, Debug)]
pub struct KmsSettings {
    /// The version that signs: `projects/…/locations/…/keyRings/…/cryptoKeys/…/cryptoKeyVersions/…`.
    pub key: String,
    /// The version that will sign next; published beside the current one so that clients can pin it in time.
    pub next: Option<String>,
    /// `https://cloudkms.googleapis.com`, unless a test says otherwise. Gets our access token: must be https or
    /// loopback.
    pub endpoint: String,
    /// How long one HTTP request may take. Two of them and a token must fit into a request's deadline of 5 s.
    pub timeout: Duration,
}

impl KmsSettings {
    /// Google's endpoints, 1.5 s per HTTP request.
    pub fn new(key: impl Into<String>, next: Option<String>) -> Self {
        Self {
            key: key.into(),
            next,
            endpoint: "https://cloudkms.googleapis.com".into(),
            timeout: Duration::from_millis(1500),
        }
    }
}

/// A key version in Cloud KMS. Its public half is fetched once; a version never changes.
pub struct KmsRoot {
    settings: KmsSettings,
    http: reqwest::Client,
    tokens: AccessTokens,
    keys: OnceCell<Vec<RootKey>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SignRequest {
    digest: Sha256,
    digest_crc32c: String,
}

#[derive(Serialize)]
struct Sha256 {
    sha256: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SignAnswer {
    name: String,
    signature: String,
    #[serde(deserialize_with = "int64")]
    signature_crc32c: i64,
    #[serde(default)]
    verified_digest_crc32c: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct KeyAnswer {
    name: String,
    pem: String,
    #[serde(deserialize_with = "int64")]
    pem_crc32c: i64,
    algorithm: String,
}

#[derive(Deserialize)]
struct KmsRefused {
    error: RefusedError,
}

#[derive(Deserialize)]
struct RefusedError {
    message: String,
}

/// How a question failed: whether asking again may help.
struct KmsFault {
    again: bool,
    error: ErrorContext,
}

impl KmsFault {
    fn again(error: impl Into<ErrorContext>) -> Self {
        Self { again: true, error: error.into() }
    }

    fn for_good(error: impl Into<ErrorContext>) -> Self {
        Self { again: false, error: error.into() }
    }
}

impl KmsRoot {
    /// A root that has asked nobody yet.
    ///
    /// # Errors
    /// [`Error::Signer`] if no HTTP client can be made.
    ///
    /// # Panics
    /// If no rustls crypto provider is installed.
    pub fn new(settings: KmsSettings, tokens: AccessTokens) -> Result<Self> {
        let failed = |e: reqwest::Error| Error::signer("no HTTP client was made", e.without_url());
        // A redirect would carry our access token to wherever it points.
        let policy = reqwest::redirect::Policy::none();
        let http = reqwest::Client::builder().redirect(policy).timeout(settings.timeout).build().map_err(failed)?;
        Ok(Self { settings, http, tokens, keys: OnceCell::new() })
    }

    async fn fetch_keys(&self) -> Result<Vec<RootKey>> {
        let mut keys = vec![self.fetch_key(&self.settings.key).await?];
        if let Some(next) = &self.settings.next {
            keys.push(self.fetch_key(next).await?);
        }
        Ok(keys)
    }

    async fn fetch_key(&self, name: &str) -> Result<RootKey> {
        let check = |answer: KeyAnswer| {
            same_name(name, &answer.name.replace("/publicKey", ""))?;
            intact("public key", answer.pem.as_bytes(), answer.pem_crc32c)?;
            if answer.algorithm != ALGORITHM {
                let is_for = answer.algorithm;
                return Err(KmsFault::for_good(format!("key {name} is for {is_for}; make a version for {ALGORITHM}")));
            }
            let unusable = |e| KmsFault::for_good(ErrorContext::new(format!("key {name} cannot be used"), e));
            RootKey::from_pem(&answer.pem).map_err(unusable)
        };
        self.ask(Method::GET, &format!("{name}/publicKey"), None, check).await
    }

    async fn sign_digest(&self, message: &[u8]) -> Result<Vec<u8>> {
        let digest = digest::digest(&digest::SHA256, message);
        let request = SignRequest {
            digest: Sha256 { sha256: BASE64_STANDARD.encode(digest) },
            digest_crc32c: crc32c::crc32c(digest.as_ref()).to_string(),
        };
        let name = &self.settings.key;
        let check = |answer: SignAnswer| {
            if !answer.verified_digest_crc32c {
                return Err(KmsFault::again("the digest was damaged on its way to Cloud KMS"));
            }
            same_name(name, &answer.name)?;
            let signature = BASE64_STANDARD.decode(&answer.signature);
            let signature =
                signature.map_err(|e| KmsFault::again(ErrorContext::new("the signature is not base64", e)))?;
            intact("signature", &signature, answer.signature_crc32c)?;
            Ok(signature)
        };
        self.ask(Method::POST, &format!("{name}:asymmetricSign"), Some(&request), check).await
    }

    /// Asks, checks, and asks again where that may help.
    async fn ask<T: DeserializeOwned, R>(
        &self,
        method: Method,
        path: &str,
        body: Option<&SignRequest>,
        check: impl Fn(T) -> std::result::Result<R, KmsFault>,
    ) -> Result<R> {
        let mut attempt = 1;
        loop {
            let fault = match self.ask_once(method.clone(), path, body).await.and_then(&check) {
                Ok(answer) => return Ok(answer),
                Err(fault) => fault,
            };
            if !fault.again || attempt == ATTEMPTS {
                return Err(Error::signer("Cloud KMS", fault.error));
            }
            attempt += 1;
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn ask_once<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&SignRequest>,
    ) -> std::result::Result<T, KmsFault> {
        // No second try for the token: the metadata server is on this machine's link, and the deadline is short.
        let token = self.tokens.token().await.map_err(KmsFault::for_good)?;
        let url = format!("{}/v1/{path}", self.settings.endpoint.trim_end_matches('/'));
        let mut request = self.http.request(method, url).bearer_auth(token.reveal());
        if let Some(body) = body {
            request = request.json(body);
        }
        let unanswered =
            |e: reqwest::Error| KmsFault::again(ErrorContext::new(format!("no answer for {path}"), e.without_url()));
        let answer = request.send().await.map_err(unanswered)?;
        let status = answer.status();
        if status.is_success() {
            return answer.json().await.map_err(unanswered);
        }
        if status == StatusCode::UNAUTHORIZED {
            self.tokens.forget(&token).await;
        }
        let again =
            matches!(status, StatusCode::UNAUTHORIZED | StatusCode::TOO_MANY_REQUESTS) || status.is_server_error();
        let reason = answer.json::<KmsRefused>().await.map(|r| r.error.message).unwrap_or_default();
        let reason: String = reason.chars().take(300).collect();
        Err(KmsFault { again, error: format!("{status} for {path}: {reason}").into() })
    }
}

impl RootSigner for KmsRoot {
    fn public_keys(&self) -> SigningFuture<'_, Result<Vec<RootKey>>> {
        Box::pin(async { self.keys.get_or_try_init(|| self.fetch_keys()).await.cloned() })
    }

    fn sign<'a>(&'a self, message: &'a [u8]) -> SigningFuture<'a, Result<Vec<u8>>> {
        Box::pin(self.sign_digest(message))
    }
}

/// An answer about another key version (a proxy's cache, a mixed-up connection) must not be taken for ours.
fn same_name(asked: &str, answered: &str) -> std::result::Result<(), KmsFault> {
    if asked == answered {
        Ok(())
    } else {
        Err(KmsFault::again(format!("asked for key {asked}, answered for {answered}")))
    }
}

fn intact(what: &str, bytes: &[u8], crc32c: i64) -> std::result::Result<(), KmsFault> {
    let same = i64::from(crc32c::crc32c(bytes)) == crc32c;
    if same { Ok(()) } else { Err(KmsFault::again(format!("the {what} was damaged on its way (CRC32C differs)"))) }
}

/// Google's JSON writes 64-bit integers as strings, and reads both forms; so do we.
fn int64<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<i64, D::Error> {
    match serde_json::Value::deserialize(deserializer)? {
        serde_json::Value::String(text) => text.parse().map_err(D::Error::custom),
        serde_json::Value::Number(number) => number.as_i64().ok_or_else(|| D::Error::custom("must be an integer")),
        _ => Err(D::Error::custom("must be an integer")),
    }
}
