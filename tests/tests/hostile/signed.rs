//! Good tokens, refusals and certificates, and a key of ours that signs whatever it is given.

use crate::{
    json::{self, Raw},
    keys::{self, ISSUER, b64},
};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use license_core::{
    Clock, ProblemCode,
    domain::{
        id::{Holder, Hw, LicenseNumber, Nonce, SessionId, TenantId},
        token::{InstanceJwk, RefusalClaims, RootKey, TokenClaims},
    },
    signer::{InstanceKey, LeaseSigner, RootSigner, SignerSettings},
};
use proptest::prelude::*;
use serde_json::json;
use std::sync::{Arc, LazyLock};
use uuid::Uuid;

pub(crate) const PRODUCT: &str = "com.example.cad";
pub(crate) const HW: Hw = Hw([9; 32]);
pub(crate) const LICENSE: LicenseNumber = LicenseNumber(77);
const HOUR: i64 = 3600;

pub(crate) static NONCE: LazyLock<Nonce> = LazyLock::new(|| "0123456789abcdef".parse().unwrap());

pub(crate) static ROOTS: LazyLock<Vec<RootKey>> = LazyLock::new(|| wait(keys::root().public_keys()).unwrap());
static CLOCK: LazyLock<Clock> = LazyLock::new(Clock::fake);
/// Two instances under one root.
pub(crate) static INSTANCES: LazyLock<[Arc<InstanceKey>; 2]> = LazyLock::new(|| {
    [(); 2].map(|()| {
        let root: Arc<dyn RootSigner> = Arc::new(keys::root().clone());
        wait(LeaseSigner::new(root, SignerSettings::new(ISSUER), CLOCK.clone()).certified()).unwrap()
    })
});
pub(crate) static CERTIFICATES: LazyLock<Vec<String>> =
    LazyLock::new(|| INSTANCES.iter().map(|key| key.certificate().to_owned()).collect());

fn wait<T>(answer: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(answer)
}

pub(crate) fn now() -> i64 {
    CLOCK.now_seconds()
}

/// Good claims that differ from each other.
pub(crate) fn claims(n: u32) -> TokenClaims {
    let now = now();
    let features = json!({ "export": true, "limit": n, "names": ["a", "ä"], "rate": 0.5, "deep": { "er": null } });
    TokenClaims {
        iss: ISSUER.into(),
        aud: PRODUCT.into(),
        sub: Holder([n as u8; 16]),
        jti: Uuid::from_u128(n.into()),
        iat: now,
        exp: now + 355,
        session_id: SessionId(Uuid::from_u128(5)),
        license: LICENSE,
        tenant: TenantId(Uuid::from_u128(6)),
        seat: n,
        hw: HW,
        tier: "pro".into(),
        features: features.as_object().cloned().unwrap(),
        license_exp: n.is_multiple_of(2).then_some(now + 400 * 24 * HOUR),
        offline_until: now + 72 * HOUR,
        nonce: n.is_multiple_of(3).then(|| NONCE.clone()),
        facts_version: n.into(),
    }
}

pub(crate) fn refusal(n: u8) -> RefusalClaims {
    let session = n.is_multiple_of(2).then_some(SessionId(Uuid::from_u128(n.into())));
    let (code, reason) =
        (ProblemCode::ALL[usize::from(n) % ProblemCode::ALL.len()], n.is_multiple_of(3).then_some("kicked"));
    RefusalClaims::new(ISSUER, now(), NONCE.clone(), code, reason, LICENSE, session)
}

/// A key that the root certified, with nobody between it and what it signs.
pub(crate) struct Thief {
    pair: Ed25519KeyPair,
    kid: String,
    pub(crate) certificate: String,
}

pub(crate) static THIEF: LazyLock<Thief> = LazyLock::new(|| {
    let pair = Ed25519KeyPair::generate().unwrap();
    let jwk = InstanceJwk::new(pair.public_key().as_ref().try_into().unwrap());
    let (kid, now) = (jwk.kid(), now());
    let says = json!({
        "iss": ISSUER, "iat": now, "nbf": now - HOUR, "exp": now + HOUR, "cnf": { "jwk": jwk }, "max_token_ttl": 900, "max_grace": 72 * HOUR,
    });
    Thief { pair, kid, certificate: certificate(&says.to_string()) }
});

impl Thief {
    /// These claims, whatever they are, signed as `typ`.
    pub(crate) fn sign(&self, typ: &str, claims: &str) -> String {
        jws("EdDSA", typ, &self.kid, claims, |input| self.pair.sign(input).as_ref().to_vec())
    }

    /// The members of a certificate for this key.
    pub(crate) fn certificate_members() -> Vec<(&'static str, Raw)> {
        let x = b64(THIEF.pair.public_key());
        let jwk = json::object(vec![("kty", json::text("OKP")), ("crv", json::text("Ed25519")), ("x", json::text(x))]);
        let now = now();
        vec![
            ("iss", json::text(ISSUER)),
            ("iat", json::number(now)),
            ("nbf", json::number(now)),
            ("exp", json::number(now + HOUR)),
            ("cnf", json::object(vec![("jwk", jwk)])),
            ("max_token_ttl", json::number(360)),
            ("max_grace", json::number(72 * HOUR)),
        ]
    }
}

/// What the root says, whatever it is.
pub(crate) fn certificate(claims: &str) -> String {
    jws("RS256", "license-cert+jwt", ROOTS[0].kid(), claims, |input| keys::rs256(keys::root_pair(), input))
}

fn jws(alg: &str, typ: &str, kid: &str, claims: &str, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let header = json!({ "alg": alg, "typ": typ, "kid": kid }).to_string();
    let input = format!("{}.{}", b64(header), b64(claims));
    let signature = sign(input.as_bytes());
    format!("{input}.{}", b64(signature))
}

/// The members of a token's claims.
pub(crate) fn token_members() -> Vec<(&'static str, Raw)> {
    let now = now();
    let features = json::object(vec![("export", json::odd()), ("limit", json::number(0))]);
    let uuid = || any::<u128>().prop_map(|id| format!("\"{}\"", Uuid::from_u128(id))).boxed();
    vec![
        ("iss", json::text(ISSUER)),
        ("aud", json::text(PRODUCT)),
        ("sub", json::text(Holder([9; 16]).to_string())),
        ("jti", uuid()),
        ("iat", json::number(now)),
        ("exp", json::number(now + 355)),
        ("session_id", uuid()),
        ("license", json::text(LICENSE.to_string())),
        ("tenant", uuid()),
        ("seat", any::<u32>().prop_map(|seat| seat.to_string()).boxed()),
        ("hw", json::text(HW.to_string())),
        ("tier", json::texts()),
        ("features", features),
        ("license_exp", json::number(now + 1000)),
        ("offline_until", json::number(now + 3000)),
        ("nonce", json::text(NONCE.as_str())),
        ("facts_version", any::<u64>().prop_map(|version| version.to_string()).boxed()),
    ]
}

/// The members of a refusal's claims.
pub(crate) fn refusal_members() -> Vec<(&'static str, Raw)> {
    let now = now();
    vec![
        ("iss", json::text(ISSUER)),
        ("iat", json::number(now)),
        ("exp", json::number(now + 60)),
        ("nonce", json::text(NONCE.as_str())),
        ("code", json::texts()),
        ("license", json::text(LICENSE.to_string())),
        ("session_id", json::text(Uuid::from_u128(3).to_string())),
    ]
}
