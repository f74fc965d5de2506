//! The audit log: what an entry says, who may read it, and how it is searched.

use crate::desk::{Answer, Desk};
use license_core::domain::access::{PersonRole::Admin, Scope};
use serde_json::{Value, json};
use std::slice;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

impl Desk {
    async fn log(&self, query: &str) -> Answer {
        self.get(&self.at(&format!("/audit-log{query}"))).by(&self.person("owner")).send().await
    }

    /// What the log says for a query, entry by entry, over all its pages.
    async fn told(&self, query: &str) -> Vec<Value> {
        let (mut all, mut next) = (Vec::new(), format!("?limit=2{query}"));
        loop {
            let page = self.log(&next).await.ok(200);
            all.extend(page["items"].as_array().unwrap().iter().cloned());
            let Some(cursor) = page["next_cursor"].as_str() else { return all };
            next = format!("?limit=2{query}&cursor={cursor}");
        }
    }
}

fn actions(entries: &[Value]) -> Vec<&str> {
    entries.iter().map(|it| it["action"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn an_entry_says_who_did_what_to_what_from_where_and_what_changed() {
    let desk = Desk::new().await;
    desk.patch(&desk.at(""), &json!({ "name": "Engines Ltd" }))
        .by(&desk.staff("vendor"))
        .header("x-forwarded-for", "203.0.113.9")
        .header("x-request-id", "mine")
        .send()
        .await
        .ok(200);
    let token = desk.api_token(desk.tenant(), &[Scope::AuditRead]).await;
    let page = desk.get(&desk.at("/audit-log?limit=1")).by(&token).send().await.ok(200);
    let mut entry = page["items"][0].clone();
    let (id, at) = (entry["id"].take(), entry["at"].take());
    assert_eq!(
        entry,
        json!({
            "id": null, "at": null, "action": "organization.renamed", "target": desk.tenant(),
            "actor": { "kind": "staff", "id": "vendor", "name": "vendor@example.com" },
            "before": { "name": "Example" }, "after": { "name": "Engines Ltd" },
            "from_address": "203.0.113.9", "request_id": "mine",
        })
    );
    let ms = id.as_str().unwrap().parse::<uuid::Uuid>().unwrap().as_u128() >> 80;
    let at = OffsetDateTime::parse(at.as_str().unwrap(), &Rfc3339).unwrap();
    assert_eq!(at.unix_timestamp_nanos(), ms as i128 * 1_000_000, "the id tells the time");
}

#[tokio::test]
async fn the_log_is_found_by_action_actor_target_and_time_page_by_page() {
    let desk = Desk::new().await;
    desk.join(desk.tenant(), "bob", Admin).await;
    for (who, name) in [("owner", "A"), ("bob", "B"), ("owner", "C")] {
        desk.patch(&desk.at(""), &json!({ "name": name })).by(&desk.person(who)).send().await.ok(200);
        desk.invite(who, &format!("{name}@example.com"), "viewer").await.ok(201);
    }
    let all = desk.told("").await;
    let (renamed, invited) = ("organization.renamed", "person.invited");
    assert_eq!(actions(&all), [invited, renamed, invited, renamed, invited, renamed, "organization.created"]);
    assert_eq!(actions(&desk.told("&action=person.invited").await), [invited; 3]);
    let bob = all[2]["actor"]["id"].as_str().unwrap();
    assert_eq!(desk.told(&format!("&actor={bob}")).await, all[2..4]);
    let target = desk.told(&format!("&target={}", desk.tenant())).await;
    assert_eq!(actions(&target), [renamed, renamed, renamed, "organization.created"]);

    // The entry at `from` is in, the one at `to` is not; an entry of the same millisecond goes with it.
    let time = |entry: &Value| entry["at"].as_str().unwrap().to_owned();
    let (from, to) = (time(&all[5]), time(&all[1]));
    let exact = |at: &str| OffsetDateTime::parse(at, &Rfc3339).unwrap();
    let stretch = exact(&from)..exact(&to);
    let between: Vec<_> = all.iter().filter(|it| stretch.contains(&exact(&time(it)))).cloned().collect();
    assert!(!between.is_empty(), "{all:?}");
    assert_eq!(desk.told(&format!("&from={from}&to={to}")).await, between);
    let of_bob: Vec<_> = between.iter().filter(|it| it["actor"]["id"] == bob).cloned().collect();
    assert_eq!(desk.told(&format!("&from={from}&to={to}&actor={bob}")).await, of_bob);
    assert_eq!(desk.told(&format!("&to={from}&from=2020-01-01T00:00:00Z")).await.last(), all.last());
    assert_eq!(desk.told("&from=2999-01-01T00:00:00Z").await, [] as [Value; 0]);
}

#[tokio::test]
async fn of_another_organization_nothing_is_found_by_any_filter_or_cursor() {
    let desk = Desk::new().await;
    let other = desk.other("stranger").await;
    desk.invite("owner", "grace@example.com", "viewer").await.ok(201);
    let page = desk.log("?limit=1").await.ok(200);
    let (actor, target) = (&page["items"][0]["actor"]["id"], &page["items"][0]["target"]);
    let cursor = page["next_cursor"].as_str().unwrap();
    let (actor, target) = (actor.as_str().unwrap(), target.as_str().unwrap());
    let theirs = format!("/api/v1/organizations/{}/audit-log", other.tenant);
    for query in [format!("actor={actor}"), format!("target={target}"), format!("target={}", desk.tenant())] {
        let seen = desk.get(&format!("{theirs}?{query}")).by(&desk.person("stranger")).send().await.ok(200);
        assert_eq!(seen["items"], json!([]), "{query}");
    }
    let seen = desk.get(&format!("{theirs}?cursor={cursor}")).by(&desk.person("stranger")).send().await.ok(200);
    let foreign = seen["items"].as_array().unwrap().iter().filter(|it| it["target"] != json!(other.tenant));
    assert_eq!(foreign.count(), 0, "a cursor opens nothing by itself");
}

#[tokio::test]
async fn filters_that_are_combined_find_what_each_of_them_finds() {
    let desk = Desk::new().await;
    for role in ["viewer", "admin"] {
        let invited = desk.invite("owner", &format!("{role}@example.com"), role).await.ok(201);
        let path = desk.at(&format!("/invitations/{}", invited["id"].as_str().unwrap()));
        desk.delete(&path).by(&desk.person("owner")).send().await.ok(204);
    }
    let all = desk.log("").await.ok(200)["items"].as_array().unwrap().clone();
    let entry = all.iter().find(|it| it["action"] == "invitation.revoked").unwrap();
    let of = |name: &str| entry[name].as_str().unwrap();
    let (actor, target) = (entry["actor"]["id"].as_str().unwrap(), of("target"));
    let found = async |query: &str| desk.log(query).await.ok(200)["items"].as_array().unwrap().clone();
    assert_eq!(found(&format!("?action=invitation.revoked&target={target}")).await, slice::from_ref(entry));
    assert_eq!(
        found(&format!("?action=invitation.revoked&actor={actor}&target={target}")).await,
        slice::from_ref(entry)
    );
    assert_eq!(found(&format!("?action=invitation.revoked&actor={actor}")).await.len(), 2);
    assert_eq!(found(&format!("?action=person.left&actor={actor}&target={target}")).await, [] as [Value; 0]);
    let page = desk.log(&format!("?action=invitation.revoked&actor={actor}&limit=1")).await.ok(200);
    let cursor = page["next_cursor"].as_str().unwrap();
    let rest = found(&format!("?action=invitation.revoked&actor={actor}&limit=1&cursor={cursor}")).await;
    assert_eq!((rest.len(), rest[0] == page["items"][0]), (1, false));
}

#[tokio::test]
async fn a_wrong_filter_is_named() {
    let desk = Desk::new().await;
    for (query, fields) in [
        ("action=Renamed", &["action"][..]),
        ("action=a.b.c", &["action"]),
        ("action=a.b", &["action"]),
        ("action=person.left&actor=x", &["actor"]),
        ("action=person.left&actor=x&target=y", &["actor", "target"]),
        ("action=a.b&actor=x", &["action"]),
        ("actor=x", &["actor"]),
        ("actor=x&target=y", &["actor", "target"]),
        ("actor=%07", &["actor"]),
        ("target=%07", &["target"]),
        ("from=yesterday", &["from"]),
        ("to=2026-11-21", &["to"]),
        ("from=2026-11-21T00:00:01Z&to=2026-11-21T00:00:00Z", &["to"]),
        ("limit=101", &["limit"]),
        ("cursor=x", &["cursor"]),
        ("who=me", &["who"]),
    ] {
        assert_eq!(desk.log(&format!("?{query}")).await.wrong(), fields, "{query}");
    }
}
