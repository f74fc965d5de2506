//! Invitations and API tokens depend on the role of the person who made them. They end when the person is removed or
//! loses the role, also if that happens at the moment at which they are used.

use crate::desk::{Answer, Desk};
use license_core::domain::{
    access::PersonRole::{self, Admin, Member, Owner, Viewer},
    id::UserId,
};
use serde_json::{Value, json};
use sqlx::PgConnection;

/// What somebody left open: secrets of invitations, by role, and of an API token.
struct Left {
    invitations: Vec<(PersonRole, String)>,
    token: String,
}

impl Desk {
    fn person_at(&self, user: UserId) -> String {
        self.at(&format!("/people/{user}"))
    }

    /// What somebody of this role can leave open: an invitation of each role they may give, and an API token.
    async fn leave_open(&self, who: &str, role: PersonRole) -> Left {
        let mut invitations = Vec::new();
        for given in PersonRole::ALL.iter().filter(|given| role.may_grant(**given)) {
            let made = self.invite(who, &format!("{given}-of-{who}@example.com"), given.as_str()).await.ok(201);
            invitations.push((*given, made["secret"].as_str().unwrap().to_owned()));
        }
        Left { invitations, token: self.token_of(who).await }
    }

    async fn token_of(&self, who: &str) -> String {
        let wish = json!({ "name": format!("of {who}"), "scopes": ["licenses:write", "licenses:read"] });
        let made = self.post(&self.at("/api-tokens"), &wish).by(&self.person(who)).send().await.ok(201);
        made["secret"].as_str().unwrap().to_owned()
    }

    /// What somebody is answered who brings an invitation of `who` to this role.
    async fn bring(&self, who: &str, role: PersonRole, secret: &str) -> Answer {
        let newcomer = self.person(&format!("{role}-of-{who}"));
        self.register(&newcomer, &json!({ "invitation": secret })).send().await
    }

    async fn rotate(&self, token: &str) -> Answer {
        let path = self.at(&format!("/licenses/{}/rotate-key", self.world.license.id));
        self.post(&path, &json!({})).by(token).send().await
    }

    /// Lets somebody's row be held by another transaction.
    async fn hold(&self, user: UserId) -> PgConnection {
        let mut holding = self.world.truth().await;
        sqlx::query("begin").execute(&mut holding).await.unwrap();
        sqlx::query("select 1 from users where user_id = $1 for update")
            .bind(user.0)
            .execute(&mut holding)
            .await
            .unwrap();
        holding
    }

    /// Waits until somebody waits for a lock of the database.
    async fn until_waiting(&self) {
        let mut truth = self.world.truth().await;
        let sql =
            "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
        while sqlx::query_scalar::<_, i64>(sql).fetch_one(&mut truth).await.unwrap() == 0 {
            tokio::task::yield_now().await;
        }
    }

    async fn actions_on(&self, action: &'static str) -> Vec<(Value, Value)> {
        sqlx::query_as("select to_jsonb(target), after from audit_log where action = $1 order by id")
            .bind(action)
            .fetch_all(&mut self.world.truth().await)
            .await
            .unwrap()
    }
}

/// Every role that somebody can have, and everything they can become instead; `None` is that they are removed.
fn every_fall() -> Vec<(PersonRole, Option<PersonRole>)> {
    let lower = |from: PersonRole| PersonRole::ALL.iter().filter(move |to| **to < from).map(|to| Some(*to));
    PersonRole::ALL.iter().flat_map(|from| lower(*from).chain([None]).map(|to| (*from, to))).collect()
}

#[tokio::test]
async fn of_every_role_removed_or_lowered_nothing_lives_on_that_may_not() {
    for (from, to) in every_fall() {
        let case = format!("{from} to {to:?}");
        let desk = Desk::new().await;
        let other = desk.other("elsewhere").await;
        let user = desk.join(desk.tenant(), "bob", Owner).await;
        desk.join(other.tenant, "bob", Owner).await;
        let theirs = format!("/api/v1/organizations/{}", other.tenant);
        let wish = json!({ "name": "elsewhere", "scopes": ["organization:read"] });
        let made = desk.post(&format!("{theirs}/api-tokens"), &wish).by(&desk.person("bob")).send().await.ok(201);
        let elsewhere = made["secret"].as_str().unwrap().to_owned();
        desk.patch(&desk.person_at(user), &json!({ "role": from })).by(&desk.person("owner")).send().await.ok(200);
        let may = from >= Admin;
        let left = if may { Some(desk.leave_open("bob", from).await) } else { None };
        let beside = desk.invite("owner", "beside@example.com", "admin").await.ok(201);
        let kept_token = desk.token_of("owner").await;
        let seat = desk.sit("workstation", json!({ "user": "bob@example.com" })).await;

        let owner = desk.person("owner");
        let told = match to {
            Some(role) => {
                let body = json!({ "role": role, "api_tokens": "revoke" });
                desk.patch(&desk.person_at(user), &body).by(&owner).send().await.ok(200)
            }
            None => {
                let path = format!("{}?api_tokens=revoke", desk.person_at(user));
                desk.delete(&path).by(&owner).send().await.ok(200)
            }
        };
        let (mut revoked, mut tokens) = (0, 0);
        if let Some(left) = left {
            for (role, secret) in &left.invitations {
                let may_still = to.is_some_and(|now| now.may_grant(*role));
                let answer = desk.bring("bob", *role, secret).await;
                assert_eq!(answer.status, if may_still { 201 } else { 409 }, "{case}: as {role}: {}", answer.body);
                revoked += u64::from(!may_still);
            }
            desk.rotate(&left.token).await.is(401, "token_invalid");
            tokens = 1;
        }
        assert_eq!(told["invitations_revoked_total"], revoked, "{case}: {told}");
        assert_eq!(told["invitations_revoked"].as_array().unwrap().len() as u64, revoked, "{case}");
        assert_eq!(told["api_tokens_total"], tokens, "{case}: {told}");
        assert!(told["api_tokens"].as_array().unwrap().iter().all(|it| it["revoked_at"].is_string()), "{case}: {told}");
        assert_eq!(desk.actions_on("invitation.revoked").await.len() as u64, revoked, "{case}: one entry for each");
        assert_eq!(desk.actions_on("api_token.revoked").await.len() as u64, tokens, "{case}: one entry for each");

        // What is somebody else's, or another organization's, lives on; so does the seat, which a machine holds.
        desk.register(&desk.person("beside"), &json!({ "invitation": beside["secret"] })).send().await.ok(201);
        desk.rotate(&kept_token).await.ok(200);
        desk.get(&theirs).by(&elsewhere).send().await.ok(200);
        desk.get(&theirs).by(&desk.person("bob")).send().await.ok(200);
        desk.beat(&seat).await.ok(200);
        // The person themselves sees and does no more than what they are.
        let bob = desk.person("bob");
        let (people, invitations) = (desk.at("/people"), desk.at("/invitations"));
        let seen = desk.get(&people).by(&bob).send().await.status;
        assert_eq!(seen, if to.is_some() { 200 } else { 404 }, "{case}");
        let invites = desk.get(&invitations).by(&bob).send().await.status;
        let expected = if to.is_none() {
            404
        } else if to >= Some(Admin) {
            200
        } else {
            403
        };
        assert_eq!(invites, expected, "{case}");
        let ends = desk.end(&bob, &seat.id, &json!({})).await.status;
        let expected = if to.is_none() {
            404
        } else if to >= Some(Member) {
            200
        } else {
            403
        };
        assert_eq!(ends, expected, "{case}: a member ends their own");
    }
}

#[tokio::test]
async fn a_plain_removal_revokes_what_the_person_made_and_answers_as_it_always_did() {
    let desk = Desk::new().await;
    let bob = desk.join(desk.tenant(), "bob", Admin).await;
    let left = desk.leave_open("bob", Admin).await;
    desk.delete(&desk.person_at(bob)).by(&desk.person("owner")).send().await.ok(204);
    desk.rotate(&left.token).await.is(401, "token_invalid");
    for (role, secret) in &left.invitations {
        let no = desk.bring("bob", *role, secret).await.is(409, "conflict");
        assert!(no["detail"].as_str().unwrap().contains("was revoked"), "{no}");
    }
    desk.delete(&desk.person_at(bob)).by(&desk.person("owner")).send().await.is(404, "not_found");
    let (target, after) = desk.actions_on("api_token.revoked").await.pop().unwrap();
    assert!(target.is_string());
    assert_eq!(after, json!({ "because": "person.removed", "person": bob }));
    assert_eq!(desk.world.count("select count(*) from outbox where kind = 'invitation.revoked'").await, 3);
}

#[tokio::test]
async fn who_is_lowered_keeps_tokens_in_force_unless_asked_and_the_same_request_again_revokes_them() {
    let desk = Desk::new().await;
    let bob = desk.join(desk.tenant(), "bob", Admin).await;
    let token = desk.token_of("bob").await;
    let set = async |body: &Value| desk.patch(&desk.person_at(bob), body).by(&desk.person("owner")).send().await;
    let told = set(&json!({ "role": "viewer" })).await.ok(200);
    assert_eq!((&told["role"], &told["api_tokens"][0]["name"]), (&json!("viewer"), &json!("of bob")));
    assert_eq!(told["api_tokens"][0]["revoked_at"], Value::Null, "listed, and in force");
    assert!(!told.to_string().contains("cdt_live_"), "{told}");
    let key = desk.rotate(&token).await.ok(200)["key"].clone();
    assert!(key.is_string());
    let told = set(&json!({ "role": "viewer", "api_tokens": "revoke" })).await.ok(200);
    assert!(told["api_tokens"][0]["revoked_at"].is_string(), "{told}");
    desk.rotate(&token).await.is(401, "token_invalid");
    assert_eq!(set(&json!({ "role": "viewer", "api_tokens": "revoke" })).await.ok(200)["api_tokens_total"], 0);
    assert_eq!(desk.actions_on("api_token.revoked").await.len(), 1, "revoked once");
    assert_eq!(set(&json!({ "role": "viewer", "api_tokens": "drop" })).await.wrong(), ["api_tokens"]);
}

#[tokio::test]
async fn tokens_kept_with_a_removal_stand_on_the_word_of_whoever_kept_them() {
    let desk = Desk::new().await;
    let bob = desk.join(desk.tenant(), "bob", Admin).await;
    let carol = desk.join(desk.tenant(), "carol", Admin).await;
    let token = desk.token_of("bob").await;
    let path = format!("{}?api_tokens=keep", desk.person_at(bob));
    let told = desk.delete(&path).by(&desk.person("carol")).send().await.ok(200);
    assert_eq!((&told["api_tokens_total"], &told["api_tokens"][0]["revoked_at"]), (&json!(1), &Value::Null));
    desk.rotate(&token).await.ok(200);
    // Back again they do not have it any more: lowered with `revoke`, it stays.
    let back = desk.invite("owner", "bob@example.com", "admin").await.ok(201);
    desk.register(&desk.person("bob"), &json!({ "invitation": back["secret"] })).send().await.ok(201);
    let body = json!({ "role": "viewer", "api_tokens": "revoke" });
    let told = desk.patch(&desk.person_at(bob), &body).by(&desk.person("owner")).send().await.ok(200);
    assert_eq!(told["api_tokens_total"], 0);
    desk.rotate(&token).await.ok(200);
    desk.delete(&desk.person_at(carol)).by(&desk.person("owner")).send().await.ok(204);
    desk.rotate(&token).await.is(401, "token_invalid");
    assert_eq!(
        desk.delete(&format!("{}?api_tokens=x", desk.person_at(bob))).by(&desk.person("owner")).send().await.wrong(),
        ["api_tokens"]
    );
}

#[tokio::test]
async fn who_leaves_takes_their_tokens_along_and_cannot_come_back_by_an_invitation_to_themselves() {
    let desk = Desk::new().await;
    let bob = desk.join(desk.tenant(), "bob", Admin).await;
    let token = desk.token_of("bob").await;
    let own = desk.person("bob");
    let keep = format!("{}?api_tokens=keep", desk.person_at(bob));
    assert_eq!(desk.delete(&keep).by(&own).send().await.wrong(), ["api_tokens"]);
    // An invitation to their own address by somebody who belongs, as it can be open where two requests crossed.
    desk.delete(&desk.person_at(bob)).by(&own).send().await.ok(204);
    desk.rotate(&token).await.is(401, "token_invalid");
    let asked = desk.invite("owner", "bob@example.com", "admin").await.ok(201);
    let mut truth = desk.world.truth().await;
    let sql = "update users set removed_at = null where user_id = $1";
    sqlx::query(sql).bind(bob.0).execute(&mut truth).await.unwrap();
    let told = desk.delete(&format!("{}?api_tokens=revoke", desk.person_at(bob))).by(&own).send().await.ok(200);
    assert_eq!(told["invitations_revoked"][0]["email"], "bob@example.com");
    desk.register(&own, &json!({ "invitation": asked["secret"] })).send().await.is(409, "conflict");
}

#[tokio::test]
async fn an_organization_handed_over_leaves_the_one_before_with_what_an_admin_may() {
    let desk = Desk::new().await;
    let me = desk.get("/api/v1/me").by(&desk.person("owner")).send().await.ok(200);
    let before = desk.at(&format!("/people/{}", me["organizations"][0]["person"].as_str().unwrap()));
    desk.join(desk.tenant(), "grace", Owner).await;
    let left = desk.leave_open("owner", Owner).await;
    let told = desk.patch(&before, &json!({ "role": "admin" })).by(&desk.person("owner")).send().await.ok(200);
    assert_eq!(told["invitations_revoked"][0]["role"], "owner");
    assert_eq!((&told["invitations_revoked_total"], &told["api_tokens_total"]), (&json!(1), &json!(1)));
    for (role, secret) in &left.invitations {
        let answer = desk.bring("owner", *role, secret).await;
        assert_eq!(answer.status, if *role == Owner { 409 } else { 201 }, "{role}: {}", answer.body);
    }
}

#[tokio::test]
async fn an_invitation_of_somebody_who_may_not_give_the_role_any_more_is_refused_even_where_it_was_not_revoked() {
    let desk = Desk::new().await;
    let bob = desk.join(desk.tenant(), "bob", Admin).await;
    let left = desk.leave_open("bob", Admin).await;
    let mut truth = desk.world.truth().await;
    for spoil in ["role = 'viewer'", "removed_at = now()"] {
        let sql = format!("update users set {spoil} where user_id = $1");
        sqlx::query(sqlx::AssertSqlSafe(sql)).bind(bob.0).execute(&mut truth).await.unwrap();
        for (role, secret) in &left.invitations {
            let no = desk.bring("bob", *role, secret).await.is(409, "conflict");
            assert!(no["detail"].as_str().unwrap().contains("may not invite"), "{spoil}, {role}: {no}");
        }
    }
    assert_eq!(desk.world.count("select count(*) from users where removed_at is null").await, 1);
}

#[tokio::test]
async fn who_joins_while_the_inviter_is_being_removed_waits_and_is_refused() {
    let desk = Desk::new().await;
    let bob = desk.join(desk.tenant(), "bob", Admin).await;
    let invited = desk.invite("bob", "grace@example.com", "member").await.ok(201);
    let mut removing = desk.hold(bob).await;
    sqlx::query("update users set removed_at = now() where user_id = $1")
        .bind(bob.0)
        .execute(&mut removing)
        .await
        .unwrap();
    let grace = desk.person("grace");
    let (joined, ()) = tokio::join!(desk.register(&grace, &json!({ "invitation": invited["secret"] })).send(), async {
        desk.until_waiting().await;
        sqlx::query("commit").execute(&mut removing).await.unwrap();
    });
    joined.is(409, "conflict");
    assert_eq!(desk.world.count("select count(*) from users where address = 'grace@example.com'").await, 0);
}

#[tokio::test]
async fn who_is_removed_while_they_invite_make_a_token_or_a_key_or_change_a_role_does_none_of_it() {
    let desk = Desk::new().await;
    let bob = desk.join(desk.tenant(), "bob", Admin).await;
    let eve = desk.join(desk.tenant(), "eve", Viewer).await;
    let own = desk.person("bob");
    let rotate = desk.at(&format!("/licenses/{}/rotate-key", desk.world.license.id));
    let wish = json!({ "name": "a", "scopes": ["licenses:write"] });
    let asks = [
        ("POST", desk.at("/invitations"), json!({ "email": "grace@example.com", "role": "member" })),
        ("POST", desk.at("/api-tokens"), wish),
        ("POST", rotate, json!({})),
        ("PATCH", desk.person_at(eve), json!({ "role": "admin" })),
        ("DELETE", desk.person_at(eve), json!({})),
    ];
    let mut truth = desk.world.truth().await;
    for (method, path, body) in &asks {
        for (spoil, status) in [("role = 'viewer'", 403), ("removed_at = now()", 404)] {
            let mut changing = desk.hold(bob).await;
            let sql = format!("update users set {spoil} where user_id = $1");
            sqlx::query(sqlx::AssertSqlSafe(sql)).bind(bob.0).execute(&mut changing).await.unwrap();
            let (answer, ()) = tokio::join!(desk.call(method, path).json(body).by(&own).send(), async {
                desk.until_waiting().await;
                sqlx::query("commit").execute(&mut changing).await.unwrap();
            });
            assert_eq!(answer.status, status, "{method} {path}, {spoil}: {}", answer.body);
            let back = "update users set role = 'admin', removed_at = null where user_id = $1";
            sqlx::query(back).bind(bob.0).execute(&mut truth).await.unwrap();
        }
    }
    assert_eq!(desk.audited().await, []);
}

#[tokio::test]
async fn a_removal_and_what_stands_on_it_at_once_never_leave_anything_behind() {
    for round in 0..8 {
        let desk = Desk::new().await;
        let bob = desk.join(desk.tenant(), "bob", Admin).await;
        let invited = desk.invite("bob", "grace@example.com", "admin").await.ok(201);
        let (owner, own, grace) = (desk.person("owner"), desk.person("bob"), desk.person("grace"));
        let wish = json!({ "name": "late", "scopes": ["licenses:write"] });
        let (removed, joined, token, late) = tokio::join!(
            desk.delete(&desk.person_at(bob)).by(&owner).send(),
            desk.register(&grace, &json!({ "invitation": invited["secret"] })).send(),
            desk.post(&desk.at("/api-tokens"), &wish).by(&own).send(),
            desk.invite("bob", "late@example.com", "admin"),
        );
        removed.ok(204);
        let case = format!("{round}: {} {} {}", joined.status, token.status, late.status);
        let alive = "select (select count(*) from invitations where granted_by is not null and accepted_at is null and revoked_at is null)
                          + (select count(*) from api_tokens where revoked_at is null)";
        assert_eq!(desk.world.count(alive).await, 0, "{case}");
        assert!([201, 409].contains(&joined.status), "{case}");
    }
}

#[tokio::test]
async fn nobody_has_so_many_invitations_or_tokens_that_they_cannot_be_removed() {
    let desk = Desk::new().await;
    let bob = desk.join(desk.tenant(), "bob", Admin).await;
    let mut truth = desk.world.truth().await;
    for sql in [
        "insert into invitations (tenant_id, invitation_id, email, address, role, secret_hash, invited_by, granted_by, expires_at)
         select $1, uuid_v7(), n || '@example.com', n || '@example.com', 'viewer', 'x', 'bob@example.com', $2, now() + interval '1 day'
         from generate_series(1, 1000) n",
        "insert into api_tokens (tenant_id, token_id, name, secret_hash, scopes, created_by, granted_by)
         select $1, uuid_v7(), 'n', 'x', '{people:read}', 'bob@example.com', $2 from generate_series(1, 200)",
    ] {
        sqlx::query(sql).bind(desk.tenant().0).bind(bob.0).execute(&mut truth).await.unwrap();
    }
    let no = desk.invite("bob", "grace@example.com", "viewer").await.is(409, "conflict");
    assert!(no["detail"].as_str().unwrap().contains("A thousand invitations"), "{no}");
    desk.invite("owner", "grace@example.com", "viewer").await.ok(201);
    let wish = json!({ "name": "a", "scopes": ["people:read"] });
    let no = desk.post(&desk.at("/api-tokens"), &wish).by(&desk.person("bob")).send().await.is(409, "conflict");
    assert!(no["detail"].as_str().unwrap().contains("Two hundred"), "{no}");
    let path = format!("{}?api_tokens=revoke", desk.person_at(bob));
    let told = desk.delete(&path).by(&desk.person("owner")).send().await.ok(200);
    assert_eq!((&told["invitations_revoked_total"], &told["api_tokens_total"]), (&json!(1000), &json!(200)));
    let shown = |name: &str| told[name].as_array().unwrap().len();
    assert_eq!((shown("invitations_revoked"), shown("api_tokens")), (100, 100));
    assert_eq!(desk.actions_on("invitation.revoked").await.len(), 1000);
}

#[tokio::test]
async fn a_token_without_an_end_of_its_own_is_good_for_thirty_days() {
    let desk = Desk::new().await;
    let secret = desk.token_of("owner").await;
    let days = "select (extract(epoch from expires_at - created_at) / 86400)::bigint from api_tokens";
    assert_eq!(desk.world.count(days).await, 30);
    let listed = desk.get(&desk.at("/api-tokens")).by(&desk.person("owner")).send().await.ok(200);
    assert!(listed["items"][0]["expires_at"].is_string(), "{listed}");
    desk.rotate(&secret).await.ok(200);
    let mut truth = desk.world.truth().await;
    let sql = "update api_tokens set expires_at = expires_at - interval '30 days 1 second'";
    sqlx::query(sql).execute(&mut truth).await.unwrap();
    desk.rotate(&secret).await.is(401, "token_invalid");
}
