//! Runs that must not be clean: protections that are taken away, and checkers that see it. Each beside the same run with its protection.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure is a panic with its place")]

use license_simulation::{
    plan::{Plan, Setting},
    run,
    verdict::Verdict,
};
use std::{fmt::Write, time::Duration};

/// Somebody asks again and again.
fn asks(client: usize, from: u64, until: u64, every: u64) -> String {
    let mut lines = format!("at {from}ms client {client} start\n");
    let mut at = from + every;
    while at < until {
        writeln!(lines, "at {at}ms client {client} ask").unwrap();
        at += every;
    }
    lines
}

fn sees(verdict: &Verdict, invariant: &str) -> bool {
    println!("{}\n{}", verdict.figures, verdict.broken.join("\n"));
    verdict.broken.iter().any(|broken| broken.starts_with(invariant))
}

/// Two holders ask one instance, two that wait the other. The other node takes over, and only the second instance hears of it.
async fn divided(promotion: &str, drain: u64, connection_age: u64) -> Verdict {
    let setting = Setting {
        ttl: Duration::from_secs(3),
        drain: Duration::from_millis(drain),
        connection_age: Duration::from_millis(connection_age),
        instances: 2,
        sticky: true,
        ..Setting::small(2, 4, Duration::from_secs(10))
    };
    let lines = [
        asks(0, 0, 10_000, 700),
        asks(2, 100, 10_000, 700),
        asks(1, 1500, 10_000, 250),
        asks(3, 1600, 10_000, 250),
        format!("at 3000ms redis {promotion}\nat 3010ms proxy redis#1 cut\n"),
    ];
    let plan = Plan::new(1, setting, Vec::new()).with(&lines.concat());
    run::carry_out(&plan).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_primary_that_stays_reachable_over_connections_without_an_age_oversells_and_is_seen() {
    let verdict = divided("promote-undrained", 1000, 3_600_000).await;
    assert!(sees(&verdict, "S2: "));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_margin_shorter_than_connections_live_oversells_and_is_seen() {
    let verdict = divided("promote-undrained", 0, 8000).await;
    assert!(sees(&verdict, "S2: "));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_primary_that_is_reachable_for_the_drain_margin_oversells_nothing() {
    let verdict = divided("promote-undrained", 1000, 500).await;
    assert_eq!(verdict.broken, Vec::<String>::new(), "connections are young");
    let verdict = divided("promote", 1000, 3_600_000).await;
    assert_eq!(verdict.broken, Vec::<String>::new(), "connections are cut");
}

/// A holder falls silent within its lease; meanwhile the records are put back to before it came, and Redis forgets as well.
async fn put_back(restore: &str) -> Verdict {
    let setting = Setting {
        ttl: Duration::from_secs(12),
        drain: Duration::from_secs(1),
        connection_age: Duration::from_millis(500),
        ..Setting::small(1, 2, Duration::from_secs(18))
    };
    let lines = [
        "at 0ms records backup\n".to_owned(),
        asks(0, 3000, 5000, 500),
        asks(1, 3500, 18_000, 500),
        format!("at 5000ms records {restore}\nat 5010ms redis flush\n"),
    ];
    let plan = Plan::new(2, setting, Vec::new()).with(&lines.concat());
    run::carry_out(&plan).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_put_back_without_a_jump_of_their_epochs_oversell_and_are_seen() {
    let verdict = put_back("restore-unsafely").await;
    assert!(sees(&verdict, "S2: "));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_put_back_and_made_safe_oversell_nothing() {
    let verdict = put_back("restore").await;
    assert!(sees(&verdict, "S11: client 0 "), "the holder that was forgotten is known to have believed");
    // That its session is not written down is what a restore is; everything else holds.
    let others: Vec<&String> = verdict.broken.iter().filter(|broken| !broken.starts_with("S11: client 0 ")).collect();
    assert_eq!(others, Vec::<&String>::new());
    assert!(verdict.figures.told.contains_key("acquire: seat"));
}
