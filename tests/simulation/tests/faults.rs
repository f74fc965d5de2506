//! The faults of docs/PROTOCOL.md, section 7, each by name over a crowd of clients: no belief above the seats, and no live holder loses its
//! seat. Those that need no proxy, no second node and no process of their own are elsewhere:
//!
//! * `kill -9` of Redis, FLUSHALL, any one key, SIGSTOP of Redis, a storm of heartbeats: `tests/tests/outages`
//! * dying after each single step: `tests/tests/crashes` · one wrong clock: `tests/tests/clocks.rs`
//! * an old primary past the drain margin, and a restore: `negative.rs`, where the protections are also taken away

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure is a panic with its place")]

use license_simulation::{
    mix,
    plan::{Plan, Setting},
    run,
    verdict::Figures,
};
use std::time::Duration;

const LENGTH: Duration = Duration::from_secs(11);
/// Clients that keep asking for as long as the run goes on.
const STEADY: usize = 4;

fn setting() -> Setting {
    Setting {
        ttl: Duration::from_secs(3),
        drain: Duration::from_secs(1),
        connection_age: Duration::from_millis(500),
        ..Setting::small(6, 12, LENGTH)
    }
}

/// A crowd that meets these faults: clean, and nobody who asked lost its seat.
async fn costs_nobody_a_seat(setting: Setting, seed: u64, faults: &str) -> Figures {
    let plan: Plan = mix::crowd(seed, &setting, STEADY).with(faults);
    let figures = run::carry_out(&plan).await.clean(&plan);
    let lost: Vec<_> = figures.told.keys().filter(|told| told.contains("though it asked")).collect();
    assert!(lost.is_empty(), "seats were lost: {lost:?}\n{figures}");
    assert!(figures.told["heartbeat: alive"] > 20, "{figures}");
    figures
}

/// The same line again and again.
fn every(period: u64, from: u64, until: u64, what: &str) -> String {
    let times = (from..until).step_by(period as usize);
    times.map(|at| format!("at {at}ms {what}\n")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_heard_nothing_for_a_while_is_promoted() {
    let faults = "at 3000ms redis lag 1500ms\nat 4200ms redis promote";
    let figures = costs_nobody_a_seat(setting(), 11, faults).await;
    assert!(figures.epochs >= 3, "{figures}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_are_primary_in_turn_within_the_drain_margin() {
    let faults = every(400, 3000, 6000, "redis promote");
    costs_nobody_a_seat(setting(), 12, &faults).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_request_is_duplicated_five_times_and_reordered() {
    let duplicates = every(200, 1000, 10_000, "proxy http duplicate 5 copies 100 times");
    let reordered = every(200, 1100, 10_000, "proxy http reorder for 100ms");
    let figures = costs_nobody_a_seat(setting(), 13, &[duplicates, reordered].concat()).await;
    assert!(figures.met > 100, "{figures}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scripts_arrive_twice_late_or_without_an_answer() {
    let faults = [
        every(900, 1000, 10_000, "proxy redis duplicate 3 copies 2 times"),
        every(900, 1300, 10_000, "proxy redis late 2500ms 1 times"),
        every(900, 1600, 10_000, "proxy redis drop-answer 1 times"),
    ];
    let figures = costs_nobody_a_seat(setting(), 14, &faults.concat()).await;
    assert!(figures.met > 20, "{figures}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_to_commits_are_lost() {
    let faults = every(250, 1000, 10_000, "proxy records drop-answer 1 times");
    let figures = costs_nobody_a_seat(setting(), 15, &faults).await;
    assert!(figures.met > 20, "{figures}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_dies_again_and_again_in_the_middle_of_commits() {
    let faults = [every(2000, 2000, 8100, "records kill"), every(2000, 2300, 8500, "records start")];
    costs_nobody_a_seat(setting(), 16, &faults.concat()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_are_killed_and_stopped_between_any_two_steps() {
    let faults = [
        every(700, 1500, 10_000, "function heartbeat#1 kill"),
        every(900, 1600, 10_000, "function acquire#1 kill"),
        every(1100, 1700, 10_000, "function release#1 kill"),
        every(1600, 1800, 10_000, "function acquire#2 pause 1300ms"),
        every(1700, 1900, 10_000, "function heartbeat#2 pause 700ms"),
        every(600, 1500, 10_000, "instance 0 dies after grant"),
        every(650, 1500, 10_000, "instance 0 stalls 800ms after acquire"),
        every(850, 1500, 10_000, "instance 0 dies after release"),
    ];
    costs_nobody_a_seat(Setting { processes: 2, ..setting() }, 17, &faults.concat()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ticks_come_ten_times_late_and_shuffled() {
    let faults = [
        every(500, 500, 10_000, "reap 10 times over 30ms"),
        // The reaper's ways come after the three instances' and the staff's.
        every(1000, 800, 10_000, "proxy redis#4 delay 300ms for 500ms"),
        every(1000, 1300, 10_000, "proxy records#4 delay 200ms for 500ms"),
        every(1700, 1500, 10_000, "instance 3 dies after reap"),
        every(1900, 1500, 10_000, "instance 3 dies after end-seats"),
        every(2100, 1500, 10_000, "instance 3 dies after publish"),
    ];
    costs_nobody_a_seat(setting(), 18, &faults.concat()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_has_no_memory_left() {
    costs_nobody_a_seat(setting(), 19, "at 3000ms redis full 2500ms\nat 4000ms redis flush").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stores_are_cut_off_half_open_and_slow() {
    let faults = "
        at 2000ms proxy redis half-open for 700ms
        at 3500ms proxy redis cut
        at 4000ms proxy records half-open for 700ms
        at 5500ms proxy records cut
        at 6000ms proxy redis delay 150ms for 1500ms
        at 8000ms proxy records delay 150ms for 1500ms
        at 9700ms proxy http cut";
    let figures = costs_nobody_a_seat(setting(), 20, faults).await;
    assert!(figures.met > 10, "{figures}");
}
