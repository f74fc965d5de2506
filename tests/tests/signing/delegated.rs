//! The instance's signing key: when the root key is asked for a certificate, and what happens while it cannot be
//! reached.

use super::{HOUR, bench};
use license_core::{Error, domain::token::TokenClaims};
use std::{sync::atomic::Ordering::SeqCst, time::Duration};

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
