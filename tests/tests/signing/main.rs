//! Signing end to end: certificates, tokens and refusals verify from the pinned root alone, and the root is asked seldom.
#![allow(clippy::unwrap_used, reason = "a test that panics has said what it has to say")]

mod delegated;
mod interop;
#[path = "../keys/mod.rs"]
mod keys;
mod kms;
mod root_file;
mod tokens;

use keys::{ISSUER, root};
use license_core::{
    Clock, Error,
    domain::{
        id::{Hw, Nonce, SessionId, TenantId},
        token::{ExpectedToken, JwsKind, TokenCheck, TokenClaims, VerifyError, verify},
    },
    signer::{InstanceKey, LeaseSigner, RootKey, RootSigner, SignerSettings, SigningFuture, local::LocalRoot},
};
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
};
use uuid::Uuid;

const HOUR: i64 = 3600;
const PRODUCT: &str = "com.example.cad";

/// A local root that counts, can be slow and can be away.
struct Counted {
    root: LocalRoot,
    signed: AtomicUsize,
    away: AtomicBool,
    gate: tokio::sync::Semaphore,
}

impl Counted {
    fn new() -> Arc<Self> {
        let gate = tokio::sync::Semaphore::new(1000);
        Arc::new(Self { root: root().clone(), signed: 0.into(), away: false.into(), gate })
    }
}

impl RootSigner for Counted {
    fn public_keys(&self) -> SigningFuture<'_, license_core::Result<Vec<RootKey>>> {
        self.root.public_keys()
    }
    fn sign<'a>(&'a self, message: &'a [u8]) -> SigningFuture<'a, license_core::Result<Vec<u8>>> {
        Box::pin(async {
            self.signed.fetch_add(1, SeqCst);
            let _open = self.gate.acquire().await;
            if self.away.load(SeqCst) { Err(Error::Signer("away".into())) } else { self.root.sign(message).await }
        })
    }
}

struct Bench {
    clock: Clock,
    root: Arc<Counted>,
    signer: LeaseSigner,
    roots: Vec<RootKey>,
}

async fn bench() -> Bench {
    let (clock, root) = (Clock::fake(), Counted::new());
    let signer = LeaseSigner::new(root.clone(), SignerSettings::new(ISSUER), clock.clone());
    let roots = signer.jwks().await.unwrap().keys;
    Bench { clock, root, signer, roots }
}

impl Bench {
    fn token(&self) -> TokenClaims {
        let now = self.clock.now_seconds();
        TokenClaims {
            iss: ISSUER.into(),
            aud: PRODUCT.into(),
            sub: license_core::domain::id::Holder([7; 16]),
            jti: Uuid::now_v7(),
            iat: now,
            exp: now + 360,
            session_id: SessionId::draw(),
            license: "0123456789ABC".parse().unwrap(),
            tenant: TenantId(Uuid::now_v7()),
            seat: 3,
            hw: Hw([9; 32]),
            tier: "pro".into(),
            features: [("export".to_owned(), true.into())].into_iter().collect(),
            license_exp: Some(now + 400 * 24 * HOUR),
            offline_until: now + 72 * HOUR,
            nonce: Some(nonce()),
            facts_version: 4,
        }
    }

    fn check(&self, token: &str, key: &InstanceKey) -> Result<TokenClaims, VerifyError> {
        let nonce = nonce();
        let expected = ExpectedToken { nonce: Some(&nonce), ..offline() };
        verify(token, key.certificate(), &self.roots, &expected, self.clock.now_seconds())
    }
}

static HW: Hw = Hw([9; 32]);

fn offline() -> ExpectedToken<'static> {
    ExpectedToken { issuer: ISSUER, audience: PRODUCT, nonce: None, hw: &HW }
}

fn nonce() -> Nonce {
    "0123456789abcdef".parse().unwrap()
}

fn failed<T>(kind: JwsKind, check: TokenCheck) -> Result<T, VerifyError> {
    Err(VerifyError { kind, check })
}

/// A text signed by whoever, whatever it says.
fn forge(header: &serde_json::Value, claims: &serde_json::Value, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let input = format!("{}.{}", keys::b64(header.to_string()), keys::b64(claims.to_string()));
    let signature = sign(input.as_bytes());
    format!("{input}.{}", keys::b64(signature))
}
