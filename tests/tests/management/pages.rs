//! What a page of a long list costs: 10,000 licenses and 1,000,000 ended sessions in one organization, and every list of the document with
//! each of its filters, its first and its thousandth page.

use crate::desk::Desk;
use license_functions::document::document;
use license_tests::explain::{Plans, Ran};
use serde_json::Value;
use sqlx::{AssertSqlSafe, Executor};
use std::{collections::BTreeSet, time::Instant};

#[path = "../../lists.rs"]
mod lists;

use lists::{ROWS, cursor, lists};

/// What one row of a page may cost, in blocks.
const BLOCKS_PER_ROW: i64 = 5;
/// What a page may cost that looks through a window, as those of several filters do and that of what was open at a time:
/// 1,000 rows, each in a block of its own, and the blocks of the indexes.
const BLOCKS_OF_A_WINDOW: i64 = 1200;

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
        // The chain of the audit log is walked from its beginning: what that costs is in chain.rs.
        if path.contains("/audit-log/") {
            continue;
        }
        // An export is no list: it looks through whatever an erasure does, a bounded stretch at a time.
        if path.ends_with("/export") {
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
    let plans = Plans::of(&desk.world.database).await;
    let owner = desk.person("owner");
    desk.get(&desk.at("")).by(&owner).send().await.ok(200);
    let mut truth = desk.world.truth().await;
    let mut failures = Vec::new();
    for list in lists() {
        let path = desk.at(&list.path());
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
            let most = if list.query.contains("state=ended&open_at=") {
                BLOCKS_OF_A_WINDOW
            } else {
                BLOCKS_PER_ROW * rows as i64
            };
            if blocks > most {
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

async fn fill(desk: &Desk) {
    let mut truth = desk.world.truth().await;
    let tenant = format!("select set_config('app.tenant_id', '{}', false)", desk.tenant());
    truth.execute(AssertSqlSafe(tenant)).await.unwrap();
    truth.execute(lists::DATA).await.unwrap();
    // As autovacuum leaves it.
    truth.execute("vacuum analyze").await.unwrap();
}
