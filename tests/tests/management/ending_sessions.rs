//! Ending all live sessions of a person, a machine or a project.

use crate::desk::{Answer, Desk};
use license_core::domain::{access::PersonRole::Member, id::Hw};
use license_tests::World;
use serde_json::{Value, json};

async fn end(desk: &Desk, who: &str, body: &Value) -> Answer {
    desk.post(&desk.at("/sessions/end"), body).by(who).send().await
}

/// The ids of the live sessions.
async fn live(desk: &Desk) -> Vec<String> {
    desk.ids(&desk.person("owner"), &desk.at("/sessions")).await
}

#[tokio::test]
async fn all_sessions_of_a_person_a_machine_or_a_project_end_and_nobody_elses() {
    let desk = Desk::over(World::with_seats(6).await).await;
    let owner = desk.person("owner");
    let project = desk.post(&desk.at("/projects"), &json!({ "name": "Turbine" })).by(&owner).send().await.ok(201);
    let adas = [
        desk.sit("a", json!({ "user": "Ada@example.com" })).await,
        desk.sit("b", json!({ "user": "ada@example.com" })).await,
    ];
    // On the same seat as one of hers: it ends with her.
    let sibling = desk.sit("a", json!({})).await;
    let turbine = desk.sit("c", json!({ "project": "Turbine" })).await;
    let machine = desk.sit("d", json!({})).await;
    let other = desk.sit("e", json!({ "user": "bob@example.com" })).await;

    assert_eq!(
        end(&desk, &owner, &json!({ "user": "ADA@example.com" })).await.ok(200),
        json!({ "ended": 2, "more": false })
    );
    for seat in adas.iter().chain([&sibling]) {
        assert_eq!(desk.beat(seat).await.is(410, "session_gone")["reason"], "kicked");
    }
    assert_eq!(live(&desk).await, [&other, &machine, &turbine].map(|seat| seat.id.clone()));
    let waiting =
        desk.get(&desk.at(&format!("/licenses/{}/seats", desk.world.license.id))).by(&owner).send().await.ok(200);
    let states: Vec<&Value> = waiting["items"].as_array().unwrap().iter().map(|seat| &seat["state"]).collect();
    assert_eq!(states[..2], [&json!("waiting"), &json!("waiting")], "as after the end of one");
    assert_eq!(end(&desk, &owner, &json!({ "project": project["id"] })).await.ok(200)["ended"], 1);
    let hw = Hw::of(desk.world.license.pool.license, &"hardware-d".parse().unwrap());
    assert_eq!(end(&desk, &owner, &json!({ "machine": hw })).await.ok(200)["ended"], 1);
    assert_eq!(live(&desk).await, [other.id.as_str()]);
    assert_eq!(end(&desk, &owner, &json!({ "machine": hw })).await.ok(200), json!({ "ended": 0, "more": false }));
    let entries = "select count(*) from audit_log where action = 'session.ended' and after->>'force' = 'false'";
    assert_eq!(desk.world.count(entries).await, 4);
    desk.beat(&other).await.ok(200);
}

#[tokio::test]
async fn a_request_ends_a_hundred_and_says_that_more_are_left_and_the_same_key_ends_no_more() {
    let desk = Desk::over(World::with_seats(103).await).await;
    let owner = desk.person("owner");
    for machine in 0..103 {
        desk.sit(&format!("n{machine}"), json!({ "user": "ada@example.com" })).await;
    }
    let body = json!({ "user": "ada@example.com" });
    for _ in 0..2 {
        let call = desk.post(&desk.at("/sessions/end"), &body).by(&owner).header("idempotency-key", "k");
        assert_eq!(call.send().await.ok(200), json!({ "ended": 100, "more": true }));
        assert_eq!(live(&desk).await.len(), 3);
    }
    assert_eq!(end(&desk, &owner, &body).await.ok(200), json!({ "ended": 3, "more": false }));
    assert_eq!(desk.world.count("select count(*) from audit_log where action = 'session.ended'").await, 103);
}

#[tokio::test]
async fn exactly_one_of_them_is_named_and_members_end_one_at_a_time() {
    let desk = Desk::new().await;
    let owner = desk.person("owner");
    for (body, wrong) in [
        (json!({}), "user"),
        (json!({ "user": "ada@example.com", "project": "01a1fc28-9b31-70be-8112-4bfdb0eab10c" }), "project"),
        (json!({ "machine": "x" }), "machine"),
        (json!({ "project": "x" }), "project"),
        (json!({ "user": "" }), "user"),
    ] {
        assert_eq!(end(&desk, &owner, &body).await.wrong(), [wrong], "{body}");
    }
    desk.join(desk.tenant(), "bob", Member).await;
    let refused = end(&desk, &desk.person("bob"), &json!({ "user": "bob@example.com" })).await;
    assert_eq!(refused.is(403, "insufficient_role")["required"], "admin");
}
