//! The filters of every list of the document: a wrong value is never an empty answer but 422, and names the parameter.

use crate::desk::{Desk, WEBHOOK};
use license_core::{domain::access::PersonRole::Member, records::ACTIONS};
use serde_json::{Value, json};

/// Wrong values of a filter, and what the answer must say of each.
fn wrong(path: &str, name: &str) -> Vec<(&'static str, Vec<&'static str>)> {
    let plus = "write it %2B";
    let all =
        |values: &[&'static str], says: &[&'static str]| values.iter().map(|value| (*value, says.to_vec())).collect();
    let mut list: Vec<(&str, Vec<&str>)> = match name {
        "limit" if path.ends_with("/seats") => all(&["0", "1001", "x"], &["from 1 to 1000"]),
        "pool" => all(&["Default!", "a_b"], &["a-z, 0-9 and -"]),
        "limit" => all(&["0", "101", "-1", "x", "1.5", "1e1"], &["from 1 to 100"]),
        "cursor" => all(&["x", "AZof", "zzz%20zzz"], &["next_cursor"]),
        "open" => all(&["maybe", "1", "TRUE"], &["true or false"]),
        "archived" => all(&["maybe", "1", "TRUE"], &["true or false"]),
        "from" | "to" | "started_after" | "started_before" | "open_at" | "ends_from" | "ends_before" => all(
            &["2026-01-01T00:00:00+02:00", "yesterday", "2026-01-01", "2026-13-01T00:00:00Z", "0"],
            &["RFC 3339", plus],
        ),
        "license" | "project" | "key" => all(&["zzz", "0197"], &["UUID"]),
        "actor" | "target" => all(&["zzz", "0197", "a+b"], &["UUID"]),
        "machine" => all(&["zzz", "6rD8kPXGv3mJ1QfQm3XcV0E4y8Jt2bA5n7Zs9wLxYh"], &["43 base64url"]),
        "tier" | "product" | "plan" => all(&["Team!", "-x", "ü", "a_b"], &["a-z, 0-9 and -"]),
        "user" | "email" => all(&["a+b@c", "a%20b@c"], &["address", plus]),
        "state" | "status" | "reason" | "action" | "kind" => Vec::new(),
        "q" => all(&["%20", "a%00b"], &["beginning of a name"]),
        "external_id" => all(&["%20", "a%00b"], &["1 to 200 characters"]),
        "metadata" => vec![
            ("order", vec!["a key and its text"]),
            ("=1234", vec!["keys of 1 to 40"]),
            ("an%20order=1", vec!["keys of 1 to 40"]),
            ("order=%00", vec!["500 characters"]),
        ],
        other => panic!("the filter {other} is not tried: say here what is wrong for it"),
    };
    list.push(("%07", Vec::new()));
    // As programs write it that know no Unicode.
    list.push(("J%FCrgen", Vec::new()));
    list
}

/// The values of closed sets, each of which the answer must name.
fn closed(path: &str, name: &str) -> Vec<&'static str> {
    match name {
        "state" if path.ends_with("/invitations") => vec!["open", "accepted", "revoked", "expired"],
        "state" if path.ends_with("/deliveries") => vec!["waiting", "delivered", "failed", "skipped"],
        "state" => vec!["live", "ended"],
        "status" => vec!["active", "suspended", "revoked"],
        "reason" => vec!["released", "expired", "kicked"],
        "action" => ACTIONS.to_vec(),
        "kind" => vec!["pool_use", "wants_refused", "license_ends", "webhook_paused"],
        _ => Vec::new(),
    }
}

#[tokio::test]
async fn every_filter_of_every_list_refuses_what_it_cannot_know_and_says_why() {
    let desk = Desk::new().await;
    desk.deliver().await;
    let staff = desk.staff("vendor");
    let document: Value = serde_json::from_str(include_str!("../../../openapi.json")).unwrap();
    let (mut lists, mut tried) = (0, 0);
    for (template, item) in document["paths"].as_object().unwrap() {
        let parameters = item["get"]["parameters"].as_array().cloned().unwrap_or_default();
        let names: Vec<&str> =
            parameters.iter().filter(|it| it["in"] == "query").map(|it| it["name"].as_str().unwrap()).collect();
        // The chain of the audit log is walked, not filtered, and usage, advice and exports are no lists: chain.rs,
        // usage.rs, seats_needed.rs and exports.rs have what is wrong there.
        let is_no_list = ["/usage", "/seats-needed", "/export"].iter().any(|end| template.ends_with(end));
        if names.is_empty() || template.contains("/audit-log/") || is_no_list {
            continue;
        }
        lists += 1;
        assert!(names.contains(&"limit") && names.contains(&"cursor"), "{template}");
        let path = template
            .replace("{organization}", &desk.tenant().to_string())
            .replace("{license}", &desk.world.license.id.to_string())
            .replace("{webhook}", WEBHOOK);
        let ask = async |query: String| desk.get(&format!("{path}?{query}")).by(&staff).send().await;
        ask(String::new()).await.ok(200);
        for name in &names {
            let values = closed(template, name);
            let unknown = ["zzz", "Live%20", "1"].map(|value| (value, values.clone()));
            let unknown = unknown.into_iter().filter(|_| !values.is_empty());
            for (value, says) in wrong(template, name).into_iter().chain(unknown) {
                let answer = ask(format!("{name}={value}")).await;
                assert_eq!(answer.status, 422, "{path}?{name}={value}");
                let body = answer.is(422, "invalid_request");
                let errors = body["errors"].as_array().unwrap();
                let problem = errors[0]["problem"].as_str().unwrap();
                assert_eq!(
                    (errors.len(), errors[0]["field"].as_str()),
                    (1, Some(*name)),
                    "{path}?{name}={value} {body}"
                );
                assert!(says.iter().all(|word| problem.contains(word)), "{path}?{name}={value}: {problem}");
                tried += 1;
            }
        }
        assert_eq!(ask("no_such_filter=1".into()).await.wrong(), ["no_such_filter"]);
        assert_eq!(ask("limit=1&limit=2".into()).await.wrong(), ["limit"]);
        assert_eq!(ask("limit=0&cursor=x".into()).await.wrong(), ["limit", "cursor"], "all that is wrong at once");
    }
    assert!(lists >= 13 && tried > 190, "{lists} lists, {tried} values");
}

#[tokio::test]
async fn an_address_with_a_plus_and_a_time_with_an_offset_are_found_as_they_are_told_to_be_written() {
    let desk = Desk::new().await;
    let owner = desk.person("owner");
    let seat = desk.sit("a", json!({ "user": "Ada+test@example.com" })).await;
    for query in [
        "user=ada%2Btest@example.com",
        "user=%20ADA%2Btest@example.com%0A",
        "started_after=2020-01-01T00:00:00%2B02:00",
    ] {
        assert_eq!(desk.ids(&owner, &desk.at(&format!("/sessions?{query}"))).await, [seat.id.as_str()], "{query}");
    }
    // Programs may say anything of whoever works there; a blank is no mistake where there is no address.
    let plain = desk.sit("b", json!({ "user": "Ada  Lovelace" })).await;
    assert_eq!(desk.ids(&owner, &desk.at("/sessions?user=ada+lovelace")).await, [plain.id]);
}

#[tokio::test]
async fn ids_are_found_as_they_were_pasted() {
    let desk = Desk::new().await;
    let owner = desk.person("owner");
    let seat = desk.sit("a", json!({})).await;
    let (license, tenant) = (desk.world.license.id.to_string(), desk.tenant().to_string());
    for id in [
        format!("{license}%0A"),
        format!("%E2%80%9C{license}%E2%80%9D"),
        license.to_uppercase(),
        license.replace('-', ""),
        license.replace('-', "%E2%80%93"),
    ] {
        assert_eq!(desk.ids(&owner, &desk.at(&format!("/sessions?license={id}"))).await, [seat.id.as_str()], "{id}");
        desk.get(&desk.at(&format!("/licenses/{id}"))).by(&owner).send().await.ok(200);
    }
    let number = desk.world.license.key.number().to_string();
    for written in [
        number.to_lowercase(),
        format!("{number}%0A"),
        format!("%20{}-{}", &number[..5], &number[5..]),
        number.replace('0', "O"),
    ] {
        let path = format!("/api/v1/staff/licenses/{written}");
        assert_eq!(
            desk.get(&path).by(&desk.staff("vendor")).send().await.ok(200)["license"],
            license.as_str(),
            "{written}"
        );
    }
    let target =
        desk.get(&desk.at(&format!("/audit-log?target={}", tenant.to_uppercase()))).by(&owner).send().await.ok(200);
    assert_eq!(target["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn staff_are_found_in_the_log_by_what_their_provider_calls_them() {
    let desk = Desk::new().await;
    desk.join(desk.tenant(), "bob", Member).await;
    desk.patch(&desk.at(""), &json!({ "name": "A" })).by(&desk.staff("zzz")).send().await.ok(200);
    let log = |actor: &str| desk.at(&format!("/audit-log?actor={actor}"));
    let found = desk.get(&log("zzz")).by(&desk.person("owner")).send().await.ok(200);
    assert_eq!(found["items"][0]["action"], "organization.renamed");
    assert_eq!(desk.get(&log("zzzz")).by(&desk.person("owner")).send().await.wrong(), ["actor"]);
}
