//! Changes of a license while machines hold its seats: the machines use the same acquire and heartbeat as in
//! production.

use crate::{desk::Desk, licenses::own};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use license_core::protocol::{acquire::LeasedSeat, heartbeat, steps::Step};
use license_tests::{
    World,
    client::{alive, beat, release},
};
use serde_json::{Value, json};
use std::time::Duration;

/// The claims that a token carries.
fn claims(token: &str) -> Value {
    let body = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(body).unwrap()).unwrap()
}

/// A heartbeat over HTTP.
async fn heartbeat(desk: &Desk, seat: &LeasedSeat) -> crate::desk::Answer {
    desk.post("/api/v1/licenses/heartbeat", &json!({})).by(&seat.handle).send().await
}

async fn edit(desk: &Desk, body: Value) -> Value {
    desk.patch(&own(desk, ""), &body).by(&desk.staff("vendor")).send().await.ok(200)
}

async fn decide(desk: &Desk, act: &str) -> Value {
    desk.post(&own(desk, &format!("/{act}")), &json!({})).by(&desk.staff("vendor")).send().await.ok(200)
}

async fn pool(desk: &Desk) -> Value {
    desk.get(&own(desk, "")).by(&desk.person("owner")).send().await.ok(200)["pools"][0].clone()
}

#[tokio::test]
async fn grown_seats_are_there_at_once_and_fewer_drain_without_throwing_anybody_out() {
    let desk = Desk::over(World::with_seats(2).await).await;
    let world = &desk.world;
    let mut seats =
        vec![world.machine("a").seated(&world.protocol).await, world.machine("b").seated(&world.protocol).await];
    world.machine("c").turned_away(&world.protocol).await;
    edit(&desk, json!({ "seats": 4 })).await;
    for name in ["c", "d"] {
        seats.push(world.machine(name).seated(&world.protocol).await);
    }
    world.machine("e").turned_away(&world.protocol).await;
    assert_eq!(edit(&desk, json!({ "seats": 1 })).await["seats_total"], 1);
    for seat in &seats {
        alive(&world.protocol, seat).await;
    }
    for held in [4, 3, 2, 1] {
        let expected = json!({ "name": "default", "seats_total": 1, "seats_used": held, "surplus": held - 1, "on_grace": 0,
            "on_grace_beyond_seats": 0 });
        assert_eq!(pool(&desk).await, expected);
        world.machine("e").turned_away(&world.protocol).await;
        release(&world.protocol, &seats.pop().unwrap()).await;
    }
    world.machine("e").seated(&world.protocol).await;
    world.assert_no_drift().await;
}

#[tokio::test]
async fn a_suspension_reaches_a_hundred_live_sessions_at_their_next_heartbeat_and_resumed_within_the_lease_all_go_on() {
    let desk = Desk::over(World::with_seats(101).await).await;
    let world = &desk.world;
    let mut seats = Vec::new();
    for n in 0..100 {
        seats.push(world.machine(&format!("m{n}")).seated(&world.protocol).await);
    }
    decide(&desk, "suspend").await;
    let number = world.license.pool.license.to_string();
    let body = json!({ "license_key": world.license.key.reveal(), "hardware_id": "hardware-late", "attempt": uuid::Uuid::new_v4() });
    let late = desk.post("/api/v1/licenses/acquire", &body).send().await.is(403, "license_suspended");
    assert_eq!(late["license"], json!(number), "there is a free seat, and nobody gets it");
    world.pass(Duration::from_secs(115));
    for seat in &seats {
        heartbeat(&desk, seat).await.is(403, "license_suspended");
    }
    assert_eq!(pool(&desk).await["seats_used"], 100, "suspended, they still hold their seats");
    decide(&desk, "resume").await;
    for seat in &seats {
        heartbeat(&desk, seat).await.ok(200);
    }
    world.machine("late").seated(&world.protocol).await;
    world.assert_no_drift().await;
}

#[tokio::test]
async fn a_revoked_license_gives_no_seat_and_every_client_is_told() {
    let desk = Desk::new().await;
    let world = &desk.world;
    let a_seat = world.machine("a").seated(&world.protocol).await;
    decide(&desk, "revoke").await;
    heartbeat(&desk, &a_seat).await.is(403, "license_revoked");
    let body = json!({ "license_key": world.license.key.reveal(), "hardware_id": "hardware-b", "attempt": uuid::Uuid::new_v4() });
    desk.post("/api/v1/licenses/acquire", &body).send().await.is(403, "license_revoked");
}

#[tokio::test]
async fn an_extended_term_lets_clients_go_on_and_a_shortened_one_ends() {
    let desk = Desk::new().await;
    let world = &desk.world;
    let a_seat = world.machine("a").seated(&world.protocol).await;
    edit(&desk, json!({ "expires_at": "2001-01-01T00:00:00Z" })).await;
    heartbeat(&desk, &a_seat).await.is(403, "license_expired");
    edit(&desk, json!({ "expires_at": null })).await;
    assert_eq!(heartbeat(&desk, &a_seat).await.ok(200)["license"]["expires_at"], json!(null));
    edit(&desk, json!({ "not_before": "2999-01-01T00:00:00Z" })).await;
    heartbeat(&desk, &a_seat).await.is(403, "license_not_started");
    edit(&desk, json!({ "not_before": null, "expires_at": "2999-01-01T00:00:00Z" })).await;
    assert_eq!(heartbeat(&desk, &a_seat).await.ok(200)["license"]["expires_at"], "2999-01-01T00:00:00Z");
}

#[tokio::test]
async fn features_tier_and_grace_of_an_edit_are_in_the_next_token() {
    let desk = Desk::new().await;
    let world = &desk.world;
    let a_seat = world.machine("a").seated(&world.protocol).await;
    world.pass(Duration::from_secs(200)); // two heartbeats: its grace is earned
    let before = claims(heartbeat(&desk, &a_seat).await.ok(200)["token"].as_str().unwrap());
    let plan = json!({ "tier": "pro", "seats": 5, "features": { "render": true }, "offline_policy": "grace", "grace_hours": 24 });
    desk.call("PUT", "/api/v1/staff/plans/pro").json(&plan).by(&desk.staff("vendor")).send().await.ok(201);
    assert_eq!(
        claims(heartbeat(&desk, &a_seat).await.ok(200)["token"].as_str().unwrap())["tier"],
        before["tier"],
        "a plan is no license"
    );
    let edited = edit(&desk, json!({ "plan": "pro", "grace_hours": 48, "features": { "cores": 8 } })).await;
    let answer = heartbeat(&desk, &a_seat).await.ok(200);
    assert_eq!(answer["license"]["facts_version"], edited["facts_version"]);
    let after = claims(answer["token"].as_str().unwrap());
    assert_eq!(after["tier"], "pro");
    assert_eq!(after["features"], json!({ "render": true, "cores": 8 }));
    let until = |claims: &Value| claims["offline_until"].as_i64().unwrap();
    assert_eq!(until(&after) - until(&before), 24 * 3600, "the clock stood still");
}

#[tokio::test]
async fn who_holds_a_seat_keeps_it_when_holders_are_counted_otherwise() {
    let desk = Desk::new().await;
    let world = &desk.world;
    let a = world.machine("a");
    let a_seat = a.seated(&world.protocol).await;
    edit(&desk, json!({ "holder_by": "process", "processes_per_seat": 1, "hide_holders": true })).await;
    alive(&world.protocol, &a_seat).await;
    let second = a.instance("second").seated(&world.protocol).await;
    assert_ne!(second.granted.seat, a_seat.granted.seat, "each process has a seat of its own now");
    world.assert_no_drift().await;
}

#[tokio::test]
async fn a_change_whose_process_died_before_redis_heard_reaches_it_with_the_same_request_again() {
    let desk = Desk::new().await;
    let world = &desk.world;
    let a_seat = world.machine("a").seated(&world.protocol).await;
    let staff = desk.staff("vendor");
    let suspend = || desk.post(&own(&desk, "/suspend"), &json!({})).by(&staff);
    for key in [None, Some("k")] {
        let send = async || match key {
            Some(key) => suspend().header("idempotency-key", key).send().await,
            None => suspend().send().await,
        };
        world.seat_management.steps().cut(Step::Change);
        send().await.is(500, "internal");
        alive(&world.protocol, &a_seat).await; // the copy is the old one
        send().await.ok(200);
        let told = beat(&world.protocol, &a_seat).await;
        assert!(matches!(told, heartbeat::HeartbeatOutcome::Refused(_)), "{told:?}");
        decide(&desk, "resume").await;
        alive(&world.protocol, &a_seat).await;
    }
}

#[tokio::test]
async fn the_use_of_a_license_is_known_after_redis_forgot_and_unknown_while_it_is_away() {
    let mut desk = Desk::new().await;
    for name in ["a", "b"] {
        desk.world.machine(name).seated(&desk.world.protocol).await;
    }
    desk.world.flush().await;
    assert_eq!(pool(&desk).await["seats_used"], 2);
    decide(&desk, "suspend").await;
    assert_eq!(pool(&desk).await["seats_used"], 2);
    desk.world.redis.kill().await;
    desk.get(&own(&desk, "")).by(&desk.person("owner")).send().await.is(503, "seats_unavailable");
    desk.get(&desk.at("/licenses")).by(&desk.person("owner")).send().await.ok(200);
}

/// Asks again where a machine busy with other things took longer than a request may: nothing was written then, and one that always takes too
/// long never gets through.
async fn patiently(ask: impl AsyncFn() -> crate::desk::Answer) -> crate::desk::Answer {
    for _ in 0..10 {
        let answer = ask().await;
        if answer.status != 503 {
            return answer;
        }
    }
    panic!("ten times 503");
}

#[tokio::test]
async fn ten_thousand_seats_are_made_and_grown_to_within_a_request_and_then_shrunk_in_one() {
    let desk = Desk::new().await;
    let body = json!({ "product": "coditect", "plan": "trial", "seats": 10_000 });
    let made = patiently(async || desk.post(&desk.at("/licenses"), &body).by(&desk.staff("vendor")).send().await).await;
    made.ok(201);
    let resize = async |seats: u32| {
        let body = json!({ "seats": seats });
        patiently(async || desk.patch(&own(&desk, ""), &body).by(&desk.staff("vendor")).send().await).await.ok(200)
    };
    assert_eq!(resize(10_000).await["seats_total"], 10_000);
    assert_eq!(desk.world.count("select count(*) from seats where not retired").await, 20_000);
    assert_eq!(resize(1).await["seats_total"], 1);
    assert_eq!(desk.world.count("select count(*) from seats where not retired").await, 10_001);
}
