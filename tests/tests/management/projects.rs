//! Projects: made, named, tied to licenses, archived; and which sessions count to one.

use crate::desk::Desk;
use license_core::domain::access::PersonRole::{Member, Viewer};
use serde_json::{Value, json};
use uuid::Uuid;

async fn make(desk: &Desk, body: Value) -> Value {
    desk.post(&desk.at("/projects"), &body).by(&desk.person("owner")).send().await.ok(201)
}

fn id(project: &Value) -> &str {
    project["id"].as_str().unwrap()
}

#[tokio::test]
async fn a_project_is_made_by_a_member_read_by_all_and_edited_by_admins() {
    let desk = Desk::new().await;
    desk.join(desk.tenant(), "bob", Member).await;
    desk.join(desk.tenant(), "eve", Viewer).await;
    let (bob, owner) = (desk.person("bob"), desk.person("owner"));
    let license = desk.world.license.id;
    let body = json!({ "name": " Turbine ", "license_ids": [license, license] });
    let made = desk.post(&desk.at("/projects"), &body).by(&bob).send().await;
    let tag = made.etag();
    let made = made.ok(201);
    assert_eq!(
        (&made["name"], &made["license_ids"], &made["archived_at"]),
        (&json!("Turbine"), &json!([license]), &Value::Null)
    );
    let path = desk.at(&format!("/projects/{}", id(&made)));
    assert_eq!(desk.get(&path).by(&desk.person("eve")).send().await.ok(200), made);
    desk.patch(&path, &json!({ "name": "Mine" })).by(&bob).send().await.is(403, "insufficient_role");

    let edited = desk
        .patch(&path, &json!({ "name": "Pump", "license_ids": [], "archived": true }))
        .by(&owner)
        .header("if-match", &tag)
        .send()
        .await;
    let newer = edited.etag();
    assert_ne!(newer, tag);
    let edited = edited.ok(200);
    assert_eq!((&edited["name"], &edited["license_ids"]), (&json!("Pump"), &json!([])));
    assert!(edited["archived_at"].is_string());
    desk.patch(&path, &json!({ "name": "Late" }))
        .by(&owner)
        .header("if-match", &tag)
        .send()
        .await
        .is(412, "precondition_failed");
    let same = desk.patch(&path, &json!({ "name": "Pump" })).by(&owner).send().await;
    assert_eq!(same.etag(), newer, "what changes nothing is no edit");
    assert_eq!(
        desk.patch(&path, &json!({ "archived": false })).by(&owner).send().await.ok(200)["archived_at"],
        Value::Null
    );
    let log: Vec<_> = desk.audited().await.into_iter().map(|(action, who, _)| (action, who)).collect();
    let line = |action: &str, who: &str| (action.to_owned(), format!("person {who}@example.com"));
    assert_eq!(log, [line("project.created", "bob"), line("project.edited", "owner"), line("project.edited", "owner")]);
}

#[tokio::test]
async fn a_name_is_one_projects_whatever_its_letters() {
    let desk = Desk::new().await;
    let owner = desk.person("owner");
    let turbine = make(&desk, json!({ "name": "Turbine" })).await;
    let pump = make(&desk, json!({ "name": "Pump" })).await;
    desk.post(&desk.at("/projects"), &json!({ "name": "TURBINE" })).by(&owner).send().await.is(409, "conflict");
    let path = desk.at(&format!("/projects/{}", id(&pump)));
    desk.patch(&path, &json!({ "name": "turbine" })).by(&owner).send().await.is(409, "conflict");
    assert_eq!(desk.get(&path).by(&owner).send().await.ok(200), pump);
    let own = desk.at(&format!("/projects/{}", id(&turbine)));
    assert_eq!(desk.patch(&own, &json!({ "name": "TURBINE" })).by(&owner).send().await.ok(200)["name"], "TURBINE");
    let other = desk.other("grace").await;
    let theirs = format!("/api/v1/organizations/{}/projects", other.tenant);
    desk.post(&theirs, &json!({ "name": "Turbine" })).by(&desk.person("grace")).send().await.ok(201);
}

#[tokio::test]
async fn a_session_counts_to_the_project_it_names_if_its_license_does_and_it_is_in_use() {
    let desk = Desk::new().await;
    let owner = desk.person("owner");
    let second = desk.license_of(desk.tenant()).await;
    let tied = make(&desk, json!({ "name": "Tied", "license_ids": [second.id] })).await;
    let free = make(&desk, json!({ "name": "Free" })).await;
    let of = async |project: &Value| desk.ids(&owner, &desk.at(&format!("/sessions?project={}", id(project)))).await;
    let a = desk.sit("a", json!({ "project": "free" })).await;
    desk.sit("b", json!({ "project": "tied" })).await;
    let c = desk.sit_on(&second, "c", json!({ "project": "TIED" })).await;
    let unknown = desk.sit("d", json!({ "project": "no such project" })).await;
    assert_eq!(of(&free).await, [a.id.as_str()]);
    assert_eq!(of(&tied).await, [c.id.as_str()]);
    let read = desk.get(&desk.at(&format!("/sessions/{}", unknown.id))).by(&owner).send().await.ok(200);
    assert_eq!(read["project"], Value::Null);

    let path = desk.at(&format!("/projects/{}", id(&free)));
    desk.patch(&path, &json!({ "archived": true })).by(&owner).send().await.ok(200);
    desk.sit_on(&second, "e", json!({ "project": "free" })).await;
    assert_eq!(of(&free).await, [a.id.as_str()], "those that counted still do, new ones do not");
    desk.patch(&path, &json!({ "archived": false, "name": "Freed" })).by(&owner).send().await.ok(200);
    let f = desk.sit_on(&second, "f", json!({ "project": "freed" })).await;
    assert_eq!(of(&free).await, [f.id.clone(), a.id.clone()]);
    desk.release(&a).await;
    let past = desk.at(&format!("/sessions?state=ended&project={}", id(&free)));
    assert_eq!(desk.ids(&owner, &past).await, [a.id]);
}

#[tokio::test]
async fn projects_are_listed_page_by_page_archived_or_not() {
    let desk = Desk::new().await;
    let owner = desk.person("owner");
    let mut all = Vec::new();
    for n in 0..5 {
        all.insert(0, id(&make(&desk, json!({ "name": format!("p{n}") })).await).to_owned());
    }
    let other = desk.other("grace").await;
    let theirs = format!("/api/v1/organizations/{}/projects", other.tenant);
    let foreign = desk.post(&theirs, &json!({ "name": "Theirs" })).by(&desk.person("grace")).send().await.ok(201);
    for n in [1, 3] {
        let path = desk.at(&format!("/projects/{}", all[n]));
        desk.patch(&path, &json!({ "archived": true })).by(&owner).send().await.ok(200);
    }
    let list = async |query: &str| desk.ids(&owner, &desk.at(&format!("/projects?limit=2{query}"))).await;
    assert_eq!(list("").await, all);
    assert_eq!(list("&archived=true").await, [all[1].clone(), all[3].clone()]);
    assert_eq!(list("&archived=false").await, [all[0].clone(), all[2].clone(), all[4].clone()]);
    for path in [desk.at(&format!("/projects/{}", id(&foreign))), desk.at("/projects/x")] {
        desk.get(&path).by(&owner).send().await.is(404, "not_found");
        desk.patch(&path, &json!({ "name": "Ours" })).by(&owner).send().await.is(404, "not_found");
    }
    let page = desk.get(&desk.at("/projects?limit=2")).by(&owner).send().await.ok(200);
    let cursor = page["next_cursor"].as_str().unwrap();
    let elsewhere = desk.get(&format!("{theirs}?cursor={cursor}")).by(&desk.person("grace")).send().await.ok(200);
    assert_eq!(elsewhere["items"], json!([]), "a cursor of another organization opens nothing of it");
}

#[tokio::test]
async fn every_wrong_field_of_a_project_is_named_and_nothing_is_written() {
    let desk = Desk::new().await;
    let owner = desk.person("owner");
    let other = desk.other("grace").await;
    let project = make(&desk, json!({ "name": "Turbine" })).await;
    let path = desk.at(&format!("/projects/{}", id(&project)));
    let many: Vec<Uuid> = (0..101).map(|_| Uuid::new_v4()).collect();
    for (body, field) in [
        (json!({ "name": "" }), "name"),
        (json!({ "name": "a\u{7}" }), "name"),
        (json!({ "name": "x".repeat(201) }), "name"),
        (json!({ "name": 7 }), "name"),
        (json!({ "name": "A", "license_ids": ["x"] }), "license_ids"),
        (json!({ "name": "A", "license_ids": [Uuid::new_v4()] }), "license_ids"),
        (json!({ "name": "A", "license_ids": [other.id] }), "license_ids"),
        (json!({ "name": "A", "license_ids": many }), "license_ids"),
        (json!({ "name": "A", "license_ids": "x" }), "license_ids"),
        (json!({ "name": "A", "colour": "red" }), "colour"),
    ] {
        assert_eq!(desk.post(&desk.at("/projects"), &body).by(&owner).send().await.wrong(), [field], "{body}");
        assert_eq!(desk.patch(&path, &body).by(&owner).send().await.wrong(), [field], "{body}");
    }
    assert_eq!(desk.post(&desk.at("/projects"), &json!({})).by(&owner).send().await.wrong(), ["name"]);
    let both = desk.post(&desk.at("/projects"), &json!({ "license_ids": ["x"] })).by(&owner).send().await;
    assert_eq!(both.wrong(), ["name", "license_ids"]);
    assert_eq!(desk.patch(&path, &json!({ "archived": "yes" })).by(&owner).send().await.wrong(), ["archived"]);
    for (query, field) in
        [("archived=maybe", "archived"), ("limit=0", "limit"), ("cursor=x", "cursor"), ("name=x", "name")]
    {
        assert_eq!(
            desk.get(&desk.at(&format!("/projects?{query}"))).by(&owner).send().await.wrong(),
            [field],
            "{query}"
        );
    }
    assert_eq!(desk.get(&path).by(&owner).send().await.ok(200), project);
    assert_eq!(desk.world.count("select count(*) from projects").await, 1);
    assert_eq!(desk.audited().await.len(), 1);
}

#[tokio::test]
async fn a_project_asked_for_twice_with_one_idempotency_key_is_made_once() {
    let desk = Desk::new().await;
    let owner = desk.person("owner");
    let ask = async |name: &str| {
        desk.post(&desk.at("/projects"), &json!({ "name": name }))
            .by(&owner)
            .header("idempotency-key", "k")
            .send()
            .await
    };
    let first = ask("Turbine").await.ok(201);
    assert_eq!(ask("Turbine").await.ok(201), first);
    ask("Pump").await.is(422, "idempotency_key_reused");
    assert_eq!(desk.world.count("select count(*) from projects").await, 1);
}
