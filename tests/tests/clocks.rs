//! One wrong clock, of Redis or of a service, takes no seat away: guards of the protocol, named by docs/PROTOCOL.md.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure is a panic with its place")]

use license_core::protocol::steps::Step;
use license_tests::{
    World,
    client::{alive, beat, gone, open, release},
};
use std::time::Duration;

/// Counts the open sessions in PostgreSQL.
const OPEN: &str = "select count(*) from sessions where ended_at is null";

#[tokio::test]
async fn one_wrong_clock_takes_no_seat_away() {
    let hour = 3_600_000;
    let world = World::with_seats(1).await;
    let a_seat = world.machine("a").seated(&world.protocol).await;
    let b = world.machine("b");
    // The clock of Redis is an hour ahead.
    world.clock.set_redis_ahead_ms(hour);
    b.turned_away(&world.protocol).await;
    let sibling = world.machine("a").seated(&world.protocol).await;
    release(&world.protocol, &sibling).await;
    b.turned_away(&world.protocol).await;
    assert_eq!(world.sweep().await.seats, 0);
    alive(&world.protocol, &a_seat).await;

    // The clock of one service is an hour ahead.
    let world = World::with_seats(1).await;
    let a_seat = world.machine("a").seated(&world.protocol).await;
    let wrong = world.clock.independent_fake();
    wrong.advance_ms(hour);
    wrong.set_redis_ahead_ms(-hour);
    let hasty = world.instance_with(wrong).await;
    world.machine("b").turned_away(&hasty).await;
    alive(&hasty, &a_seat).await;
    alive(&world.protocol, &a_seat).await;
}

#[tokio::test]
async fn a_claimed_session_stays_over_for_an_instance_whose_clock_is_behind() {
    let world = World::with_seats(1).await;
    let a = world.machine("a");
    let before = a.seated(&world.protocol).await;
    world.pass_ttl();
    world.reaper.steps().cut(Step::EndSeats); // claimed and written down; FREE never came
    world.reaper.sweep(&world.share()).await.unwrap_err();
    let behind = world.clock.independent_fake();
    behind.advance_ms(-3_600_000);
    behind.set_redis_ahead_ms(3_600_000);
    let after = a.restarted().seated(&world.instance_with(behind).await).await;
    gone(&world.protocol, &before, "expired").await;
    alive(&world.protocol, &after).await;
    assert_eq!(world.count(OPEN).await, 1);
}

#[tokio::test]
async fn a_redis_clock_put_right_by_an_hour_takes_no_seat_away() {
    let world = World::with_seats(1).await;
    world.clock.set_redis_ahead_ms(-3_600_000);
    let a_seat = world.machine("a").seated(&world.protocol).await;
    alive(&world.protocol, &a_seat).await;
    world.clock.set_redis_ahead_ms(0);
    world.pass(Duration::from_secs(1));
    world.machine("b").turned_away(&world.protocol).await;
    alive(&world.protocol, &a_seat).await;
}

#[tokio::test]
async fn a_service_clock_years_ahead_does_not_lease_a_seat_for_years() {
    let world = World::with_seats(1).await;
    let wrong = world.clock.independent_fake();
    let decade = 315_360_000_000;
    wrong.advance_ms(decade);
    wrong.set_redis_ahead_ms(-decade);
    let a_seat = world.machine("a").seated(&world.protocol).await;
    let far = world.instance_with(wrong).await;
    beat(&far, &a_seat).await;
    world.pass(world.timing.ttl + Duration::from_secs(7201));
    world.machine("b").seated(&world.protocol).await;
}

#[tokio::test]
async fn a_redis_clock_that_was_ahead_and_put_right_does_not_vouch_for_a_service_clock_that_is() {
    let hour = 3_600_000;
    let world = World::with_seats(1).await;
    let a_seat = world.machine("a").seated(&world.protocol).await;
    world.clock.set_redis_ahead_ms(hour);
    world.sweep().await; // the copy remembers the latest time it saw
    world.clock.set_redis_ahead_ms(0);
    let ahead = world.clock.independent_fake();
    ahead.advance_ms(hour);
    ahead.set_redis_ahead_ms(-hour);
    world.machine("b").turned_away(&world.instance_with(ahead).await).await;
    alive(&world.protocol, &a_seat).await;
}

/// Moves the clock that both a service and Redis read, in steps, with an acquire after each of them. `idle`: without
/// these acquires.
async fn set_elsewhere(steps: &[i64], idle: bool) {
    let world = World::with_seats(2).await;
    let (a, dead) = (world.machine("a"), world.machine("dead"));
    let (b, asked) = (world.machine("b"), world.instance().await);
    let a_seat = a.seated(&world.protocol).await;
    dead.seated(&world.protocol).await;
    world.pass(Duration::from_secs(100));
    alive(&asked, &a_seat).await;
    world.pass(Duration::from_secs(2));
    for step in steps {
        world.clock.step_ms(*step);
        if !idle {
            b.turned_away(&asked).await;
        }
    }
    for instance in [&asked, &world.protocol] {
        b.turned_away(instance).await;
    }
    assert_eq!(world.sweep().await.seats, 0);
    alive(&asked, &a_seat).await;
    // A live machine keeps its seat, and the dead machine's is free after one lease and the time of a heartbeat.
    for _ in 0..5 {
        world.pass(world.timing.heartbeat);
        alive(&asked, &a_seat).await;
    }
    assert!(world.timing.heartbeat * 5 <= world.timing.ttl + world.timing.heartbeat * 2);
    if steps.iter().sum::<i64>() >= 0 && steps.iter().all(|step| *step >= -10_000) {
        b.seated(&world.protocol).await;
    }
    alive(&world.protocol, &a_seat).await;
}

#[tokio::test]
async fn a_machines_clock_put_ahead_takes_no_seat_away_though_redis_and_the_service_agree() {
    for step in [600_000, 3_600_000, 400_000] {
        for idle in [false, true] {
            set_elsewhere(&[step], idle).await;
        }
    }
}

#[tokio::test]
async fn a_machines_clock_put_ahead_by_many_small_steps_takes_no_seat_away() {
    for idle in [false, true] {
        set_elsewhere(&[900; 500], idle).await;
    }
}

#[tokio::test]
async fn a_machines_clock_put_back_and_forth_takes_no_seat_away() {
    for idle in [false, true] {
        set_elsewhere(&[-600_000, 1_200_000], idle).await;
        set_elsewhere(&[600_000, -600_000, 1_200_000], idle).await;
    }
}

#[tokio::test]
async fn a_redis_clock_years_ahead_for_one_heartbeat_leases_no_seat_for_years() {
    let decade = 315_360_000_000;
    for swept in [true, false] {
        let world = World::with_seats(2).await;
        let a_seat = world.machine("a").seated(&world.protocol).await;
        world.clock.set_redis_ahead_ms(decade);
        alive(&world.protocol, &a_seat).await;
        world.clock.set_redis_ahead_ms(0);
        // A machine that comes after the clock was put right receives no lease of years either.
        world.machine("b").seated(&world.protocol).await;
        let c = world.machine("c");
        c.turned_away(&world.protocol).await;
        if swept {
            world.sweep().await;
        }
        world.pass(Duration::from_secs(7200));
        c.seated(&world.protocol).await;
        world.machine("d").seated(&world.protocol).await;
    }
}

#[tokio::test]
async fn a_redis_clock_that_was_ahead_by_an_hour_keeps_no_unfinished_ending_waiting() {
    let world = World::with_seats(1).await;
    let a_seat = world.machine("a").seated(&world.protocol).await;
    world.clock.set_redis_ahead_ms(3_600_000);
    // The session is claimed in Redis, at a time that has not come, and PostgreSQL does not hear of it.
    world.protocol.steps().cut(Step::Release);
    world.protocol.release(&open(&a_seat)).await.unwrap_err();
    world.clock.set_redis_ahead_ms(0);
    world.pass(Duration::from_millis(world.timing.reclaim_after_ms() as u64 + 1));
    world.sweep().await;
    assert_eq!(world.count(OPEN).await, 0);
}

/// Redis cannot write for ten minutes and comes back with its clock behind by as much, as a machine does that was
/// paused. A client that takes a seat or sends a heartbeat then receives a lease that holds when the clock is put
/// right.
#[tokio::test]
async fn a_lease_given_by_a_redis_that_came_back_with_its_clock_behind_holds_when_it_is_put_right() {
    let away = Duration::from_secs(600);
    let world = World::with_seats(2).await;
    let a_seat = world.machine("a").seated(&world.protocol).await;
    world.pass(Duration::from_secs(100));
    alive(&world.protocol, &a_seat).await;
    let mut redis = world.redis().await;
    let mut replicas = async |number: &str| {
        let set = redis::cmd("CONFIG").arg("SET").arg("min-replicas-to-write").arg(number).to_owned();
        set.exec_async(&mut redis).await.unwrap();
    };
    replicas("1").await;
    world.protocol.heartbeat(&open(&a_seat), None).await.unwrap_err();
    world.pass(away);
    world.clock.set_redis_ahead_ms(-(away.as_millis() as i64));
    replicas("0").await;
    alive(&world.protocol, &a_seat).await;
    let c_seat = world.machine("c").seated(&world.protocol).await;
    world.pass(Duration::from_secs(120)); // what was spared for the absence is over
    alive(&world.protocol, &c_seat).await;
    world.clock.set_redis_ahead_ms(0);
    world.machine("b").turned_away(&world.protocol).await;
    assert_eq!(world.sweep().await.seats, 0);
    alive(&world.protocol, &a_seat).await;
    world.pass(world.timing.ttl - Duration::from_secs(1));
    world.machine("b").turned_away(&world.protocol).await;
    world.pass(Duration::from_secs(2));
    world.machine("b").seated(&world.protocol).await;
}
