//! What the signing and identity tests share: keys drawn once per binary, and small encoders.
#![allow(dead_code, reason = "each test binary uses its part")]

use aws_lc_rs::{
    encoding::AsDer,
    rand::SystemRandom,
    rsa::{KeyPair, KeySize},
    signature::{KeyPair as _, RSA_PKCS1_SHA256},
};
use base64::{Engine, prelude::*};
use license_core::signer::{RootKey, local::LocalRoot};
use std::sync::OnceLock;

pub(crate) const ISSUER: &str = "https://license.example.com";

/// Drawing RSA-4096 takes seconds: one per test binary.
pub(crate) fn root_pair() -> &'static KeyPair {
    static PAIR: OnceLock<KeyPair> = OnceLock::new();
    PAIR.get_or_init(|| KeyPair::generate(KeySize::Rsa4096).unwrap())
}

pub(crate) fn root() -> &'static LocalRoot {
    static ROOT: OnceLock<LocalRoot> = OnceLock::new();
    ROOT.get_or_init(|| LocalRoot::new(KeyPair::from_pkcs8(root_pair().as_der().unwrap().as_ref()).unwrap()).unwrap())
}

/// A root nobody signs with.
pub(crate) fn other_root() -> &'static RootKey {
    static KEY: OnceLock<RootKey> = OnceLock::new();
    KEY.get_or_init(|| RootKey::new(&[0xd5; 512], &[1, 0, 1]).unwrap())
}

pub(crate) fn b64(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

pub(crate) fn unb64(text: &str) -> Vec<u8> {
    BASE64_URL_SAFE_NO_PAD.decode(text).unwrap()
}

pub(crate) fn rs256(key: &KeyPair, message: &[u8]) -> Vec<u8> {
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).unwrap();
    signature
}

pub(crate) fn pem(label: &str, der: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(der);
    let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

pub(crate) fn pkcs8_pem(key: &KeyPair) -> String {
    pem("PRIVATE KEY", key.as_der().unwrap().as_ref())
}

pub(crate) fn public_pem(key: &KeyPair) -> String {
    pem("PUBLIC KEY", key.public_key().as_der().unwrap().as_ref())
}

/// The modulus and exponent as a JWK has them.
pub(crate) fn jwk(key: &KeyPair, kid: &str) -> serde_json::Value {
    let public = key.public_key();
    let n = public.modulus().big_endian_without_leading_zero().to_vec();
    let e = public.exponent().big_endian_without_leading_zero().to_vec();
    serde_json::json!({ "kty": "RSA", "alg": "RS256", "use": "sig", "kid": kid, "n": b64(n), "e": b64(e) })
}

/// reqwest is built without a crypto provider; a `main` installs it, here each test that makes a client does.
pub(crate) fn install_crypto() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}
