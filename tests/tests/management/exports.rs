//! The export of a person: it shows what an erasure blanks, to the person and to admins.

use crate::{
    desk::Desk,
    traces::{ADDRESS, HERS, NAME, traces},
};
use license_core::domain::access::PersonRole;
use serde_json::{Value, json};

impl Desk {
    /// All parts of a person's export.
    async fn export(&self, person: &str, by: &str) -> Vec<Value> {
        let path = self.at(&format!("/people/{person}/export"));
        let (mut rows, mut cursor) = (Vec::new(), String::new());
        loop {
            let part = self.get(&format!("{path}{cursor}")).by(by).send().await.ok(200);
            rows.extend(part["items"].as_array().unwrap().clone());
            let Some(next) = part["next_cursor"].as_str() else { return rows };
            cursor = format!("?cursor={next}");
        }
    }
}

fn of_kind(rows: &[Value], kind: &str) -> usize {
    rows.iter().filter(|row| row["kind"] == kind).count()
}

#[tokio::test]
async fn what_an_erasure_blanks_is_what_the_export_shows() {
    let desk = Desk::new().await;
    let (user, _) = traces(&desk).await;
    desk.sit("d", json!({ "user": "bob@example.com", "hostname": "bobs-desk" })).await;
    let owner = desk.person("owner");
    let rows = desk.export(&user, &owner).await;
    let all = json!(rows).to_string().to_lowercase();
    for hers in HERS {
        assert!(all.contains(&hers.to_lowercase()), "{hers} is in no row of {rows:#?}");
    }
    assert!(!all.contains("bobs-desk") && !all.contains("owner@example.com"), "others are not: {rows:#?}");
    assert!(!all.contains("hooks.example"), "an address of a receiver gives access: {rows:#?}");

    let erased = desk.erase_all(json!({ "person": ADDRESS })).await;
    for (kind, counted) in [
        ("person", "people"),
        ("denial", "denials"),
        ("mail", "mails"),
        ("invitation", "invitations"),
        ("api_token", "api_tokens"),
        ("project", "projects"),
        ("webhook", "webhooks"),
        ("alert_rule", "alert_rules"),
        ("license", "licenses"),
        ("organization", "organizations"),
    ] {
        assert_eq!(json!(of_kind(&rows, kind)), erased[counted], "{kind} of {erased}");
    }
    // An erasure also blanks copies: of rows that are on their way, a session's label in its event, and answers that
    // quote such an event.
    for (kind, counted) in
        [("session", "sessions"), ("event", "events"), ("delivery", "deliveries"), ("audit_entry", "audit_entries")]
    {
        let shown = of_kind(&rows, kind) as i64;
        assert!(shown > 0 && erased[counted].as_i64().unwrap() >= shown, "{shown} of {kind}, {erased}");
    }
    assert_eq!(desk.export(&user, &owner).await, [] as [Value; 0], "of who was erased there is nothing to show");
}

#[tokio::test]
async fn everybody_may_export_themselves_and_admins_everybody() {
    let desk = Desk::new().await;
    let viewers = desk.join(desk.tenant(), "viewer", PersonRole::Viewer).await.to_string();
    let admins = desk.join(desk.tenant(), "admin", PersonRole::Admin).await.to_string();
    desk.sit("v", json!({ "user": "Viewer@example.com", "hostname": "viewers-desk" })).await;
    let viewer = desk.person("viewer");
    let own = desk.export(&viewers, &viewer).await;
    assert_eq!((of_kind(&own, "person"), of_kind(&own, "session")), (1, 1), "{own:#?}");
    assert_eq!(own[0]["data"]["email"], "viewer@example.com");
    let session = own.iter().find(|row| row["kind"] == "session").unwrap();
    assert_eq!(
        (&session["data"]["label"], &session["data"]["user"]),
        (&json!("viewers-desk"), &json!("viewer@example.com"))
    );
    assert_eq!(desk.export(&viewers, &desk.person("admin")).await, own);
    assert_eq!(desk.export(&viewers, &desk.staff("vendor")).await, own);

    let export = |person: &str| desk.get(&desk.at(&format!("/people/{person}/export"))).by(&viewer).send();
    export(&admins).await.is(404, "not_found");
    export("01970000-0000-7000-8000-000000000000").await.is(404, "not_found");
    let wrong = desk.get(&desk.at(&format!("/people/{viewers}/export?cursor=x"))).by(&viewer).send().await;
    assert_eq!(wrong.wrong(), ["cursor"]);
    let other = desk.other("stranger").await;
    let theirs = format!("/api/v1/organizations/{}/people/{}/export", other.tenant, viewers);
    let nobody = desk.get(&theirs).by(&desk.person("stranger")).send().await.is(404, "not_found");
    assert!(!nobody.to_string().contains(NAME));
}

#[tokio::test]
async fn a_long_export_goes_on_where_the_part_before_ended() {
    let desk = Desk::new().await;
    let user = desk.join(desk.tenant(), "viewer", PersonRole::Viewer).await.to_string();
    let mut truth = desk.world.truth().await;
    let many = "insert into denials (tenant_id, denial_id, license_id, pool_id, pool, number, product, at, hw, label, person, last_at, tries)
        select p.tenant_id, uuid_v7(), p.license_id, p.pool_id, p.name, l.number, l.product, now(), 'hw', 'd-' || n, 'viewer@example.com', now(), 1
        from pools p join licenses l using (tenant_id, license_id), generate_series(1, 1201) n where p.pool_id = $1";
    sqlx::query(many).bind(desk.world.license.pool_id.0).execute(&mut truth).await.unwrap();
    let viewer = desk.person("viewer");
    let first = desk.get(&desk.at(&format!("/people/{user}/export"))).by(&viewer).send().await.ok(200);
    assert!(first["next_cursor"].is_string() && first["items"].as_array().unwrap().len() <= 600, "{first}");
    let rows = desk.export(&user, &viewer).await;
    let labels: std::collections::BTreeSet<&str> =
        rows.iter().filter(|row| row["kind"] == "denial").map(|row| row["data"]["label"].as_str().unwrap()).collect();
    assert_eq!((labels.len(), of_kind(&rows, "denial")), (1201, 1201), "each once");
}
