//! Organizations: read, renamed, and what every change has in common.

use crate::desk::Desk;
use license_core::domain::{
    access::PersonRole::{Admin, Member},
    id::TenantId,
};
use serde_json::json;

#[tokio::test]
async fn a_person_sees_the_organizations_they_belong_to_and_no_other() {
    let desk = Desk::new().await;
    let other = desk.other("grace").await;
    desk.other("linus").await;
    desk.join(other.tenant, "owner", Member).await;
    let me = desk.get("/api/v1/me").by(&desk.person("owner")).send().await.ok(200);
    assert_eq!(me["email"], "owner@example.com");
    let mut mine: Vec<_> =
        me["organizations"].as_array().unwrap().iter().map(|it| (it["id"].clone(), it["role"].clone())).collect();
    mine.sort_by_key(|(id, _)| id.to_string());
    let mut expected = vec![(json!(desk.tenant()), json!("owner")), (json!(other.tenant), json!("member"))];
    expected.sort_by_key(|(id, _)| id.to_string());
    assert_eq!(mine, expected);
    let nobody = desk.get("/api/v1/me").by(&desk.person("newcomer")).send().await.ok(200);
    assert_eq!(nobody["organizations"], json!([]));
}

#[tokio::test]
async fn the_id_that_stands_for_the_vendor_is_no_organization_and_can_be_none() {
    let desk = Desk::new().await;
    let vendor = format!("/api/v1/organizations/{}", TenantId::VENDOR);
    for caller in [desk.staff("eve"), desk.person("owner")] {
        desk.get(&vendor).by(&caller).send().await.is(404, "not_found");
        desk.patch(&vendor, &json!({ "name": "Mine" })).by(&caller).send().await.is(404, "not_found");
        desk.post(&format!("{vendor}/void-tokens"), &json!({})).by(&caller).send().await.is(404, "not_found");
    }
    let mut truth = desk.world.truth().await;
    let log: i64 = sqlx::query_scalar("select count(*) from catalog.staff_log").fetch_one(&mut truth).await.unwrap();
    assert_eq!(log, 0, "nothing of it is written into the vendor's log");
    let insert = sqlx::query("insert into organizations (tenant_id, name) values ($1, 'Vendor')");
    let refused = insert.bind(TenantId::VENDOR.0).execute(&mut truth).await.unwrap_err();
    assert!(refused.to_string().contains("organizations_tenant_id_check"), "{refused}");
}

#[tokio::test]
async fn an_organization_is_renamed_and_the_audit_log_says_by_whom_and_from_where() {
    let desk = Desk::new().await;
    let owner = desk.person("owner");
    let renamed = desk
        .patch(&desk.at(""), &json!({ "name": "  Engines Ltd " }))
        .by(&owner)
        .header("x-forwarded-for", "6.6.6.6, 203.0.113.9")
        .header("x-request-id", "my-request")
        .send()
        .await
        .ok(200);
    assert_eq!(renamed["name"], "Engines Ltd");
    let read = desk.get(&desk.at("")).by(&owner).send().await.ok(200);
    assert_eq!(read, renamed);
    let sql = "select actor_name || ' ' || action || ' ' || (before->>'name') || ' ' || (after->>'name') || ' ' || from_address || ' ' || request_id from audit_log where action = 'organization.renamed'";
    let line: String = sqlx::query_scalar(sql).fetch_one(&mut desk.world.truth().await).await.unwrap();
    assert_eq!(line, "owner@example.com organization.renamed Example Engines Ltd 203.0.113.9 my-request");
}

#[tokio::test]
async fn of_two_admins_who_edit_at_once_one_wins_and_one_is_told() {
    let desk = Desk::new().await;
    desk.join(desk.tenant(), "bob", Admin).await;
    let (ada, bob) = (desk.person("owner"), desk.person("bob"));
    let read = desk.get(&desk.at("")).by(&ada).send().await.etag();
    let edit =
        |who: &str, name: &str| desk.patch(&desk.at(""), &json!({ "name": name })).by(who).header("if-match", &read);
    let (a, b) = tokio::join!(edit(&ada, "Ada's").send(), edit(&bob, "Bob's").send());
    let mut statuses = [a.status, b.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412]);
    let (won, told) = if a.status == 200 { (a, b) } else { (b, a) };
    let name = won.body["name"].clone();
    let fresh = won.etag();
    told.is(412, "precondition_failed");
    assert_eq!(desk.get(&desk.at("")).by(&ada).send().await.ok(200)["name"], name);
    assert_eq!(desk.audited().await.len(), 1, "the edit that was refused left no trace");
    let again = desk.patch(&desk.at(""), &json!({ "name": "Both" })).by(&bob).header("if-match", &fresh).send().await;
    again.ok(200);
    for wrong in ["\"1\"", "W/\"3\"", "3", "\"x\""] {
        let refused =
            desk.patch(&desk.at(""), &json!({ "name": "No" })).by(&bob).header("if-match", wrong).send().await;
        refused.is(412, "precondition_failed");
    }
    desk.patch(&desk.at(""), &json!({ "name": "Any" })).by(&bob).header("if-match", "*").send().await.ok(200);
}

#[tokio::test]
async fn a_wrong_name_is_named_and_nothing_is_written() {
    let desk = Desk::new().await;
    let owner = desk.person("owner");
    assert_eq!(desk.patch(&desk.at(""), &json!({})).by(&owner).send().await.wrong(), ["body"], "it asks for nothing");
    for body in [
        json!({ "name": "" }),
        json!({ "name": " " }),
        json!({ "name": "a\u{7}" }),
        json!({ "name": "x".repeat(201) }),
        json!({ "name": 7 }),
    ] {
        assert_eq!(desk.patch(&desk.at(""), &body).by(&owner).send().await.wrong(), ["name"], "{body}");
    }
    assert_eq!(desk.patch(&desk.at(""), &json!({ "name": "A", "id": "x" })).by(&owner).send().await.wrong(), ["id"]);
    assert_eq!(desk.audited().await, []);
}
