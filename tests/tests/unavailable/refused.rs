//! Requests that are refused, or answered from memory, without asking any store: with both stores stopped they are not
//! answered with 503.

use super::site::{
    ACQUIRE, Answer, HEARTBEAT, REGISTER, RELEASE, Services, Site, VALIDATE, forged, peppers, service_of,
};
use axum::body::Body;
use http::{Request, header};
use license_core::domain::{id::LicenseNumber, key::LicenseKey};
use serde_json::{Value, json};

/// Both stores are stopped; one session is known to the client.
async fn dark() -> (Site, Services, Value) {
    let mut site = Site::new(2).await;
    let services = site.services().await;
    let seat = services.acquire(&site.ask("a")).await.ok(201);
    site.redis.kill().await;
    site.postgres.kill().await;
    (site, services, seat)
}

fn with(mut body: Value, field: &str, value: impl Into<Value>) -> Value {
    body[field] = value.into();
    body
}

async fn raw(services: &Services, path: &str, bearer: Option<&str>, kind: &str, body: impl Into<Body>) -> Answer {
    let mut request = Request::post(path).header(header::CONTENT_TYPE, kind);
    if let Some(bearer) = bearer {
        request = request.header(header::AUTHORIZATION, format!("Bearer {bearer}"));
    }
    services.send(service_of(path), request.body(body.into()).unwrap()).await
}

#[tokio::test]
async fn what_is_well_made_asks_a_store_and_is_503() {
    let (site, services, seat) = dark().await;
    services.acquire(&site.ask("b")).await.away("seats_unavailable");
    services.post(VALIDATE, None, &site.look()).await.away("seats_unavailable");
    services.beat(&seat).await.away("seats_unavailable");
    services.release(&seat).await.away("seats_unavailable");
    services.register(&site.person("ada")).await.away("records_unavailable");
}

#[tokio::test]
async fn malformed_keys_and_fields_are_422_without_any_store() {
    let (site, services, _) = dark().await;
    let key = site.license.key.reveal();
    let mistyped = format!("{}{}", &key[..key.len() - 1], if key.ends_with('0') { "1" } else { "0" });
    for (field, value) in [
        ("license_key", Value::from(mistyped.as_str())),
        ("license_key", "CODI".into()),
        ("license_key", "".into()),
        ("license_key", Value::Null),
        ("license_key", 7.into()),
        ("license_key", key.repeat(20).into()),
        ("hardware_id", "short".into()),
        ("hardware_id", "x".repeat(129).into()),
        ("pool", "../x".into()),
    ] {
        for (path, body) in [(ACQUIRE, site.ask("b")), (VALIDATE, site.look())] {
            let answer = services.post(path, None, &with(body, field, value.clone())).await;
            let answer = answer.is(422, "invalid_request");
            assert_eq!(answer.body["errors"][0]["field"], field, "{path}");
        }
    }
    for (field, value) in [("attempt", "1"), ("nonce", "?"), ("instance_id", "x")] {
        services.acquire(&with(site.ask("b"), field, value)).await.is(422, "invalid_request");
    }
}

#[tokio::test]
async fn forged_handles_and_tokens_are_401_without_any_store() {
    let (site, services, seat) = dark().await;
    let handle = seat["session"].as_str().unwrap();
    for forged in [forged(&seat), "x".into(), handle[..handle.len() - 4].into(), "A".repeat(9000), site.person("ada")] {
        for path in [HEARTBEAT, RELEASE] {
            services.post(path, Some(&forged), &json!({})).await.is(401, "token_invalid");
        }
    }
    for path in [HEARTBEAT, RELEASE, REGISTER] {
        services.post(path, None, &json!({})).await.is(401, "token_invalid");
    }
    let token = site.person("ada");
    let (front, signature) = token.rsplit_once('.').unwrap();
    let other = if signature.starts_with('A') { 'B' } else { 'A' };
    for token in [format!("{front}.{other}{}", &signature[1..]), format!("{front}."), handle.to_owned()] {
        services.register(&token).await.is(401, "token_invalid");
    }
}

#[tokio::test]
async fn bodies_that_are_too_large_or_no_json_or_say_more_than_asked_reach_no_store() {
    let (site, services, seat) = dark().await;
    let ada = site.person("ada");
    let handle = seat["session"].as_str();
    for (path, bearer, body) in [
        (ACQUIRE, None, site.ask("b")),
        (VALIDATE, None, site.look()),
        (HEARTBEAT, handle, json!({})),
        (RELEASE, handle, json!({})),
        (REGISTER, Some(ada.as_str()), json!({})),
    ] {
        let json = "application/json";
        let padded = format!("{}{}", body, " ".repeat(64 * 1024));
        raw(&services, path, bearer, json, padded).await.is(413, "payload_too_large");
        // Declared so, it is not even read.
        let mut declared = Request::post(path).header(header::CONTENT_LENGTH, 64 * 1024 + 1);
        declared = declared.header(header::AUTHORIZATION, format!("Bearer {}", bearer.unwrap_or_default()));
        let declared = services.send(service_of(path), declared.body(Body::empty()).unwrap()).await;
        declared.is(413, "payload_too_large");
        raw(&services, path, bearer, json, "{").await.is(400, "invalid_request");
        raw(&services, path, bearer, json, "[]").await.is(422, "invalid_request");
        raw(&services, path, bearer, "text/plain", body.to_string()).await.is(415, "unsupported_media_type");
        let answer = services.post(path, bearer, &with(body, "is_admin", true)).await.is(422, "invalid_request");
        assert_eq!(answer.body["errors"][0]["field"], "is_admin", "{path}");
        services.get(service_of(path), path).await.is(405, "method_not_allowed");
    }
    services.get("acquire", "/api/v1/licenses/acquire/more").await.is(404, "not_found");
}

#[tokio::test]
async fn a_wrong_key_and_an_ended_session_that_are_remembered_are_told_without_any_store() {
    let mut site = Site::new(1).await;
    let services = site.services().await;
    let seat = services.acquire(&site.ask("a")).await.ok(201);
    let number: LicenseNumber = site.license.pool.license;
    let wrong = LicenseKey::draw(number);
    assert_ne!(wrong.hash(&peppers()), site.license.key.hash(&peppers()));
    let wrong = with(site.ask("b"), "license_key", wrong.reveal());
    services.acquire(&wrong).await.is(401, "license_key_invalid");
    services.release(&seat).await.ok(200);
    services.beat(&seat).await.is(410, "session_gone");
    site.redis.kill().await;
    site.postgres.kill().await;
    services.acquire(&wrong).await.is(401, "license_key_invalid");
    services.beat(&seat).await.is(410, "session_gone");
    // A minute later it is asked again, since the key may have been made since.
    site.pass(61);
    services.acquire(&wrong).await.away("seats_unavailable");
}
