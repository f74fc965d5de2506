//! L1 to L3 on real stores, each where nothing else keeps a seat from who asks. That nobody waits longer than is promised is judged in every run;
//! here it is also known from outside how long somebody has to wait at the least. Both hold on a machine of any speed.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure is a panic with its place")]

use license_simulation::{
    asked::{Asked, Told},
    mix,
    plan::{Plan, Setting},
    promises::{Kept, Limit},
    run,
};
use std::{fmt::Write, time::Duration};

const TTL: Duration = Duration::from_secs(3);
const DRAIN: Duration = Duration::from_secs(1);

/// What the clients of a list come to in a pool of one seat with one instance, and what they asked.
async fn one_seat(lines: &str) -> (Kept, Vec<Asked>) {
    let setting = Setting {
        ttl: TTL,
        drain: DRAIN,
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
    let verdict = run::carry_out(&plan).await;
    let asked = verdict.asked.clone();
    (verdict.clean(&plan).kept, asked)
}

/// Somebody was told "full" because of what is limited, was seated in the end, and not before `least` was over since the first holder asked last.
#[track_caller]
fn waited(limit: Limit, asked: &[Asked], least: Duration) {
    assert!(limit.judged > 1 && limit.worst > 0, "{limit:?}");
    let first = &asked.iter().min_by_key(|asked| asked.sent).expect("somebody asks").holder;
    let last = asked.iter().filter(|asked| asked.holder == *first).map(|asked| asked.sent).max().unwrap();
    let seated = asked.iter().filter(|asked| asked.holder != *first && asked.told == Told::Seat);
    let seated = seated.map(|asked| asked.answered).min().expect("the other is seated");
    assert!(seated - last >= least, "after {:?}", seated - last);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_seat_of_a_crowd_without_faults_is_given_when_it_is_free() {
    // In this time some fourteen seats become free for somebody who waits; how many of them is a matter of who asks first. Each question that was
    // not answered in time may keep a seat, so a slow machine needs more crowds for as many.
    let mut kept = Kept::default();
    for seed in 21..25 {
        let plan = mix::crowd(seed, &Setting::small(6, 20, Duration::from_secs(50)), 2);
        kept.add(&run::carry_out(&plan).await.clean(&plan).kept);
        if kept.l1.judged >= 5 {
            return;
        }
    }
    panic!("{kept}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reservation_of_which_the_records_know_nothing_is_anothers_after_a_lease() {
    let lines =
        "at 300ms instance 0 dies after acquire\nat 400ms client 0 start\nat 400ms settle\nat 450ms client 0 die\n";
    let (kept, asked) = one_seat(lines).await;
    waited(kept.l2, &asked, TTL);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_again_for_what_a_lost_answer_reserved_has_it_at_once() {
    let lines =
        "at 300ms instance 0 dies after grant\nat 400ms client 0 start\nat 400ms settle\nat 450ms client 0 ask\n";
    let (kept, _) = one_seat(lines).await;
    // More than the one, where an answer after it was late too.
    assert!(kept.again >= 1, "{kept}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_seat_of_who_was_silent_when_redis_was_emptied_is_anothers_after_a_rebuild_lease() {
    let lines = "at 400ms client 0 start\nat 400ms seated client 0\nat 500ms client 0 die\nat 900ms redis flush\n";
    let (kept, asked) = one_seat(lines).await;
    waited(kept.l3, &asked, TTL + DRAIN);
}
