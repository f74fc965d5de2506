//! API tokens: made by people, shown once, good for their scopes until they are revoked or end.

use crate::desk::{Answer, Desk};
use license_core::domain::access::{PersonRole::Admin, Scope};
use serde_json::{Value, json};
use uuid::Uuid;

impl Desk {
    async fn make_token(&self, body: &Value) -> Answer {
        self.post(&self.at("/api-tokens"), body).by(&self.person("owner")).send().await
    }
}

#[tokio::test]
async fn a_token_is_shown_once_and_does_what_its_scopes_say_until_it_is_revoked() {
    let desk = Desk::new().await;
    let wish = json!({ "name": " nightly ", "scopes": ["people:read", "audit:read"] });
    let made = desk.make_token(&wish).await.ok(201);
    let secret = made["secret"].as_str().unwrap();
    assert!(secret.starts_with("cdt_live_") && secret.len() == 9 + 78);
    assert_eq!((&made["name"], &made["scopes"]), (&json!("nightly"), &wish["scopes"]));
    assert_eq!((&made["created_by"], &made["last_used_at"]), (&json!("owner@example.com"), &Value::Null));
    assert_eq!(desk.found_in_the_records(&secret[9 + 52..]).await, Vec::<String>::new());

    desk.get(&desk.at("/people")).by(secret).send().await.ok(200);
    let no = desk.get(&desk.at("")).by(secret).send().await.is(403, "insufficient_scope");
    assert_eq!(no["required"], "organization:read");
    let path = desk.at(&format!("/api-tokens/{}", made["id"].as_str().unwrap()));
    let read = desk.get(&path).by(&desk.person("owner")).send().await.ok(200);
    assert!(read["last_used_at"].is_string() && read.get("secret").is_none(), "{read}");

    desk.delete(&path).by(&desk.person("owner")).send().await.ok(204);
    desk.get(&desk.at("/people")).by(secret).send().await.is(401, "token_invalid");
    desk.delete(&path).by(&desk.person("owner")).send().await.ok(204);
    let read = desk.get(&path).by(&desk.person("owner")).send().await.ok(200);
    assert!(read["revoked_at"].is_string());
    let actions: Vec<_> = desk.audited().await.into_iter().map(|(action, _, _)| action).collect();
    assert_eq!(actions, ["api_token.created", "api_token.revoked"], "revoked once, whoever asks again");
    let after: Value = sqlx::query_scalar("select after from audit_log where action = 'api_token.created'")
        .fetch_one(&mut desk.world.truth().await)
        .await
        .unwrap();
    let expected = json!({
        "name": "nightly", "scopes": ["people:read", "audit:read"], "allowed_networks": null, "expires_at": made["expires_at"]
    });
    assert_eq!(after, expected);
}

#[tokio::test]
async fn a_token_is_over_at_its_end_and_used_to_the_minute() {
    let desk = Desk::new().await;
    let wish = json!({ "name": "short", "scopes": ["people:read"], "expires_at": "2999-01-01T02:00:00+02:00" });
    let made = desk.make_token(&wish).await.ok(201);
    assert_eq!(made["expires_at"], "2999-01-01T00:00:00Z");
    let secret = made["secret"].as_str().unwrap();
    let ask = async || desk.get(&desk.at("/people")).by(secret).send().await;
    ask().await.ok(200);
    let used = "select extract(epoch from last_used_at)::bigint from api_tokens";
    let first = desk.world.count(used).await;
    let mut truth = desk.world.truth().await;
    sqlx::query("update api_tokens set last_used_at = last_used_at - interval '50 seconds'")
        .execute(&mut truth)
        .await
        .unwrap();
    ask().await.ok(200);
    assert_eq!(desk.world.count(used).await, first - 50, "within the minute nothing is written");
    sqlx::query("update api_tokens set last_used_at = last_used_at - interval '11 seconds'")
        .execute(&mut truth)
        .await
        .unwrap();
    ask().await.ok(200);
    assert!(desk.world.count(used).await >= first);
    sqlx::query("update api_tokens set expires_at = now()").execute(&mut truth).await.unwrap();
    ask().await.is(401, "token_invalid");
}

#[tokio::test]
async fn no_token_makes_reads_or_revokes_tokens_and_no_other_organization_sees_them() {
    let desk = Desk::new().await;
    desk.join(desk.tenant(), "bob", Admin).await;
    let made = desk.make_token(&json!({ "name": "a", "scopes": ["people:read"] })).await.ok(201);
    let all = desk.api_token(desk.tenant(), Scope::ALL).await;
    let path = desk.at(&format!("/api-tokens/{}", made["id"].as_str().unwrap()));
    desk.post(&desk.at("/api-tokens"), &json!({})).by(&all).send().await.is(403, "insufficient_scope");
    desk.delete(&path).by(&all).send().await.is(403, "insufficient_scope");
    let other = desk.other("stranger").await;
    let theirs = format!("/api/v1/organizations/{}/api-tokens/{}", other.tenant, made["id"].as_str().unwrap());
    desk.get(&theirs).by(&desk.person("stranger")).send().await.is(404, "not_found");
    desk.delete(&theirs).by(&desk.person("stranger")).send().await.is(404, "not_found");
    desk.delete(&desk.at(&format!("/api-tokens/{}", Uuid::new_v4())))
        .by(&desk.person("bob"))
        .send()
        .await
        .is(404, "not_found");
    desk.get(&desk.at("/people")).by(made["secret"].as_str().unwrap()).send().await.ok(200);
}

#[tokio::test]
async fn tokens_are_listed_page_by_page_the_newest_first() {
    let desk = Desk::new().await;
    for n in 0..5 {
        desk.make_token(&json!({ "name": format!("t{n}"), "scopes": ["people:read"] })).await.ok(201);
    }
    let owner = desk.person("owner");
    let (mut seen, mut path) = (Vec::new(), desk.at("/api-tokens?limit=2"));
    loop {
        let page = desk.get(&path).by(&owner).send().await.ok(200);
        assert!(!page.to_string().contains("cdt_live_"));
        seen.extend(page["items"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap().to_owned()));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = desk.at(&format!("/api-tokens?limit=2&cursor={cursor}"));
    }
    assert_eq!(seen, ["t4", "t3", "t2", "t1", "t0"]);
    for (query, field) in [("limit=0", "limit"), ("cursor=x", "cursor"), ("name=t1", "name")] {
        let wrong = desk.get(&desk.at(&format!("/api-tokens?{query}"))).by(&owner).send().await.wrong();
        assert_eq!(wrong, [field], "{query}");
    }
}

#[tokio::test]
async fn every_wrong_field_of_a_token_is_named_and_nothing_is_written() {
    let desk = Desk::new().await;
    let scopes = json!(["people:read"]);
    for (body, fields) in [
        (json!({}), &["name", "scopes"][..]),
        (json!({ "name": " ", "scopes": [], "expires_at": "soon" }), &["name", "scopes", "expires_at"]),
        (json!({ "name": "x".repeat(201), "scopes": scopes }), &["name"]),
        (json!({ "name": "a", "scopes": ["people:write"] }), &["scopes"]),
        (json!({ "name": "a", "scopes": ["people:read", "people:read"] }), &["scopes"]),
        (json!({ "name": "a", "scopes": "people:read" }), &["scopes"]),
        (json!({ "name": "a", "scopes": [7] }), &["scopes[0]"]),
        (json!({ "name": "a", "scopes": scopes, "expires_at": "2020-01-01T00:00:00Z" }), &["expires_at"]),
        (json!({ "name": "a", "scopes": scopes, "expires_at": "2999-01-01" }), &["expires_at"]),
        (json!({ "name": "a", "scopes": scopes, "expires_at": 7 }), &["expires_at"]),
        (json!({ "name": "a", "scopes": scopes, "role": "owner" }), &["role"]),
    ] {
        assert_eq!(desk.make_token(&body).await.wrong(), fields, "{body}");
    }
    assert_eq!(desk.world.count("select count(*) from api_tokens").await, 0);
    assert_eq!(desk.audited().await, []);
}
