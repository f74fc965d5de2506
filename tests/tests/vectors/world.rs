//! The keys and the clock of the vectors, which never change, and what signs with them.

use aws_lc_rs::{
    rand::SystemRandom,
    rsa::KeyPair as RsaKeyPair,
    signature::{Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256},
};
use base64::{Engine, prelude::*};
use license_core::{
    Clock,
    domain::{
        id::{ClientPart, Holder, Hw, LicenseNumber, SessionId, TenantId},
        token::{InstanceJwk, RootKey, TokenClaims},
    },
    signer::{InstanceKey, LeaseSigner, RootSigner, SignerSettings, local::LocalRoot},
};
use serde_json::{Value, json};
use std::sync::Arc;
use uuid::Uuid;

/// The time of the vectors, in Unix seconds: 2026-11-26T18:13:20Z.
pub(crate) const NOW: i64 = 1_795_716_800;
pub(crate) const ISSUER: &str = "https://licenses.example.com";
pub(crate) const PRODUCT: &str = "studio";
pub(crate) const HARDWARE: &str = "machine-0001";
pub(crate) const NONCE: &str = "Zm9ydHktdHdvLWJ5dGVz";
pub(crate) const LICENSE: &str = "752KJY5EZQ1CW";
const KEYS: &str = include_str!("../../../sdk/vectors/test-keys.json");

pub(crate) fn test_keys() -> Value {
    serde_json::from_str(KEYS).unwrap()
}

pub(crate) fn b64(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

pub(crate) fn license() -> LicenseNumber {
    LICENSE.parse().unwrap()
}

pub(crate) fn hardware() -> ClientPart {
    HARDWARE.parse().unwrap()
}

pub(crate) fn bytes_of(hex: &str) -> Vec<u8> {
    (0..hex.len() / 2).map(|at| u8::from_str_radix(&hex[at * 2..at * 2 + 2], 16).unwrap()).collect()
}

/// Whoever has a root key.
pub(crate) struct Root {
    pair: RsaKeyPair,
    pub(crate) public: RootKey,
    local: LocalRoot,
}

impl Root {
    async fn new(pem: &str) -> Self {
        let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
        let der = BASE64_STANDARD.decode(body).unwrap();
        let pair = || RsaKeyPair::from_pkcs8(&der).unwrap();
        let local = LocalRoot::new(pair()).unwrap();
        Self { pair: pair(), public: local.public_keys().await.unwrap().remove(0), local }
    }

    /// RS256 over anything.
    pub(crate) fn sign(&self, input: &[u8]) -> Vec<u8> {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), input, &mut signature).unwrap();
        signature
    }
}

/// Whoever has an instance key: the key as the server uses it, and the means to sign what no server signs.
pub(crate) struct Instance {
    pub(crate) key: InstanceKey,
    pub(crate) jwk: InstanceJwk,
    pair: Ed25519KeyPair,
}

impl Instance {
    async fn new(signer: &LeaseSigner, seed: &str) -> Self {
        let seed: [u8; 32] = bytes_of(seed).try_into().unwrap();
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).unwrap();
        let jwk = InstanceJwk::new(pair.public_key().as_ref().try_into().unwrap());
        Self { key: signer.certified_seed(&seed).await.unwrap(), jwk, pair }
    }

    pub(crate) fn sign(&self, input: &[u8]) -> Vec<u8> {
        self.pair.sign(input).as_ref().to_vec()
    }
}

pub(crate) struct World {
    pub(crate) root: Root,
    pub(crate) other_root: Root,
    pub(crate) instance: Instance,
    pub(crate) other_instance: Instance,
}

impl World {
    pub(crate) async fn new() -> Self {
        let keys = test_keys();
        let pem = |name: &str| keys[name]["private_key"].as_str().unwrap().to_owned();
        let seed = |name: &str| keys[name]["seed"].as_str().unwrap().to_owned();
        let (root, other_root) = (Root::new(&pem("root")).await, Root::new(&pem("other_root")).await);
        let clock = Clock::fake();
        clock.step_ms(NOW * 1000 - clock.now_ms());
        let signer = LeaseSigner::new(Arc::new(root.local.clone()), SignerSettings::new(ISSUER), clock);
        let instance = Instance::new(&signer, &seed("instance")).await;
        let other_instance = Instance::new(&signer, &seed("other_instance")).await;
        Self { root, other_root, instance, other_instance }
    }

    /// The sets of root keys that vectors name.
    pub(crate) fn roots(&self) -> Value {
        json!({
            "pinned": { "keys": [self.root.public] },
            "both": { "keys": [self.other_root.public, self.root.public] },
            "other": { "keys": [self.other_root.public] },
        })
    }
}

/// The claims of a good token.
pub(crate) fn token_claims() -> TokenClaims {
    let features = json!({ "cloud": true, "exports": 3, "beta": false, "names": ["a", "ä"] });
    TokenClaims {
        iss: ISSUER.into(),
        aud: PRODUCT.into(),
        sub: Holder::machine(license(), &hardware()),
        jti: Uuid::from_u128(0x01a2_17a2_53e6_74e2_879d_ebfb_69f8_e6b7),
        iat: NOW,
        exp: NOW + 355,
        session_id: session(),
        license: license(),
        tenant: TenantId(Uuid::from_u128(0x01a2_1790_2ef2_76bd_b055_8c17_ade3_6ae8)),
        seat: 3,
        hw: Hw::of(license(), &hardware()),
        tier: "pro".into(),
        features: features.as_object().cloned().unwrap(),
        license_exp: Some(NOW + 400 * 24 * 3600),
        offline_until: NOW + 72 * 3600,
        nonce: Some(NONCE.parse().unwrap()),
        facts_version: 4,
    }
}

pub(crate) fn session() -> SessionId {
    SessionId(Uuid::from_u128(0x01a2_17a2_53e6_74e2_879d_ebfb_69f8_e6b9))
}

/// A JWS with any header and any claims.
pub(crate) fn forge(header: &Value, claims: &Value, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let input = format!("{}.{}", b64(header.to_string()), b64(claims.to_string()));
    let signature = sign(input.as_bytes());
    format!("{input}.{}", b64(signature))
}

/// The claims that a JWS states.
pub(crate) fn claims_of(jws: &str) -> Value {
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(jws.split('.').nth(1).unwrap()).unwrap()).unwrap()
}
