//! Voided ID tokens: those of an organization's people, those of staff, and what is not affected.

use crate::desk::Desk;
use license_core::domain::access::{
    PersonRole::{Admin, Member},
    Scope,
};
use serde_json::{Value, json};
use std::time::Duration;

impl Desk {
    /// Voids, and lets a second go by: tokens carry whole ones. The records' clock is the system's, so that of the services follows it.
    async fn void(&self, path: &str, who: &str, body: &Value) -> Value {
        let done = self.post(path, body).by(who).send().await.ok(200);
        self.world.clock.advance_ms(1_000);
        self.world.pass(Duration::from_secs(60));
        done
    }
}

#[tokio::test]
async fn every_earlier_token_of_an_organization_is_worth_nothing_to_it_and_later_ones_are() {
    let desk = Desk::new().await;
    desk.join(desk.tenant(), "ada", Admin).await;
    desk.join(desk.tenant(), "grace", Member).await;
    let other = desk.other("stranger").await;
    let elsewhere = format!("/api/v1/organizations/{}", other.tenant);
    let before = ["owner", "ada", "grace"].map(|who| desk.person(who));
    let (stranger, staff) = (desk.person("stranger"), desk.staff("vendor"));
    let script = desk.api_token(desk.tenant(), &[Scope::OrganizationRead]).await;
    let done = desk.void(&desk.at("/void-tokens"), &before[1], &json!({})).await;
    assert_eq!(done["api_tokens"], json!([]));

    for token in &before {
        let refused = desk.get(&desk.at("")).by(token).send().await.is(401, "token_expired");
        assert!(refused["detail"].as_str().unwrap().contains(done["not_before"].as_str().unwrap()), "{refused}");
        desk.post(&desk.at("/void-tokens"), &json!({})).by(token).send().await.is(401, "token_expired");
        desk.get("/api/v1/me").by(token).send().await.is(401, "token_expired");
        // It would draw a new license key.
        desk.register(token, &json!({})).send().await.is(401, "token_expired");
    }
    for who in ["owner", "ada", "grace"] {
        desk.get(&desk.at("")).by(&desk.person(who)).send().await.ok(200);
    }
    let read = desk.get(&desk.at("")).by(&desk.person("owner")).send().await.ok(200);
    assert_eq!(read["tokens_not_before"], done["not_before"]);
    // Other organizations, the vendor's staff and scripts go on.
    desk.get(&elsewhere).by(&stranger).send().await.ok(200);
    desk.get(&desk.at("")).by(&staff).send().await.ok(200);
    desk.get(&desk.at("")).by(&script).send().await.ok(200);
    let log = desk
        .get(&desk.at("/audit-log?action=organization.tokens_voided"))
        .by(&desk.person("owner"))
        .send()
        .await
        .ok(200);
    let entry = &log["items"][0];
    assert_eq!(
        (&entry["actor"]["name"], &entry["before"]["tokens_not_before"]),
        (&json!("ada@example.com"), &Value::Null)
    );
    assert_eq!(entry["after"], json!({ "tokens_not_before": done["not_before"], "api_tokens": false }));
}

#[tokio::test]
async fn api_tokens_are_revoked_with_them_if_asked_and_only_those_of_the_organization() {
    let desk = Desk::new().await;
    let other = desk.other("stranger").await;
    let mine =
        [desk.api_token(desk.tenant(), &[Scope::OrganizationRead]).await, desk.api_token(desk.tenant(), &[]).await];
    let theirs = desk.api_token(other.tenant, &[Scope::OrganizationRead]).await;
    let done = desk.void(&desk.at("/void-tokens"), &desk.staff("vendor"), &json!({ "api_tokens": true })).await;
    assert_eq!(done["api_tokens"].as_array().unwrap().len(), 2, "{done}");
    for token in &mine {
        desk.get(&desk.at("")).by(token).send().await.is(401, "token_invalid");
    }
    desk.get(&format!("/api/v1/organizations/{}", other.tenant)).by(&theirs).send().await.ok(200);
    let owner = desk.person("owner");
    let log = desk.get(&desk.at("/audit-log?action=api_token.revoked")).by(&owner).send().await.ok(200);
    let revoked: Vec<_> = log["items"].as_array().unwrap().iter().map(|entry| &entry["target"]).collect();
    assert_eq!(revoked.len(), 2);
    assert!(done["api_tokens"].as_array().unwrap().iter().all(|id| revoked.contains(&id)), "{log}");
    // Once more: there is nothing left to revoke, and the time rises.
    let again = desk.void(&desk.at("/void-tokens"), &owner, &json!({ "api_tokens": true })).await;
    assert_eq!(again["api_tokens"], json!([]));
    assert_ne!(again["not_before"], done["not_before"]);
}

#[tokio::test]
async fn whoever_joins_does_so_with_a_token_that_is_not_void() {
    let desk = Desk::new().await;
    let invitation = desk.invite("owner", "grace@example.com", "member").await.ok(201);
    let body = json!({ "invitation": invitation["secret"] });
    let early = desk.person("grace");
    desk.void(&desk.at("/void-tokens"), &desk.person("owner"), &json!({})).await;
    desk.register(&early, &body).send().await.is(401, "token_expired");
    desk.register(&desk.person("grace"), &body).send().await.ok(201);
}

#[tokio::test]
async fn staff_s_earlier_tokens_are_refused_everywhere_and_customers_go_on() {
    let desk = Desk::new().await;
    let (early, owner) = (desk.staff("vendor"), desk.person("owner"));
    let other = desk.staff("colleague");
    let done = desk.void("/api/v1/staff/void-tokens", &early, &json!({})).await;
    for token in [&early, &other] {
        desk.get(&desk.at("")).by(token).send().await.is(401, "token_expired");
        desk.get("/api/v1/staff/products").by(token).send().await.is(401, "token_expired");
        desk.get("/api/v1/plans").by(token).send().await.is(401, "token_expired");
    }
    desk.get(&desk.at("")).by(&desk.staff("vendor")).send().await.ok(200);
    desk.get(&desk.at("")).by(&owner).send().await.ok(200);
    let sql = "select action || ' ' || actor_name || ' ' || (after->>'not_before') from catalog.staff_log order by id desc limit 1";
    let line: String = sqlx::query_scalar(sql).fetch_one(&mut desk.world.truth().await).await.unwrap();
    assert_eq!(line, format!("staff.tokens_voided vendor@example.com {}", done["not_before"].as_str().unwrap()));
}
