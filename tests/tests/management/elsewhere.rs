//! The networks from which API tokens and staff are accepted.

use crate::desk::{Answer, Desk};
use license_core::domain::access::Scope;
use license_functions::edge::config::StaffRules;
use license_tests::World;
use serde_json::{Value, json};

/// A token of the world's organization that is good from these networks.
async fn token(desk: &Desk, networks: &Value) -> (String, String) {
    let wish = json!({ "name": "build", "scopes": ["people:read"], "allowed_networks": networks });
    let made = desk.post(&desk.at("/api-tokens"), &wish).by(&desk.person("owner")).send().await.ok(201);
    (made["secret"].as_str().unwrap().to_owned(), desk.at(&format!("/api-tokens/{}", made["id"].as_str().unwrap())))
}

async fn from(desk: &Desk, bearer: &str, forwarded: &str) -> Answer {
    desk.get(&desk.at("/people")).by(bearer).header("x-forwarded-for", forwarded).send().await
}

#[tokio::test]
async fn a_token_opens_nothing_from_outside_its_networks_and_says_so_plainly() {
    let desk = Desk::new().await;
    let (secret, path) = token(&desk, &json!(["192.0.2.0/24", "2001:db8::/32"])).await;
    for address in
        ["192.0.2.0", "192.0.2.255", "::ffff:192.0.2.9", "64:ff9b::192.0.2.9", "2001:db8:ffff::1", "6.6.6.6, 192.0.2.7"]
    {
        from(&desk, &secret, address).await.ok(200);
    }
    let used = desk.get(&path).by(&desk.person("owner")).send().await.ok(200);
    sqlx::query("update api_tokens set last_used_at = null").execute(&mut desk.world.truth().await).await.unwrap();
    // What a client writes into the header before our proxies does is not from where it comes.
    for (address, seen) in [
        ("192.0.1.255", "192.0.1.255"),
        ("::ffff:192.0.3.0", "192.0.3.0"),
        ("2001:db9::1", "2001:db9::1"),
        ("192.0.2.9, 198.51.100.7", "198.51.100.7"),
        ("::1", "::1"),
    ] {
        let refused = from(&desk, &secret, address).await.is(403, "address_not_allowed");
        assert_eq!(refused["address"], seen);
        let detail = refused["detail"].as_str().unwrap();
        assert!(detail.contains(seen) && !detail.contains("192.0.2.0/24"), "its networks are not told: {detail}");
    }
    // In the tests no connection is of TCP: without a header nobody knows from where.
    for unknown in ["unknown", ""] {
        let refused = from(&desk, &secret, unknown).await.is(403, "address_not_allowed");
        assert!(refused.get("address").is_none(), "{refused}");
    }
    let read = desk.get(&path).by(&desk.person("owner")).send().await.ok(200);
    assert_eq!(read["last_used_at"], Value::Null, "a token that was refused was not used");
    assert_eq!(read["allowed_networks"], json!(["192.0.2.0/24", "2001:db8::/32"]));
    assert_eq!(used["allowed_networks"], read["allowed_networks"]);
    desk.delete(&path).by(&desk.person("owner")).send().await.ok(204);
    from(&desk, &secret, "198.51.100.7").await.is(401, "token_invalid");
}

#[tokio::test]
async fn a_token_without_networks_is_good_from_everywhere() {
    let desk = Desk::new().await;
    let (secret, path) = token(&desk, &Value::Null).await;
    for address in ["192.0.2.0", "2001:db8::1", "unknown"] {
        from(&desk, &secret, address).await.ok(200);
    }
    let read = desk.get(&path).by(&desk.person("owner")).send().await.ok(200);
    assert_eq!(read["allowed_networks"], Value::Null);
}

#[tokio::test]
async fn networks_are_kept_and_audited_in_one_spelling() {
    let desk = Desk::new().await;
    let wish = json!([" 192.0.2.7", "::ffff:198.51.100.0/120", "2001:DB8:0::/48"]);
    let (secret, path) = token(&desk, &wish).await;
    let kept = json!(["192.0.2.7/32", "198.51.100.0/24", "2001:db8::/48"]);
    assert_eq!(desk.get(&path).by(&desk.person("owner")).send().await.ok(200)["allowed_networks"], kept);
    let after: Value = sqlx::query_scalar("select after from audit_log where action = 'api_token.created'")
        .fetch_one(&mut desk.world.truth().await)
        .await
        .unwrap();
    assert_eq!(after["allowed_networks"], kept);
    from(&desk, &secret, "198.51.100.255").await.ok(200);
    from(&desk, &secret, "192.0.2.8").await.is(403, "address_not_allowed");
}

#[tokio::test]
async fn a_wrong_network_is_named_and_no_token_is_made() {
    let desk = Desk::new().await;
    let many: Vec<_> = (0..51).map(|n| format!("192.0.2.{n}")).collect();
    for networks in [
        json!([]),
        json!(["192.0.2.1/24"]),
        json!(["office"]),
        json!(["192.0.2.0/24", "::ffff:192.0.2.0/120"]),
        json!(["64:ff9b::/96"]),
        json!(["2001:db8::/129"]),
        json!([""]),
        json!(["192.0.2.0\u{0}"]),
        json!(many),
        json!("192.0.2.0/24"),
    ] {
        let wish = json!({ "name": "a", "scopes": ["people:read"], "allowed_networks": networks });
        let wrong = desk.post(&desk.at("/api-tokens"), &wish).by(&desk.person("owner")).send().await.wrong();
        assert_eq!(wrong, ["allowed_networks"], "{networks}");
    }
    assert_eq!(desk.world.count("select count(*) from api_tokens").await, 0);
}

#[tokio::test]
async fn staff_is_let_in_from_its_networks_alone_whatever_it_asks() {
    let networks = vec!["203.0.113.0/24".parse().unwrap()];
    let desk = Desk::guarded(World::new().await, None, StaffRules { networks, ..StaffRules::default() }).await;
    let ask = async |path: &str, bearer: &str, forwarded: &str| {
        desk.get(path).by(bearer).header("x-forwarded-for", forwarded).send().await
    };
    let (staff, owner) = (desk.staff("vendor"), desk.person("owner"));
    for path in [desk.at(""), "/api/v1/staff/products".to_owned(), "/api/v1/plans".to_owned()] {
        ask(&path, &staff, "203.0.113.200").await.ok(200);
        ask(&path, &staff, "::ffff:203.0.113.200").await.ok(200);
        let refused = ask(&path, &staff, "203.0.114.0").await.is(403, "address_not_allowed");
        assert_eq!(refused["address"], "203.0.114.0");
        ask(&path, &staff, "unknown").await.is(403, "address_not_allowed");
    }
    // Customers and their tokens are not staff.
    ask(&desk.at(""), &owner, "203.0.114.0").await.ok(200);
    let token = desk.api_token(desk.tenant(), &[Scope::OrganizationRead]).await;
    ask(&desk.at(""), &token, "203.0.114.0").await.ok(200);
}
