//! The other servers that the services use beside the stores, each on the real wire: the issuer of people's tokens and
//! of push tokens, a bus that accepts every event and forgets it, and a KMS that counts how often its key is used.

use aws_lc_rs::{
    digest::{Digest, SHA256},
    encoding::AsDer,
    rsa::{KeyPair, KeySize},
    signature::{KeyPair as _, RSA_PKCS1_SHA256},
};
use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Path, State},
    routing::{get, post},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use license_core::{Clock, domain::secret::Secret};
use license_local::issuer::{self, DemoIssuer};
use license_pubsub::rest::{PublishRequest, PublishResponse};
use serde_json::{Value, json};
use std::{
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::net::TcpListener;

const AUDIENCE: &str = "license-bench";
const KEY: &str = "projects/p/locations/l/keyRings/r/cryptoKeys/root/cryptoKeyVersions/1";

/// Served by this process until it ends.
pub(crate) struct Peers {
    /// `127.0.0.1:<port>`.
    pub(crate) address: String,
    issuer: DemoIssuer,
    kms: Arc<Kms>,
}

struct Kms {
    key: KeyPair,
    signatures: AtomicU64,
    public_keys: AtomicU64,
}

impl Peers {
    pub(crate) async fn serve(dir: &std::path::Path) -> Self {
        let issuer = DemoIssuer::open(&dir.join("issuer.key"), Clock::system()).expect("the issuer's key is made");
        let key = tokio::task::spawn_blocking(|| KeyPair::generate(KeySize::Rsa4096)).await.unwrap().unwrap();
        let kms = Arc::new(Kms { key, signatures: AtomicU64::new(0), public_keys: AtomicU64::new(0) });
        let bus = Router::new()
            .route("/v1/projects/{project}/topics/{topic}", post(publish))
            .layer(DefaultBodyLimit::max(10 * 1024 * 1024));
        let cloud = Router::new()
            .route("/computeMetadata/v1/instance/service-accounts/default/token", get(token))
            .route(
                "/v1/projects/p/locations/l/keyRings/r/cryptoKeys/root/cryptoKeyVersions/{call}",
                get(public_key).post(sign),
            )
            .route(
                "/v1/projects/p/locations/l/keyRings/r/cryptoKeys/root/cryptoKeyVersions/1/publicKey",
                get(public_key),
            )
            .with_state(Arc::clone(&kms));
        let app = issuer.router(Some(Secret::new("staff".into()))).merge(bus).merge(cloud);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { address, issuer, kms }
    }

    /// What functions must know of them.
    pub(crate) fn variables(&self) -> Vec<(String, String)> {
        let url = format!("http://{}", self.address);
        let jwks = format!("{url}/.well-known/jwks.json");
        let pairs = [
            ("ROOT_KEY", &format!("kms:{KEY}")),
            ("KMS_ENDPOINT", &url),
            ("GCE_METADATA_HOST", &self.address),
            ("PUSH_ISSUER", &issuer::PUSH_ISSUER.to_owned()),
            ("PUSH_AUDIENCE", &AUDIENCE.to_owned()),
            ("PUSH_EMAIL", &issuer::PUSH_EMAIL.to_owned()),
            ("PUSH_JWKS_URL", &jwks),
            ("PUBSUB_PROJECT", &"local".to_owned()),
            ("PUBSUB_BUS_URL", &url),
            ("PUBSUB_BUS_TOKEN", &"anybody".to_owned()),
            ("IDENTITY_ISSUER", &issuer::ISSUER.to_owned()),
            ("IDENTITY_AUDIENCE", &issuer::AUDIENCE.to_owned()),
            ("IDENTITY_JWKS_URL", &jwks),
            ("STAFF_IDENTITY_ISSUER", &issuer::ISSUER.to_owned()),
            ("STAFF_IDENTITY_AUDIENCE", &issuer::STAFF_AUDIENCE.to_owned()),
            ("STAFF_IDENTITY_JWKS_URL", &jwks),
        ];
        pairs.into_iter().map(|(name, value)| (name.to_owned(), value.clone())).collect()
    }

    /// What the reaper knows its pushes by.
    pub(crate) fn push_token(&self) -> String {
        self.issuer.push_token(AUDIENCE).expect("the issuer signs")
    }

    /// Somebody of the vendor.
    pub(crate) fn staff_token(&self) -> String {
        let staff = serde_json::from_value(json!({ "email": "staff@example.com", "staff": true })).expect("a person");
        self.issuer.id_token(&staff).expect("the issuer signs")
    }

    /// How often the root's key has signed, and how often its public half was fetched.
    pub(crate) fn root_calls(&self) -> (u64, u64) {
        (self.kms.signatures.load(Ordering::Relaxed), self.kms.public_keys.load(Ordering::Relaxed))
    }
}

async fn publish(Json(request): Json<PublishRequest>) -> Json<PublishResponse> {
    Json(PublishResponse { message_ids: (0..request.messages.len()).map(|n| n.to_string()).collect() })
}

async fn token() -> Json<Value> {
    Json(json!({ "access_token": "t0k3n", "expires_in": 3599, "token_type": "Bearer" }))
}

async fn public_key(State(kms): State<Arc<Kms>>) -> Json<Value> {
    kms.public_keys.fetch_add(1, Ordering::Relaxed);
    let der = kms.key.public_key().as_der().expect("a public key has a form");
    let text = BASE64_STANDARD.encode(der.as_ref());
    let lines: Vec<String> =
        text.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line).into_owned()).collect();
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"));
    let crc = crc32c::crc32c(pem.as_bytes()).to_string();
    Json(json!({ "name": KEY, "pem": pem, "pemCrc32c": crc, "algorithm": "RSA_SIGN_PKCS1_4096_SHA256" }))
}

async fn sign(State(kms): State<Arc<Kms>>, Path(call): Path<String>, Json(body): Json<Value>) -> Json<Value> {
    assert_eq!(call, "1:asymmetricSign");
    kms.signatures.fetch_add(1, Ordering::Relaxed);
    let digest = BASE64_STANDARD.decode(body["digest"]["sha256"].as_str().expect("a digest")).expect("base64");
    let digest = Digest::import_less_safe(&digest, &SHA256).expect("256 bits");
    let mut signature = vec![0; kms.key.public_modulus_len()];
    kms.key.sign_digest(&RSA_PKCS1_SHA256, &digest, &mut signature).expect("the key signs");
    Json(json!({
        "name": KEY, "signature": BASE64_STANDARD.encode(&signature),
        "signatureCrc32c": crc32c::crc32c(&signature).to_string(), "verifiedDigestCrc32c": true,
    }))
}
