use super::{get, layer_settings, post, send, send_through};
use crate::edge::{context::request_id, layers::layers};
use axum::{Router, body::Body, routing};
use http::Request;
use license_core::domain::{id::LicenseNumber, key::LicenseKey};
use std::time::Duration;

fn router() -> Router {
    async fn broken() -> &'static str {
        panic!("the inside")
    }
    Router::new()
        .route("/id", routing::get(|| async { request_id().unwrap_or_default() }))
        .route("/only-post", routing::post(|| async { "posted" }))
        .route("/broken", routing::get(broken))
        .route("/stuck", routing::get(std::future::pending::<&'static str>))
        .route("/kept", routing::get(|| async { ([("cache-control", "public, max-age=300")], "kept") }))
}

fn with_id(id: &str) -> Request<Body> {
    Request::get("/id").header("x-request-id", id).body(Body::empty()).unwrap()
}

#[tokio::test]
async fn a_sane_request_id_is_kept_and_every_answer_carries_one() {
    let answer = send(router(), with_id("client-7.a_B")).await;
    assert_eq!((answer.header("x-request-id"), &answer.body), ("client-7.a_B", &"client-7.a_B".into()));
    for path in ["/id", "/nowhere", "/only-post", "/broken"] {
        assert_eq!(send(router(), get(path)).await.header("x-request-id").len(), 36, "{path}");
    }
}

#[tokio::test]
async fn an_insane_request_id_is_replaced_and_so_is_whatever_looks_like_a_credential() {
    let key = LicenseKey::draw(LicenseNumber::draw()).reveal();
    let secrets = [
        &key,
        &key.to_lowercase(),
        &key[5..],
        &key[..20],
        "cdt_live_0123456789",
        "CDI_0123456789",
        "eyJhbGciOiJSUzI1NiJ9",
    ];
    for id in ["", "a b", "a\tb", &"x".repeat(65), "<script>"].into_iter().chain(secrets) {
        let answer = send(router(), with_id(id)).await;
        assert_eq!(answer.header("x-request-id").len(), 36, "{id:?}");
        assert_ne!(answer.header("x-request-id"), id);
    }
}

#[tokio::test]
async fn paths_work_with_and_without_a_slash_at_the_end() {
    for path in ["/id", "/id/", "/id?x=1", "/id/?x=1"] {
        assert_eq!(send(router(), get(path)).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn unknown_paths_and_methods_are_problems() {
    for path in ["/", "/nowhere", "/nowhere/", "/id/more"] {
        let answer = send(router(), get(path)).await;
        assert_eq!((answer.status.as_u16(), &answer.body["code"]), (404, &"not_found".into()), "{path}");
    }
    let answer = send(router(), get("/only-post")).await;
    assert_eq!((answer.status.as_u16(), &answer.body["code"]), (405, &"method_not_allowed".into()));
    assert_eq!(answer.header("allow"), "POST");
}

#[tokio::test]
async fn a_panic_is_a_500_that_shows_nothing() {
    let answer = send(router(), get("/broken")).await;
    assert_eq!((answer.status.as_u16(), &answer.body["code"]), (500, &"internal".into()));
    assert!(!answer.body.to_string().contains("inside"));
    assert_eq!(answer.body["request_id"], answer.header("x-request-id"));
}

#[tokio::test]
async fn what_takes_longer_than_the_deadline_is_503_with_advice() {
    let app = layers(router(), &layer_settings().with_deadline(Duration::from_millis(20)));
    let answer = send_through(app, get("/stuck")).await;
    assert_eq!((answer.status.as_u16(), &answer.body["code"]), (503, &"records_unavailable".into()));
    assert!(answer.headers.contains_key("retry-after"));
}

#[tokio::test]
async fn a_declared_length_over_the_limit_is_refused_even_where_no_body_is_read() {
    let mut request = post("/only-post", "", "");
    request.headers_mut().insert("content-length", 65_537.into());
    assert_eq!(send(router(), request).await.status, 413);
}

#[tokio::test]
async fn answers_are_not_kept_by_caches_unless_the_handler_says_so() {
    assert_eq!(send(router(), get("/id")).await.header("cache-control"), "no-store");
    assert_eq!(send(router(), get("/kept")).await.header("cache-control"), "public, max-age=300");
}
