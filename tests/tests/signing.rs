//! Signing end to end: certificates, tokens and refusals verify from the pinned root alone, and the root is asked seldom.

mod support;

use aws_lc_rs::rsa::{KeyPair, KeySize};
use license_core::{
    Clock, Code, Error,
    domain::{
        id::{Hw, Nonce, SessionId, TenantId},
        token::{
            Check, Expected, ExpectedRefusal, Kind, RefusalClaims, TokenClaims, VerifyError, verify, verify_refusal,
        },
    },
    signer::{BoxFuture, InstanceKey, Root, RootKey, Settings, Signer, local::LocalRoot},
};
use std::{
    os::unix::fs::PermissionsExt,
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};
use support::{ISSUER, root};
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

impl Root for Counted {
    fn public_keys(&self) -> BoxFuture<'_, license_core::Result<Vec<RootKey>>> {
        self.root.public_keys()
    }
    fn sign<'a>(&'a self, message: &'a [u8]) -> BoxFuture<'a, license_core::Result<Vec<u8>>> {
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
    signer: Signer,
    roots: Vec<RootKey>,
}

async fn bench() -> Bench {
    let (clock, root) = (Clock::fake(), Counted::new());
    let signer = Signer::new(root.clone(), Settings::new(ISSUER), clock.clone());
    let roots = signer.jwks().await.unwrap().keys;
    Bench { clock, root, signer, roots }
}

impl Bench {
    fn token(&self) -> TokenClaims {
        let now = self.clock.now_seconds();
        TokenClaims {
            iss: ISSUER.into(),
            aud: PRODUCT.into(),
            sub: license_core::domain::id::Holder([7; 32]),
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
        let expected = Expected { nonce: Some(&nonce), ..offline() };
        verify(token, key.certificate(), &self.roots, &expected, self.clock.now_seconds())
    }
}

static HW: Hw = Hw([9; 32]);

fn offline() -> Expected<'static> {
    Expected { issuer: ISSUER, audience: PRODUCT, nonce: None, hw: &HW }
}

fn nonce() -> Nonce {
    "0123456789abcdef".parse().unwrap()
}

fn failed<T>(kind: Kind, check: Check) -> Result<T, VerifyError> {
    Err(VerifyError { kind, check })
}

/// A text signed by whoever, whatever it says.
fn forge(header: &serde_json::Value, claims: &serde_json::Value, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let input = format!("{}.{}", support::b64(header.to_string()), support::b64(claims.to_string()));
    let signature = sign(input.as_bytes());
    format!("{input}.{}", support::b64(signature))
}

#[tokio::test]
async fn a_token_verifies_with_nothing_but_the_pinned_root() {
    let it = bench().await;
    let key = it.signer.certified().await.unwrap();
    let claims = it.token();
    let token = key.sign_token(&claims).unwrap();
    assert_eq!(it.check(&token, &key), Ok(claims));
}

#[tokio::test]
async fn each_thing_that_is_wrong_with_a_token_is_named() {
    let it = bench().await;
    let key = it.signer.certified().await.unwrap();
    let good = key.sign_token(&it.token()).unwrap();
    let (now, cert) = (it.clock.now_seconds(), key.certificate());
    let on = |token: &str, expected: &Expected<'_>| verify(token, cert, &it.roots, expected, now);
    let token = |check| failed(Kind::Token, check);

    assert_eq!(on(&"a".repeat(20_000), &offline()), token(Check::Size));
    assert_eq!(on("a.b.c", &offline()), token(Check::Form));
    assert_eq!(on(cert, &offline()), token(Check::Typ));
    assert_eq!(on(&good, &Expected { issuer: "https://other", ..offline() }), failed(Kind::Certificate, Check::Issuer));
    assert_eq!(on(&good, &Expected { audience: "other", ..offline() }), token(Check::Audience));
    assert_eq!(
        on(&good, &Expected { nonce: Some(&"f".repeat(16).parse().unwrap()), ..offline() }),
        token(Check::Nonce)
    );
    assert_eq!(on(&good, &Expected { hw: &Hw([8; 32]), ..offline() }), token(Check::Hw));

    // One bit of the signature, and one of the claims.
    let (input, signature) = good.rsplit_once('.').unwrap();
    let flipped = if signature.starts_with('A') { "B" } else { "A" };
    assert_eq!(on(&format!("{input}.{flipped}{}", &signature[1..]), &offline()), token(Check::Signature));
    let mut claims = it.token();
    claims.seat = 4;
    let other = key.sign_token(&claims).unwrap();
    assert_eq!(on(&format!("{}.{signature}", other.rsplit_once('.').unwrap().0), &offline()), token(Check::Signature));

    // A token of another instance beside this one's certificate.
    let other = Signer::new(it.root.clone(), Settings::new(ISSUER), it.clock.clone()).certified().await.unwrap();
    assert_eq!(on(&other.sign_token(&it.token()).unwrap(), &offline()), token(Check::Key));
}

#[tokio::test]
async fn the_algorithm_is_never_taken_from_the_token() {
    let it = bench().await;
    let key = it.signer.certified().await.unwrap();
    let claims = serde_json::to_value(it.token()).unwrap();
    for alg in ["none", "HS256", "RS256", "eddsa", ""] {
        let header = serde_json::json!({ "alg": alg, "typ": "license-token+jwt", "kid": key.kid() });
        assert_eq!(
            it.check(&forge(&header, &claims, |_| vec![]), &key),
            failed(Kind::Token, Check::Algorithm),
            "{alg}"
        );
    }
    let header = serde_json::json!({ "alg": "EdDSA", "typ": "license-token+jwt", "kid": key.kid(), "crit": ["b64"], "b64": false });
    assert_eq!(it.check(&forge(&header, &claims, |_| vec![0; 64]), &key), failed(Kind::Token, Check::Form));
}

#[tokio::test]
async fn a_certificate_holds_only_under_a_pinned_root_and_in_its_time() {
    let it = bench().await;
    let key = it.signer.certified().await.unwrap();
    let token = key.sign_token(&it.token()).unwrap();
    let now = it.clock.now_seconds();
    let cert = |check| failed(Kind::Certificate, check);
    assert_eq!(verify(&token, key.certificate(), &[], &offline(), now), cert(Check::Key));
    let other = support::other_root();
    assert_eq!(verify(&token, key.certificate(), std::slice::from_ref(other), &offline(), now), cert(Check::Key));
    assert_eq!(verify(&token, &"a".repeat(5000), &it.roots, &offline(), now), cert(Check::Size));
    assert_eq!(verify(&token, &token, &it.roots, &offline(), now), cert(Check::Typ));

    // What an instance could try with its own key and a certificate it wrote itself or stretched.
    let (header, rest) = key.certificate().split_once('.').unwrap();
    let (claims, signature) = rest.split_once('.').unwrap();
    let mut stretched: serde_json::Value = serde_json::from_slice(&support::unb64(claims)).unwrap();
    stretched["exp"] = (now + 1000 * HOUR).into();
    let forged = format!("{header}.{}.{signature}", support::b64(stretched.to_string()));
    assert_eq!(verify(&token, &forged, &it.roots, &offline(), now), cert(Check::Signature));
    let header: serde_json::Value = serde_json::from_slice(&support::unb64(header)).unwrap();
    let sign = |input: &[u8]| support::rs256(support::root_pair(), input);
    let long = forge(&header, &stretched, sign);
    assert_eq!(verify(&token, &long, &it.roots, &offline(), now), cert(Check::Validity));
    stretched["exp"] = (now - 10).into();
    stretched["nbf"] = (now - HOUR).into();
    let over = forge(&header, &stretched, sign);
    assert_eq!(verify(&token, &over, &it.roots, &offline(), now), cert(Check::Validity));
    // A stolen key cannot stretch leases or grace beyond what its certificate says.
    for (member, check) in [("max_token_ttl", Check::Ttl), ("max_grace", Check::Grace)] {
        let mut tight: serde_json::Value = serde_json::from_slice(&support::unb64(claims)).unwrap();
        tight[member] = 300.into();
        let tight = forge(&header, &tight, sign);
        assert_eq!(verify(&token, &tight, &it.roots, &offline(), now), failed(Kind::Token, check));
    }
}

#[tokio::test]
async fn a_kept_token_holds_until_lease_and_grace_are_over() {
    let it = bench().await;
    let key = it.signer.certified().await.unwrap();
    let mut claims = it.token();
    let at = |claims: &TokenClaims, now| {
        let token = key.sign_token(claims).unwrap();
        verify(&token, key.certificate(), &it.roots, &offline(), now).map(|_| ())
    };
    let now = claims.iat;
    assert_eq!(at(&claims, now - 61), failed(Kind::Token, Check::NotYetValid));
    assert_eq!(at(&claims, now - 60), Ok(()));
    // Long after the certificate's own end: it had to hold when the token was signed.
    assert_eq!(at(&claims, now + 72 * HOUR - 1), Ok(()));
    assert_eq!(at(&claims, now + 72 * HOUR), failed(Kind::Token, Check::Expired));
    claims.offline_until = claims.exp;
    assert_eq!(at(&claims, claims.exp - 1), Ok(()));
    assert_eq!(at(&claims, claims.exp), failed(Kind::Token, Check::Expired));
    claims.license_exp = Some(now + 10);
    assert_eq!(at(&claims, now + 10), failed(Kind::Token, Check::Expired));
}

#[tokio::test]
async fn a_client_with_a_wrong_clock_keeps_its_seat_because_its_nonce_proves_freshness() {
    let it = bench().await;
    let key = it.signer.certified().await.unwrap();
    let token = key.sign_token(&it.token()).unwrap();
    let (now, nonce) = (it.clock.now_seconds(), nonce());
    let expected = Expected { nonce: Some(&nonce), ..offline() };
    let at = |now| verify(&token, key.certificate(), &it.roots, &expected, now).map(|_| ());
    assert_eq!(at(now - HOUR), Ok(()));
    assert_eq!(at(now + HOUR), Ok(()));
    assert_eq!(at(now + 25 * HOUR), failed(Kind::Token, Check::Expired));
    assert_eq!(at(now - 25 * HOUR), failed(Kind::Token, Check::NotYetValid));
}

#[tokio::test]
async fn a_refusal_is_believed_only_for_its_own_request() {
    let it = bench().await;
    let key = it.signer.certified().await.unwrap();
    let (now, license, nonce) = (it.clock.now_seconds(), "0123456789ABC".parse().unwrap(), nonce());
    let claims = RefusalClaims::new(ISSUER, now, nonce.clone(), Code::SessionGone, license, None);
    let refusal = key.sign_refusal(&claims).unwrap();
    let expected = ExpectedRefusal { issuer: ISSUER, nonce: &nonce, license };
    let check = |text: &str, expected: &_| verify_refusal(text, key.certificate(), &it.roots, expected, now);
    assert_eq!(check(&refusal, &expected).unwrap().code, "session_gone");
    assert_eq!(check(&refusal, &expected).unwrap(), claims);
    let other: Nonce = "x".repeat(20).parse().unwrap();
    assert_eq!(check(&refusal, &ExpectedRefusal { nonce: &other, ..expected }), failed(Kind::Refusal, Check::Nonce));
    let license = "ABCDEFGHJKMNP".parse();
    let other = ExpectedRefusal { license: license.unwrap_or(license_core::domain::id::LicenseNumber(5)), ..expected };
    assert_eq!(check(&refusal, &other), failed(Kind::Refusal, Check::License));
    // Neither kind passes for the other.
    assert_eq!(check(&key.sign_token(&it.token()).unwrap(), &expected), failed(Kind::Refusal, Check::Typ));
    assert_eq!(it.check(&refusal, &key).map(|_| ()), failed(Kind::Token, Check::Typ));
}

#[tokio::test]
async fn nothing_is_signed_that_no_client_could_accept() {
    let it = bench().await;
    let key = it.signer.certified().await.unwrap();
    let broken: [fn(&mut TokenClaims); 5] = [
        |claims| claims.exp = claims.iat + 901,
        |claims| claims.offline_until = claims.iat + 169 * HOUR,
        |claims| claims.iss = "https://other".into(),
        |claims| (claims.iat, claims.exp) = (claims.iat - HOUR, claims.iat),
        |claims| claims.tier = "x".repeat(20_000),
    ];
    for spoil in broken {
        let mut claims = it.token();
        spoil(&mut claims);
        assert!(matches!(key.sign_token(&claims), Err(Error::Internal(_))));
    }
}

#[tokio::test]
async fn the_root_signs_at_most_twice_in_a_day_however_many_ask() {
    let it = bench().await;
    for _ in 0..24 * 60 {
        let key = it.signer.certified().await.unwrap();
        it.check(&key.sign_token(&it.token()).unwrap(), &key).unwrap();
        it.clock.advance_ms(60_000);
    }
    assert_eq!(it.root.signed.load(SeqCst), 2);
}

#[tokio::test]
async fn callers_at_the_same_time_wait_for_one_request() {
    let it = bench().await;
    let closed = it.root.gate.acquire_many(1000).await.unwrap();
    let callers: Vec<_> = (0..50)
        .map(|_| {
            let signer = it.signer.clone();
            tokio::spawn(async move { signer.certified().await.map(|key| key.kid().to_owned()) })
        })
        .collect();
    while it.root.signed.load(SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    drop(closed);
    let mut kids = std::collections::HashSet::new();
    for caller in callers {
        kids.insert(caller.await.unwrap().unwrap());
    }
    assert_eq!((kids.len(), it.root.signed.load(SeqCst)), (1, 1));
}

#[tokio::test]
async fn callers_that_waited_for_a_failed_request_share_its_failure_and_the_next_one_asks_again() {
    let it = bench().await;
    it.root.away.store(true, SeqCst);
    let closed = it.root.gate.acquire_many(1000).await.unwrap();
    let callers: Vec<_> = (0..50)
        .map(|_| {
            let signer = it.signer.clone();
            tokio::spawn(async move { signer.certified().await.map(|_| ()) })
        })
        .collect();
    while it.root.signed.load(SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    drop(closed);
    for caller in callers {
        assert!(matches!(caller.await.unwrap(), Err(Error::Signer(_))));
    }
    assert_eq!(it.root.signed.load(SeqCst), 1);
    it.root.away.store(false, SeqCst);
    it.signer.certified().await.unwrap();
}

#[tokio::test]
async fn a_root_that_is_away_at_renewal_is_not_noticed_until_the_certificate_ends() {
    let it = bench().await;
    let first = it.signer.certified().await.unwrap();
    it.root.away.store(true, SeqCst);
    it.clock.advance_ms(13 * HOUR * 1000);
    for _ in 0..100 {
        assert_eq!(it.signer.certified().await.unwrap().kid(), first.kid());
    }
    assert_eq!(it.root.signed.load(SeqCst), 2, "a failed renewal is not repeated by every request");
    it.clock.advance_ms(60_000);
    it.signer.certified().await.unwrap();
    assert_eq!(it.root.signed.load(SeqCst), 3);
    it.clock.advance_ms(11 * HOUR * 1000);
    assert!(matches!(it.signer.certified().await.map(|_| ()), Err(Error::Signer(_))));
    it.root.away.store(false, SeqCst);
    let next = it.signer.certified().await.unwrap();
    assert_ne!(next.kid(), first.kid(), "a kid means one certificate");
}

#[tokio::test]
async fn a_root_that_never_answers_does_not_hold_up_a_renewal_for_long() {
    let it = bench().await;
    let first = it.signer.certified().await.unwrap();
    it.clock.advance_ms(13 * HOUR * 1000);
    let _closed = it.root.gate.acquire_many(1000).await.unwrap();
    let waited = tokio::time::timeout(Duration::from_secs(4), it.signer.certified()).await;
    assert_eq!(waited.expect("well within a request's deadline of 5 s").unwrap().kid(), first.kid());
}

#[tokio::test]
async fn a_service_clock_set_back_gets_a_certificate_of_its_own_time() {
    let it = bench().await;
    let first = it.signer.certified().await.unwrap();
    it.clock.advance_ms(-HOUR * 1000);
    let key = it.signer.certified().await.unwrap();
    assert_ne!(key.kid(), first.kid());
    it.check(&key.sign_token(&it.token()).unwrap(), &key).unwrap();
}

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
        (input.as_bytes().to_vec(), support::unb64(signature))
    };
    // The certificate under the root, which is all the client has.
    let pinned = file("root.pem", it.roots[0].to_pem().as_bytes());
    let (input, signature) = parts(key.certificate());
    let (input_file, signature_file) = (file("cert", &input), file("cert.sig", &signature));
    let certificate = ["dgst", "-sha256", "-verify", &pinned, "-signature", &signature_file, &input_file];
    assert!(openssl(&certificate));
    // The token under the key the certificate names, wrapped as RFC 8410 has it.
    let claims: serde_json::Value =
        serde_json::from_slice(&support::unb64(key.certificate().split('.').nth(1).unwrap())).unwrap();
    let x = support::unb64(claims["cnf"]["jwk"]["x"].as_str().unwrap());
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

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn a_root_key_file_is_made_once_for_its_owner_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("root.pem");
    let (one, two) = tokio::join!(LocalRoot::open(&path), LocalRoot::open(&path));
    let again = LocalRoot::open(&path).await.unwrap();
    let kid = |root: &[RootKey]| root[0].kid().to_owned();
    let first = kid(&one.unwrap().public_keys().await.unwrap());
    assert_eq!(first, kid(&two.unwrap().public_keys().await.unwrap()), "two that start together agree on one key");
    assert_eq!(first, kid(&again.public_keys().await.unwrap()));
    assert_eq!(mode(&path), 0o600);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "no draft of a key is left behind");

    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    let refused = LocalRoot::open(&path).await.unwrap_err().to_string();
    assert!(refused.contains("chmod 600") && refused.contains("root.pem"), "{refused}");
}

#[tokio::test]
async fn a_broken_root_key_file_is_refused_and_never_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("root.pem");
    let small = support::pkcs8_pem(&KeyPair::generate(KeySize::Rsa2048).unwrap());
    let whole = support::pkcs8_pem(support::root_pair());
    for (text, says) in
        [("", "PKCS#8"), ("\u{fffd}", "PKCS#8"), (&whole[..whole.len() / 2], "PKCS#8"), (&small, "4096")]
    {
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        let refused = LocalRoot::open(&path).await.unwrap_err();
        assert!(matches!(refused, Error::Signer(_)) && refused.to_string().contains(says), "{refused}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    }
    let nowhere = dir.path().join("missing").join("root.pem");
    assert!(LocalRoot::open(&nowhere).await.unwrap_err().to_string().contains("cannot be written"));
}
