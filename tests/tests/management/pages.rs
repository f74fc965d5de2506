//! What a page of a long list costs: 10,000 licenses and 1,000,000 ended sessions in one organization, and every list of the document with
//! each of its filters, its first and its thousandth page.

use crate::{
    desk::Desk,
    explain::{Plans, Ran},
};
use license_core::records::Cursor;
use license_functions::document::document;
use serde_json::Value;
use sqlx::{AssertSqlSafe, Executor, PgConnection, Row};
use std::{collections::BTreeSet, time::Instant};
use uuid::Uuid;

/// Rows of a page, unless one says otherwise.
const ROWS: usize = 20;
/// What one row of a page may cost, in blocks.
const BLOCKS_PER_ROW: i64 = 5;

/// Each of these has one in 25 of all sessions (tests/lists.sql).
const MACHINE: &str = "TTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTQ";
const PERSON: &str = "bob@example.com";
fn id(kind: &str, n: u32) -> String {
    format!("01970000-{kind}-7000-8000-{n:012x}")
}

/// A list: its path below the organization, its query, and the rows that it has, by which its thousandth page is found.
struct List {
    path: &'static str,
    query: String,
    key: &'static str,
    rows: String,
}

fn lists() -> Vec<List> {
    let mut all = Vec::new();
    let mut list = |path, query: String, key, rows: String| all.push(List { path, query, key, rows });
    let (license, project) = (id("aaaa", 77), id("cccc", 77));
    for (state, is) in [("live", "ended_at is null"), ("ended", "ended_at is not null")] {
        let rows = |filter: &str| format!("sessions where {is} {filter}");
        list("/sessions", format!("state={state}"), "session_id", rows(""));
        for (filter, column, value) in [
            ("license", "license_id", license.as_str()),
            ("project", "project_id", &project),
            ("machine", "hw", MACHINE),
            ("user", "person", PERSON),
        ] {
            let query = format!("state={state}&{filter}={value}");
            list("/sessions", query, "session_id", rows(&format!("and {column} = '{value}'")));
        }
        let of_license = rows(&format!("and license_id = '{license}'"));
        list("/licenses/{license}/sessions", format!("state={state}"), "session_id", of_license);
        let after = format!("state={state}&started_after=2025-05-20T00:00:00Z");
        list("/sessions", after, "session_id", rows("and session_id >= '0196eafd-7000-0000-0000-000000000000'"));
    }
    for reason in ["released", "expired", "kicked"] {
        let rows = format!("sessions where end_reason = '{reason}'");
        list("/sessions", format!("state=ended&reason={reason}"), "session_id", rows);
    }
    list("/licenses", String::new(), "license_id", "licenses".into());
    for (filter, value) in [("status", "suspended"), ("tier", "pro"), ("product", "viewer")] {
        let rows = format!("licenses where {filter} = '{value}'");
        list("/licenses", format!("{filter}={value}"), "license_id", rows);
    }
    list("/invitations", String::new(), "invitation_id", "invitations".into());
    let settled = "accepted_at is null and revoked_at is null";
    for (state, is) in [
        ("open", format!("{settled} and expires_at > now()")),
        ("accepted", "accepted_at is not null".into()),
        ("revoked", "revoked_at is not null".into()),
        ("expired", format!("{settled} and expires_at <= now()")),
    ] {
        list("/invitations", format!("state={state}"), "invitation_id", format!("invitations where {is}"));
    }
    list("/api-tokens", String::new(), "token_id", "api_tokens".into());
    list("/audit-log", String::new(), "id", "audit_log".into());
    for (filter, value) in [("action", "license.suspended"), ("actor", "bob"), ("target", "a target")] {
        let rows = format!("audit_log where {filter} = '{value}'");
        list("/audit-log", format!("{filter}={}", value.replace(' ', "+")), "id", rows);
    }
    let from = "audit_log where at >= '2025-05-01T00:00:00Z'";
    list("/audit-log", "from=2025-05-01T00:00:00Z".into(), "id", from.into());
    list("/audit-log", "to=2025-05-01T00:00:00Z".into(), "id", from.replace(">=", "<"));
    list("/people", String::new(), "user_id", "users where removed_at is null".into());
    list("/projects", String::new(), "project_id", "projects".into());
    list("/projects", "archived=true".into(), "project_id", "projects where archived_at is not null".into());
    list("/projects", "archived=false".into(), "project_id", "projects where archived_at is null".into());
    all
}

#[test]
fn every_list_of_the_document_and_each_of_its_filters_is_among_those_looked_at() {
    let known: BTreeSet<(String, String)> = lists()
        .iter()
        .flat_map(|list| {
            let names = list.query.split('&').filter_map(|part| part.split_once('=')).map(|(name, _)| name.to_owned());
            names.chain([String::new()]).map(|name| (list.path.to_owned(), name)).collect::<Vec<_>>()
        })
        .collect();
    let document: Value = serde_json::to_value(document()).unwrap();
    for (path, item) in document["paths"].as_object().unwrap() {
        let parameters = item["get"]["parameters"].as_array().cloned().unwrap_or_default();
        let queries: Vec<&str> =
            parameters.iter().filter(|p| p["in"] == "query").map(|p| p["name"].as_str().unwrap()).collect();
        if !queries.contains(&"cursor") {
            continue;
        }
        // Plans and products are the vendor's and few.
        let Some(path) = path.strip_prefix("/api/v1/organizations/{organization}") else { continue };
        assert!(known.contains(&(path.to_owned(), String::new())), "{path} is looked at");
        // Those of one license are the same statements as of all: its filters narrow what the license drives, within a window.
        for name in queries.iter().filter(|name| !["limit", "cursor", "started_before"].contains(name)) {
            let looked_at = known.contains(&(path.to_owned(), (*name).to_owned()));
            assert!(looked_at || path == "/licenses/{license}/sessions", "{path}?{name}= is looked at");
        }
    }
}

#[tokio::test]
async fn a_page_of_any_list_reads_at_most_five_blocks_a_row_wherever_it_is() {
    let desk = Desk::new().await;
    fill(&desk).await;
    let plans = Plans::of(&desk).await;
    let owner = desk.person("owner");
    desk.get(&desk.at("")).by(&owner).send().await.ok(200);
    let mut truth = desk.world.truth().await;
    let mut failures = Vec::new();
    for list in lists() {
        let path = desk.at(&list.path.replace("{license}", &id("aaaa", 77)));
        let thousandth = cursor(&mut truth, &list).await;
        for (page, cursor) in [("first", String::new()), ("thousandth", thousandth)] {
            plans.take();
            let began = Instant::now();
            let url = format!("{path}?limit={ROWS}&{}&cursor={cursor}", list.query);
            let answer = desk.get(&url).by(&owner).send().await.ok(200);
            let whole = began.elapsed();
            let rows = answer["items"].as_array().unwrap().len();
            let ran: Vec<Ran> = plans.take().into_iter().filter(|ran| !is_the_gates(&ran.text)).collect();
            let (blocks, ms) =
                (ran.iter().map(|ran| ran.blocks).sum::<i64>(), ran.iter().map(|ran| ran.ms).sum::<f64>());
            println!(
                "{:<32} {:<62} {page:<10} {rows:>3} rows {blocks:>4} blocks {ms:>7.2} ms in SQL {whole:>10.2?} whole",
                list.path, list.query
            );
            assert!(!ran.is_empty() && rows > 0, "{url}");
            if blocks > BLOCKS_PER_ROW * rows as i64 {
                failures.push(format!("{url}\n{blocks} blocks for {rows} rows\n{ran:#?}"));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

/// What every request pays, whatever it asks for: who asks, and setting the tenant.
fn is_the_gates(text: &str) -> bool {
    ["directory.locate_identity", "from users u join organizations o", "set_config("]
        .iter()
        .any(|its| text.contains(its))
}

/// Where the 999th page ended; of a shorter list, the last one but one.
async fn cursor(truth: &mut PgConnection, list: &List) -> String {
    let List { key, rows, .. } = list;
    let sql = format!(
        "with n as (select least(999 * {ROWS}, (select count(*) from {rows}) - {ROWS}) - 1 as n)
         select {key} as key from {rows} order by {key} desc offset (select n from n) limit 1"
    );
    let row = sqlx::query(AssertSqlSafe(sql)).fetch_one(truth).await.unwrap();
    Cursor(row.get::<Uuid, _>("key")).to_string()
}

async fn fill(desk: &Desk) {
    let mut truth = desk.world.truth().await;
    let tenant = format!("select set_config('app.tenant_id', '{}', false)", desk.tenant());
    truth.execute(AssertSqlSafe(tenant)).await.unwrap();
    truth.execute(include_str!("../../lists.sql")).await.unwrap();
    truth.execute("analyze").await.unwrap();
}
