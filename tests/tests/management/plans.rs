//! Plans and products, which are the vendor's, and finding a license by its number.

use crate::desk::Desk;
use license_core::domain::access::Scope;
use serde_json::{Value, json};

const PRO: &str = "/api/v1/staff/plans/pro";

fn pro() -> Value {
    json!({ "tier": "pro", "seats": 25, "features": { "render": true }, "offline_policy": "grace", "grace_hours": 72 })
}

async fn log(desk: &Desk) -> Vec<(String, String, String, Option<Value>, Option<Value>)> {
    let sql = "select action, target, actor_name || ' ' || coalesce(from_address, '') || ' ' || request_id, before, after from catalog.staff_log order by id";
    sqlx::query_as(sql).fetch_all(&mut desk.world.truth().await).await.unwrap()
}

#[tokio::test]
async fn a_plan_is_made_replaced_and_read_by_everybody_and_the_staffs_log_says_by_whom_and_from_where() {
    let desk = Desk::new().await;
    let put = |body: &Value| {
        desk.call("PUT", PRO)
            .json(body)
            .by(&desk.staff("vendor"))
            .header("x-request-id", "my-request")
            .header("x-forwarded-for", "203.0.113.9")
    };
    let made = put(&pro()).send().await.ok(201);
    let whole = json!({ "plan": "pro", "tier": "pro", "seats": 25, "trial_days": null, "features": { "render": true }, "offline_policy": "grace",
        "grace_hours": 72, "grace_after_heartbeats": 2, "grace_beyond_seats": null, "holder_by": "machine", "processes_per_seat": 32 });
    assert_eq!(made, whole);
    assert_eq!(put(&pro()).send().await.ok(200), whole, "the same again changes nothing");
    let smaller =
        json!({ "tier": "pro", "seats": 10, "trial_days": 30, "holder_by": "process", "processes_per_seat": 1 });
    let replaced = put(&smaller).send().await.ok(200);
    assert_eq!(replaced["features"], json!({}), "what is not said has its default");
    let script = desk.api_token(desk.tenant(), &[Scope::LicensesRead]).await;
    for who in [desk.person("newcomer"), desk.staff("vendor"), script] {
        assert_eq!(desk.get("/api/v1/plans/pro").by(&who).send().await.ok(200), replaced);
        let list = desk.get("/api/v1/plans").by(&who).send().await.ok(200);
        let names: Vec<_> = list["items"].as_array().unwrap().iter().map(|plan| plan["plan"].clone()).collect();
        assert_eq!(names, [json!("pro"), json!("trial")], "the newest first");
    }
    let log = log(&desk).await;
    let actions: Vec<_> =
        log.iter().map(|(action, target, who, ..)| (action.as_str(), target.as_str(), who.as_str())).collect();
    let who = "vendor@example.com 203.0.113.9 my-request";
    assert_eq!(actions, [("plan.created", "pro", who), ("plan.replaced", "pro", who)]);
    assert_eq!(log[0].3, None);
    assert_eq!((&log[1].3, log[1].4.as_ref().unwrap()["seats"].clone()), (&log[0].4, json!(10)));
}

#[tokio::test]
async fn every_wrong_field_of_a_plan_is_named_and_nothing_is_written() {
    let desk = Desk::new().await;
    let staff = desk.staff("vendor");
    let put = async |path: &str, body: &Value| desk.call("PUT", path).json(body).by(&staff).send().await;
    for (field, values) in [
        ("tier", vec![json!(null), json!(""), json!("A"), json!(7), json!("-x"), json!("x".repeat(64))]),
        ("seats", vec![json!(null), json!(0), json!(100_001), json!("5"), json!(1.5)]),
        ("trial_days", vec![json!(0), json!(36_501), json!("x")]),
        ("features", vec![json!([]), json!({ "a": "\0" }), json!({ "a": "x".repeat(3072) })]),
        ("offline_policy", vec![json!("x"), json!(1)]),
        ("grace_hours", vec![json!(-1), json!(8761), json!(0)]),
        ("grace_after_heartbeats", vec![json!(-1), json!(101), json!("2")]),
        ("grace_beyond_seats", vec![json!(-1), json!(100_001), json!("0")]),
        ("holder_by", vec![json!("x"), json!({})]),
        ("processes_per_seat", vec![json!(0), json!(1001)]),
        ("plan", vec![json!("pro")]),
    ] {
        for value in values {
            let mut body = pro();
            body[field] = value;
            assert_eq!(put(PRO, &body).await.wrong(), [field], "{body}");
        }
    }
    assert_eq!(put("/api/v1/staff/plans/A%20b", &json!({ "seats": 0 })).await.wrong(), ["plan", "tier", "seats"]);
    assert_eq!(put(PRO, &json!({ "tier": "pro", "seats": 1, "grace_hours": 5 })).await.wrong(), ["grace_hours"]);
    for (path, body, wrong) in [
        ("/api/v1/staff/products/viewer", json!({}), "registration_plan"),
        ("/api/v1/staff/products/viewer", json!({ "registration_plan": "none-such" }), "registration_plan"),
        ("/api/v1/staff/products/viewer", json!({ "registration_plan": "trial", "is_default": "yes" }), "is_default"),
        ("/api/v1/staff/products/viewer", json!({ "registration_plan": "trial", "name": "x" }), "name"),
        ("/api/v1/staff/products/A", json!({ "registration_plan": "trial" }), "product"),
    ] {
        assert_eq!(put(path, &body).await.wrong(), [wrong], "{path} {body}");
    }
    for list in ["/api/v1/plans", "/api/v1/staff/products"] {
        assert_eq!(desk.get(&format!("{list}?limit=0")).by(&staff).send().await.wrong(), ["limit"]);
        assert_eq!(desk.get(&format!("{list}?cursor=x")).by(&staff).send().await.wrong(), ["cursor"]);
    }
    desk.get("/api/v1/plans/A").by(&staff).send().await.is(404, "not_found");
    desk.get("/api/v1/plans/none-such").by(&staff).send().await.is(404, "not_found");
    assert_eq!(log(&desk).await, []);
    assert_eq!(
        desk.world.count("select (select count(*) from catalog.plans) + (select count(*) from catalog.products)").await,
        2
    );
}

#[tokio::test]
async fn of_two_staff_who_replace_a_plan_at_once_one_wins_and_one_is_told() {
    let desk = Desk::new().await;
    let staff = desk.staff("vendor");
    let etag = desk.call("PUT", PRO).json(&pro()).by(&staff).send().await.etag();
    let put = |seats: u32| {
        let body = json!({ "tier": "pro", "seats": seats });
        desk.call("PUT", PRO).json(&body).by(&staff).header("if-match", &etag)
    };
    let (a, b) = tokio::join!(put(8).send(), put(9).send());
    let mut statuses = [a.status, b.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412]);
    let won = if a.status == 200 { a } else { b };
    let read = desk.get("/api/v1/plans/pro").by(&staff).send().await;
    assert_eq!((read.etag(), read.ok(200)), (won.etag(), won.body));
    let none =
        desk.call("PUT", "/api/v1/staff/plans/new").json(&pro()).by(&staff).header("if-match", "\"1\"").send().await;
    none.is(412, "precondition_failed");
    assert_eq!(log(&desk).await.len(), 2);
}

#[tokio::test]
async fn plans_are_listed_page_by_page() {
    let desk = Desk::new().await;
    let staff = desk.staff("vendor");
    for n in 0..4 {
        desk.call("PUT", &format!("/api/v1/staff/plans/p{n}")).json(&pro()).by(&staff).send().await.ok(201);
    }
    let (mut seen, mut path) = (Vec::new(), "/api/v1/plans?limit=2".to_owned());
    loop {
        let page = desk.get(&path).by(&desk.person("newcomer")).send().await.ok(200);
        seen.extend(page["items"].as_array().unwrap().iter().map(|plan| plan["plan"].clone()));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/api/v1/plans?limit=2&cursor={cursor}");
    }
    assert_eq!(json!(seen), json!(["p3", "p2", "p1", "p0", "trial"]));
}

#[tokio::test]
async fn one_product_is_always_the_default_and_a_registration_gets_its_plan() {
    let desk = Desk::new().await;
    let staff = desk.staff("vendor");
    let put = async |name: &str, body: Value| {
        desk.call("PUT", &format!("/api/v1/staff/products/{name}")).json(&body).by(&staff).send().await
    };
    desk.call("PUT", PRO).json(&pro()).by(&staff).send().await.ok(201);
    put("viewer", json!({ "registration_plan": "pro", "is_default": true })).await.ok(201);
    let list = desk.get("/api/v1/staff/products").by(&staff).send().await.ok(200);
    let defaults: Vec<_> =
        list["items"].as_array().unwrap().iter().map(|it| (it["product"].clone(), it["is_default"].clone())).collect();
    assert_eq!(defaults, [(json!("viewer"), json!(true)), (json!("coditect"), json!(false))]);
    put("viewer", json!({ "registration_plan": "pro" })).await.is(409, "conflict");
    let registered = desk.call("POST", "/api/v1/auth/register").by(&desk.person("newcomer")).send().await.ok(201);
    assert_eq!(
        (&registered["license"]["product"], &registered["license"]["seats_total"]),
        (&json!("viewer"), &json!(25))
    );
    put("coditect", json!({ "registration_plan": "trial", "is_default": true })).await.ok(200);
    let read = desk.get("/api/v1/staff/products/viewer").by(&staff).send().await;
    assert_eq!(read.etag(), "\"2\"", "losing the default is a change of it");
    assert_eq!(read.ok(200)["is_default"], false);
    let actions: Vec<String> = log(&desk).await.into_iter().map(|(action, ..)| action).collect();
    assert_eq!(actions, ["plan.created", "product.created", "product.replaced"]);
}

#[tokio::test]
async fn staff_finds_a_license_by_its_number_and_nobody_else_does() {
    let desk = Desk::new().await;
    let license = &desk.world.license;
    let path = format!("/api/v1/staff/licenses/{}", license.pool.license);
    let found = desk.get(&path).by(&desk.staff("vendor")).send().await.ok(200);
    let expected = json!({ "number": license.pool.license, "organization": license.tenant, "license": license.id });
    assert_eq!(found, expected);
    desk.get(&path).by(&desk.person("owner")).send().await.is(403, "insufficient_role");
    for none in ["0000000000000", "x", "ZZZZZZZZZZZZZ"] {
        let path = format!("/api/v1/staff/licenses/{none}");
        desk.get(&path).by(&desk.staff("vendor")).send().await.is(404, "not_found");
    }
}
