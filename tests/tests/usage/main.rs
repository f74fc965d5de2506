//! How pools were used, and who wanted a seat of them in vain.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure is a panic with its place")]

mod brute_force;
mod wants;
mod written;

use license_core::{
    Error,
    seat_store::{PoolRecords, PoolReply, ToldWants},
};
use license_tests::{
    World,
    client::{beat, release},
};
use std::{collections::BTreeSet, time::Duration};
use written::minutes;

const MINUTE: Duration = Duration::from_secs(60);

fn minute_of(world: &World) -> i64 {
    world.clock.now_ms().div_euclid(60_000)
}

/// A world whose clock shows the beginning of a minute.
async fn world() -> World {
    let world = World::with_seats(5).await;
    world.pass(MINUTE - Duration::from_millis(world.clock.now_ms().rem_euclid(60_000) as u64));
    world
}

/// A sweep whose process may die; false: it did.
async fn sweep(world: &World) -> bool {
    let mut done = true;
    for share in world.reaper.shares().await.unwrap() {
        match world.reaper.sweep(&share).await {
            Ok(report) => assert_eq!(report.failed, 0),
            Err(Error::Cut(_)) => done = false,
            Err(error) => panic!("{error}"),
        }
    }
    done
}

#[tokio::test]
async fn minutes_in_which_nobody_swept_are_not_seen_if_a_holder_fell_silent_and_seen_if_all_went_on() {
    let world = world().await;
    let first = minute_of(&world);
    let seat = world.machine("a").seated(&world.protocol).await;
    for _ in 0..10 {
        world.pass(MINUTE);
        drop(beat(&world.protocol, &seat).await);
    }
    sweep(&world).await;
    world.pass(MINUTE * 100);
    sweep(&world).await;
    let written = minutes(&world).await;
    let seen = |from: i64, to: i64| {
        (from..to).map(|at| written[&(first + at)]).map(|(minute, seen)| (minute.held, seen)).collect::<BTreeSet<_>>()
    };
    assert_eq!(seen(1, 10), BTreeSet::from([(1, true)]));
    assert_eq!(seen(11, 110), BTreeSet::from([(1, false)]), "when it left is not known");
}

#[tokio::test]
async fn a_quiet_time_that_a_clock_made_longer_is_told_up_to_the_present() {
    let world = world().await;
    let first = minute_of(&world);
    release(&world.protocol, &world.machine("a").seated(&world.protocol).await).await;
    world.pass(MINUTE * 100);
    world.clock.set_redis_ahead_ms(600_000);
    world.machine("b").seated(&world.protocol).await;
    world.clock.set_redis_ahead_ms(0);
    world.pass(MINUTE);
    sweep(&world).await;
    let written = minutes(&world).await;
    let of_first: Vec<_> = written.keys().map(|at| at - first).collect();
    assert_eq!(of_first, (0..100).collect::<Vec<_>>(), "the minute of the step is lost");
    assert!(written.values().skip(1).all(|(_, seen)| !seen), "some of it may have been counted as a later time");
}

#[tokio::test]
async fn what_was_told_is_not_answered_again_however_long_nobody_swept() {
    let world = world().await;
    let first = minute_of(&world);
    world.machine("a").seated(&world.protocol).await;
    world.pass(MINUTE * 3000);
    let epoch = world.epoch().await as u64;
    let told = async |told_minute| {
        let records = PoolRecords { epoch, told_minute, grace_before_ms: None };
        match world.seats().reap(&world.license.pool, records, ToldWants::default(), 1000).await.unwrap() {
            PoolReply::Answer(reaped) => {
                reaped.minutes.iter().map(|it| (it.minute - first, it.count)).collect::<Vec<_>>()
            }
            other => panic!("an answer, not {other:?}"),
        }
    };
    assert_eq!(told(0).await, [(0, 1), (1, 2999)]);
    assert_eq!(told(first).await, [(1, 2999)]);
    assert_eq!(told(first + 2999).await, []);
    assert_eq!(told(0).await, [], "they are forgotten");
}

#[tokio::test]
async fn a_clock_of_redis_that_was_hours_ahead_invents_no_minutes_and_what_was_counted_by_it_is_not_seen() {
    let world = world().await;
    let first = minute_of(&world);
    world.machine("a").seated(&world.protocol).await;
    world.pass(MINUTE);
    world.clock.set_redis_ahead_ms(6 * 3_600_000);
    sweep(&world).await;
    world.machine("b").seated(&world.protocol).await;
    world.pass(MINUTE);
    sweep(&world).await;
    world.clock.set_redis_ahead_ms(0);
    for _ in 0..3 {
        beat(&world.protocol, &world.machine("b").seated(&world.protocol).await).await;
        world.pass(MINUTE);
        sweep(&world).await;
    }
    let written = minutes(&world).await;
    let of_first: Vec<_> = written.keys().map(|at| at - first).collect();
    assert_eq!(of_first, [0, 1, 2, 3, 4], "and none of a time that has not come");
    assert_eq!(written.values().map(|(_, seen)| *seen).collect::<Vec<_>>(), [false, false, false, true, true]);
}

#[tokio::test]
async fn an_entry_in_the_form_of_another_build_is_forgotten_and_the_others_are_told() {
    let world = world().await;
    let first = minute_of(&world);
    world.machine("a").seated(&world.protocol).await;
    world.pass(MINUTE);
    world.machine("b").seated(&world.protocol).await;
    let settings = world.license.pool.keys()[0].clone();
    let told: String =
        redis::cmd("HGET").arg(&settings).arg("minutes").query_async(&mut world.redis().await).await.unwrap();
    let mixed = format!("{}:1:1:1:5:0:1 {told}", first - 1);
    redis::cmd("HSET").arg(&settings).arg("minutes").arg(mixed).exec_async(&mut world.redis().await).await.unwrap();
    sweep(&world).await;
    assert_eq!(minutes(&world).await.into_keys().collect::<Vec<_>>(), [first]);
    let left: String =
        redis::cmd("HGET").arg(&settings).arg("minutes").query_async(&mut world.redis().await).await.unwrap();
    assert_eq!(left, told, "until it is asked again with what was told");
}
