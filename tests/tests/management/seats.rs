//! The numbered seats of a pool: what each is, who may see whose it is, and from when it can be had.

use crate::desk::{Answer, Desk};
use license_core::{
    domain::access::PersonRole::{Member, Viewer},
    protocol::steps::Step,
};
use license_tests::World;
use serde_json::{Value, json};
use std::time::Duration;

/// The list of the seats of the world's license.
async fn list(desk: &Desk, who: &str, query: &str) -> Answer {
    desk.get(&desk.at(&format!("/licenses/{}/seats{query}", desk.world.license.id))).by(who).send().await
}

/// All seats of the default pool, on one page.
async fn seats(desk: &Desk) -> Vec<Value> {
    list(desk, &desk.person("owner"), "").await.ok(200)["items"].as_array().unwrap().clone()
}

/// One field of each seat.
fn each<'a>(seats: &'a [Value], field: &str) -> Vec<&'a Value> {
    seats.iter().map(|seat| &seat[field]).collect()
}

#[tokio::test]
async fn every_seat_of_a_pool_is_listed_and_one_that_waits_can_be_had_from_the_time_it_says_and_no_earlier() {
    let desk = Desk::over(World::with_seats(4).await).await;
    let a = desk.sit("a", json!({ "hostname": "host-1", "user": "Ada@Example.com" })).await;
    let (b, c) = (desk.sit("b", json!({})).await, desk.sit("c", json!({})).await);
    let first = seats(&desk).await;
    assert_eq!(each(&first, "seat"), [0, 1, 2, 3]);
    assert_eq!(each(&first, "state"), ["live", "live", "live", "free"]);
    assert_eq!(each(&first, "session"), [&json!(a.id), &json!(b.id), &json!(c.id), &Value::Null]);
    assert_eq!((&first[0]["label"], &first[0]["user"]), (&json!("host-1"), &json!("ada@example.com")));
    let session = desk.get(&desk.at(&format!("/sessions/{}", a.id))).by(&desk.person("owner")).send().await.ok(200);
    assert_eq!(first[0]["lease_ends_at"], session["lease_ends_at"]);
    assert_eq!(first[0]["free_at"], session["lease_ends_at"], "if it is not heard from");
    assert!(first[0]["since"].is_string());
    let free = json!({ "seat": 3, "state": "free", "session": null, "label": null, "user": null, "since": null,
        "lease_ends_at": null, "free_at": null });
    assert_eq!(first[3], free);

    let ended = desk.end(&desk.person("owner"), &c.id, &json!({})).await.ok(200);
    let d = desk.sit("d", json!({})).await;
    let waits = seats(&desk).await;
    assert_eq!(each(&waits, "state"), ["live", "live", "waiting", "live"]);
    assert_eq!(waits[2]["free_at"], ended["seat_free_at"]);
    assert_eq!(
        (&waits[2]["session"], &waits[2]["since"], &waits[2]["lease_ends_at"]),
        (&Value::Null, &Value::Null, &Value::Null)
    );
    let (wait, halfway) = (desk.world.timing.ttl + desk.world.timing.drain, desk.world.timing.ttl / 2);
    desk.world.pass(halfway);
    for seat in [&a, &b, &d] {
        desk.beat(seat).await.ok(200);
    }
    desk.world.pass(wait - halfway - Duration::from_millis(1));
    assert_eq!(seats(&desk).await[2]["state"], "waiting");
    desk.acquire(&desk.world.license, "e", json!({})).await.is(409, "no_seats_available");
    desk.world.pass(Duration::from_millis(1));
    let over = seats(&desk).await;
    assert_eq!((&over[2]["state"], &over[2]["free_at"]), (&json!("free"), &Value::Null));
    let e = desk.acquire(&desk.world.license, "e", json!({})).await.ok(201);
    assert_eq!(e["seat"], 2);
}

#[tokio::test]
async fn a_seat_is_silent_after_its_lease_and_ending_while_it_is_given_back() {
    let desk = Desk::over(World::with_seats(2).await).await;
    let seat = desk.sit("a", json!({})).await;
    desk.world.pass_ttl();
    let silent = seats(&desk).await;
    assert_eq!(each(&silent, "state"), ["silent", "free"]);
    assert!(silent[0]["lease_ends_at"].is_string() && silent[0]["free_at"].is_null(), "{silent:?}");
    desk.beat(&seat).await.ok(200);
    desk.world.protocol.steps().cut(Step::Release);
    let cut = desk.post("/api/v1/licenses/release", &json!({})).by(&seat.handle).send().await;
    assert!(cut.status >= 500, "{cut:?}");
    let ending = seats(&desk).await;
    assert_eq!((&ending[0]["state"], &ending[0]["lease_ends_at"]), (&json!("ending"), &Value::Null));
    desk.release(&seat).await;
    desk.world.sweep_until_quiet().await;
    assert_eq!(each(&seats(&desk).await, "state"), ["free", "free"]);
}

#[tokio::test]
async fn members_and_viewers_see_that_a_seat_is_held_and_whose_it_is_where_it_is_their_own() {
    let desk = Desk::over(World::with_seats(3).await).await;
    desk.join(desk.tenant(), "bob", Member).await;
    desk.join(desk.tenant(), "eve", Viewer).await;
    // Another process was first on the same seat: its session is not bob's.
    let (_, bobs) = (desk.sit("a", json!({})).await, desk.sit("a", json!({ "user": "bob@example.com" })).await);
    let eves = desk.sit("b", json!({ "user": "eve@example.com" })).await;
    for (who, sessions) in [("bob", [json!(bobs.id), Value::Null]), ("eve", [Value::Null, json!(eves.id)])] {
        let shown = list(&desk, &desk.person(who), "").await.ok(200);
        let shown = shown["items"].as_array().unwrap();
        assert_eq!(each(shown, "state"), ["live", "live", "free"], "{who}");
        for (seat, session) in shown.iter().zip(&sessions) {
            assert_eq!(seat["session"], *session, "{who}");
            assert_eq!((seat["label"].is_null(), seat["user"].is_null()), (session.is_null(), session.is_null()));
            assert!(seat["since"].is_string() && seat["free_at"].is_string());
        }
    }
}

#[tokio::test]
async fn without_redis_seats_are_listed_as_the_records_know_them_and_looking_rebuilds_nothing() {
    let mut desk = Desk::over(World::with_seats(3).await).await;
    let a = desk.sit("a", json!({ "hostname": "host-1" })).await;
    let b = desk.sit("b", json!({})).await;
    desk.end(&desk.person("owner"), &b.id, &json!({})).await.ok(200);
    desk.world.flush().await;
    let epoch = desk.world.epoch().await;
    let forgotten = seats(&desk).await;
    assert_eq!(each(&forgotten, "state"), ["unknown", "waiting", "free"]);
    assert_eq!((&forgotten[0]["session"], &forgotten[0]["label"]), (&json!(a.id), &json!("host-1")));
    assert_eq!(each(&forgotten, "free_at"), [&Value::Null; 3]);
    assert_eq!(desk.world.epoch().await, epoch);
    desk.world.redis.kill().await;
    assert_eq!(seats(&desk).await, forgotten);
}

#[tokio::test]
async fn a_copy_that_has_not_heard_of_a_kick_is_not_believed() {
    let desk = Desk::over(World::with_seats(1).await).await;
    let a = desk.sit("a", json!({})).await;
    desk.world.seat_management.steps().cut(Step::Change);
    let cut = desk.end(&desk.person("owner"), &a.id, &json!({})).await;
    assert!(cut.status >= 500, "{cut:?}");
    assert_eq!(each(&seats(&desk).await, "state"), ["waiting"]);
}

#[tokio::test]
async fn a_large_pool_comes_page_by_page_without_seats_that_are_gone() {
    let desk = Desk::over(World::with_seats(2).await).await;
    let (owner, staff) = (desk.person("owner"), desk.staff("vendor"));
    let license = desk.at(&format!("/licenses/{}", desk.world.license.id));
    let resize = async |seats: u32| desk.patch(&license, &json!({ "seats": seats })).by(&staff).send().await.ok(200);
    resize(1500).await;
    for (limit, pages) in [("", 2), ("&limit=700", 3)] {
        let (mut numbers, mut cursor, mut read) = (Vec::new(), String::new(), 0);
        loop {
            let page = list(&desk, &owner, &format!("?pool=default{limit}&cursor={cursor}")).await.ok(200);
            numbers.extend(page["items"].as_array().unwrap().iter().map(|seat| seat["seat"].as_u64().unwrap()));
            read += 1;
            let Some(next) = page["next_cursor"].as_str() else { break };
            cursor = next.to_owned();
        }
        assert!(numbers.iter().copied().eq(0..1500), "{limit}: {} seats", numbers.len());
        assert_eq!(read, pages, "{limit}");
    }
    resize(2).await;
    let first = list(&desk, &owner, "").await.ok(200);
    assert_eq!(each(first["items"].as_array().unwrap(), "seat"), [0, 1]);
    let next = first["next_cursor"].as_str().unwrap();
    assert_eq!(
        list(&desk, &owner, &format!("?cursor={next}")).await.ok(200),
        json!({ "items": [], "next_cursor": null })
    );
    list(&desk, &owner, "?pool=other").await.is(404, "not_found");
    let elsewhere = desk.other("stranger").await;
    desk.get(&desk.at(&format!("/licenses/{}/seats", elsewhere.id))).by(&owner).send().await.is(404, "not_found");
}
