//! People: roles, leaving, and that somebody always owns an organization.

use crate::desk::Desk;
use license_core::domain::access::PersonRole::{self, Admin, Member, Owner, Viewer};
use serde_json::{Value, json};

#[tokio::test]
async fn people_are_listed_page_by_page_the_newest_first() {
    let desk = Desk::new().await;
    let mut all = Vec::new();
    for n in 0..5 {
        all.insert(0, json!(desk.join(desk.tenant(), &format!("p{n}"), Member).await));
    }
    let other = desk.other("grace").await;
    desk.join(other.tenant, "stranger", Member).await;
    let owner = desk.person("owner");
    let (mut seen, mut path) = (Vec::new(), desk.at("/people?limit=2"));
    loop {
        let page = desk.get(&path).by(&owner).send().await.ok(200);
        seen.extend(page["items"].as_array().unwrap().iter().map(|person| person["id"].clone()));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = desk.at(&format!("/people?limit=2&cursor={cursor}"));
    }
    assert_eq!(seen.len(), 6, "everybody and the owner, nobody twice");
    assert_eq!(seen[..5], all);
    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=x", "limit"),
        ("cursor=x", "cursor"),
        ("role=owner", "role"),
        ("limit=1&limit=2", "limit"),
    ] {
        assert_eq!(desk.get(&desk.at(&format!("/people?{query}"))).by(&owner).send().await.wrong(), [field], "{query}");
    }
}

#[tokio::test]
async fn somebody_is_found_by_address_in_any_spelling_and_only_while_they_belong() {
    let desk = Desk::new().await;
    let bob = desk.join(desk.tenant(), "bob", Member).await;
    desk.join(desk.other("grace").await.tenant, "eve", Member).await;
    let owner = desk.person("owner");
    let found = async |email: &str| {
        let page = desk.get(&desk.at(&format!("/people?email={email}"))).by(&owner).send().await.ok(200);
        page["items"].as_array().unwrap().iter().map(|person| person["id"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(found("bob@example.com").await, [json!(bob)]);
    assert_eq!(found("%20BOB@Example.com").await, [json!(bob)]);
    assert_eq!(found("bo@example.com").await, [] as [Value; 0], "no part of an address");
    assert_eq!(found("eve@example.com").await, [] as [Value; 0], "of another organization");
    desk.delete(&desk.at(&format!("/people/{bob}"))).by(&owner).send().await.ok(204);
    assert_eq!(found("bob@example.com").await, [] as [Value; 0]);
}

#[tokio::test]
async fn a_role_is_changed_by_who_may_and_only_owners_make_owners() {
    let desk = Desk::new().await;
    let bob = desk.join(desk.tenant(), "bob", Admin).await;
    let eve = desk.join(desk.tenant(), "eve", Viewer).await;
    let path = |user| desk.at(&format!("/people/{user}"));
    let set =
        |who: &str, user, role: PersonRole| desk.patch(&path(user), &json!({ "role": role })).by(&desk.person(who));
    assert_eq!(set("bob", eve, Member).send().await.ok(200)["role"], "member");
    assert_eq!(set("bob", eve, Owner).send().await.is(403, "insufficient_role")["required"], "owner");
    assert_eq!(set("bob", bob, Owner).send().await.is(403, "insufficient_role")["required"], "owner");
    assert_eq!(set("owner", eve, Owner).send().await.ok(200)["role"], "owner");
    assert_eq!(set("bob", eve, Viewer).send().await.is(403, "insufficient_role")["required"], "owner");
    assert_eq!(set("owner", eve, Viewer).send().await.ok(200)["role"], "viewer");
    assert_eq!(set("eve", eve, Admin).send().await.is(403, "insufficient_role")["required"], "admin");
    assert_eq!(
        desk.patch(&path(eve), &json!({ "role": "god" })).by(&desk.person("owner")).send().await.wrong(),
        ["role"]
    );
    let actions: Vec<_> = desk.audited().await.into_iter().map(|(action, who, _)| (action, who)).collect();
    let by = |who: &str| ("person.role_changed".to_owned(), format!("person {who}@example.com"));
    assert_eq!(actions, [by("bob"), by("owner"), by("owner")]);
}

#[tokio::test]
async fn the_last_owner_cannot_go_and_two_owners_who_remove_each_other_leave_one() {
    let desk = Desk::new().await;
    let me =
        desk.get("/api/v1/me").by(&desk.person("owner")).send().await.ok(200)["organizations"][0]["person"].clone();
    let path = |user: &str| desk.at(&format!("/people/{user}"));
    let owner = path(me.as_str().unwrap());
    desk.call("DELETE", &owner).by(&desk.person("owner")).send().await.is(409, "conflict");
    desk.patch(&owner, &json!({ "role": "admin" })).by(&desk.person("owner")).send().await.is(409, "conflict");

    let bob = path(&desk.join(desk.tenant(), "bob", Owner).await.to_string());
    let (first, second) = (desk.person("owner"), desk.person("bob"));
    let (a, b) =
        tokio::join!(desk.call("DELETE", &bob).by(&first).send(), desk.call("DELETE", &owner).by(&second).send());
    assert!([a.status, b.status].contains(&204), "{a:?} {b:?}");
    let owners = desk.world.count("select count(*) from users where role = 'owner' and removed_at is null").await;
    assert_eq!(owners, 1, "{a:?} {b:?}");
}

#[tokio::test]
async fn everybody_may_leave_and_who_left_sees_nothing_any_more() {
    let desk = Desk::new().await;
    let eve = desk.join(desk.tenant(), "eve", Viewer).await;
    let bob = desk.join(desk.tenant(), "bob", Member).await;
    let path = |user| desk.at(&format!("/people/{user}"));
    assert_eq!(
        desk.call("DELETE", &path(bob)).by(&desk.person("eve")).send().await.is(403, "insufficient_role")["required"],
        "admin"
    );
    desk.call("DELETE", &path(eve)).by(&desk.person("eve")).send().await.ok(204);
    desk.get(&desk.at("")).by(&desk.person("eve")).send().await.is(404, "not_found");
    assert_eq!(desk.get("/api/v1/me").by(&desk.person("eve")).send().await.ok(200)["organizations"], json!([]));
    desk.get(&path(eve)).by(&desk.person("owner")).send().await.is(404, "not_found");
    desk.call("DELETE", &path(eve)).by(&desk.person("owner")).send().await.is(404, "not_found");
    desk.call("DELETE", &path(bob)).by(&desk.person("owner")).send().await.ok(204);
    let actions: Vec<_> = desk.audited().await.into_iter().map(|(action, _, target)| (action, target)).collect();
    assert_eq!(actions, [("person.left".to_owned(), eve.to_string()), ("person.removed".to_owned(), bob.to_string())]);
}
