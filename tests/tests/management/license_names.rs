//! What an organization's admins call their licenses and note about them, and that nothing else of a license is theirs
//! to change.

use crate::{desk::Desk, licenses::own};
use license_core::domain::access::PersonRole;
use serde_json::{Value, json};

#[tokio::test]
async fn an_admin_names_a_license_and_no_client_hears_of_it() {
    let desk = Desk::new().await;
    desk.join(desk.tenant(), "admin", PersonRole::Admin).await;
    let admin = desk.person("admin");
    let edit = async |body: Value| desk.patch(&own(&desk, ""), &body).by(&admin).send().await;
    let facts = async || -> i64 {
        desk.world
            .count("select (select sum(facts_version) from licenses)::bigint + (select sum(epoch) from pools)::bigint")
            .await
    };
    let seen = desk.get(&own(&desk, "")).by(&admin).send().await.ok(200);
    assert_eq!((&seen["name"], &seen["note"]), (&Value::Null, &Value::Null));
    let before = facts().await;

    let named = edit(json!({ "name": " Render farm ", "note": "paid by design\r\nask Grace" })).await;
    let version = named.etag();
    let named = named.ok(200);
    assert_eq!((&named["name"], &named["note"]), (&json!("Render farm"), &json!("paid by design\nask Grace")));
    let viewer = desk.person("owner");
    for path in [desk.at("/licenses"), own(&desk, "")] {
        let shown = desk.get(&path).by(&viewer).send().await.ok(200);
        let shown = if shown["items"].is_array() { &shown["items"][0] } else { &shown };
        assert_eq!((&shown["name"], &shown["note"]), (&named["name"], &named["note"]), "{path}");
    }
    let csv = desk.get(&desk.at("/licenses")).by(&viewer).header("accept", "text/csv").text().await.ok(200);
    assert!(csv.as_str().unwrap().contains("Render farm"), "{csv}");

    assert_eq!(edit(json!({ "name": "Render farm" })).await.ok(200), named, "a change to what is so is none");
    let stale =
        desk.patch(&own(&desk, ""), &json!({ "note": null })).by(&admin).header("if-match", "\"1\"").send().await;
    stale.is(412, "precondition_failed");
    let edited =
        desk.patch(&own(&desk, ""), &json!({ "note": null })).by(&admin).header("if-match", &version).send().await;
    let edited = edited.ok(200);
    assert_eq!((&edited["name"], &edited["note"]), (&json!("Render farm"), &Value::Null));
    assert_eq!(facts().await, before, "no token says it, so no client and no copy hears of it");

    let entries = "select jsonb_build_array(before, after) from audit_log where action = 'license.changed' order by id";
    let entries: Vec<Value> = sqlx::query_scalar(entries).fetch_all(&mut desk.world.truth().await).await.unwrap();
    let note = "paid by design\nask Grace";
    let first = json!([{ "name": null, "note": null }, { "name": "Render farm", "note": note }]);
    assert_eq!(entries, [first, json!([{ "note": note }, { "note": null }])]);
    let told = "select payload->'changed' from outbox where kind = 'license.changed' order by id desc limit 1";
    let told: Value = sqlx::query_scalar(told).fetch_one(&mut desk.world.truth().await).await.unwrap();
    assert_eq!(told, json!({ "note": null }));
}

#[tokio::test]
async fn terms_are_the_vendors_also_beside_a_name_and_what_does_not_fit_is_refused() {
    let desk = Desk::new().await;
    let owner = desk.person("owner");
    let edit = async |body: Value| desk.patch(&own(&desk, ""), &body).by(&owner).send().await;
    for body in
        [json!({ "seats": 99 }), json!({ "name": "x", "external_id": "mine" }), json!({ "name": "x", "plan": "trial" })]
    {
        let refused = edit(body.clone()).await.is(403, "insufficient_role");
        assert_eq!(refused["required"], "staff", "{body}");
    }
    for (body, field) in [
        (json!({ "name": "" }), "name"),
        (json!({ "name": "a\nb" }), "name"),
        (json!({ "name": "x".repeat(201) }), "name"),
        (json!({ "name": 7 }), "name"),
        (json!({ "note": " " }), "note"),
        (json!({ "note": "x".repeat(2001) }), "note"),
        (json!({ "note": "\u{1b}[1m" }), "note"),
        (json!({}), "body"),
    ] {
        assert_eq!(edit(body.clone()).await.wrong(), [field], "{body}");
    }
    let staff = desk.staff("vendor");
    let both = json!({ "name": "Farm", "seats": 6 });
    let both = desk.patch(&own(&desk, ""), &both).by(&staff).send().await.ok(200);
    assert_eq!((&both["name"], &both["seats_total"]), (&json!("Farm"), &json!(6)), "staff may both at once");
}
