//! Every method on every path of openapi.json as every kind of caller. What may come is read from the document itself: its security, and the
//! least role and the scope that it names. An operation that does not say who may call it fails the test.

use crate::desk::Desk;
use license_core::domain::access::{PersonRole, Scope, VendorScope};
use license_tests::world::License;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// What HTTP knows, what it does not, and a word that must be written down nowhere.
const METHODS: [&str; 12] =
    ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "get", "CODI-AAAAA"];

/// What the document says of an operation's callers.
#[derive(Debug)]
struct Operation {
    path: String,
    /// The security schemes that it accepts; none: it is for everybody.
    schemes: BTreeSet<String>,
    /// Of the management API: the least role and the scope of a token.
    rule: Option<(String, Option<String>)>,
    /// The scope of a vendor token.
    vendor: Option<String>,
}

fn operations() -> BTreeMap<(String, String), Operation> {
    let document: Value = serde_json::from_str(include_str!("../../../openapi.json")).unwrap();
    let mut all = BTreeMap::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let name = format!("{} {path}", method.to_uppercase());
            let security = operation["security"].as_array();
            let security = security.unwrap_or_else(|| panic!("{name} says in `security` who may call it"));
            let schemes: BTreeSet<String> =
                security.iter().flat_map(|one| one.as_object().unwrap().keys().cloned()).collect();
            let text = operation["description"].as_str().unwrap_or_default();
            let rule = text.split_once("Least role: ").map(|(_, rule)| {
                let scope = rule.split_once("Scope of an API token: `").map(|(_, scope)| scope);
                (rule.split('.').next().unwrap().to_owned(), scope.map(|it| it.split('`').next().unwrap().to_owned()))
            });
            let vendor =
                text.split_once("Scope of a vendor token: `").map(|(_, it)| it.split('`').next().unwrap().to_owned());
            assert_eq!(
                vendor.is_some(),
                schemes.contains("vendor"),
                "{name}: its scope of vendor tokens and its security agree"
            );
            let own = ["session", "person"].iter().any(|only| schemes.len() == 1 && schemes.contains(*only));
            assert!(rule.is_some() || schemes.is_empty() || own, "{name} says who may call it");
            let token = rule.as_ref().is_some_and(|(_, scope)| scope.is_some());
            assert_eq!(token, schemes.contains("token"), "{name}: its scope and its security agree");
            all.insert((method.to_uppercase(), path.clone()), Operation { path: path.clone(), schemes, rule, vendor });
        }
    }
    all
}

/// Of which of the two organizations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    Own,
    Other,
}

#[derive(Debug)]
enum Kind {
    Nobody,
    Session,
    Person(Option<(Of, PersonRole)>),
    Token(Of, Vec<Scope>),
    Staff,
    Vendor(Vec<VendorScope>),
}

struct Actor {
    name: String,
    bearer: Option<String>,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// Gets to the handler.
    Passes,
    Unauthorized,
    Forbidden,
    /// The organization does not exist for it.
    Unseen,
}

impl Operation {
    fn verdict(&self, kind: &Kind, organization: Of) -> Verdict {
        use Verdict::*;
        if self.schemes.is_empty() {
            return Passes;
        }
        let Some((least, scope)) = &self.rule else {
            let may = match kind {
                Kind::Session => self.schemes.contains("session"),
                Kind::Person(_) => self.schemes.contains("person"),
                Kind::Nobody | Kind::Token(..) | Kind::Staff | Kind::Vendor(_) => false,
            };
            return if may { Passes } else { Unauthorized };
        };
        let within = self.path.contains("{organization}");
        let may = match kind {
            Kind::Nobody | Kind::Session => return Unauthorized,
            Kind::Staff => self.schemes.contains("staff"),
            Kind::Vendor(scopes) => scopes.iter().any(|it| Some(it.as_str()) == self.vendor.as_deref()),
            Kind::Token(of, _) if within && *of != organization => return Unseen,
            Kind::Token(_, scopes) => scopes.iter().any(|it| Some(it.as_str()) == scope.as_deref()),
            Kind::Person(of) if within => match of.filter(|(of, _)| *of == organization) {
                None => return Unseen,
                Some((_, role)) => PersonRole::ALL.iter().any(|it| it.as_str() == least && role >= *it),
            },
            Kind::Person(_) => least == "person" || least == "signed in",
        };
        if may { Passes } else { Forbidden }
    }
}

/// What an organization has, by the name of the parameter that stands for it.
type Things = BTreeMap<&'static str, String>;

async fn furnished(desk: &Desk, license: &License, owner: &str) -> (Things, String) {
    let by = desk.person(owner);
    let at = |rest: &str| format!("/api/v1/organizations/{}/{rest}", license.tenant);
    let id = |body: Value| body["id"].as_str().unwrap().to_owned();
    let seat = desk.acquire(license, owner, json!({})).await.ok(201);
    let people = desk.get(&at("people")).by(&by).send().await.ok(200);
    let invited = json!({ "email": "guest@example.com", "role": "member" });
    let token = json!({ "name": "a script", "scopes": ["licenses:read"] });
    let made = async |kind: &str, body: &Value| id(desk.post(&at(kind), body).by(&by).send().await.ok(201));
    let webhook = made("webhooks", &json!({ "url": "https://hooks.example.com/" })).await;
    let tested = desk.post(&at(&format!("webhooks/{webhook}/test")), &json!({})).by(&by).send().await.ok(202);
    desk.publish().await;
    let things = BTreeMap::from([
        ("organization", license.tenant.to_string()),
        ("license", license.id.0.to_string()),
        ("session", seat["session_id"].as_str().unwrap().to_owned()),
        ("person", id(people["items"][0].clone())),
        ("project", made("projects", &json!({ "name": "Turbine" })).await),
        ("invitation", made("invitations", &invited).await),
        ("api_token", made("api-tokens", &token).await),
        ("webhook", webhook),
        ("alert_rule", made("alert-rules", &json!({ "kind": "license_ends", "days": 1 })).await),
        ("alert", desk.raise(license.tenant).await),
        ("event", tested["event"].as_str().unwrap().to_owned()),
    ]);
    (things, seat["session"].as_str().unwrap().to_owned())
}

async fn actors(desk: &Desk, other: &License, session: &str) -> Vec<Actor> {
    let mut all = Vec::new();
    let mut add = |name: &str, bearer: Option<String>, kind: Kind| all.push(Actor { name: name.into(), bearer, kind });
    let expired = desk.claims("customers", "owner", |claims| claims["exp"] = json!(1));
    let forged = format!("{}A", &expired[..expired.len() - 9]);
    let elsewhere = desk.claims("customers", "owner", |claims| claims["iss"] = json!("https://evil.example"));
    let unverified = desk.claims("customers", "owner", |claims| claims["email_verified"] = json!(false));
    for (name, bearer) in [
        ("garbage", "!!".to_owned()),
        ("an unsigned token", "e30.e30.e30".to_owned()),
        ("an expired ID token", expired),
        ("a forged ID token", forged),
        ("an ID token of another issuer", elsewhere),
        ("an ID token of another audience", desk.claims("others", "owner", |_| ())),
        ("an ID token with no verified address", unverified),
        ("an API token nobody made", format!("cdt_live_{}", "0".repeat(78))),
        ("a license key", desk.world.license.key.reveal()),
    ] {
        add(name, Some(bearer), Kind::Nobody);
    }
    add("nobody", None, Kind::Nobody);
    add("a session", Some(session.to_owned()), Kind::Session);
    for &role in PersonRole::ALL {
        add(role.as_str(), Some(desk.person(role.as_str())), Kind::Person(Some((Of::Own, role))));
    }
    add("another's owner", Some(desk.person("stranger")), Kind::Person(Some((Of::Other, PersonRole::Owner))));
    add("a newcomer", Some(desk.person("newcomer")), Kind::Person(None));
    add("staff", Some(desk.staff("vendor")), Kind::Staff);
    for &scope in Scope::ALL {
        let token = desk.api_token(desk.tenant(), &[scope]).await;
        add(scope.as_str(), Some(token), Kind::Token(Of::Own, vec![scope]));
    }
    for &scope in VendorScope::ALL {
        add(&format!("vendor token {scope}"), Some(desk.vendor_token(&[scope]).await), Kind::Vendor(vec![scope]));
    }
    let token = desk.api_token(other.tenant, Scope::ALL).await;
    add("another's token", Some(token), Kind::Token(Of::Other, Scope::ALL.to_vec()));
    all
}

struct Answered {
    status: u16,
    allow: String,
    body: String,
}

async fn ask(desk: &Desk, method: &str, path: &str, actor: &Actor) -> Answered {
    let call = desk.call(method, path);
    // Whoever may void tokens would void those of the callers after them: they are let in, and told that their request is wrong.
    let wish = if path.ends_with("/void-tokens") { json!({ "no_such_field": 1 }) } else { json!({}) };
    let call = if method == "GET" || method == "HEAD" { call } else { call.json(&wish) };
    let answer = match &actor.bearer {
        Some(bearer) => call.by(bearer).text().await,
        None => call.text().await,
    };
    let allow = answer.headers.get("allow").map_or("", |value| value.to_str().unwrap()).to_owned();
    let body = answer.body.as_str().unwrap().to_owned();
    Answered { status: answer.status, allow, body }
}

/// The path about these things; where it names others, about some that nobody has.
fn about(path: &str, things: &Things) -> String {
    let thing = |name: &str| things.get(name).cloned().unwrap_or_else(|| Uuid::new_v4().to_string());
    let part = |part: &str| match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
        Some(name) => thing(name),
        None => part.to_owned(),
    };
    let path = path.split('/').map(part).collect::<Vec<_>>().join("/");
    // The only read that does not answer without a question.
    if path.ends_with("/usage") || path.ends_with("/seats-needed") {
        format!("{path}?license={}", thing("license"))
    } else {
        path
    }
}

fn judge(name: &str, answer: &Answered, verdict: Verdict) {
    let (status, body) = (answer.status, &answer.body);
    let fits = match verdict {
        Verdict::Passes => !matches!(status, 401 | 403 | 405),
        Verdict::Unauthorized => status == 401,
        Verdict::Forbidden => status == 403,
        Verdict::Unseen => status == 404,
    };
    // A session's own operations judge what it is about, and say so with the same statuses.
    assert!(fits && status < 500, "{name}: {status}, not {verdict:?}: {body}");
}

#[tokio::test]
async fn every_method_on_every_path_answers_every_caller_as_the_document_says() {
    let desk = Desk::new().await;
    let other = desk.other("stranger").await;
    for role in [PersonRole::Admin, PersonRole::Member, PersonRole::Viewer] {
        desk.join(desk.tenant(), role.as_str(), role).await;
    }
    let (own, session) = furnished(&desk, &desk.world.license, "owner").await;
    let (theirs, _) = furnished(&desk, &other, "stranger").await;
    let nothing = BTreeMap::from([("organization", own["organization"].clone())]);
    let mixed: Things = theirs.iter().map(|(k, v)| (*k, v.clone())).chain(nothing.clone()).collect();
    let actors = actors(&desk, &other, &session).await;
    let operations = operations();
    let before = history(&desk, &other).await;
    let paths: BTreeSet<&str> = operations.keys().map(|(_, path)| path.as_str()).collect();
    let (mut tried, mut seen) = (0, BTreeSet::new());
    for path in paths {
        for method in METHODS {
            let documented = if method == "HEAD" { "GET" } else { method };
            let operation = operations.get(&(documented.to_owned(), path.to_owned()));
            let reads = documented == "GET";
            for actor in &actors {
                let name = format!("{method} {path} as {}", actor.name);
                tried += 1;
                let Some(operation) = operation else {
                    let answer = ask(&desk, method, &about(path, &nothing), actor).await;
                    assert_eq!(answer.status, 405, "{name}: {}", answer.body);
                    assert_eq!(allowed(&answer.allow), known(&operations, path), "{name}");
                    continue;
                };
                // A session that is given back is over for the callers after it.
                if path.ends_with("/release") && matches!(actor.kind, Kind::Session) {
                    continue;
                }
                let at_home = operation.verdict(&actor.kind, Of::Own);
                let answer = ask(&desk, method, &about(path, &nothing), actor).await;
                judge(&name, &answer, at_home);
                assert!(method != "HEAD" || answer.body.is_empty(), "{name}: {}", answer.body);
                if reads {
                    let answer = ask(&desk, method, &about(path, &own), actor).await;
                    judge(&format!("{name}, about what there is"), &answer, at_home);
                    seen.extend((answer.status == 200).then_some((path, method)));
                }
                if path.matches('{').count() > 1 {
                    let answer = ask(&desk, method, &about(path, &mixed), actor).await;
                    judge(&format!("{name}, about another's"), &answer, at_home);
                    assert!(answer.status >= 400, "{name}, about another's: {} {}", answer.status, answer.body);
                }
                let abroad = operation.verdict(&actor.kind, Of::Other);
                if path.contains("{organization}") && (reads || abroad != Verdict::Passes) {
                    let answer = ask(&desk, method, &about(path, &theirs), actor).await;
                    judge(&format!("{name}, at another's"), &answer, abroad);
                }
            }
        }
    }
    // It was no crowd of strangers before closed doors: whatever can be read was read by somebody, with and without its body.
    for (method, path) in operations.keys().filter(|(method, _)| method == "GET") {
        let exists = !["{plan}", "{product}", "{number}", "/staff/api-tokens/{"].iter().any(|name| path.contains(name));
        for method in [method.as_str(), "HEAD"] {
            assert_eq!(seen.contains(&(path.as_str(), method)), exists, "{method} {path}");
        }
    }
    assert!(tried >= 35 * METHODS.len() * actors.len(), "{tried}");
    assert_eq!(history(&desk, &other).await, before, "nobody changed anything of another's");
}

/// The methods that an `Allow` header names.
fn allowed(allow: &str) -> BTreeSet<String> {
    allow.split(',').map(|method| method.trim().to_owned()).collect()
}

/// Those that the document knows of a path.
fn known(operations: &BTreeMap<(String, String), Operation>, path: &str) -> BTreeSet<String> {
    let known = operations.keys().filter(|(_, of)| of == path).map(|(method, _)| method.clone());
    let mut known: BTreeSet<String> = known.collect();
    if known.contains("GET") {
        known.insert("HEAD".to_owned());
    }
    known
}

/// What was changed of an organization, by its own audit log.
async fn history(desk: &Desk, of: &License) -> Vec<(String, String)> {
    let sql = "select action, target from audit_log where tenant_id = $1 and action <> 'staff.read' order by id";
    sqlx::query_as(sql).bind(of.tenant.0).fetch_all(&mut desk.world.truth().await).await.unwrap()
}
