//! Licenses in lists, and that nobody sees another organization's.

use crate::desk::Desk;
use serde_json::json;
use std::collections::BTreeSet;

#[tokio::test]
async fn licenses_are_listed_by_any_filters_page_by_page_the_newest_first() {
    let desk = Desk::new().await;
    let staff = desk.staff("vendor");
    let plan = json!({ "tier": "pro", "seats": 1 });
    desk.call("PUT", "/api/v1/staff/plans/pro").json(&plan).by(&staff).send().await.ok(201);
    desk.call("PUT", "/api/v1/staff/products/viewer")
        .json(&json!({ "registration_plan": "pro" }))
        .by(&staff)
        .send()
        .await
        .ok(201);
    let mut all = vec![(desk.world.license.id.to_string(), "active", "trial", "coditect")];
    for n in 0..7 {
        let (plan, product) = (["trial", "pro"][n % 2], ["coditect", "viewer"][n / 2 % 2]);
        let made = desk
            .post(&desk.at("/licenses"), &json!({ "product": product, "plan": plan }))
            .by(&staff)
            .send()
            .await
            .ok(201);
        let id = made["id"].as_str().unwrap().to_owned();
        let status = if n % 3 == 0 { "suspended" } else { "active" };
        if n % 3 == 0 {
            desk.post(&desk.at(&format!("/licenses/{id}/suspend")), &json!({})).by(&staff).send().await.ok(200);
        }
        all.insert(0, (id, status, plan, product));
    }
    let stranger = desk.other("stranger").await;
    for status in [None, Some("active"), Some("suspended"), Some("revoked")] {
        for tier in [None, Some("trial"), Some("pro"), Some("gold")] {
            for product in [None, Some("coditect"), Some("viewer")] {
                let fits = |given: Option<&str>, is: &str| given.is_none_or(|given| given == is);
                let expected: Vec<&str> = all
                    .iter()
                    .filter(|it| fits(status, it.1) && fits(tier, it.2) && fits(product, it.3))
                    .map(|it| it.0.as_str())
                    .collect();
                let part =
                    |name: &str, value: Option<&str>| value.map_or(String::new(), |value| format!("&{name}={value}"));
                let filter = part("status", status) + &part("tier", tier) + &part("product", product);
                let (mut seen, mut cursor) = (Vec::new(), String::new());
                loop {
                    let path = desk.at(&format!("/licenses?limit=2{filter}{cursor}"));
                    let page = desk.get(&path).by(&desk.person("owner")).send().await.ok(200);
                    seen.extend(
                        page["items"].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap().to_owned()),
                    );
                    let Some(next) = page["next_cursor"].as_str() else { break };
                    cursor = format!("&cursor={next}");
                }
                assert_eq!(seen, expected, "{filter}");
                assert!(!seen.contains(&stranger.id.to_string()));
            }
        }
    }
    for (query, field) in [
        ("status=expired", "status"),
        ("tier=A", "tier"),
        ("product=-x", "product"),
        ("limit=0", "limit"),
        ("cursor=x", "cursor"),
        ("number=x", "number"),
    ] {
        let path = desk.at(&format!("/licenses?{query}"));
        assert_eq!(desk.get(&path).by(&desk.person("owner")).send().await.wrong(), [field], "{query}");
    }
}

#[tokio::test]
async fn no_license_of_another_organization_is_seen_or_changed_by_any_id_filter_or_cursor() {
    let desk = Desk::new().await;
    let other = desk.other("stranger").await;
    let (staff, owner) = (desk.staff("vendor"), desk.person("owner"));
    let theirs = |rest: &str| desk.at(&format!("/licenses/{}{rest}", other.id));
    let of_theirs = "select version + facts_version from licenses l where exists (select from users u where u.tenant_id = l.tenant_id and u.email = 'stranger@example.com')";
    let before = desk.world.count(of_theirs).await;
    desk.get(&theirs("")).by(&owner).send().await.is(404, "not_found");
    desk.get(&theirs("")).by(&staff).send().await.is(404, "not_found");
    desk.patch(&theirs(""), &json!({ "seats": 1 })).by(&staff).send().await.is(404, "not_found");
    for act in ["suspend", "resume", "revoke"] {
        desk.post(&theirs(&format!("/{act}")), &json!({})).by(&staff).send().await.is(404, "not_found");
    }
    desk.post(&theirs("/rotate-key"), &json!({})).by(&owner).send().await.is(404, "not_found");
    desk.get(&desk.at("/licenses/none")).by(&owner).send().await.is(404, "not_found");
    assert_eq!(desk.world.count(of_theirs).await, before);
    assert_eq!(desk.audited().await, []);

    // A cursor made of their id shows this organization's rows alone.
    let cursor = license_core::records::PageCursor(other.id.0).to_string();
    let page = desk.get(&desk.at(&format!("/licenses?cursor={cursor}"))).by(&owner).send().await.ok(200);
    let ids: BTreeSet<&str> = page["items"].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap()).collect();
    assert!(ids.is_subset(&BTreeSet::from([desk.world.license.id.to_string().as_str()])), "{ids:?}");
}
