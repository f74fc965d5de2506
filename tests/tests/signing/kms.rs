//! The root key in Cloud KMS, behind a stand-in that speaks the real wire and signs with a real RSA-4096 key.

use super::keys;
use aws_lc_rs::digest::{Digest, SHA256};
use base64::{Engine, prelude::BASE64_STANDARD};
use license_core::{
    Clock, Error,
    access_token::AccessTokens,
    error::chain,
    signer::{
        LeaseSigner, RootSigner, SignerSettings as Certificates,
        kms::{KmsRoot, KmsSettings},
    },
};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use wiremock::{
    Mock, MockServer, Request, ResponseTemplate,
    matchers::{header, method, path},
};

const KEY: &str = "projects/p/locations/l/keyRings/r/cryptoKeys/root/cryptoKeyVersions/1";
const NEXT: &str = "projects/p/locations/l/keyRings/r/cryptoKeys/root/cryptoKeyVersions/2";
const METADATA: &str = "/computeMetadata/v1/instance/service-accounts/default/token";

type Spoil = fn(&mut Value);

/// What the stand-in answers to a signing request, spoiled by `spoil`.
fn sign(request: &Request, spoil: Spoil) -> ResponseTemplate {
    let body: Value = request.body_json().unwrap();
    let digest = BASE64_STANDARD.decode(body["digest"]["sha256"].as_str().unwrap()).unwrap();
    let intact = body["digestCrc32c"].as_str().unwrap() == crc32c::crc32c(&digest).to_string();
    let key = keys::root_pair();
    let mut signature = vec![0; key.public_modulus_len()];
    let digest = Digest::import_less_safe(&digest, &SHA256).unwrap();
    key.sign_digest(&aws_lc_rs::signature::RSA_PKCS1_SHA256, &digest, &mut signature).unwrap();
    let mut answer = json!({
        "name": KEY,
        "signature": BASE64_STANDARD.encode(&signature),
        "signatureCrc32c": crc32c::crc32c(&signature).to_string(),
        "verifiedDigestCrc32c": intact,
        "protectionLevel": "HSM",
    });
    spoil(&mut answer);
    ResponseTemplate::new(200).set_body_json(answer)
}

fn public_key(name: &str) -> Value {
    let pem = keys::public_pem(keys::root_pair());
    let crc = crc32c::crc32c(pem.as_bytes()).to_string();
    json!({ "name": name, "pem": pem, "pemCrc32c": crc, "algorithm": "RSA_SIGN_PKCS1_4096_SHA256", "protectionLevel": "HSM" })
}

struct Cloud {
    server: MockServer,
    clock: Clock,
    root: KmsRoot,
}

async fn cloud() -> Cloud {
    patient(Duration::from_secs(20)).await
}

/// A cloud and a signer that waits for one answer so long.
async fn patient(timeout: Duration) -> Cloud {
    keys::install_crypto();
    let server = MockServer::start().await;
    let token = |request: &Request| {
        assert_eq!(request.headers["metadata-flavor"], "Google");
        ResponseTemplate::new(200)
            .set_body_json(json!({ "access_token": "t0k3n", "expires_in": 3599, "token_type": "Bearer" }))
    };
    Mock::given(path(METADATA)).respond_with(token).with_priority(9).mount(&server).await;
    let clock = Clock::fake();
    let mut settings = KmsSettings::new(KEY, None);
    settings.endpoint = server.uri();
    settings.timeout = timeout;
    let root = KmsRoot::new(settings, AccessTokens::new(&server.uri(), clock.clone())).unwrap();
    Cloud { server, clock, root }
}

impl Cloud {
    async fn key(&self, name: &str, answer: ResponseTemplate) {
        let at = format!("/v1/{name}/publicKey");
        Mock::given(method("GET"))
            .and(path(at))
            .and(header("authorization", "Bearer t0k3n"))
            .respond_with(answer)
            .mount(&self.server)
            .await;
    }

    /// The first `times` signing requests get this answer; earlier calls win over later ones.
    async fn signing(&self, times: u64, answer: impl wiremock::Respond + 'static) {
        let at = format!("/v1/{KEY}:asymmetricSign");
        let mock = Mock::given(method("POST")).and(path(at)).and(header("authorization", "Bearer t0k3n"));
        mock.respond_with(answer).up_to_n_times(times).mount(&self.server).await;
    }

    async fn asked(&self, part: &str) -> usize {
        self.server.received_requests().await.unwrap().iter().filter(|r| r.url.path().contains(part)).count()
    }

    async fn sign(&self) -> Result<Vec<u8>, String> {
        match self.root.sign(b"message").await {
            Ok(signature) => Ok(signature),
            Err(error @ Error::Signer(_)) => Err(chain(&error).to_string()),
            Err(other) => panic!("{other}"),
        }
    }
}

fn status(code: u16) -> ResponseTemplate {
    ResponseTemplate::new(code)
        .set_body_json(json!({ "error": { "code": code, "message": "the reason", "status": "X" } }))
}

#[tokio::test]
async fn a_certificate_signed_by_cloud_kms_verifies_under_its_public_key() {
    let it = cloud().await;
    it.key(KEY, ResponseTemplate::new(200).set_body_json(public_key(KEY))).await;
    it.signing(9, |request: &Request| sign(request, |_| {})).await;
    let root = Arc::new(it.root);
    let signer = LeaseSigner::new(root.clone(), Certificates::new(keys::ISSUER), it.clock.clone());
    let key = signer.certified().await.unwrap();
    let (input, signature) = key.certificate().rsplit_once('.').unwrap();
    let pinned = root.public_keys().await.unwrap();
    assert!(pinned[0].verifies(input.as_bytes(), &keys::unb64(signature)));
    // A day of renewals fetches the public key once, signs twice, and reads the token once an hour at most.
    it.clock.advance_ms(13 * 3_600_000);
    signer.certified().await.unwrap();
    let requests = it.server.received_requests().await.unwrap();
    let count = |part: &str| requests.iter().filter(|r| r.url.path().contains(part)).count();
    assert_eq!((count("publicKey"), count("asymmetricSign"), count("computeMetadata")), (1, 2, 2));
}

#[tokio::test]
async fn the_next_key_version_is_published_behind_the_current_one() {
    let it = cloud().await;
    let mut settings = KmsSettings::new(KEY, Some(NEXT.into()));
    settings.endpoint = it.server.uri();
    let root = KmsRoot::new(settings, AccessTokens::new(&it.server.uri(), it.clock.clone())).unwrap();
    it.key(KEY, ResponseTemplate::new(200).set_body_json(public_key(KEY))).await;
    it.key(NEXT, ResponseTemplate::new(200).set_body_json(public_key(NEXT))).await;
    assert_eq!(root.public_keys().await.unwrap().len(), 2);
}

#[tokio::test]
async fn an_answer_damaged_once_is_asked_for_again() {
    let damages: [Spoil; 4] = [
        |answer| answer["signatureCrc32c"] = "1".into(),
        |answer| answer["name"] = NEXT.into(),
        |answer| answer["verifiedDigestCrc32c"] = false.into(),
        |answer| drop(answer.as_object_mut().unwrap().remove("verifiedDigestCrc32c")),
    ];
    for damage in damages {
        let it = cloud().await;
        it.signing(1, move |request: &Request| sign(request, damage)).await;
        it.signing(9, |request: &Request| sign(request, |_| {})).await;
        it.sign().await.unwrap();
        assert_eq!(it.asked("asymmetricSign").await, 2);
    }
}

#[tokio::test]
async fn an_answer_damaged_each_time_is_an_error_that_says_how() {
    let damages: [(Spoil, &str); 3] = [
        (|answer| answer["signatureCrc32c"] = 1.into(), "CRC32C"),
        (|answer| answer["name"] = NEXT.into(), "answered for"),
        (|answer| answer["verifiedDigestCrc32c"] = false.into(), "digest was damaged"),
    ];
    for (damage, says) in damages {
        let it = cloud().await;
        it.signing(9, move |request: &Request| sign(request, damage)).await;
        let error = it.sign().await.unwrap_err();
        assert!(error.contains(says), "{error}");
        assert_eq!(it.asked("asymmetricSign").await, 2, "bounded");
    }
}

#[tokio::test]
async fn too_many_requests_and_server_errors_are_tried_once_more_and_no_oftener() {
    for code in [429, 500, 503] {
        let it = cloud().await;
        it.signing(1, status(code)).await;
        it.signing(1, |request: &Request| sign(request, |_| {})).await;
        it.sign().await.unwrap();
        it.signing(9, status(code)).await;
        let error = it.sign().await.unwrap_err();
        assert!(error.contains(&code.to_string()) && error.contains("the reason"), "{error}");
        assert_eq!(it.asked("asymmetricSign").await, 4);
    }
}

#[tokio::test]
async fn a_refusal_of_rights_is_not_tried_again() {
    let it = cloud().await;
    it.signing(9, status(403)).await;
    assert!(it.sign().await.unwrap_err().contains("403"));
    assert_eq!(it.asked("asymmetricSign").await, 1);
}

#[tokio::test]
async fn silence_is_an_error_within_the_request_s_deadline() {
    let it = patient(Duration::from_millis(300)).await;
    it.signing(9, |request: &Request| sign(request, |_| {}).set_delay(Duration::from_secs(60))).await;
    let begun = std::time::Instant::now();
    it.sign().await.unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(20));
}

#[tokio::test]
async fn a_refused_access_token_is_fetched_anew_and_never_printed() {
    let it = cloud().await;
    it.signing(1, status(401)).await;
    it.signing(1, |request: &Request| sign(request, |_| {})).await;
    it.sign().await.unwrap();
    assert_eq!(it.asked("computeMetadata").await, 2);
    it.signing(9, status(401)).await;
    assert!(!it.sign().await.unwrap_err().contains("t0k3n"));
}

#[tokio::test]
async fn an_access_token_is_kept_until_a_minute_before_its_end() {
    let it = cloud().await;
    it.signing(99, |request: &Request| sign(request, |_| {})).await;
    for (seconds, fetched) in [(0, 1), (3538, 1), (1, 2), (3538, 2), (1, 3)] {
        it.clock.advance_ms(seconds * 1000);
        it.sign().await.unwrap();
        assert_eq!(it.asked("computeMetadata").await, fetched);
    }
}

#[tokio::test]
async fn without_a_metadata_server_the_error_says_so() {
    let it = cloud().await;
    Mock::given(path(METADATA)).respond_with(ResponseTemplate::new(404)).with_priority(1).mount(&it.server).await;
    assert!(it.sign().await.unwrap_err().contains("metadata server"));
}

#[tokio::test]
async fn an_answer_of_the_metadata_server_that_cannot_be_read_is_not_quoted() {
    for answer in [
        json!("ya29.secret"),
        json!({ "access_token": ["ya29.secret"], "expires_in": 9 }),
        json!({ "access_token": "x", "expires_in": "ya29.secret" }),
    ] {
        let it = cloud().await;
        let template = ResponseTemplate::new(200).set_body_json(&answer);
        Mock::given(path(METADATA)).respond_with(template).with_priority(1).mount(&it.server).await;
        let error = it.sign().await.unwrap_err();
        assert!(error.contains("metadata server") && !error.contains("ya29"), "{error}");
    }
}

#[tokio::test]
async fn a_public_key_that_is_damaged_or_of_another_kind_is_refused() {
    let spoiled: [(Spoil, &str); 4] = [
        (|key| key["pemCrc32c"] = "1".into(), "CRC32C"),
        (|key| key["name"] = NEXT.into(), "answered for"),
        (|key| key["algorithm"] = "RSA_SIGN_PSS_4096_SHA256".into(), "RSA_SIGN_PSS_4096_SHA256"),
        (
            |key| {
                key["pem"] = "nonsense".into();
                key["pemCrc32c"] = crc32c::crc32c(b"nonsense").to_string().into();
            },
            "PEM",
        ),
    ];
    for (spoil, says) in spoiled {
        let it = cloud().await;
        let mut answer = public_key(KEY);
        spoil(&mut answer);
        it.key(KEY, ResponseTemplate::new(200).set_body_json(answer)).await;
        let error = it.root.public_keys().await.unwrap_err();
        let error = chain(&error).to_string();
        assert!(error.contains(says), "{error}");
    }
}

#[tokio::test]
async fn a_signature_by_another_key_than_the_published_one_certifies_nothing() {
    let it = cloud().await;
    it.key(KEY, ResponseTemplate::new(200).set_body_json(public_key(KEY))).await;
    it.signing(9, |request: &Request| {
        sign(request, |answer| {
            answer["signature"] = BASE64_STANDARD.encode([1; 512]).into();
            answer["signatureCrc32c"] = crc32c::crc32c(&[1; 512]).to_string().into();
        })
    })
    .await;
    let signer = LeaseSigner::new(Arc::new(it.root), Certificates::new(keys::ISSUER), it.clock.clone());
    assert!(signer.certified().await.map(|_| ()).unwrap_err().to_string().contains("does not fit"));
}
