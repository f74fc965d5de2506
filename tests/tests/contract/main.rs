//! The HTTP contract as clients see it (docs/API.md): the functions behind their layers, over real stores.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure is a panic with its place")]

mod client;

use axum::body::Body;
use http::Request;
use license_core::domain::{
    id::{Hw, LicenseNumber, Nonce},
    key::LicenseKey,
    token::{ExpectedRefusal, ExpectedToken, verify, verify_refusal},
};
use license_functions::heartbeat;
use license_tests::{
    World,
    front::{ACQUIRE, Front, HEARTBEAT, RELEASE, VALIDATE},
    world::ISSUER,
};
use serde_json::{Value, json};
use uuid::Uuid;

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn nonce() -> Nonce {
    Uuid::new_v4().simple().to_string().parse().unwrap()
}

#[tokio::test]
async fn a_seat_is_answered_with_everything_a_client_needs() {
    let front = Front::new().await;
    let (mut ask, nonce) = (front.ask("a"), nonce());
    ask["nonce"] = nonce.as_str().into();
    let seat = front.post(ACQUIRE, &ask).await.ok(201);
    assert_eq!(seat["expires_in"], 355);
    assert!((101..=115).contains(&seat["heartbeat_in"].as_u64().unwrap()));
    let license = &seat["license"];
    assert_eq!(license["number"], front.world.license.key.number().to_string());
    assert_eq!((&license["product"], &license["status"]), (&"coditect".into(), &"active".into()));
    assert_eq!((&license["seats_total"], &license["seats_used"]), (&5.into(), &1.into()));
    assert!(license["features"].is_object() && license["facts_version"].is_u64());
    assert!(text(&license["expires_at"]).ends_with('Z') && text(&seat["offline"]["until"]).ends_with('Z'));

    let roots = front.roots().await;
    let hw = Hw::of(front.world.license.key.number(), &"hardware-a".parse().unwrap());
    let expected = ExpectedToken { issuer: ISSUER, audience: "coditect", nonce: Some(&nonce), hw: &hw };
    let now = front.world.clock.now_seconds();
    let claims = verify(text(&seat["token"]), text(&seat["certificate"]), &roots, &expected, now).unwrap();
    assert_eq!(claims.session_id.to_string(), text(&seat["session_id"]));
}

#[tokio::test]
async fn a_repeated_attempt_is_200_with_the_same_session_and_another_process_201_on_the_same_seat() {
    let front = Front::new().await;
    let ask = front.ask("a");
    let first = front.post(ACQUIRE, &ask).await.ok(201);
    let again = front.post(ACQUIRE, &ask).await.ok(200);
    assert_eq!(first["session_id"], again["session_id"]);
    assert!(again["token"].is_string() && again["certificate"].is_string() && again["session"].is_string());
    let other = front.seated("a").await;
    assert_eq!(first["seat"], other["seat"]);
    assert_ne!(first["session_id"], other["session_id"]);
}

#[tokio::test]
async fn a_heartbeat_leaves_out_the_certificate_a_client_has() {
    let front = Front::new().await;
    let seat = front.seated("a").await;
    let alive = front.post_as(HEARTBEAT, &seat["session"], &json!({})).await.ok(200);
    assert_eq!(alive["license"]["status"], "active");
    assert!(alive["certificate"].is_string() && alive["token"].is_string() && alive["expires_in"] == 355);
    let kid = front.world.protocol.signer().certified().await.unwrap().kid().to_owned();
    let alive = front.post_as(HEARTBEAT, &seat["session"], &json!({ "certificate_kid": kid })).await.ok(200);
    assert!(alive.get("certificate").is_none() && alive["token"].is_string());
}

/// What a client holds that talks to three instances in turn, and what it is sent; `remembers`: how many certificates it
/// names.
async fn beat_in_turns(remembers: usize) -> (usize, usize) {
    let front = Front::new().await;
    let seat = front.seated("a").await;
    let mut instances = Vec::new();
    for _ in 0..3 {
        let protocol = front.world.instance().await;
        let kid = protocol.signer().certified().await.unwrap().kid().to_owned();
        instances.push((kid, heartbeat::router(heartbeat::HeartbeatService { protocol })));
    }
    let (mut held, mut certificates, mut bytes) = (Vec::<String>::new(), 0, 0);
    for beat in 0..30 {
        let (kid, app) = &instances[beat % 3];
        let named: Vec<&str> = held.iter().rev().take(remembers).map(String::as_str).collect();
        let request = Request::post(HEARTBEAT)
            .header("authorization", format!("Bearer {}", text(&seat["session"])))
            .header("content-type", "application/json")
            .body(Body::from(json!({ "nonce": "0123456789abcdef", "certificate_kid": named.join(" ") }).to_string()));
        let alive = Front::send_to(app.clone(), request.unwrap()).await.ok(200);
        bytes += alive.to_string().len();
        assert_eq!(alive.get("certificate").is_none(), named.contains(&kid.as_str()), "{named:?}");
        certificates += usize::from(alive.get("certificate").is_some());
        held.retain(|known| known != kid);
        held.push(kid.clone());
    }
    (certificates, bytes / 30)
}

#[tokio::test]
async fn a_client_that_names_every_certificate_it_has_is_sent_each_once() {
    let (one, before) = beat_in_turns(1).await;
    let (all, after) = beat_in_turns(16).await;
    eprintln!("an answer of three instances in turn: {before} bytes with one kid named, {after} with all");
    assert_eq!((one, all), (30, 3));
    assert!(after + 900 < before, "{before} {after}");
}

#[tokio::test]
async fn whatever_is_said_of_certificates_the_heartbeat_is_answered() {
    let front = Front::new().await;
    let seat = front.seated("a").await;
    let kid = front.world.protocol.signer().certified().await.unwrap().kid().to_owned();
    let names_it =
        [format!("{kid} {kid}"), format!(" \t\n{kid}\r "), format!("ключ {kid} \u{0}"), "x ".repeat(25_000) + &kid];
    for known in names_it {
        let alive = front.post_as(HEARTBEAT, &seat["session"], &json!({ "certificate_kid": known })).await.ok(200);
        assert!(alive.get("certificate").is_none(), "{known}");
    }
    let others = [
        json!(null),
        json!(""),
        json!(" "),
        json!("x".repeat(50_000)),
        json!(format!("{kid}x")),
        json!(format!("{kid}\u{a0}{kid}")),
        json!(kid.to_uppercase()),
        json!([kid]),
        json!({ "kid": kid }),
        json!(1e300),
        json!(true),
    ];
    for known in others {
        let alive = front.post_as(HEARTBEAT, &seat["session"], &json!({ "certificate_kid": known })).await.ok(200);
        assert!(alive["certificate"].is_string(), "{known}");
    }
}

#[tokio::test]
async fn releasing_again_and_again_says_the_same_and_the_next_heartbeat_is_410() {
    let front = Front::new().await;
    let seat = front.seated("a").await;
    let request = || Request::post(RELEASE).header("authorization", format!("Bearer {}", text(&seat["session"])));
    let first = front.send(request().body(Body::empty()).unwrap()).await.ok(200);
    assert_eq!(first["session_id"], seat["session_id"]);
    front.world.pass(std::time::Duration::from_secs(5));
    assert_eq!(front.send(request().body(Body::empty()).unwrap()).await.ok(200), first);
    let gone = front.post_as(HEARTBEAT, &seat["session"], &json!({})).await.is(410, "session_gone");
    assert_eq!(gone.body["reason"], "released");
}

#[tokio::test]
async fn a_full_pool_is_409_with_who_holds_it_and_when_to_come_back() {
    let front = Front::over(World::with_seats(2).await);
    front.seated("a").await;
    front.world.pass(std::time::Duration::from_secs(10));
    front.seated("b").await;
    let full = front.post(ACQUIRE, &front.ask("c")).await.is(409, "no_seats_available");
    assert_eq!((&full.body["seats_total"], &full.body["seats_used"]), (&2.into(), &2.into()));
    assert_eq!(full.body["next_seat_in"], 350);
    assert_eq!(full.headers["retry-after"], "350");
    let holders = full.body["holders"].as_array().unwrap();
    assert_eq!((&holders[0]["label"], &holders[0]["seen_in"]), (&"a".into(), &10.into()));
    assert_eq!((&holders[1]["label"], &holders[1]["seen_in"]), (&"b".into(), &0.into()));
    assert!(text(&holders[0]["since"]).ends_with('Z'));
}

#[tokio::test]
async fn a_refusal_is_signed_where_the_request_carried_a_nonce() {
    let front = Front::over(World::with_seats(1).await);
    front.seated("a").await;
    let (mut ask, nonce) = (front.ask("b"), nonce());
    ask["nonce"] = nonce.as_str().into();
    let full = front.post(ACQUIRE, &ask).await.is(409, "no_seats_available");
    let roots = front.roots().await;
    let certificate = text(&full.body["certificate"]);
    let expected = ExpectedRefusal { issuer: ISSUER, nonce: &nonce, license: front.world.license.key.number() };
    let now = front.world.clock.now_seconds();
    let claims = verify_refusal(text(&full.body["refusal"]), certificate, &roots, &expected, now).unwrap();
    assert_eq!((claims.code.as_str(), claims.reason), ("no_seats_available", None));
    let unsigned = front.post(ACQUIRE, &front.ask("b")).await.is(409, "no_seats_available");
    assert!(unsigned.body.get("refusal").is_none());
}

#[tokio::test]
async fn why_a_session_is_over_is_signed_with_it() {
    let front = Front::new().await;
    let seat = front.seated("a").await;
    front.post_as(RELEASE, &seat["session"], &json!({})).await.ok(200);
    let nonce = nonce();
    let gone =
        front.post_as(HEARTBEAT, &seat["session"], &json!({ "nonce": nonce.as_str() })).await.is(410, "session_gone");
    let roots = front.roots().await;
    let expected = ExpectedRefusal { issuer: ISSUER, nonce: &nonce, license: front.world.license.key.number() };
    let (refusal, certificate) = (text(&gone.body["refusal"]), text(&gone.body["certificate"]));
    let claims = verify_refusal(refusal, certificate, &roots, &expected, front.world.clock.now_seconds()).unwrap();
    assert_eq!((claims.reason.as_deref(), &gone.body["reason"]), (Some("released"), &"released".into()));
}

#[tokio::test]
async fn unknown_numbers_and_wrong_secrets_get_one_answer_and_leave_redis_alone() {
    let front = Front::new().await;
    let mut redis = front.world.redis().await;
    let before: usize = redis::cmd("DBSIZE").query_async(&mut redis).await.unwrap();
    let mut answers = Vec::new();
    for number in [LicenseNumber::draw(), front.world.license.key.number()] {
        let mut ask = front.ask("a");
        ask["license_key"] = LicenseKey::draw(number).reveal().into();
        for path in [ACQUIRE, VALIDATE] {
            let ask = if path == ACQUIRE { ask.clone() } else { json!({ "license_key": ask["license_key"] }) };
            let mut answer = front.post(path, &ask).await.is(401, "license_key_invalid");
            answer.body["request_id"].take();
            answers.push(answer.body);
        }
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    assert_eq!(redis::cmd("DBSIZE").query_async::<usize>(&mut redis).await.unwrap(), before);
}

#[tokio::test]
async fn every_wrong_field_is_named_in_one_answer_and_a_mistyped_key_is_called_so() {
    let front = Front::new().await;
    let key = front.world.license.key.reveal();
    let last = if key.ends_with('0') { "1" } else { "0" };
    let mistyped = format!("{}{last}", &key[..key.len() - 1]);
    let body = json!({
        "license_key": mistyped, "hardware_id": "short", "instance_id": "é", "pool": "No", "nonce": "?",
        "client": { "hostname": 5, "deployment": "mainframe", "version": "\n", "grown": { "later": true } },
    });
    let answer = front.post(ACQUIRE, &body).await.is(422, "invalid_request");
    let errors = answer.body["errors"].as_array().unwrap();
    let named: Vec<&str> = errors.iter().map(|error| text(&error["field"])).collect();
    let all = ["license_key", "hardware_id", "attempt", "instance_id", "pool", "nonce"];
    assert_eq!(named, all, "and nothing of the client");
    assert_eq!(errors[0]["problem"], "mistyped");
    assert!(!answer.body.to_string().contains(&mistyped));
}

#[tokio::test]
async fn unknown_fields_are_refused_except_inside_client() {
    let front = Front::new().await;
    let mut ask = front.ask("a");
    ask["client"]["grown"] = json!({ "later": [1, 2] });
    front.post(ACQUIRE, &ask).await.ok(201);
    ask["seats"] = 5.into();
    let answer = front.post(ACQUIRE, &ask).await.is(422, "invalid_request");
    assert_eq!(answer.body["errors"][0]["field"], "seats");
    let seat = front.seated("a").await;
    for path in [HEARTBEAT, RELEASE] {
        front.post_as(path, &seat["session"], &json!({ "extra": 1 })).await.is(422, "invalid_request");
    }
}

#[tokio::test]
async fn forged_handles_are_401_and_touch_no_store() {
    let front = Front::new().await;
    let seat = front.seated("a").await;
    front.world.flush().await;
    let handle = text(&seat["session"]);
    let forged = format!("{}{}", if handle.starts_with('B') { 'A' } else { 'B' }, &handle[1..]);
    for forged in [forged.as_str(), "x", &handle[..handle.len() - 1], &"A".repeat(5000)] {
        for path in [HEARTBEAT, RELEASE] {
            let answer = front.post_as(path, &forged.into(), &json!({})).await.is(401, "token_invalid");
            assert!(answer.headers["www-authenticate"].to_str().unwrap().starts_with("Bearer"));
        }
    }
    let keys: usize = redis::cmd("DBSIZE").query_async(&mut front.world.redis().await).await.unwrap();
    assert_eq!(keys, 0, "no pool was rebuilt for them");
}

#[tokio::test]
async fn a_pool_the_license_lacks_is_404_and_another_product_403() {
    let front = Front::new().await;
    let mut ask = front.ask("a");
    ask["pool"] = "night-shift".into();
    front.post(ACQUIRE, &ask).await.is(404, "not_found");
    let mut ask = front.ask("a");
    ask["client"]["product"] = "another".into();
    let answer = front.post(ACQUIRE, &ask).await.is(403, "product_not_allowed");
    assert_eq!(answer.body["license"], front.world.license.key.number().to_string());
}

#[tokio::test]
async fn a_suspended_license_is_403_and_validate_says_so_without_an_error() {
    let front = Front::new().await;
    let seat = front.seated("a").await;
    let license = &front.world.license;
    front.world.suspend().await;
    for answer in
        [front.post(ACQUIRE, &front.ask("b")).await, front.post_as(HEARTBEAT, &seat["session"], &json!({})).await]
    {
        let answer = answer.is(403, "license_suspended");
        assert_eq!(answer.body["license"], license.key.number().to_string());
        assert!(text(&answer.body["since"]).ends_with('Z'));
    }
    let said = front.post(VALIDATE, &json!({ "license_key": license.key.reveal() })).await.ok(200);
    assert_eq!((&said["license"]["status"], &said["code"]), (&"suspended".into(), &"license_suspended".into()));
}

#[tokio::test]
async fn validate_says_what_an_acquire_would_and_takes_no_seat() {
    let front = Front::over(World::with_seats(1).await);
    let ask = |machine: &str| json!({ "license_key": front.world.license.key.reveal(), "hardware_id": format!("hardware-{machine}") });
    let free = front.post(VALIDATE, &ask("a")).await.ok(200);
    assert_eq!((&free["code"], &free["seats_used"], &free["holders"]), (&Value::Null, &0.into(), &json!([])));
    assert_eq!(front.world.held().await, []);
    front.seated("a").await;
    let mine = front.post(VALIDATE, &ask("a")).await.ok(200);
    assert_eq!((&mine["code"], &mine["has_seat"]), (&Value::Null, &true.into()));
    let full = front.post(VALIDATE, &ask("b")).await.ok(200);
    assert_eq!((&full["code"], &full["has_seat"]), (&"no_seats_available".into(), &false.into()));
    assert_eq!(full["holders"][0]["label"], "a");
}

#[tokio::test]
async fn a_license_that_counts_processes_asks_for_the_instance() {
    let shape = license_tests::world::Shape { holder_by: "process", ..Default::default() };
    let front = Front::over(World::shaped(shape).await);
    let answer = front.post(ACQUIRE, &front.ask("a")).await.is(422, "invalid_request");
    assert_eq!(answer.body["errors"][0]["field"], "instance_id");
    let mut ask = front.ask("a");
    ask["instance_id"] = "instance-1".into();
    front.post(ACQUIRE, &ask).await.ok(201);
}

#[tokio::test]
async fn more_processes_than_allowed_on_one_seat_are_409() {
    let shape = license_tests::world::Shape { processes: 1, ..Default::default() };
    let front = Front::over(World::shaped(shape).await);
    front.seated("a").await;
    let answer = front.post(ACQUIRE, &front.ask("a")).await.is(409, "too_many_processes");
    assert_eq!(answer.body["processes"], 1);
}
