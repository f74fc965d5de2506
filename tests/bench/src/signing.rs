//! What one signature of an instance costs, and how often the root is asked for one.

use crate::{Part, Size, stage::Stage};
use license_core::{
    Clock,
    domain::{
        id::{Holder, Hw, LicenseNumber, SessionId, TenantId},
        token::TokenClaims,
    },
    signer::{LeaseSigner, SignerSettings, local::LocalRoot},
};
use serde_json::json;
use std::{sync::Arc, time::Instant};
use uuid::Uuid;

const BATCHES: usize = 100;
const BATCH: u32 = 200;
const ISSUER: &str = "https://licenses.example.com";

/// In this process, compiled like the functions: claims into JSON, base64url and an Ed25519 signature.
pub(crate) async fn measure(stage: &mut Stage, _: &Size) -> Part {
    let root = LocalRoot::open(&stage.root).await.expect("the root key is there");
    let signer = LeaseSigner::new(Arc::new(root), SignerSettings::new(ISSUER), Clock::system());
    let key = signer.certified().await.expect("the root signs");
    let claims = claims();
    let mut each: Vec<f64> = (0..BATCHES)
        .map(|_| {
            let began = Instant::now();
            for _ in 0..BATCH {
                std::hint::black_box(key.sign_token(std::hint::black_box(&claims)).expect("the key signs"));
            }
            began.elapsed().as_secs_f64() * 1e6 / f64::from(BATCH)
        })
        .collect();
    each.sort_by(f64::total_cmp);
    let (median, least) = (each[BATCHES / 2], each[0]);
    let text = format!(
        "one license token, median of {BATCHES} times {BATCH}: **{median:.1} µs** (least {least:.1}; to hold: ≤ 50 µs)\n"
    );
    Part { text, json: json!({ "token_us": median, "least_us": least }) }
}

fn claims() -> TokenClaims {
    let now = Clock::system().now_seconds();
    TokenClaims {
        iss: ISSUER.into(),
        aud: "product".into(),
        sub: Holder([7; 16]),
        jti: Uuid::now_v7(),
        iat: now,
        exp: now + 355,
        session_id: SessionId::draw(),
        license: LicenseNumber(77),
        tenant: TenantId(Uuid::now_v7()),
        seat: 3,
        hw: Hw([8; 32]),
        tier: "team".into(),
        features: serde_json::Map::new(),
        license_exp: None,
        offline_until: now + 86_400,
        nonce: Some("0123456789abcdef0123".parse().expect("a nonce")),
        facts_version: 1,
    }
}

/// Of the whole run: after everything else.
pub(crate) fn root(stage: &Stage) -> Part {
    let (signatures, keys) = stage.peers.root_calls();
    let instances = stage.started();
    let text = format!(
        "{instances} instances were started in this run; the root signed **{signatures}** times and its public key was fetched {keys} times\n\
         (to hold: at most 2 signatures per instance and day, none per acquire)\n"
    );
    Part { text, json: json!({ "instances": instances, "signatures": signatures, "public_keys": keys }) }
}
