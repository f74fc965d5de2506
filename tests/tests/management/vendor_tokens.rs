//! Vendor tokens: made by people of the staff, shown once, good in every organization within their scopes, and never
//! for what only people may do.

use crate::desk::{Answer, Desk};
use license_core::domain::{
    access::{Scope, VendorScope},
    id::TenantId,
    opaque::{OpaqueSecret, SecretKind},
    rate::RateLimit,
};
use license_functions::admin::access::TABLE;
use license_tests::World;
use serde_json::{Value, json};
use uuid::Uuid;

const TOKENS: &str = "/api/v1/staff/api-tokens";

impl Desk {
    async fn make_vendor_token(&self, body: &Value) -> Answer {
        self.post(TOKENS, body).by(&self.staff("vendor")).send().await
    }

    /// What the staff's log tells since the world was made.
    async fn staff_log(&self) -> Vec<(String, String, String)> {
        let sql = "select action, actor_kind || ' ' || actor_name, target from catalog.staff_log order by seq";
        sqlx::query_as(sql).fetch_all(&mut self.world.truth().await).await.unwrap()
    }
}

#[tokio::test]
async fn a_vendor_token_is_shown_once_and_good_in_every_organization_until_it_is_revoked() {
    let desk = Desk::new().await;
    let other = desk.other("stranger").await;
    let wish = json!({ "name": " the shop ", "scopes": ["licenses:read", "organizations:read"] });
    let made = desk.make_vendor_token(&wish).await.ok(201);
    let secret = made["secret"].as_str().unwrap();
    assert!(secret.starts_with("cdv_live_") && secret.len() == 9 + 78);
    assert_eq!((&made["name"], &made["created_by"]), (&json!("the shop"), &json!("vendor@example.com")));
    assert_eq!(desk.found_in_the_records(&secret[9 + 52..]).await, Vec::<String>::new());

    for tenant in [desk.tenant(), other.tenant] {
        let path = format!("/api/v1/organizations/{tenant}/licenses");
        desk.get(&path).by(secret).send().await.ok(200);
        let no = desk.post(&path, &json!({})).by(secret).send().await.is(403, "insufficient_scope");
        assert_eq!(no["required"], "licenses:write");
    }
    // Each organization reads in its own log who looked.
    let read = "select actor_kind || ' ' || actor_name || ' ' || actor from audit_log where action = 'staff.read' order by tenant_id";
    let read: Vec<String> = sqlx::query_scalar(read).fetch_all(&mut desk.world.truth().await).await.unwrap();
    assert_eq!(read, vec![format!("vendor_token the shop {}", made["id"].as_str().unwrap()); 2]);

    let path = format!("{TOKENS}/{}", made["id"].as_str().unwrap());
    let staff = desk.staff("vendor");
    let shown = desk.get(&path).by(&staff).send().await.ok(200);
    assert!(shown["last_used_at"].is_string() && shown.get("secret").is_none(), "{shown}");
    let list = desk.get(TOKENS).by(&staff).send().await.ok(200);
    assert_eq!(list["items"][0], shown);
    for _ in 0..2 {
        desk.delete(&path).by(&staff).send().await.ok(204);
        desk.get(&desk.at("/licenses")).by(secret).send().await.is(401, "token_invalid");
    }
    desk.delete(&format!("{TOKENS}/{}", Uuid::new_v4())).by(&staff).send().await.is(404, "not_found");
    let log = desk.staff_log().await;
    let id = made["id"].as_str().unwrap().to_owned();
    let by = "staff vendor@example.com".to_owned();
    let told = |action: &str| (action.to_owned(), by.clone(), id.clone());
    assert_eq!(log, [told("vendor_token.created"), told("vendor_token.revoked")], "revoked once, whoever asks again");
}

#[tokio::test]
async fn the_same_wish_with_the_same_key_makes_one_token_and_shows_it_again() {
    let desk = Desk::new().await;
    let wish = json!({ "name": "shop", "scopes": ["licenses:write"] });
    let ask = async |wish: &Value, who: &str| {
        desk.post(TOKENS, wish).by(&desk.staff(who)).header("idempotency-key", "k-1").send().await
    };
    let first = ask(&wish, "vendor").await.ok(201);
    assert_eq!(ask(&wish, "vendor").await.ok(201), first);
    let other = json!({ "name": "another", "scopes": ["licenses:write"] });
    ask(&other, "vendor").await.is(422, "idempotency_key_reused");
    assert_ne!(ask(&wish, "colleague").await.ok(201), first, "a key is its owner's");
    assert_eq!(desk.world.count("select count(*) from catalog.staff_api_tokens").await, 2);
}

#[tokio::test]
async fn what_is_no_token_in_force_is_nobody() {
    let desk = Desk::new().await;
    let good = desk.vendor_token(VendorScope::ALL).await;
    let ask = async |bearer: &str| desk.get(&desk.at("/licenses")).by(bearer).send().await;
    ask(&good).await.ok(200);
    ask(&good.to_uppercase()).await.ok(200);
    // As a token of an organization, with another organization in it, with another id, cut short.
    let body = &good["cdv_live_".len()..];
    let group = |id: Uuid| OpaqueSecret::draw(SecretKind::ApiToken, TenantId(id)).reveal()[9..35].to_owned();
    for wrong in [
        format!("cdt_live_{body}"),
        format!("cdi_{body}"),
        format!("cdv_live_{}{}", group(desk.tenant().0), &body[26..]),
        format!("cdv_live_{}{}{}", &body[..26], group(Uuid::new_v4()), &body[52..]),
        good[..good.len() - 1].to_owned(),
    ] {
        ask(&wrong).await.is(401, "token_invalid");
    }
    let mut truth = desk.world.truth().await;
    sqlx::query("update catalog.staff_api_tokens set expires_at = now() - interval '1 second'")
        .execute(&mut truth)
        .await
        .unwrap();
    ask(&good).await.is(401, "token_invalid");
    let past = json!({ "name": "x", "scopes": ["plans:read"], "expires_at": "2020-01-01T00:00:00Z" });
    assert_eq!(desk.make_vendor_token(&past).await.wrong(), ["expires_at"]);
    let wrong = json!({ "name": "", "scopes": ["people:read"], "allowed_networks": [] });
    assert_eq!(desk.make_vendor_token(&wrong).await.wrong(), ["name", "scopes", "allowed_networks"]);
    assert_eq!(desk.make_vendor_token(&json!({})).await.wrong(), ["name", "scopes"]);
}

#[tokio::test]
async fn a_token_is_good_from_its_networks_alone() {
    let desk = Desk::new().await;
    let wish = json!({ "name": "shop", "scopes": ["licenses:read"], "allowed_networks": ["192.0.2.0/24"] });
    let made = desk.make_vendor_token(&wish).await.ok(201);
    let secret = made["secret"].as_str().unwrap();
    let ask =
        async |from: &str| desk.get(&desk.at("/licenses")).by(secret).header("x-forwarded-for", from).send().await;
    ask("198.51.100.7").await.is(403, "address_not_allowed");
    let unused = desk.world.count("select count(*) from catalog.staff_api_tokens where last_used_at is null").await;
    assert_eq!(unused, 1, "from elsewhere it was not used");
    ask("192.0.2.9").await.ok(200);
}

#[tokio::test]
async fn a_token_is_counted_by_itself_and_apart_from_people() {
    let desk = Desk::limited(World::new().await, Some(RateLimit { per_minute: 6, burst: 3 })).await;
    let token = desk.vendor_token(&[VendorScope::LicensesRead]).await;
    let ask = async |bearer: &str| desk.get(&desk.at("/licenses")).by(bearer).send().await;
    for left in ["r=2;t=10", "r=1;t=20", "r=0;t=30"] {
        let answer = ask(&token).await;
        assert_eq!(answer.headers["ratelimit"].to_str().unwrap(), format!("\"vendor\";{left}"));
        answer.ok(200);
    }
    ask(&token).await.is(429, "rate_limited");
    ask(&desk.staff("vendor")).await.ok(200);
    ask(&desk.vendor_token(&[VendorScope::LicensesRead]).await).await.ok(200);
}

/// What a vendor token may do is no more than this list: a row that gives it more is seen here, beside the access table.
#[tokio::test]
async fn no_vendor_token_touches_people_tokens_invitations_webhooks_keys_or_sign_outs() {
    let only_people = [
        "people",
        "invitation",
        "api-token",
        "webhook",
        "void-tokens",
        "access-policy",
        "rotate-key",
        "erasures",
        "sessions",
    ];
    for rule in TABLE {
        let of_people = only_people.iter().any(|word| rule.path.contains(word));
        assert!(!(of_people && rule.vendor.is_some()), "{} {}", rule.method, rule.path);
        let changes = rule.method != "GET";
        assert!(
            rule.vendor.is_none_or(|scope| changes == scope.as_str().ends_with(":write")),
            "{} {}: {:?}",
            rule.method,
            rule.path,
            rule.vendor
        );
    }
    let desk = Desk::new().await;
    let all = desk.vendor_token(VendorScope::ALL).await;
    let wish = json!({ "name": "another", "scopes": ["licenses:write"] });
    let no = desk.post(TOKENS, &wish).by(&all).send().await.is(403, "insufficient_scope");
    assert_eq!(no["required"], "person");
    let of_organization = json!({ "name": "x", "scopes": ["licenses:read"] });
    desk.post(&desk.at("/api-tokens"), &of_organization).by(&all).send().await.is(403, "insufficient_scope");
    let guest = json!({ "email": "guest@example.com", "role": "owner" });
    desk.post(&desk.at("/invitations"), &guest).by(&all).send().await.is(403, "insufficient_scope");
    desk.get("/api/v1/me").by(&all).send().await.is(403, "insufficient_scope");
    // Nor does a token of an organization reach what is the vendor's.
    let own = desk.api_token(desk.tenant(), Scope::ALL).await;
    desk.get("/api/v1/staff/organizations").by(&own).send().await.is(403, "insufficient_scope");
    let me = desk.get("/api/v1/staff/me").by(&desk.staff("vendor")).send().await.ok(200);
    assert_eq!(me, json!({ "email": "vendor@example.com", "subject": "vendor" }));
    desk.get("/api/v1/staff/me").by(&desk.person("owner")).send().await.is(403, "insufficient_role");
}

#[tokio::test]
async fn what_a_token_does_to_the_catalog_stands_in_the_staffs_log_under_its_name() {
    let desk = Desk::new().await;
    let token = desk.vendor_token(&[VendorScope::PlansWrite]).await;
    let plan = json!({ "tier": "team", "seats": 25 });
    desk.call("PUT", "/api/v1/staff/plans/team").json(&plan).by(&token).send().await.ok(201);
    let log = desk.staff_log().await;
    assert_eq!(log, [("plan.created".to_owned(), "vendor_token the shop".to_owned(), "team".to_owned())]);
}
