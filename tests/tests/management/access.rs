//! Every operation of the OpenAPI document, tried as every kind of caller, and held against the access table.

use crate::desk::{Answer, Desk};
use license_core::domain::access::{PersonRole, Scope, VendorScope};
use license_functions::{
    admin::access::{AccessRule, LeastRole, TABLE},
    document::document,
};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use uuid::Uuid;

/// Operations of the other services, which no row is about: each judges its own credential, or asks for none.
const OTHERS: [(&str, &str); 9] = [
    ("POST", "/api/v1/licenses/acquire"),
    ("POST", "/api/v1/licenses/validate"),
    ("POST", "/api/v1/licenses/heartbeat"),
    ("POST", "/api/v1/licenses/release"),
    ("POST", "/api/v1/auth/register"),
    ("GET", "/.well-known/license-keys"),
    ("GET", "/health/live"),
    ("GET", "/health/ready"),
    ("GET", "/health/started"),
];

/// The method and path of every operation of the document.
fn documented() -> BTreeSet<(String, String)> {
    let document: Value = serde_json::to_value(document()).unwrap();
    let mut all = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            all.insert((method.to_uppercase(), path.clone()));
        }
    }
    all
}

#[test]
fn every_operation_has_one_row_and_every_row_is_an_operation() {
    let rows = TABLE.iter().map(|rule| (rule.method, rule.path)).chain(OTHERS);
    let rows: Vec<_> = rows.map(|(method, path)| (method.to_owned(), path.to_owned())).collect();
    assert_eq!(rows.iter().cloned().collect::<BTreeSet<_>>().len(), rows.len(), "no row is there twice");
    assert_eq!(rows.into_iter().collect::<BTreeSet<_>>(), documented());
}

/// What a caller may expect.
#[derive(Debug, PartialEq)]
enum Expected {
    /// It gets to the handler, whatever that makes of an empty request about nothing.
    Passes,
    Nobody,
    /// The organization does not exist for it.
    Unseen,
    Forbidden(&'static str, String),
}

fn seen(answer: &Answer) -> Expected {
    let code = answer.body["code"].as_str().unwrap_or_default();
    match answer.status {
        401 => Expected::Nobody,
        403 if code == "insufficient_role" || code == "insufficient_scope" => {
            let word = if code == "insufficient_role" { "role" } else { "scope" };
            Expected::Forbidden(word, answer.body["required"].as_str().unwrap_or_default().to_owned())
        }
        404 if answer.body["detail"].as_str().is_some_and(|detail| detail.contains("organization with this id")) => {
            Expected::Unseen
        }
        status => {
            assert!(status < 500, "{answer:?}");
            Expected::Passes
        }
    }
}

async fn ask(desk: &Desk, rule: &AccessRule, organization: &str, bearer: Option<&str>) -> Answer {
    let mut path = rule.path.replace("{organization}", organization);
    while let (Some(start), Some(end)) = (path.find('{'), path.find('}')) {
        path.replace_range(start..=end, &Uuid::new_v4().to_string());
    }
    let call = desk.call(rule.method, &path);
    let call = if rule.method == "GET" { call } else { call.json(&json!({})) };
    let answer = match bearer {
        Some(bearer) => call.by(bearer).send().await,
        None => call.send().await,
    };
    if rule.path.ends_with("/void-tokens") && answer.status == 200 {
        // Everybody else is still to be tried.
        let mut truth = desk.world.truth().await;
        for sql in
            ["update organizations set tokens_not_before = null", "update catalog.staff_tokens set not_before = null"]
        {
            sqlx::query(sql).execute(&mut truth).await.unwrap();
        }
    }
    answer
}

#[tokio::test]
async fn every_operation_lets_through_whom_its_row_names_and_nobody_else() {
    let desk = Desk::new().await;
    let organization = desk.tenant().to_string();
    let foreign = desk.other("stranger").await;
    for role in [PersonRole::Admin, PersonRole::Member, PersonRole::Viewer] {
        desk.join(desk.tenant(), role.as_str(), role).await;
    }
    let mut tokens = Vec::new();
    for &scope in Scope::ALL {
        tokens.push((scope, desk.api_token(desk.tenant(), &[scope]).await));
    }
    let mut vendor_tokens = Vec::new();
    for &scope in VendorScope::ALL {
        vendor_tokens.push((scope, desk.vendor_token(&[scope]).await));
    }
    let foreign_token = desk.api_token(foreign.tenant, Scope::ALL).await;
    let mut tried = 0;
    for rule in TABLE {
        let within = rule.path.contains("{organization}");
        let about = |who: &str| format!("{} {} as {who}", rule.method, rule.path);
        let mut expect = async |who: &str, bearer: Option<&str>, expected: Expected| {
            tried += 1;
            assert_eq!(seen(&ask(&desk, rule, &organization, bearer).await), expected, "{}", about(who));
        };
        expect("nobody", None, Expected::Nobody).await;
        expect("a forged token", Some("e30.e30.e30"), Expected::Nobody).await;
        expect("an API token nobody made", Some(&format!("cdt_live_{}", "0".repeat(78))), Expected::Nobody).await;
        let person = |role: Option<PersonRole>| match rule.least {
            LeastRole::SignedIn | LeastRole::Person => Expected::Passes,
            _ if within && role.is_none() => Expected::Unseen,
            LeastRole::Role(least) if role.is_some_and(|role| role >= least) => Expected::Passes,
            least => Expected::Forbidden("role", least.as_str().to_owned()),
        };
        expect("stranger", Some(&desk.person("stranger")), person(None)).await;
        expect("newcomer", Some(&desk.person("newcomer")), person(None)).await;
        for &role in PersonRole::ALL {
            expect(role.as_str(), Some(&desk.person(role.as_str())), person(Some(role))).await;
        }
        for (scope, token) in &tokens {
            let expected = match rule.scope {
                Some(needed) if needed == *scope => Expected::Passes,
                needed => Expected::Forbidden("scope", needed.map_or("person", |scope| scope.as_str()).to_owned()),
            };
            expect(scope.as_str(), Some(token), expected).await;
        }
        for (scope, token) in &vendor_tokens {
            let expected = match rule.vendor {
                Some(needed) if needed == *scope => Expected::Passes,
                needed => Expected::Forbidden("scope", needed.map_or("person", |scope| scope.as_str()).to_owned()),
            };
            expect(&format!("a vendor token with {scope}"), Some(token), expected).await;
        }
        let made_up = format!("cdv_live_{}", "0".repeat(78));
        expect("a vendor token nobody made", Some(&made_up), Expected::Nobody).await;
        let of_another = match rule.scope {
            _ if within => Expected::Unseen,
            Some(_) => Expected::Passes,
            None => Expected::Forbidden("scope", "person".into()),
        };
        expect("a token of another organization", Some(&foreign_token), of_another).await;
        let staff = match rule.least {
            LeastRole::Person => Expected::Forbidden("role", "person".into()),
            _ => Expected::Passes,
        };
        expect("staff", Some(&desk.staff("vendor")), staff).await;
        if within {
            let nowhere = ask(&desk, rule, &Uuid::new_v4().to_string(), Some(&desk.staff("vendor"))).await;
            assert_eq!(seen(&nowhere), Expected::Unseen, "{}", about("staff, of no organization"));
            let nowhere = ask(&desk, rule, &Uuid::new_v4().to_string(), Some(&vendor_tokens[0].1)).await;
            assert_eq!(seen(&nowhere), Expected::Unseen, "{}", about("a vendor token, of no organization"));
        }
    }
    assert_eq!(tried, TABLE.len() * (12 + Scope::ALL.len() + VendorScope::ALL.len()));
}

#[tokio::test]
async fn who_is_not_verified_or_of_another_audience_is_nobody() {
    let desk = Desk::new().await;
    let me = async |token: &str| desk.get("/api/v1/me").by(token).send().await;
    me(&desk.claims("customers", "owner", |claims| claims["email_verified"] = json!(false)))
        .await
        .is(401, "token_invalid");
    me(&desk.claims("customers", "owner", |claims| claims["exp"] = json!(1))).await.is(401, "token_expired");
    me(&desk.claims("others", "owner", |_| ())).await.is(401, "token_invalid");
    me(&desk.claims("staff", "vendor", |claims| claims["email_verified"] = json!(false)))
        .await
        .is(401, "token_invalid");
    me(&desk.claims("customers", "owner", |claims| claims["iss"] = json!("https://evil.example")))
        .await
        .is(401, "token_invalid");
}
