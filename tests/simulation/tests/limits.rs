//! L1 to L3 on real stores, each where nothing else keeps a seat from who asks: how long it takes is known from outside, to the time between
//! two questions.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure is a panic with its place")]

use license_simulation::{
    mix,
    plan::{Plan, Setting},
    promises::Kept,
    run,
};
use std::{fmt::Write, time::Duration};

/// What the clients of a list come to, in a pool of one seat with one instance: a lease of 3 s, a drain margin of 1 s.
async fn one_seat(lines: &str) -> Kept {
    let setting = Setting {
        ttl: Duration::from_secs(3),
        drain: Duration::from_secs(1),
        connection_age: Duration::from_millis(500),
        instances: 1,
        ..Setting::small(1, 2, Duration::from_secs(8))
    };
    let mut all = lines.to_owned();
    writeln!(all, "at 1000ms client 1 start").unwrap();
    for at in (1050..8000).step_by(50) {
        writeln!(all, "at {at}ms client 1 ask").unwrap();
    }
    let plan = Plan::new(5, setting, Vec::new()).with(&all);
    run::carry_out(&plan).await.clean(&plan).kept
}

/// Close to the limit, and not above it. A machine that others share asks late.
#[track_caller]
fn waits_for(worst: i64, limit: i64) {
    assert!((limit - 700_000..=limit).contains(&worst), "{worst} us of {limit}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_seat_of_a_crowd_without_faults_is_given_when_it_is_free() {
    // In this time some fourteen seats become free for somebody who waits; how many of them is a matter of who asks first.
    let plan = mix::crowd(21, &Setting::small(6, 20, Duration::from_secs(50)), 2);
    let kept = run::carry_out(&plan).await.clean(&plan).kept;
    assert!(kept.l1.judged >= 5, "{kept}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reservation_of_which_the_records_know_nothing_is_anothers_after_a_lease() {
    let kept =
        one_seat("at 300ms instance 0 dies after acquire\nat 400ms client 0 start\nat 450ms client 0 die\n").await;
    assert!(kept.l2.judged > 1, "{kept}");
    waits_for(kept.l2.worst, 3_000_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_again_for_what_a_lost_answer_reserved_has_it_at_once() {
    let kept =
        one_seat("at 300ms instance 0 dies after grant\nat 400ms client 0 start\nat 1500ms client 0 ask\n").await;
    assert_eq!(kept.again, 1, "{kept}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_seat_of_who_was_silent_when_redis_was_emptied_is_anothers_after_a_rebuild_lease() {
    let kept = one_seat("at 400ms client 0 start\nat 600ms client 0 die\nat 900ms redis flush\n").await;
    assert!(kept.l3.judged > 1, "{kept}");
    waits_for(kept.l3.worst, 4_000_000);
}
