//! Outcomes kept for an `Idempotency-Key` are read by another version of the server than the one that kept them: while
//! a release is rolled out both versions serve, and an outcome is kept for a day.

use crate::desk::{Answer, Desk};
use license_core::{
    management::{
        ChangedLicense, IssuedApiToken, IssuedInvitation, IssuedLicense, IssuedVendorToken, IssuedWebhook,
        MadeOrganization, RotatedKey, SessionEnd, SessionsEnd, TestedWebhook, VoidingResult,
    },
    records::{AlertRuleRow, ErasureReport, ProjectRow, ReplayedDeliveries},
};
use license_functions::admin::access::TABLE;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What earlier versions kept, by the path of the operation. A change of the form of an outcome leaves these as they
/// are: a new field has a default (`#[serde(default)]`), and a field that is no longer needed is written for one more
/// release.
const KEPT: &str = include_str!("kept_outcomes.json");

/// What this version keeps in place of an outcome that it has read.
fn read<T: Serialize + DeserializeOwned>(kept: &Value) -> Result<Value, String> {
    let outcome: T = serde_json::from_slice(kept.to_string().as_bytes()).map_err(|error| error.to_string())?;
    Ok(serde_json::to_value(outcome).unwrap())
}

/// The same for the outcome of an operation.
fn read_of(path: &str, kept: &Value) -> Result<Value, String> {
    match path.rsplit('/').next().unwrap() {
        "void-tokens" => read::<VoidingResult>(kept),
        "end" if path.ends_with("/sessions/end") => read::<SessionsEnd>(kept),
        "end" => read::<SessionEnd>(kept),
        "projects" => read::<ProjectRow>(kept),
        "licenses" => read::<IssuedLicense>(kept),
        "suspend" | "resume" | "revoke" => read::<ChangedLicense>(kept),
        "rotate-key" => read::<RotatedKey>(kept),
        "invitations" => read::<IssuedInvitation>(kept),
        "api-tokens" if path.contains("/staff/") => read::<IssuedVendorToken>(kept),
        "api-tokens" => read::<IssuedApiToken>(kept),
        "organizations" => read::<MadeOrganization>(kept),
        "webhooks" | "rotate-secret" => read::<IssuedWebhook>(kept),
        "alert-rules" => read::<AlertRuleRow>(kept),
        "test" => read::<TestedWebhook>(kept),
        "replay" => read::<ReplayedDeliveries>(kept),
        "erasures" => read::<ErasureReport>(kept),
        other => panic!("say here what is kept of {other}, and in kept_outcomes.json how it looks"),
    }
}

/// Every field of `before`, at every depth, is in `after` with its value.
fn contains(after: &Value, before: &Value) -> bool {
    match (after, before) {
        (Value::Object(after), Value::Object(before)) => {
            before.iter().all(|(name, value)| after.get(name).is_some_and(|after| contains(after, value)))
        }
        (Value::Array(after), Value::Array(before)) => {
            after.len() == before.len() && after.iter().zip(before).all(|(after, before)| contains(after, before))
        }
        (after, before) => after == before,
    }
}

/// Adds a field that this version does not know to every object, but not to metadata, whose names the vendor chose.
fn with_news(kept: &Value) -> Value {
    match kept {
        Value::Object(fields) => {
            let news = |name: &str, value| if name == "metadata" { Value::clone(value) } else { with_news(value) };
            let fields = fields.iter().map(|(name, value)| (name.clone(), news(name, value)));
            Value::Object(fields.chain([("a_field_of_a_later_version".to_owned(), json!({ "x": 1 }))]).collect())
        }
        Value::Array(values) => values.iter().map(with_news).collect(),
        other => other.clone(),
    }
}

#[test]
fn what_an_earlier_version_kept_is_read_and_what_this_one_keeps_is_read_by_the_earlier_one() {
    let kept: BTreeMap<String, Value> = serde_json::from_str(KEPT).unwrap();
    // These two keep what `suspend` keeps.
    let like_suspend = |path: &str| path.ends_with("/resume") || path.ends_with("/revoke");
    for rule in TABLE.iter().filter(|rule| rule.method == "POST" && !like_suspend(rule.path)) {
        let before = kept.get(rule.path).unwrap_or_else(|| panic!("kept_outcomes.json lacks {}", rule.path));
        let now = read_of(rule.path, before).unwrap_or_else(|error| panic!("{}: {error}", rule.path));
        assert!(contains(&now, before), "{}: an earlier version would miss a field of {now}", rule.path);
        let mut less = before.clone();
        let field = less.as_object().unwrap().keys().next().unwrap().clone();
        less.as_object_mut().unwrap().remove(&field);
        assert!(!contains(&less, before), "a lost field is seen");
        // Features are names that people chose; a further one is one more feature.
        let later = with_news(before);
        assert!(contains(&read_of(rule.path, &later).unwrap(), before), "{}: {later}", rule.path);
    }
    let posts = TABLE.iter().filter(|rule| rule.method == "POST");
    let unknown: Vec<_> = kept.keys().filter(|path| !posts.clone().any(|rule| rule.path == *path)).collect();
    assert_eq!(unknown, Vec::<&String>::new(), "operations that there are no more");
}

#[tokio::test]
async fn what_was_kept_in_a_form_that_cannot_be_read_is_said_so_and_nothing_is_done_twice() {
    let desk = Desk::new().await;
    let ask = async |who: &str, path: &str, body: Value| -> Answer {
        let call = desk.post(&desk.at(path), &body).by(&desk.person(who)).header("idempotency-key", "k");
        call.send().await
    };
    let token = || ask("owner", "/api-tokens", json!({ "name": "a", "scopes": ["people:read"] }));
    token().await.ok(201);
    // The same key of somebody else, so that what is kept is sealed with the same words and says something else.
    desk.join(desk.tenant(), "bob", license_core::domain::access::PersonRole::Admin).await;
    ask("bob", "/projects", json!({ "name": "Blue" })).await.ok(201);
    let another_form = "update idempotency_keys k set outcome = other.outcome from idempotency_keys other
        where k.principal <> other.principal and k.created_at < other.created_at";
    for damage in [another_form, "update idempotency_keys set outcome = 'sealed with another pepper'"] {
        sqlx::query(sqlx::AssertSqlSafe(damage.to_owned())).execute(&mut desk.world.truth().await).await.unwrap();
        let refused = token().await.is(409, "conflict");
        let detail = refused["detail"].as_str().unwrap();
        assert!(detail.contains("carried out") && detail.contains("new Idempotency-Key"), "{detail}");
        assert!(!refused.to_string().contains("Blue"), "what is kept is not quoted");
        assert_eq!(desk.world.count("select count(*) from api_tokens").await, 1);
        let entries = "select count(*) from audit_log where action = 'api_token.created'";
        assert_eq!(desk.world.count(entries).await, 1);
    }
}
