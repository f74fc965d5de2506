//! All licenses of an organization with the use of them now.

use crate::desk::Desk;
use license_core::domain::access::PersonRole::Viewer;
use license_tests::World;
use serde_json::{Value, json};

async fn overview(desk: &Desk) -> Vec<Value> {
    let page = desk.get(&desk.at("/overview")).by(&desk.person("owner")).send().await.ok(200);
    page["items"].as_array().unwrap().clone()
}

/// The pool of the world's license, as the overview and the license itself have it, which must be the same.
async fn pool(desk: &Desk) -> Value {
    // This first, because it makes a copy anew that has not heard of a change.
    let path = desk.at(&format!("/licenses/{}", desk.world.license.id));
    let license = desk.get(&path).by(&desk.person("owner")).send().await.ok(200);
    let (id, alone) = (json!(desk.world.license.id), &license["pools"][0]);
    let shown = overview(desk).await.into_iter().find(|it| it["id"] == id).unwrap()["pools"][0].clone();
    assert_eq!(
        [&shown["total"], &shown["used"], &shown["surplus"]],
        [&alone["seats_total"], &alone["seats_used"], &alone["surplus"]]
    );
    shown
}

#[tokio::test]
async fn the_overview_has_every_license_with_what_is_used_of_its_pools_now() {
    let desk = Desk::over(World::with_seats(3).await).await;
    let unused = desk.license_of(desk.tenant()).await;
    let a = desk.sit("a", json!({})).await;
    for machine in ["b", "c"] {
        desk.sit(machine, json!({})).await;
    }
    let licenses = overview(&desk).await;
    let license = &desk.world.license;
    let ids: Vec<&Value> = licenses.iter().map(|it| &it["id"]).collect();
    assert_eq!(ids, [&json!(unused.id), &json!(license.id)], "the newest first");
    assert_eq!(licenses[0]["number"], json!(unused.pool.license));
    assert_eq!((&licenses[0]["status"], &licenses[0]["product"]), (&json!("active"), &json!("coditect")));
    let none = json!({ "name": "default", "total": 5, "used": 0, "silent": 0, "waiting": 0, "surplus": 0, "next_free_at": null });
    assert_eq!(licenses[0]["pools"], json!([none]), "nobody ever used it, and Redis knows nothing of it");

    let session = desk.get(&desk.at(&format!("/sessions/{}", a.id))).by(&desk.person("owner")).send().await.ok(200);
    let full = json!({ "name": "default", "total": 3, "used": 3, "silent": 0, "waiting": 0, "surplus": 0,
        "next_free_at": session["lease_ends_at"] });
    assert_eq!(pool(&desk).await, full, "the first lease that ends");
    let ended = desk.end(&desk.person("owner"), &a.id, &json!({})).await.ok(200);
    let waits = pool(&desk).await;
    assert_eq!((&waits["used"], &waits["waiting"]), (&json!(2), &json!(1)));
    assert!(waits["next_free_at"].as_str().unwrap() <= ended["seat_free_at"].as_str().unwrap(), "{waits} {ended}");
    desk.world.pass(desk.world.timing.ttl + desk.world.timing.drain);
    let silent = pool(&desk).await;
    assert_eq!((&silent["used"], &silent["silent"], &silent["waiting"]), (&json!(2), &json!(2), &json!(0)));
    assert_eq!(silent["next_free_at"], Value::Null, "a seat is free now");
    let path = desk.at(&format!("/licenses/{}", license.id));
    desk.patch(&path, &json!({ "seats": 1 })).by(&desk.staff("vendor")).send().await.ok(200);
    let shrunk = pool(&desk).await;
    assert_eq!((&shrunk["total"], &shrunk["used"]), (&json!(1), &json!(2)));

    desk.join(desk.tenant(), "eve", Viewer).await;
    desk.get(&desk.at("/overview?limit=1")).by(&desk.person("eve")).send().await.ok(200);
    assert_eq!(desk.ids(&desk.person("eve"), &desk.at("/overview?limit=1")).await.len(), 2);
}

#[tokio::test]
async fn without_redis_the_overview_says_what_the_records_know_and_null() {
    let mut desk = Desk::over(World::with_seats(2).await).await;
    let seat = desk.sit("a", json!({})).await;
    let use_of = |pool: &Value| ["total", "used", "silent", "waiting", "next_free_at"].map(|name| pool[name].clone());
    let unknown = [json!(2), Value::Null, Value::Null, Value::Null, Value::Null];
    desk.world.flush().await;
    let epoch = desk.world.epoch().await;
    assert_eq!(use_of(&overview(&desk).await[0]["pools"][0]), unknown, "somebody holds a seat");
    assert_eq!(desk.world.epoch().await, epoch, "looking rebuilds nothing");
    desk.beat(&seat).await.ok(200);
    assert_eq!(pool(&desk).await["used"], 1);
    desk.release(&seat).await;
    desk.world.flush().await;
    assert_eq!(overview(&desk).await[0]["pools"][0]["used"], 0, "nobody does");
    desk.world.redis.kill().await;
    assert_eq!(use_of(&overview(&desk).await[0]["pools"][0]), unknown);
}
