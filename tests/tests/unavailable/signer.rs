//! The root key cannot be reached: Cloud KMS is at a port where nothing listens.

use super::site::{CLIENT_SERVICES, HEARTBEAT, KEYS, RELEASE, Site, VALIDATE, closed_port, kms_at, until_known};
use serde_json::json;
use std::net::TcpListener;
use tokio::join;

const SIGNER: &str = "signer_unavailable";

#[tokio::test]
async fn with_the_signer_away_an_acquire_is_503_before_anything_is_decided() {
    let site = Site::new(1).await;
    let (well, port) = (site.services().await, closed_port());
    let unsigned = site.services_of_kms(port).await;
    // Warm, and cold.
    let seat = well.acquire(&site.ask("a")).await.ok(201);
    well.release(&seat).await.ok(200);
    let (written, kept) = (site.written().await, site.kept().await);
    let ask = site.ask("b");
    unsigned.acquire(&ask).await.away(SIGNER);
    unsigned.get("acquire", KEYS).await.away(SIGNER);
    assert_eq!((site.written().await, site.kept().await), (written, kept), "no seat, no session, no key touched");

    let _kms = kms_at(port).await;
    until_known(async || unsigned.acquire(&ask).await).await.ok(201);
    let keys = unsigned.get("acquire", KEYS).await.ok(200);
    assert_eq!(keys, well.get("acquire", KEYS).await.ok(200), "one root, in a file or in KMS");
}

#[tokio::test]
async fn a_signer_that_is_silent_is_503_in_time_to_all_who_wait_for_it() {
    let site = Site::new(1).await;
    // Connections are taken by the system and nobody answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let unsigned = site.services_of_kms(silent.local_addr().unwrap().port()).await;
    let before = (site.written().await, site.kept().await);
    let (one, other) = (site.ask("a"), site.ask("b"));
    let ask = |ask| unsigned.acquire(ask);
    let (a, b, c, d) = join!(ask(&one), ask(&other), ask(&one), ask(&other));
    for answer in [a, b, c, d] {
        answer.away(SIGNER);
    }
    assert_eq!((site.written().await, site.kept().await), before);
}

#[tokio::test]
async fn with_the_signer_away_a_heartbeat_is_503_and_raises_the_lease_all_the_same() {
    let site = Site::new(2).await;
    let (well, port) = (site.services().await, closed_port());
    let unsigned = site.services_of_kms(port).await;
    let kept = well.acquire(&site.ask("kept")).await.ok(201);
    let silent = well.acquire(&site.ask("silent")).await.ok(201);
    for _ in 0..3 {
        site.pass(300);
        unsigned.beat(&kept).await.away(SIGNER);
    }
    // The one that fell silent lost its seat, the one that was told 503 did not.
    well.acquire(&site.ask("c")).await.ok(201);
    well.acquire(&site.ask("d")).await.is(409, "no_seats_available");
    well.beat(&silent).await.is(410, "session_gone");

    let _kms = kms_at(port).await;
    let alive = until_known(async || unsigned.beat(&kept).await).await.ok(200);
    assert!(alive["token"].is_string() && alive["certificate"].is_string());
}

#[tokio::test]
async fn what_needs_no_signature_goes_on_with_the_signer_away() {
    let site = Site::new(1).await;
    let (well, unsigned) = (site.services().await, site.services_of_kms(closed_port()).await);
    let seat = well.acquire(&site.ask("a")).await.ok(201);
    unsigned.post(VALIDATE, None, &site.look()).await.ok(200);
    for service in CLIENT_SERVICES {
        unsigned.get(service, "/health/live").await.ok(200);
        // Ready asks the stores alone: an instance asks the key twice a day, and what it signed goes on.
        unsigned.get(service, "/health/ready").await.ok(200);
    }
    unsigned.release(&seat).await.ok(200);
    assert_eq!(site.held().await, (0, 0));
    unsigned.register(&site.person("ada")).await.ok(201);
}

#[tokio::test]
async fn a_refusal_that_cannot_be_signed_is_503_to_who_wants_it_signed_and_the_truth_to_others() {
    let site = Site::new(1).await;
    let (well, unsigned) = (site.services().await, site.services_of_kms(closed_port()).await);
    let seat = well.acquire(&site.ask("a")).await.ok(201);
    let handle = seat["session"].as_str();
    unsigned.post(RELEASE, handle, &json!({})).await.ok(200);
    unsigned.post(HEARTBEAT, handle, &json!({ "nonce": "a-nonce-of-16-or-more" })).await.away(SIGNER);
    unsigned.post(HEARTBEAT, handle, &json!({})).await.is(410, "session_gone");
}

#[tokio::test]
async fn an_instance_that_is_certified_does_not_notice_that_the_signer_went_away() {
    let site = Site::new(2).await;
    let port = closed_port();
    let kms = kms_at(port).await;
    let services = site.services_of_kms(port).await;
    let seat = services.acquire(&site.ask("a")).await.ok(201);
    services.beat(&seat).await.ok(200);
    drop(kms);
    // Past half of the certificate's life, when a renewal is tried.
    for _ in 0..13 * 12 {
        site.pass(300);
        services.beat(&seat).await.ok(200);
    }
    services.acquire(&site.ask("b")).await.ok(201);
}
