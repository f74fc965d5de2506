//! Invitations: whom one may ask in, what is shown once, and what takes an invitation back.

use crate::desk::{Answer, Desk};
use license_core::domain::access::PersonRole::{Admin, Member, Viewer};
use serde_json::{Value, json};
use uuid::Uuid;

impl Desk {
    /// An invitation, asked for by somebody.
    pub(crate) async fn invite(&self, who: &str, email: &str, role: &str) -> Answer {
        self.post(&self.at("/invitations"), &json!({ "email": email, "role": role })).by(&self.person(who)).send().await
    }

    async fn states(&self) -> Vec<(Value, Value)> {
        let list = self.get(&self.at("/invitations")).by(&self.person("owner")).send().await.ok(200);
        list["items"].as_array().unwrap().iter().map(|it| (it["email"].clone(), it["state"].clone())).collect()
    }

    /// Makes every invitation as if it had been asked for so many days earlier: its times, and its id, which tells the time too.
    pub(crate) async fn age_invitations(&self, days: i32) {
        let sql = "update invitations set created_at = created_at - make_interval(days => $1), expires_at = expires_at - make_interval(days => $1),
                     invitation_id = encode(overlay(uuid_send(invitation_id) placing
                       substring(int8send((('x' || translate(left(invitation_id::text, 13), '-', ''))::bit(48)::bigint - $1 * 86400000::bigint) << 16) from 1 for 6)
                       from 1 for 6), 'hex')::uuid";
        sqlx::query(sql).bind(days).execute(&mut self.world.truth().await).await.unwrap();
    }
}

#[tokio::test]
async fn an_admin_invites_and_the_secret_is_shown_once_and_kept_nowhere() {
    let desk = Desk::new().await;
    desk.join(desk.tenant(), "bob", Admin).await;
    let made = desk.invite("bob", " Grace@Example.com", "member").await.ok(201);
    let secret = made["secret"].as_str().unwrap();
    assert!(secret.starts_with("cdi_") && secret.len() == 4 + 78, "{made}");
    assert!(made["how"].as_str().unwrap().contains("/api/v1/auth/register"));
    assert_eq!(
        (&made["email"], &made["role"], &made["state"]),
        (&json!("grace@example.com"), &json!("member"), &json!("open"))
    );
    assert_eq!(made["invited_by"], "bob@example.com");
    let path = desk.at(&format!("/invitations/{}", made["id"].as_str().unwrap()));
    let read = desk.get(&path).by(&desk.person("owner")).send().await.ok(200);
    let (mut shown, hidden) = (made.clone(), ["secret", "how"]);
    shown.as_object_mut().unwrap().retain(|name, _| !hidden.contains(&name.as_str()));
    assert_eq!(read, shown, "the same without what is shown once");
    let days: i32 = sqlx::query_scalar("select extract(day from expires_at - created_at)::int from invitations")
        .fetch_one(&mut desk.world.truth().await)
        .await
        .unwrap();
    assert_eq!(days, 7);
    assert_eq!(desk.found_in_the_records(&secret[4 + 52..]).await, Vec::<String>::new());
    let told: Value = sqlx::query_scalar("select payload from outbox where kind = 'invitation.created'")
        .fetch_one(&mut desk.world.truth().await)
        .await
        .unwrap();
    assert_eq!(told, json!({ "invitation_id": made["id"], "email": "grace@example.com", "role": "member" }));
    let id = made["id"].as_str().unwrap().to_owned();
    assert_eq!(desk.audited().await, [("person.invited".into(), "person bob@example.com".into(), id)]);
}

#[tokio::test]
async fn only_owners_invite_owners_and_take_their_invitations_back() {
    let desk = Desk::new().await;
    desk.join(desk.tenant(), "bob", Admin).await;
    assert_eq!(desk.invite("bob", "eve@example.com", "owner").await.is(403, "insufficient_role")["required"], "owner");
    let made = desk.invite("owner", "eve@example.com", "owner").await.ok(201);
    let path = desk.at(&format!("/invitations/{}", made["id"].as_str().unwrap()));
    let no = desk.delete(&path).by(&desk.person("bob")).send().await.is(403, "insufficient_role");
    assert_eq!(no["required"], "owner");
    desk.invite("bob", "eve@example.com", "viewer").await.is(403, "insufficient_role");
    assert_eq!(desk.states().await, [(json!("eve@example.com"), json!("open"))]);
    desk.delete(&path).by(&desk.person("owner")).send().await.ok(204);
    assert_eq!(desk.states().await, [(json!("eve@example.com"), json!("revoked"))]);
}

#[tokio::test]
async fn who_belongs_is_not_invited_and_who_was_removed_may_be() {
    let desk = Desk::new().await;
    let eve = desk.join(desk.tenant(), "eve", Viewer).await;
    let refused = desk.invite("owner", "EVE@example.com", "admin").await.is(409, "conflict");
    let what_to_do =
        "Somebody with this address belongs to the organization already. Change their role instead of inviting them.";
    assert_eq!(refused["detail"], what_to_do);
    assert_eq!(desk.states().await, []);
    desk.delete(&desk.at(&format!("/people/{eve}"))).by(&desk.person("owner")).send().await.ok(204);
    desk.invite("owner", "EVE@example.com", "admin").await.ok(201);
    // Of another organization is no matter.
    desk.other("grace").await;
    desk.invite("owner", "grace@example.com", "member").await.ok(201);
}

#[tokio::test]
async fn of_the_invitations_of_one_address_the_last_is_good_however_they_are_asked_for() {
    let desk = Desk::new().await;
    let first = desk.invite("owner", "grace@example.com", "member").await.ok(201);
    let second = desk.invite("owner", "grace@example.com", "admin").await.ok(201);
    assert_ne!(first["secret"], second["secret"]);
    let states = [(json!("grace@example.com"), json!("open")), (json!("grace@example.com"), json!("revoked"))];
    assert_eq!(desk.states().await, states);
    let actions: Vec<_> = desk.audited().await.into_iter().map(|(action, _, _)| action).collect();
    assert_eq!(actions, ["person.invited", "invitation.revoked", "person.invited"]);
    let one = || desk.invite("owner", "grace@example.com", "viewer");
    let (a, b, c) = tokio::join!(one(), one(), one());
    assert_eq!([a.status, b.status, c.status], [201; 3]);
    let open = "select count(*) from invitations where accepted_at is null and revoked_at is null";
    assert_eq!(desk.world.count(open).await, 1);
}

#[tokio::test]
async fn an_invitation_is_taken_back_once_and_an_accepted_one_not_at_all() {
    let desk = Desk::new().await;
    let owner = desk.person("owner");
    let path = |made: &Value| desk.at(&format!("/invitations/{}", made["id"].as_str().unwrap()));
    let made = desk.invite("owner", "grace@example.com", "member").await.ok(201);
    for _ in 0..2 {
        desk.delete(&path(&made)).by(&owner).send().await.ok(204);
    }
    let actions: Vec<_> = desk.audited().await.into_iter().map(|(action, _, _)| action).collect();
    assert_eq!(actions, ["person.invited", "invitation.revoked"]);
    let made = desk.invite("owner", "linus@example.com", "member").await.ok(201);
    desk.register(&desk.person("linus"), &json!({ "invitation": made["secret"] })).send().await.ok(201);
    desk.delete(&path(&made)).by(&owner).send().await.is(409, "conflict");
    let other = desk.other("stranger").await;
    let theirs = format!("/api/v1/organizations/{}/invitations/{}", other.tenant, made["id"].as_str().unwrap());
    desk.get(&theirs).by(&desk.person("stranger")).send().await.is(404, "not_found");
    desk.delete(&theirs).by(&desk.person("stranger")).send().await.is(404, "not_found");
    desk.get(&desk.at(&format!("/invitations/{}", Uuid::new_v4()))).by(&owner).send().await.is(404, "not_found");
    desk.get(&desk.at("/invitations/x")).by(&owner).send().await.is(404, "not_found");
}

#[tokio::test]
async fn invitations_are_listed_page_by_page_and_by_what_became_of_them() {
    let desk = Desk::new().await;
    let owner = desk.person("owner");
    let mut made = Vec::new();
    for name in ["old", "older"] {
        made.push(desk.invite("owner", &format!("{name}@example.com"), "viewer").await.ok(201)["id"].clone());
    }
    desk.age_invitations(7).await;
    for name in ["joins", "goes", "waits", "hopes"] {
        let it = desk.invite("owner", &format!("{name}@example.com"), "viewer").await.ok(201);
        if name == "joins" {
            desk.register(&desk.person(name), &json!({ "invitation": it["secret"] })).send().await.ok(201);
        } else if name == "goes" {
            let path = desk.at(&format!("/invitations/{}", it["id"].as_str().unwrap()));
            desk.delete(&path).by(&owner).send().await.ok(204);
        }
    }
    let list = async |query: &str| {
        let (mut seen, mut path) = (Vec::new(), desk.at(&format!("/invitations?limit=1{query}")));
        loop {
            let page = desk.get(&path).by(&owner).send().await.ok(200);
            for it in page["items"].as_array().unwrap() {
                seen.push(it["email"].as_str().unwrap().replace("@example.com", ""));
            }
            let Some(cursor) = page["next_cursor"].as_str() else { break seen };
            path = desk.at(&format!("/invitations?limit=1{query}&cursor={cursor}"));
        }
    };
    assert_eq!(list("").await, ["hopes", "waits", "goes", "joins", "older", "old"]);
    assert_eq!(list("&state=open").await, ["hopes", "waits"]);
    assert_eq!(list("&state=accepted").await, ["joins"]);
    assert_eq!(list("&state=revoked").await, ["goes"]);
    assert_eq!(list("&state=expired").await, ["older", "old"]);
    for (query, field) in [("state=lost", "state"), ("limit=0", "limit"), ("cursor=x", "cursor"), ("role=x", "role")] {
        let wrong = desk.get(&desk.at(&format!("/invitations?{query}"))).by(&owner).send().await.wrong();
        assert_eq!(wrong, [field], "{query}");
    }
}

#[tokio::test]
async fn a_wrong_address_or_role_is_named_and_nothing_is_written() {
    let desk = Desk::new().await;
    let long = format!("{}@example.com", "x".repeat(243));
    for (body, fields) in [
        (json!({}), &["email", "role"][..]),
        (json!({ "email": "ada", "role": "god" }), &["email", "role"]),
        (json!({ "email": "a b@example.com", "role": "member" }), &["email"]),
        (json!({ "email": long, "role": "member" }), &["email"]),
        (json!({ "email": 7, "role": "member" }), &["email"]),
        (json!({ "email": "ada@example.com" }), &["role"]),
        (json!({ "email": "ada@example.com", "role": "member", "days": 1 }), &["days"]),
    ] {
        let asked = desk.post(&desk.at("/invitations"), &body).by(&desk.person("owner")).send().await;
        assert_eq!(asked.wrong(), fields, "{body}");
    }
    assert_eq!(desk.states().await, []);
    assert_eq!(desk.audited().await, []);
    desk.join(desk.tenant(), "mia", Member).await;
    desk.invite("mia", "ada@example.com", "member").await.is(403, "insufficient_role");
}
