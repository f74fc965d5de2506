//! docs/API.md beside openapi.json, ERRORS.md and the code.

use super::{
    differences,
    facts::{DocumentedOperation, found, operations, service_text, services},
    hold,
    markdown::{code_spans, section, tables},
    read,
};
use license_core::domain::event::EVENT_KINDS;
use regex::Regex;
use serde_json::Value;
use std::collections::BTreeSet;

/// Which service serves which path.
fn service_paths(text: &str) -> Vec<String> {
    let rows = tables(text, &["Path", "Service", "Credential"]);
    let mut wrong = Vec::new();
    for row in &rows {
        for path in
            code_spans(&row[0]).iter().map(|span| span.rsplit(' ').next().unwrap().trim_end_matches('…').to_owned())
        {
            match row[1].as_str() {
                "every service" => {
                    let edge = found("functions/src/edge", "rs", r#""(/[a-z./-]*)["{]"#);
                    if !edge.contains(&path) {
                        wrong.push(format!("{path} is not served by every service"));
                    }
                }
                service if services().contains(service) => {
                    if !service_text(service).contains(&format!("\"{path}")) {
                        wrong.push(format!("{service} does not serve {path}"));
                    }
                }
                unknown => wrong.push(format!("there is no service {unknown}")),
            }
        }
    }
    let named: BTreeSet<String> =
        rows.iter().map(|row| row[1].clone()).filter(|name| name != "every service").collect();
    wrong.extend(differences("the service", &named, &services()));
    let all: String = rows.iter().map(|row| row[0].clone()).collect();
    let unnamed = operations().into_iter().filter(|operation| !operation.path.starts_with("/api/v1/organizations/"));
    let unnamed = unnamed.filter(|operation| operation.least_role.is_none() && !all.contains(&operation.path));
    wrong.extend(unnamed.map(|operation| format!("{} is in no row", operation.path)));
    wrong
}

#[test]
fn the_page_says_which_service_serves_which_path() {
    let lies = [
        ("| `POST /api/v1/licenses/validate` | acquire |", "| `POST /api/v1/licenses/validate` | heartbeat |"),
        ("| `POST /api/v1/auth/register` | register |", "| `POST /api/v1/auth/signup` | register |"),
        ("| `POST /tick`, `POST /reap` | reaper |", "| `POST /tick`, `POST /reap` | sweeper |"),
        ("`GET /problems/…`", "`GET /faults/…`"),
    ];
    hold("docs/API.md", service_paths, &lies);
}

/// An operation as a row of the page writes it.
struct WrittenOperation {
    method: String,
    /// The end of the path.
    path: String,
    least_role: Option<String>,
    scope: Option<String>,
}

impl WrittenOperation {
    fn is(&self, operation: &DocumentedOperation) -> bool {
        // Only paths that begin with a slash behind `…` or a heading's "Below …" are ends of paths.
        let whole = self.path.starts_with("/api/");
        let path = operation.path.trim_end_matches('/');
        self.method == operation.method
            && if whole {
                path == self.path
            } else {
                path == format!("/api/v1/organizations/{{organization}}{}", self.path)
            }
    }
}

/// Operations in the first cells of the management API's tables: `GET /licenses`, or behind a comma only the last part
/// (`/resume`).
fn written_operations(text: &str) -> Vec<WrittenOperation> {
    let management = section(text, "## Management");
    let operation = Regex::new(r"^(GET|POST|PUT|PATCH|DELETE) (?:…)?(/[^ ]+)").unwrap();
    let mut written = Vec::new();
    for (header, has_roles) in [
        (&["Operation", "Least role", "Scope"][..], true),
        (&["", "Least role", "Scope"], true),
        (&["", "Who"], false),
        (&["", ""], false),
    ] {
        for row in tables(management, header) {
            let (least_role, scope) =
                if has_roles { (Some(row[1].clone()), Some(row[2].clone())) } else { (None, None) };
            let (mut method, mut path) = (String::new(), String::new());
            for span in code_spans(&row[0]) {
                if let Some(found) = operation.captures(&span) {
                    (method, path) = (found[1].to_owned(), found[2].to_owned());
                } else if span.starts_with('/') && !method.is_empty() {
                    path = format!("{}{span}", &path[..path.rfind('/').unwrap()]);
                } else {
                    continue;
                }
                written.push(WrittenOperation {
                    method: method.clone(),
                    path: path.clone(),
                    least_role: least_role.clone(),
                    scope: scope.clone(),
                });
            }
        }
    }
    written
}

fn management(text: &str) -> Vec<String> {
    let written = written_operations(text);
    let mut wrong = Vec::new();
    let managed: Vec<DocumentedOperation> = operations().into_iter().filter(|it| it.least_role.is_some()).collect();
    assert!(managed.len() > 30, "the document names least roles");
    for operation in &managed {
        let named = format!("{} {}", operation.method, operation.path);
        let spelled = text.contains(&format!("`{named}`"))
            || text.contains(&format!("`{} …{}", operation.method, end(&operation.path)));
        match written.iter().find(|it| it.is(operation)) {
            None if spelled => {}
            None => wrong.push(format!("{named} is in no table")),
            Some(it) => {
                let role = operation.least_role.as_deref().map(|role| if role == "person" { "a person" } else { role });
                if it.least_role.is_some() && it.least_role.as_deref() != role {
                    wrong.push(format!("{named} has the least role {role:?} and not {:?}", it.least_role));
                }
                let scope = operation.scope.as_ref().map(|scope| format!("`{scope}`")).unwrap_or_default();
                if it.scope.as_ref().is_some_and(|said| *said != scope) {
                    wrong.push(format!("{named} has the scope {scope:?} and not {:?}", it.scope));
                }
            }
        }
    }
    let gone = written.iter().filter(|it| !managed.iter().any(|operation| it.is(operation)));
    wrong.extend(gone.map(|it| format!("there is no operation {} {}", it.method, it.path)));
    wrong
}

/// A path without what stands before the organization's own part.
fn end(path: &str) -> &str {
    path.strip_prefix("/api/v1/organizations/{organization}").unwrap_or(path)
}

#[test]
fn the_page_names_every_operation_of_the_management_api_with_its_role_and_scope() {
    let lies = [
        ("| `POST /sessions/{session}/end` | member |", "| `POST /sessions/{session}/end` | viewer |"),
        ("| `GET /licenses` | viewer | `licenses:read` |", "| `GET /licenses` | viewer | `licenses:write` |"),
        ("`/resume`, `/revoke`", "`/resume`, `/void`"),
        ("| `DELETE /api-tokens/{api_token}`", "| `PUT /api-tokens/{api_token}`"),
    ];
    hold("docs/API.md", management, &lies);
}

/// Fields of requests and answers, and parameters, that the page does not name in code.
fn fields(text: &str) -> Vec<String> {
    let document: Value = serde_json::from_str(&read("openapi.json")).unwrap();
    let mut known = BTreeSet::new();
    for schema in document["components"]["schemas"].as_object().unwrap().values() {
        known.extend(schema["properties"].as_object().into_iter().flatten().map(|(name, _)| name.clone()));
    }
    for operation in document["paths"].as_object().unwrap().values().flat_map(|item| item.as_object().unwrap().values())
    {
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        known.extend(parameters.filter(|it| it["in"] == "query").map(|it| it["name"].as_str().unwrap().to_owned()));
    }
    assert!(known.len() > 100, "openapi.json has fields");
    let code = Regex::new("(?s)```.*?```|`[^`\n]*`").unwrap();
    let word = Regex::new("[a-z][a-z_]*").unwrap();
    let code: String = code.find_iter(text).map(|span| format!("{} ", span.as_str())).collect();
    let named: BTreeSet<&str> = word.find_iter(&code).map(|it| it.as_str()).collect();
    known.iter().filter(|name| !named.contains(name.as_str())).map(|name| format!("{name} is not named")).collect()
}

#[test]
fn the_page_names_every_field_and_every_parameter() {
    let lies = [
        ("and `status_since` is since when it is that", "and since when it is that"),
        ("`accepted_by` and `accepted_at` are", "they are"),
        ("`started_after`", "`begun_after`"),
    ];
    hold("docs/API.md", fields, &lies);
}

/// Codes beside a status.
fn codes(text: &str) -> Vec<String> {
    let errors = read("docs/ERRORS.md");
    let heading = Regex::new(r"(?m)^## ([a-z_]+)\nStatus: (\d{3})(?:, or (\d{3}))?").unwrap();
    let known: BTreeSet<(String, String)> =
        heading.captures_iter(&errors).map(|found| (found[1].to_owned(), found[2].to_owned())).collect();
    assert!(known.len() > 20, "ERRORS.md has sections");
    let beside = Regex::new(r"\b(\d{3}) `([a-z]+(?:_[a-z]+)*)`").unwrap();
    let mut wrong = Vec::new();
    for found in beside.captures_iter(text) {
        if !known.contains(&(found[2].to_owned(), found[1].to_owned())) {
            wrong.push(format!("no code is {} {}", &found[1], &found[2]));
        }
    }
    wrong
}

#[test]
fn every_code_on_the_page_exists_with_its_status() {
    let lies = [
        ("422 `idempotency_key_reused`", "409 `idempotency_key_reused`"),
        ("412 `precondition_failed`", "412 `version_changed`"),
    ];
    hold("docs/API.md", codes, &lies);
}

fn rates(text: &str) -> Vec<String> {
    let rows = tables(text, &["Limit", "For each", "Unless set", "Variable"]);
    let named: BTreeSet<String> = rows.iter().flat_map(|row| code_spans(&row[3])).collect();
    let mut wrong = differences("the variable", &named, &found("functions/src", "rs", r#""(RATE_[A-Z_]+)""#));
    for row in &rows {
        let limit = row[0].trim_matches('`').to_uppercase().replace('-', "_");
        if row[3] != format!("`RATE_{limit}`") {
            wrong.push(format!("{} is not the variable of {}", row[3], row[0]));
        }
    }
    wrong
}

#[test]
fn the_page_names_every_limit_and_its_variable() {
    hold(
        "docs/API.md",
        rates,
        &[("| `RATE_UNKNOWN_KEYS` |", "| `RATE_WRONG_KEYS` |"), ("| `heartbeat` | session |", "| `beat` | session |")],
    );
}

/// Kinds of events: those that the SQL functions write, spelled out or made of a license's status.
fn events(text: &str) -> Vec<String> {
    let rows = tables(section(text, "## Events"), &["`kind`", "`payload`"]);
    let named: BTreeSet<String> = rows.iter().flat_map(|row| code_spans(&row[0])).collect();
    let mut code =
        found("migrations", "sql", r"'((?:seat|license|organization|invitation|person|grace|webhook|alert)\.[a-z_]+)'");
    // Actions of the audit log, of which an erasure is one.
    code.remove("person.erased");
    code.remove("machine.erased");
    code.extend(["usage", "license.suspended", "license.active", "license.revoked"].map(str::to_owned));
    differences("the kind", &named, &code)
}

#[test]
fn a_webhook_can_ask_for_every_kind_of_event_but_its_test() {
    let rows = tables(section(&read("docs/API.md"), "## Events"), &["`kind`", "`payload`"]);
    let mut named: BTreeSet<String> = rows.iter().flat_map(|row| code_spans(&row[0])).collect();
    assert!(named.remove("webhook.test"));
    assert_eq!(named, EVENT_KINDS.map(str::to_owned).into());
}

#[test]
fn the_page_names_every_kind_of_event() {
    hold(
        "docs/API.md",
        events,
        &[("| `grace.exceeded` |", "| `grace.over` |"), ("| `license.key_rotated` | `license_id`, `old_until` |", "")],
    );
}

/// The actions by which the audit log is filtered.
fn actions(text: &str) -> Vec<String> {
    let start = text.find("* Actions: ").expect("the page lists the actions");
    let list = text[start..].split(".\n").next().unwrap();
    let named: BTreeSet<String> = code_spans(list).into_iter().collect();
    let records = read("core/src/records/audit.rs");
    let start = records.find("ACTIONS: [&str;").expect("audit.rs lists the actions");
    let array = &records[start..start + records[start..].find("];").unwrap()];
    let action = Regex::new(r#""([a-z_.]+)""#).unwrap();
    let code = action.captures_iter(array).map(|found| found[1].to_owned()).collect();
    differences("the action", &named, &code)
}

#[test]
fn the_page_names_every_action_of_the_audit_log() {
    hold("docs/API.md", actions, &[("`person.left`,", "`person.gone`,"), ("`machine.erased`, ", "")]);
}
