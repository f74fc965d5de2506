//! What the vendor's staff read of an organization stands in its audit log.

use crate::desk::Desk;
use serde_json::{Value, json};
use sqlx::Executor;
use uuid::Uuid;

impl Desk {
    /// What staff read, as the organization's own people see it, the oldest first: who, what, of what.
    async fn read_by_staff(&self) -> Vec<(String, String, String)> {
        let path = self.at("/audit-log?limit=100&action=staff.read");
        let page = self.get(&path).by(&self.person("owner")).send().await.ok(200);
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let say = |it: &Value| {
            assert_eq!((&it["actor"]["kind"], &it["before"]), (&json!("staff"), &Value::Null));
            (text(&it["actor"]["id"]), text(&it["after"]["operation"]), text(&it["target"]))
        };
        page["items"].as_array().unwrap().iter().rev().map(say).collect()
    }
}

#[tokio::test]
async fn each_thing_that_staff_reads_is_told_to_the_organization_once_an_hour_and_person() {
    // Once more where another hour begins meanwhile.
    while !told_once_in_this_hour().await {}
}

/// False: it did not all happen in one hour of the database's clock.
async fn told_once_in_this_hour() -> bool {
    let desk = Desk::new().await;
    const HOUR: &str = "select extract(epoch from date_trunc('hour', now()))::bigint";
    let hour = desk.world.count(HOUR).await;
    let (tenant, license) = (desk.tenant().to_string(), desk.world.license.id.to_string());
    let nothing = Uuid::new_v4().to_string();
    let reads = [
        (String::new(), "GET /organizations/{organization}", &tenant),
        ("/people".into(), "GET /organizations/{organization}/people", &tenant),
        ("/people?limit=1".into(), "GET /organizations/{organization}/people", &tenant),
        ("/sessions".into(), "GET /organizations/{organization}/sessions", &tenant),
        (format!("/licenses/{license}"), "GET /organizations/{organization}/licenses/{license}", &license),
        (
            format!("/licenses/{license}/sessions"),
            "GET /organizations/{organization}/licenses/{license}/sessions",
            &license,
        ),
        (format!("/people/{nothing}"), "GET /organizations/{organization}/people/{person}", &nothing),
        ("/people/%00".into(), "GET /organizations/{organization}/people/{person}", &tenant),
        ("/audit-log".into(), "GET /organizations/{organization}/audit-log", &tenant),
        ("/audit-log/verify".into(), "GET /organizations/{organization}/audit-log/verify", &tenant),
        ("/audit-log/export".into(), "GET /organizations/{organization}/audit-log/export", &tenant),
    ];
    let mut expected = Vec::new();
    for who in ["ann", "ben"] {
        for (path, operation, target) in &reads {
            for _ in 0..2 {
                desk.get(&desk.at(path)).by(&desk.staff(who)).send().await;
            }
            let entry = (who.to_owned(), (*operation).to_owned(), (*target).clone());
            if !expected.contains(&entry) {
                expected.push(entry);
            }
        }
        let number = format!("/api/v1/staff/licenses/{}", desk.world.license.pool.license);
        desk.get(&number).by(&desk.staff(who)).send().await.ok(200);
        expected.push((who.to_owned(), "GET /staff/licenses/{number}".into(), license.clone()));
    }
    let read = desk.read_by_staff().await;
    if desk.world.count(HOUR).await != hour {
        return false;
    }
    assert_eq!(read, expected);
    let verified = desk.get(&desk.at("/audit-log/verify")).by(&desk.person("owner")).send().await.ok(200);
    assert_eq!(verified["intact"], json!(true), "{verified}");

    // In another hour it is told again. What was written down is put an hour back, which the chain does not like.
    let earlier =
        "update audit_log set id = (lpad(to_hex((extract(epoch from at - interval '1 hour') * 1000)::bigint), 12, '0')
        || substr(replace(id::text, '-', ''), 13))::uuid where action = 'staff.read'";
    desk.world.truth().await.execute(earlier).await.unwrap();
    desk.get(&desk.at("/people")).by(&desk.staff("ann")).send().await.ok(200);
    desk.get(&desk.at("/people")).by(&desk.staff("ann")).send().await.ok(200);
    let read = desk.read_by_staff().await.len();
    if desk.world.count(HOUR).await != hour {
        return false;
    }
    assert_eq!(read, expected.len() + 1);
    true
}

#[tokio::test]
async fn the_organizations_own_reads_and_what_staff_changes_are_no_reads_of_staff() {
    let desk = Desk::new().await;
    desk.get(&desk.at("/people")).by(&desk.person("owner")).send().await.ok(200);
    desk.get(&desk.at("/people")).by(&desk.person("nobody-of-theirs")).send().await.is(404, "not_found");
    desk.patch(&desk.at(""), &json!({ "name": "Engines Ltd" })).by(&desk.staff("ann")).send().await.ok(200);
    desk.get("/api/v1/plans").by(&desk.staff("ann")).send().await.ok(200);
    desk.get(&format!("/api/v1/organizations/{}", Uuid::new_v4()))
        .by(&desk.staff("ann"))
        .send()
        .await
        .is(404, "not_found");
    assert_eq!(desk.read_by_staff().await, []);
}

#[tokio::test]
async fn a_change_of_staff_that_changes_nothing_is_a_read_of_what_it_answers() {
    let desk = Desk::new().await;
    let owner = desk.person("owner");
    let project = desk.post(&desk.at("/projects"), &json!({ "name": "one" })).by(&owner).send().await.ok(201);
    let project = project["id"].as_str().unwrap().to_owned();
    let seat = desk.sit("workstation", json!({})).await;
    desk.end(&owner, &seat.id, &json!({})).await.ok(200);
    let (license, session) = (desk.world.license.id.to_string(), seat.id);
    let tenant = desk.tenant().to_string();
    let before = desk.world.count("select count(*) from audit_log").await;
    let asks = [
        ("PATCH", format!("/licenses/{license}"), "PATCH /organizations/{organization}/licenses/{license}", &license),
        (
            "POST",
            format!("/licenses/{license}/resume"),
            "POST /organizations/{organization}/licenses/{license}/resume",
            &license,
        ),
        ("PATCH", format!("/projects/{project}"), "PATCH /organizations/{organization}/projects/{project}", &project),
        ("PUT", "/access-policy".into(), "PUT /organizations/{organization}/access-policy", &tenant),
        (
            "POST",
            format!("/sessions/{session}/end"),
            "POST /organizations/{organization}/sessions/{session}/end",
            &session,
        ),
    ];
    let mut expected = Vec::new();
    for (method, path, operation, target) in &asks {
        let as_it_is = match path {
            path if path.starts_with("/projects") => json!({ "name": "one" }),
            path if path.starts_with("/licenses") && *method == "PATCH" => json!({ "hide_holders": false }),
            _ => json!({}),
        };
        for _ in 0..2 {
            desk.call(method, &desk.at(path)).json(&as_it_is).by(&desk.staff("ann")).send().await.ok(200);
        }
        desk.call(method, &desk.at(path)).json(&as_it_is).by(&owner).send().await;
        expected.push(("ann".to_owned(), (*operation).to_owned(), (*target).clone()));
    }
    assert_eq!(desk.read_by_staff().await, expected);
    assert_eq!(desk.world.count("select count(*) from audit_log").await - before, expected.len() as i64);
}

#[tokio::test]
async fn what_cannot_be_written_down_is_not_read() {
    let desk = Desk::new().await;
    let revoke = "revoke execute on function history.audit_append(uuid, text, text, text, text, text, jsonb, jsonb, text, text) from admin";
    desk.world.truth().await.execute(revoke).await.unwrap();
    let refused = desk.get(&desk.at("/people")).by(&desk.staff("ann")).send().await.is(503, "records_unavailable");
    assert!(refused.get("items").is_none());
    desk.get(&desk.at("/people")).by(&desk.person("owner")).send().await.ok(200);
}
