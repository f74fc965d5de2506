//! Alert rules: made, changed, deleted; and what they raised, as people read it.

use crate::desk::{Answer, Desk};
use license_core::domain::access::{
    PersonRole::Member,
    Scope::{AlertsRead, AlertsWrite},
};
use serde_json::{Value, json};

async fn ask_for(desk: &Desk, body: &Value) -> Answer {
    desk.post(&desk.at("/alert-rules"), body).by(&desk.person("owner")).send().await
}

async fn make(desk: &Desk, body: &Value) -> String {
    let made = ask_for(desk, body).await.ok(201);
    desk.at(&format!("/alert-rules/{}", made["id"].as_str().unwrap()))
}

fn full() -> Value {
    json!({ "kind": "pool_use", "percent": 90, "minutes": 15, "mail_roles": ["owner", "admin"], "description": " buy " })
}

async fn run(desk: &Desk, sql: &'static str) {
    sqlx::query(sql).execute(&mut desk.world.truth().await).await.unwrap();
}

/// Makes every rule raise an alert of the world's license.
async fn raise(desk: &Desk) {
    run(
        desk,
        "insert into alerts (tenant_id, rule_id, kind, subject, license_id, since)
         select r.tenant_id, r.rule_id, r.kind, l.license_id, l.license_id, now()
         from alert_rules r join licenses l using (tenant_id)",
    )
    .await;
}

#[tokio::test]
async fn an_organization_begins_with_two_rules_and_makes_others() {
    let desk = Desk::new().await;
    desk.join(desk.tenant(), "bob", Member).await;
    let rules = desk.get(&desk.at("/alert-rules")).by(&desk.person("owner")).send().await.ok(200);
    let mut kinds: Vec<&str> =
        rules["items"].as_array().unwrap().iter().map(|rule| rule["kind"].as_str().unwrap()).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["license_ends", "webhook_paused"]);
    for rule in rules["items"].as_array().unwrap() {
        assert_eq!(
            (&rule["mail_roles"], &rule["enabled"], &rule["created_by"]),
            (&json!(["owner", "admin"]), &json!(true), &json!("registration"))
        );
    }

    let path = make(&desk, &full()).await;
    let read = desk.get(&path).by(&desk.person("owner")).send().await.ok(200);
    assert_eq!(
        (&read["percent"], &read["minutes"], &read["count"], &read["days"], &read["license_id"], &read["description"]),
        (&json!(90), &json!(15), &Value::Null, &Value::Null, &Value::Null, &json!("buy"))
    );
    desk.get(&path).by(&desk.person("bob")).send().await.is(403, "insufficient_role");
    let log = desk.audited().await;
    assert_eq!(log.iter().filter(|(action, ..)| action == "alert_rule.created").count(), 1);
    assert_eq!(desk.world.count("select count(*) from alert_rules where look_at <= now()").await, 3, "judged soon");
}

#[tokio::test]
async fn a_rule_has_the_numbers_of_its_kind_and_what_is_wrong_is_named() {
    let desk = Desk::new().await;
    for (body, wrong) in [
        (json!({}), vec!["kind"]),
        (json!({ "kind": "seats_silent" }), vec!["kind"]),
        (json!({ "kind": "pool_use" }), vec!["percent", "minutes"]),
        (json!({ "kind": "pool_use", "percent": 0, "minutes": 1441 }), vec!["percent", "minutes"]),
        (json!({ "kind": "pool_use", "percent": 101, "minutes": 1, "days": 3 }), vec!["percent", "days"]),
        (json!({ "kind": "wants_refused", "count": 0, "minutes": 1.5 }), vec!["minutes", "count"]),
        (json!({ "kind": "wants_refused", "count": "1", "minutes": 5, "percent": 5 }), vec!["percent", "count"]),
        (json!({ "kind": "license_ends", "days": 366 }), vec!["days"]),
        (json!({ "kind": "webhook_paused", "days": 1 }), vec!["days"]),
        (json!({ "kind": "webhook_paused", "license_id": desk.world.license.id }), vec!["license_id"]),
        (json!({ "kind": "license_ends", "days": 3, "license_id": "x" }), vec!["license_id"]),
        (json!({ "kind": "license_ends", "days": 3, "license_id": desk.tenant() }), vec!["license_id"]),
        (json!({ "kind": "license_ends", "days": 3, "mail_roles": ["member"] }), vec!["mail_roles"]),
        (json!({ "kind": "license_ends", "days": 3, "mail_roles": ["owner", "owner"] }), vec!["mail_roles"]),
        (json!({ "kind": "license_ends", "days": 3, "description": "x".repeat(201) }), vec!["description"]),
    ] {
        assert_eq!(ask_for(&desk, &body).await.wrong(), wrong, "{body}");
    }
    let unknown = json!({ "kind": "webhook_paused", "threshold": 3 });
    assert_eq!(ask_for(&desk, &unknown).await.status, 422);
    let path = make(&desk, &json!({ "kind": "license_ends", "days": 3, "license_id": desk.world.license.id })).await;
    let edit = desk.patch(&path, &json!({ "percent": 3, "days": 0 })).by(&desk.person("owner")).send().await;
    assert_eq!(edit.wrong(), ["percent", "days"]);
    assert_eq!(desk.world.count("select count(*) from alert_rules where created_by <> 'registration'").await, 1);
}

#[tokio::test]
async fn a_rule_that_is_changed_disabled_or_deleted_ends_what_it_raised_and_the_log_says_so() {
    let desk = Desk::new().await;
    run(&desk, "delete from alert_rules").await;
    let (path, owner) = (make(&desk, &json!({ "kind": "license_ends", "days": 3 })).await, desk.person("owner"));
    let edit = async |body: Value, tag: &str| desk.patch(&path, &body).by(&owner).header("if-match", tag).send().await;
    let first = desk.get(&path).by(&owner).send().await.etag();
    let open = "select count(*) from alerts where ended_at is null";

    raise(&desk).await;
    let edited = edit(json!({ "description": "another", "mail_roles": ["owner"] }), &first).await;
    let second = edited.etag();
    edited.ok(200);
    assert_eq!(desk.world.count(open).await, 1, "what it says of itself changes nothing that it raised");
    edit(json!({ "days": 5 }), &first).await.is(412, "precondition_failed");
    edit(json!({ "days": 5 }), &second).await.ok(200);
    assert_eq!(desk.world.count(open).await, 0);
    raise(&desk).await;
    assert_eq!(edit(json!({ "enabled": false }), "*").await.ok(200)["enabled"], false);
    raise(&desk).await;
    desk.delete(&path).by(&owner).send().await.ok(204);
    desk.delete(&path).by(&owner).send().await.is(404, "not_found");
    desk.get(&path).by(&owner).send().await.is(404, "not_found");

    let alerts = desk.get(&desk.at("/alerts")).by(&owner).send().await.ok(200);
    let reasons: Vec<&str> =
        alerts["items"].as_array().unwrap().iter().map(|it| it["end_reason"].as_str().unwrap()).collect();
    assert_eq!(reasons, ["rule_deleted", "rule_disabled", "rule_changed"]);
    let told = "select count(*) from outbox where kind = 'alert.ended' and payload->>'reason' like 'rule_%'
        and payload->>'message' <> ''";
    assert_eq!(desk.world.count(told).await, 3);
    assert_eq!(desk.world.count("select count(*) from mails where kind = 'alert'").await, 3, "to the owner");
    let log = desk.audited().await;
    let of = |what: &str| log.iter().filter(|(action, ..)| action == what).count();
    assert_eq!((of("alert_rule.edited"), of("alert_rule.deleted")), (3, 1));
}

#[tokio::test]
async fn an_organization_has_at_most_fifty_rules_also_if_two_are_made_at_once() {
    let desk = Desk::new().await;
    run(
        &desk,
        "insert into alert_rules (tenant_id, rule_id, kind, created_by)
         select tenant_id, uuid_v7(), 'webhook_paused', 'a test' from organizations, generate_series(1, 47)",
    )
    .await;
    let body = json!({ "kind": "webhook_paused" });
    let (one, other) = tokio::join!(ask_for(&desk, &body), ask_for(&desk, &body));
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 422], "{} {}", one.body, other.body);
    let rules = desk.get(&desk.at("/alert-rules")).by(&desk.person("owner")).send().await.ok(200);
    let path = desk.at(&format!("/alert-rules/{}", rules["items"][0]["id"].as_str().unwrap()));
    desk.delete(&path).by(&desk.person("owner")).send().await.ok(204);
    ask_for(&desk, &body).await.ok(201);
}

#[tokio::test]
async fn alerts_are_read_and_found_by_what_they_are_about() {
    let desk = Desk::new().await;
    let owner = desk.person("owner");
    let id = desk.raise(desk.tenant()).await;
    let license = desk.world.license.id.to_string();
    let read = desk.get(&desk.at(&format!("/alerts/{id}"))).by(&owner).send().await.ok(200);
    assert_eq!(
        (&read["state"], &read["kind"], &read["license_id"], &read["value"], &read["threshold"], &read["ended_at"]),
        (&json!("open"), &json!("license_ends"), &json!(license), &json!(3), &json!(7), &Value::Null)
    );
    for (query, found) in [
        ("open=true", true),
        ("open=false", false),
        ("kind=license_ends", true),
        ("kind=pool_use", false),
        (&format!("license={license}&open=true&kind=license_ends"), true),
        (&format!("license={}", desk.tenant()), false),
        ("from=2020-01-01T00:00:00Z&to=2100-01-01T00:00:00Z", true),
        ("to=2020-01-01T00:00:00Z", false),
    ] {
        let ids = desk.ids(&owner, &desk.at(&format!("/alerts?{query}"))).await;
        assert_eq!(ids, if found { vec![id.clone()] } else { Vec::new() }, "{query}");
    }
    run(&desk, "update alerts set ended_at = now(), end_reason = 'back_to_normal'").await;
    assert_eq!(desk.ids(&owner, &desk.at("/alerts?open=false")).await, [id]);
    let csv = desk.get(&desk.at("/alerts")).by(&owner).header("accept", "text/csv").text().await;
    assert!(csv.body.as_str().unwrap().contains("back_to_normal"), "{csv:?}");
}

#[tokio::test]
async fn a_script_has_a_scope_for_reading_alerts_and_one_for_changing_rules() {
    let desk = Desk::new().await;
    let path = make(&desk, &full()).await;
    let (reads, writes) =
        (desk.api_token(desk.tenant(), &[AlertsRead]).await, desk.api_token(desk.tenant(), &[AlertsWrite]).await);
    desk.get(&path).by(&reads).send().await.ok(200);
    desk.get(&desk.at("/alerts")).by(&reads).send().await.ok(200);
    desk.get(&path).by(&writes).send().await.is(403, "insufficient_scope");
    desk.patch(&path, &json!({ "percent": 95 })).by(&reads).send().await.is(403, "insufficient_scope");
    desk.patch(&path, &json!({ "percent": 95 })).by(&writes).send().await.ok(200);
}
