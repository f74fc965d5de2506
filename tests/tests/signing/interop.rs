//! Other programs can verify what we sign: the command line of OpenSSL, and a JOSE library that had no part in signing.

use super::{PRODUCT, bench, keys};
use keys::ISSUER;
use license_core::domain::token::TokenClaims;
use std::process::Command;

#[tokio::test]
async fn openssl_alone_verifies_a_token_from_the_pinned_root() {
    let it = bench().await;
    let key = it.signer.certified().await.unwrap();
    let token = key.sign_token(&it.token()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let parts = |text: &str| {
        let (input, signature) = text.rsplit_once('.').unwrap();
        (input.as_bytes().to_vec(), keys::unb64(signature))
    };
    // The certificate under the root, which is all the client has.
    let pinned = file("root.pem", it.roots[0].to_pem().as_bytes());
    let (input, signature) = parts(key.certificate());
    let (input_file, signature_file) = (file("cert", &input), file("cert.sig", &signature));
    let certificate = ["dgst", "-sha256", "-verify", &pinned, "-signature", &signature_file, &input_file];
    assert!(openssl(&certificate));
    // The token under the key the certificate names, wrapped as RFC 8410 has it.
    let claims: serde_json::Value =
        serde_json::from_slice(&keys::unb64(key.certificate().split('.').nth(1).unwrap())).unwrap();
    let x = keys::unb64(claims["cnf"]["jwk"]["x"].as_str().unwrap());
    let spki = [&[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00][..], &x].concat();
    let instance = file("instance.der", &spki);
    let (input, signature) = parts(&token);
    let (input_file, signature_file) = (file("token", &input), file("token.sig", &signature));
    let token = [
        "pkeyutl",
        "-verify",
        "-pubin",
        "-keyform",
        "DER",
        "-inkey",
        &instance,
        "-rawin",
        "-in",
        &input_file,
        "-sigfile",
        &signature_file,
    ];
    assert!(openssl(&token));
    // And it can say no.
    std::fs::write(&input_file, "something else").unwrap();
    assert!(!openssl(&token));
}

fn openssl(arguments: &[&str]) -> bool {
    Command::new("openssl").args(arguments).output().expect("openssl is installed").status.success()
}

#[tokio::test]
async fn a_jose_library_verifies_a_token_from_the_pinned_root() {
    use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
    let it = bench().await;
    let key = it.signer.certified().await.unwrap();
    let (claims, jwks) = (it.token(), serde_json::to_value(it.signer.jwks().await.unwrap()).unwrap());
    let token = key.sign_token(&claims).unwrap();

    let pinned: jsonwebtoken::jwk::JwkSet = serde_json::from_value(jwks).unwrap();
    let kid = decode_header(key.certificate()).unwrap().kid.unwrap();
    let root = DecodingKey::from_jwk(pinned.find(&kid).unwrap()).unwrap();
    let mut rules = Validation::new(Algorithm::RS256);
    rules.set_issuer(&[ISSUER]);
    let certificate = decode::<serde_json::Value>(key.certificate(), &root, &rules).unwrap();
    assert_eq!(certificate.header.typ.as_deref(), Some("license-cert+jwt"));

    let jwk: jsonwebtoken::jwk::Jwk = serde_json::from_value(certificate.claims["cnf"]["jwk"].clone()).unwrap();
    assert_eq!(jwk.thumbprint(jsonwebtoken::jwk::ThumbprintHash::SHA256).unwrap(), key.kid());
    let mut rules = Validation::new(Algorithm::EdDSA);
    rules.set_issuer(&[ISSUER]);
    rules.set_audience(&[PRODUCT]);
    let read = decode::<TokenClaims>(&token, &DecodingKey::from_jwk(&jwk).unwrap(), &rules).unwrap();
    assert_eq!(read.claims, claims);
    assert_eq!(read.header.typ.as_deref(), Some("license-token+jwt"));
}
