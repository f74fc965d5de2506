//! Licenses: created, edited, suspended, resumed, revoked and given new keys, by the callers who may do so.

use crate::desk::Desk;
use license_core::{
    domain::{access::Scope, key::LicenseKey},
    protocol::acquire::{AcquireOutcome, KeyRejection},
};
use serde_json::{Value, json};

/// The path of the world's own license, with something below it.
pub(crate) fn own(desk: &Desk, rest: &str) -> String {
    desk.at(&format!("/licenses/{}{rest}", desk.world.license.id))
}

async fn events(desk: &Desk, kind: &str) -> Vec<Value> {
    sqlx::query_scalar("select payload from outbox where kind = $1 order by id")
        .bind(kind)
        .fetch_all(&mut desk.world.truth().await)
        .await
        .unwrap()
}

/// How many rows there are of whatever a change writes. That staff asked for one that is none is told as a read (`staff_reads.rs`).
async fn written(desk: &Desk) -> i64 {
    desk.world
        .count(
            "select (select count(*) from audit_log where action <> 'staff.read') + (select count(*) from outbox) + (select sum(version) from licenses)::bigint
               + (select sum(epoch) from pools)::bigint + (select count(*) from license_keys) + (select count(*) from idempotency_keys)",
        )
        .await
}

#[tokio::test]
async fn staff_makes_a_license_whose_key_is_shown_once_and_again_to_the_same_request_alone() {
    let desk = Desk::new().await;
    let staff = desk.staff("vendor");
    let body = json!({ "product": "coditect", "plan": "trial", "seats": 2, "expires_at": null, "grace_hours": 72,
        "features": { "render": true }, "hide_holders": true, "processes_per_seat": 3, "holder_by": "machine" });
    let make = || desk.post(&desk.at("/licenses"), &body).by(&staff).header("idempotency-key", "k");
    let answer = make().send().await;
    let etag = answer.etag();
    let made = answer.ok(201);
    for (field, value) in [
        ("product", json!("coditect")),
        ("plan", json!("trial")),
        ("tier", json!("trial")),
        ("status", json!("active")),
        ("seats_total", json!(2)),
        ("expires_at", json!(null)),
        ("offline_policy", json!("grace")),
        ("grace_hours", json!(72)),
        ("features", json!({ "render": true })),
        ("hide_holders", json!(true)),
        ("processes_per_seat", json!(3)),
        ("facts_version", json!(1)),
    ] {
        assert_eq!(made[field], value, "{field}");
    }
    let again = make().send().await;
    assert_eq!(again.etag(), etag);
    assert_eq!(again.ok(201), made, "the same request is shown the same");
    assert_eq!(desk.world.count("select count(*) from licenses").await, 2, "and made nothing");
    let other = desk.post(&desk.at("/licenses"), &json!({ "product": "coditect", "plan": "trial" })).by(&staff);
    other.header("idempotency-key", "k").send().await.is(422, "idempotency_key_reused");

    let key = made["key"].as_str().unwrap();
    let everything = "select coalesce(string_agg(row_to_json(t)::text, ''), '') from ";
    for table in ["license_keys", "audit_log", "outbox", "idempotency_keys"] {
        let sql = format!("{everything}{table} t");
        let text: String =
            sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(&mut desk.world.truth().await).await.unwrap();
        assert!(!text.contains(key), "{table} holds the key");
    }
    let path = desk.at(&format!("/licenses/{}", made["id"].as_str().unwrap()));
    let read = desk.get(&path).by(&desk.person("owner")).send().await.ok(200);
    assert!(!read.to_string().contains(key));
    assert_eq!(
        read["pools"],
        json!([{ "name": "default", "seats_total": 2, "seats_used": 0, "surplus": 0, "on_grace": 0,
            "on_grace_beyond_seats": 0 }])
    );

    let mut machine = desk.world.machine("a");
    machine.key = LicenseKey::parse(key).unwrap();
    machine.seated(&desk.world.protocol).await;
    let read = desk.get(&path).by(&desk.person("owner")).send().await.ok(200);
    assert_eq!(read["pools"][0]["seats_used"], 1);
    let audited = desk.audited().await;
    assert_eq!(
        audited,
        [("license.created".into(), "staff vendor@example.com".into(), made["id"].as_str().unwrap().into())]
    );
}

#[tokio::test]
async fn a_license_made_without_a_word_is_as_its_plan_says() {
    let desk = Desk::new().await;
    let made = desk
        .post(&desk.at("/licenses"), &json!({ "product": "coditect", "plan": "trial" }))
        .by(&desk.staff("vendor"))
        .send()
        .await
        .ok(201);
    assert_eq!((&made["seats_total"], &made["grace_hours"]), (&json!(5), &json!(24)));
    let days = "select round(extract(epoch from expires_at - created_at) / 86400)::bigint from licenses order by created_at desc limit 1";
    assert_eq!(desk.world.count(days).await, 14);
}

/// Wrong values of each field that a license's terms have.
fn wrong_terms() -> Vec<(&'static str, Vec<Value>)> {
    let long = json!({ "x": "y".repeat(3072) });
    vec![
        ("seats", vec![json!(0), json!(-1), json!(100_001), json!(1.5), json!("5"), json!(4_294_967_301_u64)]),
        (
            "not_before",
            vec![json!("soon"), json!(7), json!("1999-12-31T23:59:59Z"), json!("9999-12-31T23:59:59-23:00")],
        ),
        ("expires_at", vec![json!("2027-13-01T00:00:00Z"), json!(""), json!([]), json!("2027-01-01")]),
        (
            "features",
            vec![json!([]), json!("x"), json!({ "a": "\0" }), json!({ "a\0": 1 }), long, json!({ "x": [["\0"]] })],
        ),
        ("offline_policy", vec![json!("always"), json!(1), json!("")]),
        ("grace_hours", vec![json!(-1), json!(8761), json!("24"), json!(0)]),
        ("grace_after_heartbeats", vec![json!(-1), json!(101), json!("2")]),
        ("grace_beyond_seats", vec![json!(-1), json!(100_001), json!("0")]),
        ("holder_by", vec![json!("user"), json!(false)]),
        ("processes_per_seat", vec![json!(0), json!(1001), json!([1])]),
        ("hide_holders", vec![json!("yes"), json!(1)]),
    ]
}

#[tokio::test]
async fn every_wrong_field_of_a_new_license_or_an_edit_is_named_and_nothing_is_written() {
    let desk = Desk::new().await;
    let staff = desk.staff("vendor");
    let before = written(&desk).await;
    let good = json!({ "product": "coditect", "plan": "trial" });
    for (field, values) in wrong_terms() {
        for value in values {
            let mut body = good.clone();
            body[field] = value.clone();
            let made = desk.post(&desk.at("/licenses"), &body).by(&staff).header("idempotency-key", "k").send().await;
            assert_eq!(made.wrong(), [field], "{body}");
            let edited = desk.patch(&own(&desk, ""), &json!({ field: value })).by(&staff).send().await;
            assert_eq!(edited.wrong(), [field], "{value}");
        }
    }
    for (body, wrong) in [
        (json!({}), vec!["product", "plan"]),
        (json!({ "product": "coditect", "plan": "none-such" }), vec!["plan"]),
        (json!({ "product": "none-such", "plan": "trial" }), vec!["product"]),
        (json!({ "product": "A B", "plan": 7 }), vec!["product", "plan"]),
        (json!({ "product": null, "plan": "-" }), vec!["product", "plan"]),
        (json!({ "product": "coditect", "plan": "trial", "id": 1 }), vec!["id"]),
        (
            json!({ "product": "coditect", "plan": "trial", "offline_policy": "none", "grace_hours": 1 }),
            vec!["grace_hours"],
        ),
        (json!({ "product": "coditect", "plan": "trial", "not_before": "2099-01-01T00:00:00Z" }), vec!["not_before"]),
        (
            json!({ "product": "x y", "plan": "trial", "seats": 0, "grace_hours": "x" }),
            vec!["product", "seats", "grace_hours"],
        ),
    ] {
        assert_eq!(desk.post(&desk.at("/licenses"), &body).by(&staff).send().await.wrong(), wrong, "{body}");
    }
    for (body, wrong) in [
        (json!({}), "body"),
        (json!({ "seats": null }), "body"),
        (json!({ "product": "other" }), "product"),
        (json!({ "status": "active" }), "status"),
        (json!({ "plan": "none-such" }), "plan"),
        (json!({ "plan": 7 }), "plan"),
        (json!({ "expires_at": "2027-01-01T00:00:00Z", "not_before": "2027-01-01T00:00:00.5Z" }), "expires_at"),
    ] {
        assert_eq!(desk.patch(&own(&desk, ""), &body).by(&staff).send().await.wrong(), [wrong], "{body}");
    }
    for body in [
        json!({ "old_valid_for_in": -1 }),
        json!({ "old_valid_for_in": 2_592_001 }),
        json!({ "old_valid_for_in": "1" }),
    ] {
        let rotated = desk.post(&own(&desk, "/rotate-key"), &body).by(&desk.person("owner")).send().await;
        assert_eq!(rotated.wrong(), ["old_valid_for_in"], "{body}");
    }
    for act in ["suspend", "resume", "revoke"] {
        let path = own(&desk, &format!("/{act}"));
        assert_eq!(desk.post(&path, &json!({ "reason": "x" })).by(&staff).send().await.wrong(), ["reason"]);
    }
    assert_eq!(written(&desk).await, before);
}

#[tokio::test]
async fn an_edit_says_what_changed_in_one_event_and_one_line_of_the_audit_log() {
    let desk = Desk::new().await;
    let staff = desk.staff("vendor");
    let edit = async |body: Value| desk.patch(&own(&desk, ""), &body).by(&staff).send().await.ok(200);
    edit(json!({ "features": { "render": { "cores": 4, "gpu": true }, "beta": 1 } })).await;
    let edited = edit(json!({ "features": { "render": { "gpu": null }, "beta": null }, "seats": 7,
        "expires_at": "2031-02-03T04:05:06.789+01:00" }))
    .await;
    assert_eq!(edited["features"], json!({ "render": { "cores": 4 } }), "a merge patch");
    assert_eq!((&edited["seats_total"], &edited["expires_at"]), (&json!(7), &json!("2031-02-03T03:05:06Z")));
    assert_eq!(edited["facts_version"], 3, "one edit is one version");
    let last = events(&desk, "license.changed").await.pop().unwrap();
    let changed = json!({ "features": { "render": { "cores": 4 } }, "seats": 7, "expires_at": "2031-02-03T03:05:06Z" });
    assert_eq!(last, json!({ "license_id": desk.world.license.id, "external_id": null, "changed": changed }));
    let sql = "select after from audit_log where action = 'license.changed' order by id desc limit 1";
    let after: Value = sqlx::query_scalar(sql).fetch_one(&mut desk.world.truth().await).await.unwrap();
    assert_eq!(after, changed);

    let before = written(&desk).await;
    let same = desk.patch(&own(&desk, ""), &json!({ "seats": 7 })).by(&staff).send().await;
    assert_eq!(same.ok(200), edited, "a change to what is so is none");
    assert_eq!(written(&desk).await, before);
}

#[tokio::test]
async fn a_plan_given_anew_brings_its_tier_features_and_policies_and_leaves_seats_and_term() {
    let desk = Desk::new().await;
    let staff = desk.staff("vendor");
    let plan = json!({ "tier": "pro", "seats": 50, "trial_days": 30, "features": { "render": true, "farm": 9 }, "offline_policy": "none",
        "processes_per_seat": 4 });
    desk.call("PUT", "/api/v1/staff/plans/pro").json(&plan).by(&staff).send().await.ok(201);
    let before = desk.get(&own(&desk, "")).by(&staff).send().await.ok(200);
    let edited = desk
        .patch(&own(&desk, ""), &json!({ "plan": "pro", "features": { "farm": null } }))
        .by(&staff)
        .send()
        .await
        .ok(200);
    assert_eq!((&edited["plan"], &edited["tier"]), (&json!("pro"), &json!("pro")));
    assert_eq!(edited["features"], json!({ "render": true }), "the request's own fields come after the plan's");
    assert_eq!((&edited["offline_policy"], &edited["grace_hours"]), (&json!("none"), &json!(0)));
    assert_eq!(edited["processes_per_seat"], 4);
    assert_eq!((&edited["seats_total"], &edited["expires_at"]), (&before["seats_total"], &before["expires_at"]));
}

#[tokio::test]
async fn of_two_staff_who_edit_at_once_one_wins_and_one_is_told() {
    let desk = Desk::new().await;
    let (ada, bob) = (desk.staff("ada"), desk.staff("bob"));
    let etag = desk.get(&own(&desk, "")).by(&ada).send().await.etag();
    let edit = |who: &str, seats: u32| {
        desk.patch(&own(&desk, ""), &json!({ "seats": seats })).by(who).header("if-match", &etag)
    };
    let (a, b) = tokio::join!(edit(&ada, 8).send(), edit(&bob, 9).send());
    let (won, told) = if a.status == 200 { (a, b) } else { (b, a) };
    let fresh = won.etag();
    let seats = won.ok(200)["seats_total"].clone();
    told.is(412, "precondition_failed");
    let read = desk.get(&own(&desk, "")).by(&ada).send().await;
    assert_eq!(read.etag(), fresh);
    assert_eq!(read.ok(200)["pools"][0]["seats_total"], seats);
    assert_eq!(desk.audited().await.len(), 1);
    // Every change people see is another version: also one that somebody else decided.
    desk.post(&own(&desk, "/suspend"), &json!({})).by(&bob).send().await.ok(200);
    desk.patch(&own(&desk, ""), &json!({ "seats": 3 }))
        .by(&ada)
        .header("if-match", &fresh)
        .send()
        .await
        .is(412, "precondition_failed");
}

#[tokio::test]
async fn what_a_license_already_is_changes_nothing_and_a_revoked_one_stays_revoked() {
    let desk = Desk::new().await;
    let staff = desk.staff("vendor");
    let act = async |act: &str| desk.post(&own(&desk, &format!("/{act}")), &json!({})).by(&staff).send().await;
    let suspended = act("suspend").await.ok(200);
    assert_eq!(suspended["status"], "suspended");
    let before = written(&desk).await;
    assert_eq!(act("suspend").await.ok(200), suspended);
    assert_eq!(written(&desk).await, before);
    assert_eq!(act("resume").await.ok(200)["status"], "active");
    assert_eq!(act("resume").await.ok(200)["status"], "active");
    let revoked = act("revoke").await.ok(200);
    assert_eq!(revoked["status"], "revoked");
    let before = written(&desk).await;
    assert_eq!(act("revoke").await.ok(200), revoked);
    act("resume").await.is(409, "conflict");
    act("suspend").await.is(409, "conflict");
    desk.patch(&own(&desk, ""), &json!({ "seats": 9 })).by(&staff).send().await.is(409, "conflict");
    let rotated = desk.post(&own(&desk, "/rotate-key"), &json!({})).by(&desk.person("owner")).send().await;
    rotated.is(409, "conflict");
    assert_eq!(written(&desk).await, before);
    let actions: Vec<String> = desk.audited().await.into_iter().map(|(action, _, _)| action).collect();
    assert_eq!(actions, ["license.suspended", "license.resumed", "license.revoked"]);
    assert_eq!(events(&desk, "license.revoked").await.len(), 1);
}

#[tokio::test]
async fn a_rotated_key_opens_at_once_and_the_old_one_for_the_time_that_was_chosen() {
    let desk = Desk::new().await;
    let owner = desk.person("owner");
    let world = &desk.world;
    world.machine("a").seated(&world.protocol).await;
    let rotate = || {
        desk.post(&own(&desk, "/rotate-key"), &json!({ "old_valid_for_in": 3600 }))
            .by(&owner)
            .header("idempotency-key", "r")
    };
    let first = rotate().send().await.ok(200);
    assert_eq!(rotate().send().await.ok(200), first, "the same request is one rotation");
    assert_eq!(world.count("select count(*) from license_keys").await, 2);
    let mut b = world.machine("b");
    b.key = LicenseKey::parse(first["key"].as_str().unwrap()).unwrap();
    b.seated(&world.protocol).await;
    world.machine("c").seated(&world.protocol).await;
    // The copy judges by its own clock; the records' is real time and would know the old key once more.
    world.pass(std::time::Duration::from_secs(3700));
    assert!(
        matches!(world.machine("d").acquire(&world.protocol).await, AcquireOutcome::KeyRejected(KeyRejection::BadKey)),
        "its time is over"
    );

    let owner = desk.person("owner"); // an ID token does not last that long
    let second = desk.call("POST", &own(&desk, "/rotate-key")).by(&owner).send().await.ok(200);
    let restarted = b.restarted();
    assert!(
        matches!(restarted.acquire(&world.protocol).await, AcquireOutcome::KeyRejected(KeyRejection::BadKey)),
        "at once, where no time was chosen"
    );
    let mut e = world.machine("e");
    e.key = LicenseKey::parse(second["key"].as_str().unwrap()).unwrap();
    e.seated(&world.protocol).await;
    let script = desk.api_token(desk.tenant(), &[Scope::LicensesWrite]).await;
    desk.call("POST", &own(&desk, "/rotate-key")).by(&script).send().await.ok(200);
    let audited: Vec<_> = desk.audited().await.into_iter().map(|(action, who, _)| (action, who)).collect();
    let by = |who: &str| ("license.key_rotated".to_owned(), who.to_owned());
    assert_eq!(audited, [by("person owner@example.com"), by("person owner@example.com"), by("token a script")]);
}
