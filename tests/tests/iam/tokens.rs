//! Access tokens where the metadata server is slow, silent, or answers what nobody expects.

use license_core::{Clock, access_token::AccessTokens, error::chain};
use license_tests::tokens::TokenServer;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::any};

#[tokio::test]
async fn a_token_that_is_short_lived_is_not_asked_for_at_every_call() {
    for seconds in [59, 1, 0, -1, i64::MIN] {
        let metadata = TokenServer::giving("ya29.first").await;
        metadata.give("ya29.short", seconds);
        let tokens = AccessTokens::new(&metadata.url(), Clock::system());
        let started = Instant::now();
        for _ in 0..50 {
            assert_eq!(tokens.token().await.unwrap().reveal(), "ya29.short");
        }
        let (asked, most) = (metadata.asked().await, 1 + started.elapsed().as_millis() / 500);
        assert!(asked as u128 <= most, "{seconds} s: asked {asked} times, and {most} are enough");
    }
}

#[tokio::test]
async fn a_silent_server_keeps_a_hundred_callers_no_longer_than_one() {
    license_tests::process::http(); // has the TLS provider installed
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let tokens = AccessTokens::new(&format!("http://{}", silent.local_addr().unwrap()), Clock::system());
    let started = Instant::now();
    let callers: Vec<_> = (0..100)
        .map(|_| {
            let tokens = tokens.clone();
            tokio::spawn(async move { tokens.token().await.map(drop) })
        })
        .collect();
    for caller in callers {
        let error = caller.await.unwrap().unwrap_err();
        assert!(chain(&error).to_string().starts_with("no access token from the metadata server"), "{}", chain(&error));
    }
    // One after the other they would take a hundred times a second and a half.
    assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
}

#[tokio::test]
async fn an_answer_that_nobody_expects_is_an_error_and_is_not_repeated() {
    license_tests::process::http();
    const TOKEN: &str = "ya29.secret";
    let json = |text: &str| ResponseTemplate::new(200).set_body_raw(text.as_bytes().to_vec(), "application/json");
    for answer in [
        ResponseTemplate::new(200),
        ResponseTemplate::new(200).set_body_string(format!("<html>{TOKEN}</html>")),
        ResponseTemplate::new(404).set_body_string(TOKEN),
        ResponseTemplate::new(302).insert_header("location", format!("http://127.0.0.1:1/{TOKEN}").as_str()),
        json(&format!(r#"{{"access_token": "{TOKEN}"}}"#)),
        json(&format!(r#"{{"access_token": "{TOKEN}", "expires_in": "soon"}}"#)),
        json(&format!(r#"{{"access_token": ["{TOKEN}"], "expires_in": 3600}}"#)),
        json(&format!(r#"{{"access_token": "{TOKEN}", "expires_in": 1e30}}"#)),
        json(r#"{"access_token": "", "expires_in": 3600}"#),
        json(r#"{"access_token": "ya29.secret\n", "expires_in": 3600}"#),
        json(r#"{"access_token": "ya29.secret\u0000", "expires_in": 3600}"#),
    ] {
        let metadata = MockServer::start().await;
        Mock::given(any()).respond_with(answer).mount(&metadata).await;
        let tokens = AccessTokens::new(&metadata.uri(), Clock::system());
        let error = tokens.token().await.map(drop).unwrap_err();
        let error = format!("{} {error:?} {tokens:?}", chain(&error));
        assert!(error.contains("no access token from the metadata server") && !error.contains(TOKEN), "{error}");
    }
}
