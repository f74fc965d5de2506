//! Instances that give leases of different lengths: a setting that was changed, and the rollout in between.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure is a panic with its place")]

use license_core::domain::lease::LeaseTiming;
use license_tests::{
    World,
    client::{alive, release},
    load::{Crowd, Habits, check},
    world::Shape,
};
use std::time::Duration;

fn short() -> LeaseTiming {
    LeaseTiming::with_ttl(Duration::from_secs(120))
}

/// Time for a lease of the longer kind, given by who asks at its beginning.
fn until_over(world: &World) -> Duration {
    Duration::from_millis(world.timing.rebuild_lease_ms() as u64)
}

#[tokio::test]
async fn a_lease_given_before_ttl_was_lowered_outlives_a_redis_that_forgot() {
    let world = World::with_seats(1).await;
    world.machine("a").seated(&world.protocol).await;
    let lowered = world.instance_timed(short()).await;
    let b = world.machine("b");
    world.flush().await;
    b.turned_away(&lowered).await;
    world.pass(Duration::from_millis(short().rebuild_lease_ms() as u64 + 1));
    b.turned_away(&lowered).await;
    world.pass(world.timing.ttl - Duration::from_millis(short().rebuild_lease_ms() as u64 + 1000));
    b.turned_away(&lowered).await; // 359 s after it was given
}

#[tokio::test]
async fn a_lease_given_before_ttl_was_lowered_is_forgotten_when_it_is_over() {
    let world = World::with_seats(1).await;
    world.machine("a").seated(&world.protocol).await;
    let lowered = world.instance_timed(short()).await;
    world.flush().await;
    world.machine("b").turned_away(&lowered).await;
    // The records measure it by their own clock, which no test moves: they are told that it has run out.
    sqlx::query("update pools set longer_until = now()").execute(&mut world.truth().await).await.unwrap();
    world.pass(until_over(&world) + Duration::from_millis(1));
    let b_seat = world.machine("b").seated(&lowered).await;
    world.suspend().await;
    world.resume().await;
    alive(&lowered, &b_seat).await;
    assert_eq!(world.count("select longer_ms from pools").await, 0);
    world.flush().await;
    world.machine("c").turned_away(&lowered).await;
    world.pass(Duration::from_millis(short().rebuild_lease_ms() as u64 + 1));
    world.machine("c").seated(&lowered).await;
}

#[tokio::test]
async fn a_kick_through_an_instance_with_a_shorter_lease_waits_for_the_longer_one() {
    let mut world = World::with_seats(1).await;
    world.machine("a").seated(&world.protocol).await;
    world.seat_management = world.seat_management_timed(short());
    assert!(world.kick(0, false).await);
    let lowered = world.instance_timed(short()).await;
    world.machine("b").turned_away(&lowered).await;
    world.pass(world.timing.ttl - Duration::from_secs(1));
    world.machine("b").turned_away(&lowered).await;
    world.pass(world.timing.drain + Duration::from_secs(2));
    world.machine("b").seated(&lowered).await;
}

/// The records think a longer lease over that goes on: their machine's clock jumped ahead.
async fn records_think_it_over(world: &World) {
    let over = "update pools set longer_until = now() - interval '1 minute'";
    sqlx::query(over).execute(&mut world.truth().await).await.unwrap();
}

#[tokio::test]
async fn records_whose_clock_is_ahead_cut_no_lease_that_redis_knows() {
    let mut world = World::with_seats(1).await;
    world.machine("a").seated(&world.protocol).await;
    world.seat_management = world.seat_management_timed(short());
    let lowered = world.instance_timed(short()).await;
    let b = world.machine("b");
    // However often the license is edited meanwhile.
    for _ in 0..5 {
        world.suspend().await;
        world.resume().await;
        b.turned_away(&lowered).await;
        records_think_it_over(&world).await;
        world.pass(Duration::from_secs(70));
    }
    b.turned_away(&lowered).await; // 350 s after it was given
    world.pass(Duration::from_secs(60));
    b.seated(&lowered).await;
}

#[tokio::test]
async fn records_whose_clock_is_ahead_shorten_no_wait_for_a_lease_that_redis_knows() {
    let mut world = World::with_seats(1).await;
    world.machine("a").seated(&world.protocol).await;
    world.seat_management = world.seat_management_timed(short());
    let lowered = world.instance_timed(short()).await;
    world.suspend().await;
    world.resume().await;
    let b = world.machine("b");
    b.turned_away(&lowered).await;
    records_think_it_over(&world).await;
    assert!(world.kick(0, false).await);
    b.turned_away(&lowered).await;
    world.pass(world.timing.ttl - Duration::from_secs(1));
    b.turned_away(&lowered).await;
    // Once the longer leases are over nobody waits for one any more.
    world.pass(Duration::from_millis(world.timing.rebuild_lease_ms() as u64));
    b.seated(&lowered).await;
    assert!(world.kick(0, false).await);
    world.machine("c").turned_away(&lowered).await;
    world.pass(Duration::from_millis(short().rebuild_lease_ms() as u64 + 1));
    world.machine("c").seated(&lowered).await;
}

#[tokio::test]
async fn no_lease_is_given_that_is_longer_than_the_records_know_of() {
    let world = World::with_seats(1).await;
    let lowered = world.instance_timed(short()).await;
    let a_seat = world.machine("a").seated(&lowered).await;
    // The setting was raised, and this instance has it already: its heartbeat alone touches no records.
    alive(&world.protocol, &a_seat).await;
    world.flush().await;
    let b = world.machine("b");
    b.turned_away(&lowered).await;
    world.pass(world.timing.ttl - Duration::from_secs(1));
    b.turned_away(&lowered).await;
}

#[tokio::test]
async fn instances_of_both_lengths_go_on_with_one_copy() {
    let world = World::with_seats(2).await;
    let lowered = world.instance_timed(short()).await;
    let a_seat = world.machine("a").seated(&world.protocol).await;
    let b_seat = world.machine("b").seated(&lowered).await;
    let before = world.epoch().await;
    for _ in 0..10 {
        world.pass(Duration::from_secs(30));
        for protocol in [&world.protocol, &lowered] {
            alive(protocol, &a_seat).await;
            alive(protocol, &b_seat).await;
        }
    }
    assert_eq!(world.epoch().await, before, "a copy for the longer one serves both");
    release(&lowered, &a_seat).await;
    world.machine("c").seated(&lowered).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ttl_lowered_and_raised_again_under_load_oversells_nothing_and_loses_nobody() {
    let long = Duration::from_secs(6);
    let world = World::shaped(Shape::live(8, long)).await;
    let shorter = LeaseTiming { drain: world.timing.drain, ..LeaseTiming::with_ttl(long / 3) };
    let mut crowd = Crowd::over(&world, 2).await;
    let steady = crowd.join_seated("steady", 5, Habits::STEADY).await;
    let lively = crowd.join("lively", 8, Habits::LIVELY);
    crowd.sweep(&world).await;
    let instances = [world.instance().await, world.instance_timed(shorter).await];
    // 360, both, 120, both, 360: with a Redis that forgets at every turn and in the middle of it.
    for which in [&[0, 0][..], &[0, 1], &[1, 1], &[1, 0], &[0, 0]] {
        crowd.route(which.iter().map(|n| instances[*n].clone()).collect());
        world.flush().await;
        crowd.go_on(long / 4).await;
        world.flush().await;
        crowd.go_on(long / 4).await;
    }
    crowd.go_on(long + world.timing.drain).await;
    crowd.stop().await;
    println!("steady {}\nlively {}", steady.tally(), lively.tally());
    assert_eq!(steady.tally().lost, 0, "no live session is lost");
    check::holds(&world, crowd.log()).await;
}
