//! Who wanted a seat of a full pool, as people are told.

use crate::desk::Desk;
use license_core::domain::access::PersonRole;
use license_tests::client::release;
use serde_json::{Value, json};
use std::time::Duration;

/// A desk with one seat, which is held; three times "b" was refused, and once "c".
async fn denied() -> (Desk, license_core::protocol::acquire::LeasedSeat) {
    let desk = Desk::new().await;
    let world = &desk.world;
    world.resize(1).await;
    let seat = world.machine("a").seated(&world.protocol).await;
    for _ in 0..3 {
        world.machine("b").turned_away(&world.protocol).await;
        world.pass(Duration::from_secs(10));
    }
    world.machine("c").turned_away(&world.protocol).await;
    world.sweep().await;
    (desk, seat)
}

fn labels(list: &Value) -> Vec<&str> {
    list["items"].as_array().unwrap().iter().map(|item| item["label"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_denial_says_who_waited_how_often_they_asked_and_when_they_got_a_seat() {
    let (desk, seat) = denied().await;
    let (world, owner) = (&desk.world, desk.person("owner"));
    let read = async || desk.get(&desk.at("/denials")).by(&owner).send().await.ok(200);
    let waiting = read().await;
    assert_eq!(labels(&waiting), ["c", "b"], "the newest first");
    let b = &waiting["items"][1];
    assert_eq!((&b["state"], &b["tries"], &b["granted_at"]), (&json!("waiting"), &json!(1), &Value::Null));
    assert_eq!(b["license"]["id"], json!(world.license.id.0));
    assert_eq!((&b["pool"], &b["code"]), (&json!("default"), &json!("no_seats_available")));

    release(&world.protocol, &seat).await;
    world.machine("b").seated(&world.protocol).await;
    world.pass(world.timing.ttl + Duration::from_secs(60));
    world.sweep().await;
    let over = read().await;
    let [c, b] = [&over["items"][0], &over["items"][1]];
    assert_eq!((&b["state"], &b["tries"], &b["ended_at"]), (&json!("granted"), &json!(3), &b["granted_at"]));
    assert_eq!((&c["state"], &c["tries"], &c["ended_at"]), (&json!("gave_up"), &json!(1), &c["at"]));

    let csv = desk.get(&desk.at("/denials")).by(&owner).header("accept", "text/csv").text().await;
    let rows: Vec<&str> = csv.body.as_str().unwrap().lines().collect();
    assert_eq!(rows.len(), 3, "{rows:?}");
    assert!(rows[0].starts_with("id,at,code,ended_at,granted_at,label,"), "{rows:?}");
}

#[tokio::test]
async fn filters_find_a_machine_a_license_and_a_time_and_nobody_but_admins_asks() {
    let (desk, _) = denied().await;
    let owner = desk.person("owner");
    let all = desk.get(&desk.at("/denials")).by(&owner).send().await.ok(200);
    let [c, b] = [&all["items"][0], &all["items"][1]];
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let (license, at) = (desk.world.license.id, text(&c["at"]));
    for (query, found) in [
        (format!("machine={}", text(&b["machine"])), vec!["b"]),
        (format!("license={license}"), vec!["c", "b"]),
        (format!("license={license}&machine={}", text(&c["machine"])), vec!["c"]),
        (format!("from={at}"), vec!["c"]),
        (format!("to={at}"), vec!["b"]),
        ("user=nobody@example.com".into(), vec![]),
        ("limit=1".into(), vec!["c"]),
    ] {
        let list = desk.get(&desk.at(&format!("/denials?{query}"))).by(&owner).send().await.ok(200);
        assert_eq!(labels(&list), found, "{query}");
    }
    let turned = format!("/denials?from={at}&to={at}");
    let answer = desk.get(&desk.at(&turned)).by(&owner).send().await;
    assert_eq!((answer.status, &answer.body["errors"][0]["field"]), (422, &json!("to")));
    desk.join(desk.tenant(), "member", PersonRole::Member).await;
    assert_eq!(desk.get(&desk.at("/denials")).by(&desk.person("member")).send().await.status, 403);
    let foreign = desk.other("stranger").await;
    let theirs = format!("/api/v1/organizations/{}/denials", foreign.tenant);
    let list = desk.get(&theirs).by(&desk.person("stranger")).send().await.ok(200);
    assert_eq!(labels(&list), Vec::<&str>::new());
}
