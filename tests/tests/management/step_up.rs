//! A fresher or stronger sign-in, demanded before operations that give or take away rights (RFC 9470).

use crate::desk::{Answer, Desk};
use license_core::domain::{
    access::{
        PersonRole::{Admin, Member},
        Scope,
    },
    step_up::StepUpPolicy,
};
use license_functions::{
    admin::{
        access::{LeastRole, TABLE},
        step_up::is_guarded,
    },
    edge::config::StaffRules,
};
use license_tests::World;
use serde_json::{Value, json};
use uuid::Uuid;

impl Desk {
    /// The ID token of somebody who signed in so many seconds ago, so strongly.
    fn signed_in(&self, audience: &str, subject: &str, ago: i64, acr: &str) -> String {
        let now = self.world.clock.now_seconds();
        self.claims(audience, subject, |claims| {
            claims["auth_time"] = json!(now - ago);
            claims["acr"] = json!(acr);
        })
    }

    async fn put_policy(&self, bearer: &str, policy: &Value) -> Answer {
        self.call("PUT", &self.at("/access-policy")).json(policy).by(bearer).send().await
    }

    /// An operation about nothing, with a body that none of them takes: it changes nothing, whoever asks.
    async fn try_operation(&self, method: &str, path: &str, bearer: &str) -> Answer {
        let mut path = path.replace("{organization}", &self.tenant().to_string());
        while let (Some(start), Some(end)) = (path.find('{'), path.find('}')) {
            path.replace_range(start..=end, &Uuid::new_v4().to_string());
        }
        let call = self.call(method, &path);
        let call = if method == "GET" { call } else { call.json(&json!({ "step_up": {} })) };
        call.by(bearer).send().await
    }
}

fn demanded(answer: &Answer) -> bool {
    answer.body["code"] == "insufficient_user_authentication"
}

#[tokio::test]
async fn a_stale_or_weak_sign_in_is_challenged_for_every_guarded_operation_and_for_no_other() {
    let desk = Desk::new().await;
    desk.join(desk.tenant(), "member", Member).await;
    let good = desk.signed_in("customers", "owner", 10, "phr");
    desk.put_policy(&good, &json!({ "step_up": { "max_age": 300, "acr_values": ["phr", "phrh"] } })).await.ok(200);
    let mut guarded = 0;
    for rule in TABLE.iter().filter(|rule| rule.path.contains("{organization}")) {
        let what = format!("{} {}", rule.method, rule.path);
        let of_staff = rule.least == LeastRole::Staff;
        for (ago, acr) in [(361, "phr"), (10, "1")] {
            let answer =
                desk.try_operation(rule.method, rule.path, &desk.signed_in("customers", "owner", ago, acr)).await;
            if of_staff {
                answer.is(403, "insufficient_role");
                continue;
            }
            assert_eq!(demanded(&answer), is_guarded(rule), "{what}: {answer:?}");
            if demanded(&answer) {
                guarded += 1;
                let challenge = answer.headers["www-authenticate"].to_str().unwrap();
                for part in [
                    "Bearer error=\"insufficient_user_authentication\", ",
                    ", acr_values=\"phr phrh\"",
                    ", max_age=\"300\"",
                ] {
                    assert!(challenge.contains(part), "{challenge}");
                }
                let body = answer.is(401, "insufficient_user_authentication");
                assert_eq!((&body["max_age"], &body["acr_values"]), (&json!(300), &json!(["phr", "phrh"])));
            }
        }
        // Who is signed in as demanded is asked for no more, and who is no admin hears that first.
        let met = desk.try_operation(rule.method, rule.path, &desk.signed_in("customers", "owner", 360, "phrh")).await;
        assert!(!demanded(&met), "{what}: {met:?}");
        if !of_staff
            && is_guarded(rule)
            && rule.least != LeastRole::Role(license_core::domain::access::PersonRole::Viewer)
        {
            desk.try_operation(rule.method, rule.path, &desk.person("member")).await.is(403, "insufficient_role");
        }
        // Staff is asked as its own setting says, which here says nothing.
        let staff = desk.try_operation(rule.method, rule.path, &desk.staff("vendor")).await;
        assert!(!demanded(&staff), "{what}: {staff:?}");
    }
    assert!(guarded >= 2 * 8, "{guarded}");
    let silent = desk.claims("customers", "owner", |claims| {
        claims.as_object_mut().unwrap().remove("auth_time");
        claims["acr"] = json!("phr");
    });
    let path = desk.at("/api-tokens");
    desk.post(&path, &json!({})).by(&silent).send().await.is(401, "insufficient_user_authentication");
    for (name, value) in [
        ("auth_time", json!("now")),
        ("auth_time", json!(desk.world.clock.now_seconds() + 7200)),
        ("acr", json!(["phr"])),
        ("acr", Value::Null),
    ] {
        let odd = desk.claims("customers", "owner", |claims| {
            claims["acr"] = json!("phr");
            claims[name] = value;
        });
        desk.get(&desk.at("")).by(&odd).send().await.ok(200);
        desk.post(&path, &json!({})).by(&odd).send().await.is(401, "insufficient_user_authentication");
    }
}

#[tokio::test]
async fn registering_again_gives_no_new_key_to_a_sign_in_that_may_not_rotate_one() {
    let desk = Desk::new().await;
    let keys = "select count(*) from license_keys where valid_until is null or valid_until > now()";
    let all = "select count(*) from license_keys";
    let good = desk.signed_in("customers", "owner", 10, "phr");
    desk.put_policy(&good, &json!({ "step_up": { "max_age": 300, "acr_values": ["phr"] } })).await.ok(200);
    let before = desk.world.count(all).await;
    for (ago, acr) in [(361, "phr"), (10, "1")] {
        let weak = desk.signed_in("customers", "owner", ago, acr);
        let found = desk.register(&weak, &json!({})).send().await.ok(200);
        assert_eq!(found["license"]["key"], Value::Null, "{found}");
        assert_eq!(found["user"]["role"], "owner");
        assert_eq!(desk.world.count(all).await, before, "the key that was given first is still good");
    }
    // Whoever lost the first answer signs in as their organization demands.
    let found = desk.register(&good, &json!({})).send().await.ok(200);
    assert!(found["license"]["key"].is_string(), "{found}");
    assert_eq!((desk.world.count(keys).await, desk.world.count(all).await), (1, before + 1));
}

#[tokio::test]
async fn a_script_is_not_asked_to_sign_in_but_making_one_is_guarded() {
    let desk = Desk::new().await;
    let token = desk.api_token(desk.tenant(), &[Scope::LicensesWrite]).await;
    let good = desk.signed_in("customers", "owner", 0, "phr");
    desk.put_policy(&good, &json!({ "step_up": { "acr_values": ["phr"] } })).await.ok(200);
    let rotate = desk.at(&format!("/licenses/{}/rotate-key", desk.world.license.id));
    desk.post(&rotate, &json!({})).by(&token).send().await.ok(200);
    let weak = desk.person("owner");
    desk.post(&rotate, &json!({})).by(&weak).send().await.is(401, "insufficient_user_authentication");
    let wish = json!({ "name": "a", "scopes": ["licenses:write"] });
    desk.post(&desk.at("/api-tokens"), &wish).by(&weak).send().await.is(401, "insufficient_user_authentication");
    desk.post(&rotate, &json!({})).by(&good).send().await.ok(200);
}

#[tokio::test]
async fn a_policy_is_the_owners_audited_once_and_shuts_nobody_out() {
    let desk = Desk::new().await;
    desk.join(desk.tenant(), "bob", Admin).await;
    let path = desk.at("/access-policy");
    let weak = desk.person("owner");
    let none = desk.get(&path).by(&desk.person("bob")).send().await;
    let first = none.etag();
    assert_eq!(none.ok(200), json!({ "step_up": null }));
    let strong = json!({ "step_up": { "max_age": null, "acr_values": ["phr"] } });
    desk.put_policy(&desk.person("bob"), &strong).await.is(403, "insufficient_role");
    // Who could not meet it cannot set it: the next request would find them outside.
    desk.put_policy(&weak, &strong).await.is(401, "insufficient_user_authentication");
    let good = desk.signed_in("customers", "owner", 0, "phr");
    assert_eq!(desk.put_policy(&good, &strong).await.ok(200), strong);
    assert_eq!(desk.put_policy(&good, &strong).await.ok(200), strong);
    assert_eq!(desk.get(&path).by(&weak).send().await.ok(200), strong, "reading it is not guarded");
    desk.put_policy(&weak, &json!({})).await.is(401, "insufficient_user_authentication");
    let stale = desk.call("PUT", &path).json(&json!({})).by(&good).header("if-match", &first).send().await;
    stale.is(412, "precondition_failed");
    // Staff can take it away for somebody whose identity provider changed its words.
    assert_eq!(desk.put_policy(&desk.staff("vendor"), &json!({})).await.ok(200), json!({ "step_up": null }));
    desk.put_policy(&weak, &json!({ "step_up": { "max_age": 60 } })).await.ok(200);
    let log = desk.audited().await;
    let by: Vec<_> = log.iter().map(|(action, by, _)| format!("{action} {by}")).collect();
    let line = |by: &str| format!("access_policy.changed {by}@example.com");
    assert_eq!(
        by,
        [line("person owner"), line("staff vendor"), line("person owner")],
        "what changes nothing is no entry"
    );
    let sql = "select before || jsonb_build_object('then', after) from audit_log where action = 'access_policy.changed' order by id limit 1";
    let told: Value = sqlx::query_scalar(sql).fetch_one(&mut desk.world.truth().await).await.unwrap();
    let expected = json!({ "max_age": null, "acr_values": null, "then": { "max_age": null, "acr_values": ["phr"] } });
    assert_eq!(told, expected);
}

#[tokio::test]
async fn a_wrong_policy_is_named_field_by_field() {
    let desk = Desk::new().await;
    let owner = desk.person("owner");
    for (policy, fields) in [
        (json!({ "step_up": {} }), &["step_up"][..]),
        (json!({ "step_up": { "max_age": 59 } }), &["step_up.max_age"]),
        (json!({ "step_up": { "max_age": 2_592_001 } }), &["step_up.max_age"]),
        (json!({ "step_up": { "max_age": "300" } }), &["step_up.max_age"]),
        (json!({ "step_up": { "max_age": 1.5, "acr_values": [] } }), &["step_up.max_age", "step_up.acr_values"]),
        (json!({ "step_up": { "acr_values": ["a b"] } }), &["step_up.acr_values"]),
        (json!({ "step_up": { "acr_values": ["a\"b"] } }), &["step_up.acr_values"]),
        (json!({ "step_up": { "acr_values": ["a\r\nb"] } }), &["step_up.acr_values"]),
        (json!({ "step_up": { "acr_values": ["a", "a"] } }), &["step_up.acr_values"]),
        (
            json!({ "step_up": { "acr_values": (0..11).map(|n| n.to_string()).collect::<Vec<_>>() } }),
            &["step_up.acr_values"],
        ),
        (json!({ "step_up": { "max_agr": 300 } }), &["step_up.max_agr"]),
        (json!({ "stepup": null }), &["stepup"]),
    ] {
        assert_eq!(desk.put_policy(&owner, &policy).await.wrong(), fields, "{policy}");
    }
    assert_eq!(desk.audited().await, []);
}

#[tokio::test]
async fn staff_reads_as_it_signed_in_and_changes_only_with_what_the_deployment_demands() {
    let step_up = StepUpPolicy { max_age: Some(600), acr_values: vec!["phrh".into()] };
    let desk = Desk::guarded(World::new().await, None, StaffRules { step_up, ..StaffRules::default() }).await;
    for rule in TABLE.iter().filter(|rule| rule.least != LeastRole::Person) {
        let what = format!("{} {}", rule.method, rule.path);
        for (ago, acr, met) in [(661, "phrh", false), (0, "phr", false), (660, "phrh", true)] {
            let staff = desk.signed_in("staff", "vendor", ago, acr);
            let answer = desk.try_operation(rule.method, rule.path, &staff).await;
            assert_eq!(demanded(&answer), rule.method != "GET" && !met, "{what}: {answer:?}");
        }
        // Customers are asked as their organization says, which here says nothing.
        assert!(!demanded(&desk.try_operation(rule.method, rule.path, &desk.person("owner")).await), "{what}");
    }
}
