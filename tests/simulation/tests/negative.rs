//! Runs that must not be clean: protections that are taken away, and checkers that see it. Each beside the same run with its protection,
//! and three of them beside the same run on a machine so busy that answers and scripts come late.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure is a panic with its place")]

use license_simulation::{
    plan::{Plan, Setting},
    run,
    verdict::Verdict,
};
use std::{fmt::Write, sync::LazyLock, time::Duration};

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

/// The same by somebody who has the seat before anything else happens.
fn holds(client: usize, from: u64, until: u64, every: u64) -> String {
    format!("{}at {from}ms seated client {client}\n", asks(client, from, until, every))
}

fn sees(verdict: &Verdict, invariant: &str) -> bool {
    println!("{}\n{}", verdict.figures, verdict.broken.join("\n"));
    verdict.broken.iter().any(|broken| broken.starts_with(invariant))
}

/// Two holders ask one instance, two that wait the other. The other node takes over, and only the second instance hears of it.
/// What must be oversold may take a minute, and is over when it is.
fn divided(promotion: &str, drain: u64, connection_age: u64, oversells: bool) -> Plan {
    let until = if oversells { 60_000 } else { 16_000 };
    let setting = Setting {
        // A heartbeat is given up after 2.5 s: there is time for another one.
        ttl: Duration::from_secs(6),
        drain: Duration::from_millis(drain),
        connection_age: Duration::from_millis(connection_age),
        instances: 2,
        sticky: true,
        ..Setting::small(2, 4, Duration::from_millis(until))
    };
    let lines = [
        holds(0, 0, until, 700),
        holds(2, 100, until, 700),
        asks(1, 1500, until, 250),
        asks(3, 1600, until, 250),
        format!("at 3000ms redis {promotion}\nat 3000ms settle\nat 3010ms proxy redis#1 cut\n"),
        if oversells { "at 3010ms end when oversold\n".to_owned() } else { String::new() },
    ];
    Plan::new(1, setting, Vec::new()).with(&lines.concat())
}

/// Runs that wait for times rather than for the machine are carried out side by side.
fn together<const N: usize>(plans: [Plan; N]) -> [Verdict; N] {
    let verdicts: Vec<Verdict> = run::side_by_side(plans.into()).into_iter().map(|(_, verdict)| verdict).collect();
    verdicts.try_into().expect("as many verdicts as plans")
}

/// A busy machine: the first answers to clients come later than these wait, and the second instance's scripts take long.
const BUSY: &str = "at 0ms proxy http delay 2600ms for 2000ms\nat 3010ms proxy redis#1 delay 400ms for 15000ms\n";

/// Connections without an age, the same where the machine is busy, connections that outlive the drain margin, young connections, connections
/// that are cut in time.
static DIVIDED: LazyLock<[Verdict; 5]> = LazyLock::new(|| {
    together([
        divided("promote-undrained", 1000, 3_600_000, true),
        divided("promote-undrained", 1000, 3_600_000, true).with(BUSY),
        // Counted from the connect: they outlive the run, also where it takes long.
        divided("promote-undrained", 0, 120_000, true),
        divided("promote-undrained", 1000, 500, false),
        divided("promote", 1000, 3_600_000, false),
    ])
});

#[test]
fn an_old_primary_that_stays_reachable_over_connections_without_an_age_oversells_and_is_seen() {
    assert!(sees(&DIVIDED[0], "S2: "));
    assert!(sees(&DIVIDED[1], "S2: "), "on a busy machine");
}

#[test]
fn a_drain_margin_shorter_than_connections_live_oversells_and_is_seen() {
    assert!(sees(&DIVIDED[2], "S2: "));
}

#[test]
fn an_old_primary_that_is_reachable_for_the_drain_margin_oversells_nothing() {
    assert_eq!(DIVIDED[3].broken, Vec::<String>::new(), "connections are young");
    assert_eq!(DIVIDED[4].broken, Vec::<String>::new(), "connections are cut");
}

/// Records that are put back to an earlier point, while Redis is emptied.
fn put_back(lines: &[String], restore: &str) -> Plan {
    let setting = Setting {
        ttl: Duration::from_secs(12),
        drain: Duration::from_secs(1),
        connection_age: Duration::from_millis(500),
        ..Setting::small(1, 2, Duration::from_secs(18))
    };
    let put_back = format!("at 5000ms settle\nat 5000ms records {restore}\nat 5000ms settle\nat 5010ms redis flush\n");
    let put_back = put_back + if restore == "restore-unsafely" { "at 5010ms end when oversold\n" } else { "" };
    Plan::new(2, setting, Vec::new()).with(&[&lines.concat(), put_back.as_str()].concat())
}

/// The holder came after that point and falls silent within its lease; another one waits.
fn came_later() -> [String; 3] {
    ["at 0ms records backup\nat 0ms settle\n".to_owned(), holds(0, 3000, 5000, 500), asks(1, 3500, 18_000, 500)]
}

/// Another one held the seat at that point, gave it back, and comes again after.
fn took_over() -> [String; 4] {
    [
        holds(1, 0, 900, 300),
        "at 1000ms records backup\nat 1000ms settle\nat 3000ms client 1 release\nat 3000ms settle\n".to_owned(),
        holds(0, 3500, 5000, 500),
        asks(1, 5500, 18_000, 500),
    ]
}

/// That the session of the holder that was forgotten is not written down is what a restore is; everything else holds.
fn clean_but_for_the_forgotten(verdict: &Verdict) {
    assert!(sees(verdict, "S11: client 0 "), "the holder that was forgotten is known to have believed");
    let others: Vec<&String> = verdict.broken.iter().filter(|broken| !broken.starts_with("S11: client 0 ")).collect();
    assert_eq!(others, Vec::<&String>::new());
}

static PUT_BACK: LazyLock<[Verdict; 6]> = LazyLock::new(|| {
    together([
        put_back(&came_later(), "restore-unsafely"),
        put_back(&came_later(), "restore"),
        put_back(&took_over(), "restore-unsafely"),
        put_back(&took_over(), "restore"),
        put_back(&took_over(), "restore-unsafely").with(BUSY),
        put_back(&took_over(), "restore").with(BUSY),
    ])
});

#[test]
fn records_put_back_without_a_jump_of_their_epochs_oversell_and_are_seen() {
    assert!(sees(&PUT_BACK[0], "S2: "));
}

#[test]
fn records_put_back_and_made_safe_oversell_nothing() {
    clean_but_for_the_forgotten(&PUT_BACK[1]);
}

#[test]
fn records_put_back_to_when_the_seat_was_anothers_oversell_and_are_seen() {
    assert!(sees(&PUT_BACK[2], "S2: "));
    assert!(sees(&PUT_BACK[4], "S2: "), "on a busy machine");
}

#[test]
fn records_put_back_to_when_the_seat_was_anothers_and_made_safe_oversell_nothing() {
    clean_but_for_the_forgotten(&PUT_BACK[3]);
    clean_but_for_the_forgotten(&PUT_BACK[5]);
}
