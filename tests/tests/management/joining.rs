//! Registration with an invitation, and what registration makes of people who belong somewhere already or did once.

use crate::desk::Desk;
use license_core::domain::access::PersonRole::{self, Member, Owner, Viewer};
use serde_json::{Value, json};

impl Desk {
    /// The secret of an invitation to the world's organization.
    async fn invited(&self, email: &str, role: PersonRole) -> Value {
        json!({ "invitation": self.invite("owner", email, role.as_str()).await.ok(201)["secret"] })
    }

    async fn organizations_of(&self, subject: &str) -> Vec<Value> {
        let me = self.get("/api/v1/me").by(&self.person(subject)).send().await.ok(200);
        me["organizations"].as_array().unwrap().iter().map(|it| json!([it["id"], it["role"]])).collect()
    }

    async fn remove(&self, subject: &str) {
        let me = self.get("/api/v1/me").by(&self.person(subject)).send().await.ok(200);
        let mine = me["organizations"].as_array().unwrap().iter().find(|it| it["id"] == json!(self.tenant()));
        let person = mine.unwrap()["person"].as_str().unwrap();
        self.delete(&self.at(&format!("/people/{person}"))).by(&self.person("owner")).send().await.ok(204);
    }
}

#[tokio::test]
async fn an_invited_newcomer_joins_and_gets_no_organization_of_their_own() {
    let desk = Desk::new().await;
    let invitation = desk.invited("Grace@example.com", Member).await;
    let grace = desk.claims("customers", "grace", |claims| claims["email"] = json!("GRACE@example.com"));
    let joined = desk.register(&grace, &invitation).send().await.ok(201);
    assert_eq!(joined["organization"]["id"], json!(desk.tenant()));
    assert_eq!((&joined["user"]["role"], &joined["license"]), (&json!("member"), &Value::Null));
    assert_eq!(desk.world.count("select count(*) from organizations").await, 1);
    assert_eq!(desk.organizations_of("grace").await, [json!([desk.tenant(), "member"])]);
    let again = desk.register(&grace, &invitation).send().await.ok(200);
    assert_eq!(again, joined, "the first answer may have been lost");
    let audited = desk.audited().await;
    let who = joined["user"]["id"].as_str().unwrap().to_owned();
    assert_eq!(audited[1..], [("person.joined".into(), "person grace@example.com".into(), who)]);
    assert_eq!(desk.world.count("select count(*) from outbox where kind = 'person.joined'").await, 1);
}

#[tokio::test]
async fn who_owns_an_organization_joins_another_and_keeps_their_own() {
    let desk = Desk::new().await;
    let own = desk.other("grace").await;
    let invitation = desk.invited("grace@example.com", Viewer).await;
    desk.register(&desk.person("grace"), &invitation).send().await.ok(201);
    let mut mine = desk.organizations_of("grace").await;
    mine.sort_by_key(ToString::to_string);
    let mut expected = vec![json!([own.tenant, "owner"]), json!([desk.tenant(), "viewer"])];
    expected.sort_by_key(ToString::to_string);
    assert_eq!(mine, expected);
    let plain = desk.register(&desk.person("grace"), &json!({})).send().await.ok(200);
    assert_eq!(plain["organization"]["id"], json!(own.tenant), "her own before a colleague's, whichever is older");
}

#[tokio::test]
async fn who_was_removed_and_is_invited_again_is_back_with_the_new_role() {
    let desk = Desk::new().await;
    let first = desk.invited("grace@example.com", Member).await;
    let before = desk.register(&desk.person("grace"), &first).send().await.ok(201);
    desk.remove("grace").await;
    desk.register(&desk.person("grace"), &first).send().await.is(409, "conflict");
    let second = desk.invited("grace@example.com", Viewer).await;
    let after = desk.register(&desk.person("grace"), &second).send().await.ok(201);
    assert_eq!((&after["user"]["id"], &after["user"]["role"]), (&before["user"]["id"], &json!("viewer")));
    assert_eq!(desk.organizations_of("grace").await, [json!([desk.tenant(), "viewer"])]);
}

#[tokio::test]
async fn who_was_removed_registers_and_sees_nothing_of_where_they_were() {
    let desk = Desk::new().await;
    desk.register(&desk.person("grace"), &desk.invited("grace@example.com", Owner).await).send().await.ok(201);
    desk.remove("grace").await;
    let made = desk.register(&desk.person("grace"), &json!({ "organization_name": "Hers" })).send().await.ok(201);
    assert_eq!((&made["organization"]["name"], &made["user"]["role"]), (&json!("Hers"), &json!("owner")));
    assert!(made["license"]["key"].is_string(), "{made}");
    let again = desk.register(&desk.person("grace"), &json!({})).send().await.ok(200);
    assert_eq!(again["organization"], made["organization"]);
    assert_eq!(desk.organizations_of("grace").await, [json!([made["organization"]["id"], "owner"])]);
}

#[tokio::test]
async fn a_member_who_registers_without_an_invitation_sees_the_organization_and_no_key() {
    let desk = Desk::new().await;
    desk.join(desk.tenant(), "mia", Member).await;
    let found = desk.register(&desk.person("mia"), &json!({})).send().await.ok(200);
    assert_eq!((&found["organization"]["id"], &found["license"]["key"]), (&json!(desk.tenant()), &Value::Null));
}

#[tokio::test]
async fn what_is_no_good_says_why_only_to_who_knows_the_secret() {
    let desk = Desk::new().await;
    let grace = desk.person("grace");
    let ask = async |bearer: &str, invitation: &Value| desk.register(bearer, invitation).send().await;
    let good = desk.invited("grace@example.com", Member).await;
    let text = good["invitation"].as_str().unwrap();
    let last = if text.ends_with('0') { "1" } else { "0" };
    let guessed = format!("{}{last}", &text[..text.len() - 1]);
    let cases = ["", "x", "cdi_", &text[..81], &guessed, &format!("cdt_live_{}", &text[4..])];
    for wrong in cases {
        let no = ask(&grace, &json!({ "invitation": wrong })).await.is(404, "not_found");
        assert!(no["detail"].as_str().unwrap().contains("no such invitation"), "{wrong}: {no}");
    }
    let because = async |bearer: &str, invitation: &Value, word: &str| {
        let no = ask(bearer, invitation).await.is(409, "conflict");
        assert!(no["detail"].as_str().unwrap().contains(word), "{word}: {no}");
        assert!(!no.to_string().contains("grace@"), "not whom it is for");
    };
    because(&desk.person("eve"), &good, "another address").await;
    let unverified = desk.claims("customers", "grace", |claims| claims["email_verified"] = json!(false));
    ask(&unverified, &good).await.is(401, "token_invalid");
    let later = desk.invited("grace@example.com", Member).await;
    because(&grace, &good, "was revoked").await;
    desk.age_invitations(7).await;
    let secret = later["invitation"].as_str().unwrap();
    // Its id was made older with it.
    let id: uuid::Uuid = sqlx::query_scalar("select invitation_id from invitations where revoked_at is null")
        .fetch_one(&mut desk.world.truth().await)
        .await
        .unwrap();
    let aged = json!({ "invitation": respelt(secret, id) });
    because(&grace, &aged, "seven days").await;
    assert_eq!(desk.organizations_of("grace").await, Vec::<Value>::new());
    assert_eq!(desk.world.count("select count(*) from organizations").await, 1);
}

/// The same secret for the invitation of another id.
fn respelt(secret: &str, id: uuid::Uuid) -> String {
    let symbols = b"0123456789abcdefghjkmnpqrstvwxyz";
    let group: String = (0..26).rev().map(|at| symbols[(id.as_u128() >> (5 * at)) as usize & 31] as char).collect();
    format!("{}{group}{}", &secret[..4 + 26], &secret[4 + 52..])
}

#[tokio::test]
async fn of_two_people_with_one_invitation_one_joins() {
    let desk = Desk::new().await;
    let invitation = desk.invited("grace@example.com", Member).await;
    // The same verified address, known to the provider as two people.
    let second = desk.claims("customers", "grace-too", |claims| claims["email"] = json!("grace@example.com"));
    let first = desk.person("grace");
    let (a, b) = tokio::join!(desk.register(&first, &invitation).send(), desk.register(&second, &invitation).send());
    let mut statuses = [a.status, b.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409], "{a:?} {b:?}");
    assert_eq!(desk.world.count("select count(*) from users where role = 'member'").await, 1);
    assert_eq!(desk.world.count("select count(*) from audit_log where action = 'person.joined'").await, 1);
}

#[tokio::test]
async fn one_person_who_asks_twice_at_once_joins_once_and_who_belongs_already_is_told() {
    let desk = Desk::new().await;
    let invitation = desk.invited("grace@example.com", Member).await;
    let grace = desk.person("grace");
    let ask = || desk.register(&grace, &invitation).send();
    let (a, b) = tokio::join!(ask(), ask());
    let mut statuses = [a.status, b.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 201], "{a:?} {b:?}");
    // By another address she is the same person.
    let other = desk.invited("hopper@example.com", Owner).await;
    let hopper = desk.claims("customers", "grace", |claims| claims["email"] = json!("hopper@example.com"));
    desk.register(&hopper, &other).send().await.is(409, "conflict");
    assert_eq!(desk.organizations_of("grace").await, [json!([desk.tenant(), "member"])]);
}

#[tokio::test]
async fn an_invitation_comes_without_wishes_for_an_organization() {
    let desk = Desk::new().await;
    let mut body = desk.invited("grace@example.com", Member).await;
    body["organization_name"] = json!("Mine");
    body["product"] = json!("coditect");
    let wrong = desk.register(&desk.person("grace"), &body).send().await.wrong();
    assert_eq!(wrong, ["organization_name", "product"]);
    let wrong = desk.register(&desk.person("grace"), &json!({ "invitation": 7 })).send().await.wrong();
    assert_eq!(wrong, ["invitation"]);
    assert_eq!(desk.world.count("select count(*) from users").await, 1);
}

#[tokio::test]
async fn registering_is_in_the_new_organizations_audit_log_with_from_where() {
    let desk = Desk::new().await;
    let ask = || desk.register(&desk.person("grace"), &json!({})).header("x-forwarded-for", "203.0.113.9");
    let made = ask().header("x-request-id", "mine").send().await.ok(201);
    ask().send().await.ok(200);
    let sql = "select action || ' ' || actor_kind || ' ' || actor_name || ' ' || from_address || ' ' || coalesce(request_id, '') || ' ' || target
               from audit_log where tenant_id = $1::text::uuid order by id";
    let rows: Vec<String> = sqlx::query_scalar(sql)
        .bind(made["organization"]["id"].as_str().unwrap())
        .fetch_all(&mut desk.world.truth().await)
        .await
        .unwrap();
    let created = format!(
        "organization.created person grace@example.com 203.0.113.9 mine {}",
        made["organization"]["id"].as_str().unwrap()
    );
    assert_eq!(rows[0], created);
    assert!(rows[1].starts_with("license.key_rotated person grace@example.com"), "{rows:?}");
    assert_eq!(rows.len(), 2);
}
