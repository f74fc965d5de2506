//! Sentences that were false once: what readiness checks, who asks an identity provider, which SQL functions commit by
//! themselves, what runs without a tenant, and what openapi.json leaves out.

use super::{
    differences,
    facts::{files, found, rights, service_text, services},
    hold,
    markdown::{code_spans, section, tables},
    read,
};
use regex::Regex;
use std::collections::BTreeSet;

/// The names of a list in words: `a, b and the c`.
fn in_words(list: &str) -> BTreeSet<String> {
    let list = list.replace(", and ", ", ").replace(" and ", ", ");
    list.split(", ").map(|name| name.trim_start_matches("the ").trim_matches('`').to_owned()).collect()
}

/// The policies with which Redis is ready, as the check of the connection compares them. An empty one is an answer
/// without the field.
fn policies() -> BTreeSet<String> {
    let connection = read("core/src/seat_store/connection.rs");
    let start = connection.find("\"maxmemory_policy:\"").expect("the policy of Redis is asked");
    let arm = Regex::new(r#"(?m)^ +((?:"[a-z-]*"(?: \| )?)+) => Ok\(\(\)\),"#).unwrap();
    let names = arm.captures(&connection[start..]).expect("some policies are fine")[1].to_owned();
    names.split(" | ").map(|name| name.trim_matches('"').to_owned()).filter(|name| !name.is_empty()).collect()
}

fn readiness(text: &str) -> Vec<String> {
    let sentence =
        Regex::new(r"`maxmemory-policy ([a-z-]+)`\.[^\n]*`/health/ready` checks this and answers 503").unwrap();
    let Some(said) = sentence.captures(text) else {
        return vec!["the page does not say that /health/ready checks maxmemory-policy".to_owned()];
    };
    let mut wrong = differences("the policy", &[said[1].to_owned()].into(), &policies());
    // From the path to the check: health asks each check, that of Redis asks the store, and the store its connection.
    for (file, call) in [
        ("functions/src/edge/health.rs", "\"/health/ready\""),
        ("functions/src/edge/check.rs", "async move { seats.ready().await }"),
        ("core/src/seat_store/mod.rs", "self.connections.check_ready().await"),
    ] {
        if !read(file).contains(call) {
            wrong.push(format!("{file} no longer has {call}"));
        }
    }
    wrong
}

#[test]
fn readiness_checks_the_policy_that_the_page_names() {
    let lies = [
        ("`/health/ready` checks this and answers 503", "It is not checked for you, and answers 503"),
        ("`maxmemory-policy noeviction`", "`maxmemory-policy allkeys-lru`"),
    ];
    hold("docs/OPERATING.md", readiness, &lies);
}

fn identity(text: &str) -> Vec<String> {
    let rows = tables(text, &["Code", "Look at", "Usual causes"]);
    let row = rows.iter().find(|row| row[0] == "`identity_unavailable`").expect("the code has a row");
    let sentence = Regex::new(r"([a-z, ]+) ask for it$").unwrap();
    let said = sentence.captures(&row[2]).map(|found| in_words(found[1].trim())).unwrap_or_default();
    let asks = |service: &String| service_text(service).contains("IdentityVerifier::new(");
    differences("the service", &said, &services().into_iter().filter(asks).collect())
}

#[test]
fn the_page_names_every_service_that_asks_an_identity_provider() {
    let lies = [
        ("register, admin, the reaper and notify ask", "Only register, the reaper and notify ask"),
        (", the reaper and notify ask", " and the reaper ask"),
    ];
    hold("docs/OPERATING.md", identity, &lies);
}

/// The SQL functions that are called as one statement: what runs the statement is a pool of connections and no
/// transaction.
fn called_alone() -> BTreeSet<String> {
    let runs = Regex::new(r"\.(?:fetch_one|fetch_optional|fetch_all|execute)\(&?(?:mut )?\*{0,2}([a-z_.]+)").unwrap();
    let mut alone = BTreeSet::new();
    let records = files("core/src/records", "rs");
    for function in rights("FUNCTIONS") {
        let call =
            Regex::new(&format!(r"(?:select|from)\s+(?:[a-z.]+\s+)*(?:[a-z]+\.)?{}\(", function.bare())).unwrap();
        for (_, text) in records.iter().filter(|(name, _)| !name.contains("/migrate/")) {
            let calls = call.find_iter(text).filter_map(|found| runs.captures(&text[found.end()..]));
            if calls.into_iter().any(|run| ["pool", "connections"].contains(&&run[1])) {
                alone.insert(function.bare().to_owned());
            }
        }
    }
    alone
}

fn commits(text: &str) -> Vec<String> {
    let functions = section(text, "## Functions");
    let sentence = Regex::new(
        r"`22023`\)\. ([^.;]+) are called as one statement that commits itself, as are the lookups ([^.;]+);",
    );
    let Some(said) = sentence.unwrap().captures(functions) else {
        return vec!["the page does not say which functions are called as one statement".to_owned()];
    };
    let said = &in_words(&said[1]) | &in_words(&said[2]);
    differences("the function called alone,", &said, &called_alone())
}

#[test]
fn the_page_names_every_function_that_is_called_as_one_statement() {
    let lies = [
        ("`count_grace`, `record_usage`, `record_wants`, `enqueue", "`count_grace`, `record_wants`, `enqueue"),
        (
            "`find_license`, `grant_seat`, `end_seats`, `resolve",
            "`find_license`, `create_license`, `end_seats`, `resolve",
        ),
        ("`end_seats`, `resolve_session`, `count", "`end_seats`, `rebuild_pool`, `resolve_session`, `count"),
    ];
    hold("docs/DATA-MODEL.md", commits, &lies);
}

/// The methods of the records that ask PostgreSQL otherwise than in a transaction with a tenant.
fn without_transaction() -> BTreeSet<String> {
    // What the others are made of.
    const TOOLS: [&str; 3] = ["ready", "begin", "repeat"];
    let name = Regex::new(r"\bfn ([a-z_]+)").unwrap();
    let mut methods = BTreeSet::new();
    for (file, text) in files("core/src/records", "rs") {
        let mut last = String::new();
        for line in text.lines().filter(|line| !line.trim_start().starts_with("//")) {
            if let Some(found) = name.captures(line) {
                last = found[1].to_owned();
            }
            if (line.contains(".repeat(") || line.contains("self.pool()")) && !file.contains("/migrate/") {
                methods.insert(last.clone());
            }
        }
    }
    methods.retain(|method| !TOOLS.contains(&method.as_str()));
    methods
}

fn tenants(text: &str) -> Vec<String> {
    let head = text.split("//! Nothing here knows Redis.").next().unwrap();
    let said: BTreeSet<String> = code_spans(&head.replace("[`", "[").replace("`]", "]")).into_iter().collect();
    differences("the method without a transaction of a tenant,", &said, &without_transaction())
}

#[test]
fn the_head_of_the_records_names_whatever_runs_without_the_transaction_of_a_tenant() {
    let lies = [
        ("`plan`, `product`\n", "`plan`\n"),
        ("`waiting_events`, `seat_counts`", "`waiting_events`, `audit`, `seat_counts`"),
        ("`locate_license`, `memberships`", "`memberships`"),
    ];
    hold("core/src/records/mod.rs", tenants, &lies);
}

/// The paths that services answer and openapi.json does not describe.
fn undocumented() -> BTreeSet<String> {
    let mut paths = found("functions/src", "rs", r#"\.route\("(/[^"]*)""#);
    paths.extend(found("functions/src/edge", "rs", r#"const PATH: &(?:'static )?str = "(/[^"]*)""#));
    let document: serde_json::Value = serde_json::from_str(&read("openapi.json")).unwrap();
    let documented = document["paths"].as_object().unwrap();
    paths.retain(|path| !documented.contains_key(path));
    paths
}

/// What each part of the sentence stands for.
const LEFT_OUT: [(&str, &[&str]); 6] = [
    ("those of the reaper and of notify", &["/tick", "/reap", "/events", "/due"]),
    ("`/openapi.json` and `/docs` themselves", &["/openapi.json", "/docs", "/docs/page.js", "/docs/page.css"]),
    ("the pages for people", &["/", "/problems", "/problems/{code}", "/pages.css", "/start"]),
    ("the link in mails", &["/api/v1/mail/unsubscribe"]),
    ("`/metrics`", &["/metrics"]),
    ("`/.well-known/security.txt`", &["/.well-known/security.txt"]),
];

fn left_out(text: &str) -> Vec<String> {
    let sentence = Regex::new(r"describes every path above \(OpenAPI 3\.1\) but ([^:]+): bodies").unwrap();
    let said = sentence.captures(text).map(|found| found[1].to_owned()).unwrap_or_default();
    let parts: BTreeSet<String> = said.replace(", and ", ", ").split(", ").map(str::to_owned).collect();
    let mut wrong: Vec<String> = Vec::new();
    let mut stands_for = BTreeSet::new();
    for part in &parts {
        match LEFT_OUT.iter().find(|(name, _)| name == part) {
            Some((_, paths)) => stands_for.extend(paths.iter().map(|path| (*path).to_owned())),
            None => wrong.push(format!("it is not known what {part:?} stands for")),
        }
    }
    wrong.extend(differences("the undocumented path", &stands_for, &undocumented()));
    wrong
}

#[test]
fn the_page_names_every_path_that_the_document_leaves_out() {
    let lies = [
        ("`/openapi.json` and `/docs` themselves, ", ""),
        (", and `/.well-known/security.txt`: bodies", ": bodies"),
        ("but those of the reaper and of notify, `", "but those of register, `"),
    ];
    hold("docs/API.md", left_out, &lies);
}
