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

/// Records that are put back to an earlier point, while Redis is emptied.
async fn put_back(lines: &[String], restore: &str) -> Verdict {
    let setting = Setting {
        ttl: Duration::from_secs(12),
        drain: Duration::from_secs(1),
        connection_age: Duration::from_millis(500),
        ..Setting::small(1, 2, Duration::from_secs(18))
    };
    let put_back = format!("at 5000ms records {restore}\nat 5010ms redis flush\n");
    let plan = Plan::new(2, setting, Vec::new()).with(&[&lines.concat(), put_back.as_str()].concat());
    run::carry_out(&plan).await
}

/// The holder came after that point and falls silent within its lease; another one waits.
fn came_later() -> [String; 3] {
    ["at 0ms records backup\n".to_owned(), asks(0, 3000, 5000, 500), asks(1, 3500, 18_000, 500)]
}

/// Another one held the seat at that point, gave it back, and comes again after.
fn took_over() -> [String; 4] {
    [
        asks(1, 0, 900, 300),
        "at 1000ms records backup\nat 3000ms client 1 release\n".to_owned(),
        asks(0, 3500, 5000, 500),
        asks(1, 5500, 18_000, 500),
    ]
}

/// That the session of the holder that was forgotten is not written down is what a restore is; everything else holds.
fn clean_but_for_the_forgotten(verdict: &Verdict) {
    assert!(sees(verdict, "S11: client 0 "), "the holder that was forgotten is known to have believed");
    let others: Vec<&String> = verdict.broken.iter().filter(|broken| !broken.starts_with("S11: client 0 ")).collect();
    assert_eq!(others, Vec::<&String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_put_back_without_a_jump_of_their_epochs_oversell_and_are_seen() {
    assert!(sees(&put_back(&came_later(), "restore-unsafely").await, "S2: "));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_put_back_and_made_safe_oversell_nothing() {
    clean_but_for_the_forgotten(&put_back(&came_later(), "restore").await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_put_back_to_when_the_seat_was_anothers_oversell_and_are_seen() {
    assert!(sees(&put_back(&took_over(), "restore-unsafely").await, "S2: "));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_put_back_to_when_the_seat_was_anothers_and_made_safe_oversell_nothing() {
    clean_but_for_the_forgotten(&put_back(&took_over(), "restore").await);
}
