//! A kicked seat and its quarantine: guards of the protocol, named by docs/PROTOCOL.md.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure is a panic with its place")]

use license_core::{
    domain::lease::LeaseTiming,
    protocol::{acquire::AcquireOutcome, steps::Step},
};
use license_tests::{
    World,
    client::{alive, gone},
    world::Shape,
};
use std::time::Duration;

#[tokio::test]
async fn a_kicked_seat_is_granted_only_after_the_kicked_clients_lease() {
    let world = World::with_seats(1).await;
    let a_seat = world.machine("a").seated(&world.protocol).await;
    let b = world.machine("b");
    assert!(world.kick(0, false).await);
    b.turned_away(&world.protocol).await;
    gone(&world.protocol, &a_seat, "kicked").await;
    world.pass_ttl();
    b.turned_away(&world.protocol).await;
    world.pass(world.timing.drain);
    b.seated(&world.protocol).await;
}

#[tokio::test]
async fn the_quarantine_of_a_kick_counts_from_when_redis_learnt_of_it() {
    let world = World::with_seats(1).await;
    let a_seat = world.machine("a").seated(&world.protocol).await;
    world.seat_management.steps().cut(Step::Change); // Redis is not told
    world.try_kick(0, false).await.unwrap_err();
    for _ in 0..4 {
        world.pass(world.timing.ttl / 2);
        alive(&world.protocol, &a_seat).await; // Redis goes on saying so
    }
    world.flush().await;
    world.machine("b").turned_away(&world.protocol).await;
    gone(&world.protocol, &a_seat, "kicked").await;
    world.pass(Duration::from_millis(world.timing.rebuild_lease_ms() as u64 + 1));
    world.machine("b").seated(&world.protocol).await;
}

#[tokio::test]
async fn an_unrelated_rebuild_does_not_renew_a_quarantine_that_was_lifted() {
    let world = World::with_seats(1).await;
    world.machine("a").seated(&world.protocol).await;
    assert!(world.kick(0, false).await);
    world.machine("b").turned_away(&world.protocol).await;
    world.pass(Duration::from_millis(world.timing.rebuild_lease_ms() as u64 + 1));
    world.sweep().await;
    assert_eq!(world.count("select count(*) from seats where hold_until is not null").await, 0);
    world.flush().await;
    world.machine("b").seated(&world.protocol).await;
}

#[tokio::test]
async fn with_force_a_kicked_seat_is_free_at_once() {
    let world = World::with_seats(1).await;
    let a_seat = world.machine("a").seated(&world.protocol).await;
    assert!(world.kick(0, true).await);
    world.machine("b").seated(&world.protocol).await;
    gone(&world.protocol, &a_seat, "kicked").await;
}

#[tokio::test]
async fn a_quarantine_of_more_than_a_day_is_not_forgotten_by_redis_before_it_is_over() {
    let timing = LeaseTiming::with_ttl(Duration::from_secs(86_400));
    let world = World::shaped(Shape { seats: 1, timing, ..Shape::default() }).await;
    // No token may last that long in these tests, so the acquire fails. Redis has given the seat all the same.
    world.protocol.acquire(&world.machine("a").request()).await.unwrap_err();
    assert!(world.kick(0, false).await);
    world.machine("b").turned_away(&world.protocol).await;
    let mut redis = world.redis().await;
    let left: i64 = redis::cmd("PTTL").arg(world.key("z")).query_async(&mut redis).await.unwrap();
    assert!(left > world.timing.rebuild_lease_ms(), "nobody holds a seat, and the copy expires in {left} ms");
    world.sweep().await;
    let left: i64 = redis::cmd("PTTL").arg(world.key("z")).query_async(&mut redis).await.unwrap();
    assert!(left > world.timing.rebuild_lease_ms(), "after a sweep the copy expires in {left} ms");
}

/// A kicked seat was taken once it was free again, PostgreSQL did not learn of it, and the machine that took it died.
#[derive(Clone, Copy, Debug)]
enum Taken {
    /// Its lease has not ended.
    Now,
    /// Its lease is over.
    LongAgo,
    /// Its lease is over, and the reaper that claimed it died before it told PostgreSQL.
    AndClaimed,
}

const KICKED: &str = "kicked";
const WAITS: &str = "waits";

/// One seat, whose holder was kicked so long ago that it can be granted again.
async fn a_seat_that_has_waited() -> World {
    let world = World::with_seats(1).await;
    world.machine(KICKED).seated(&world.protocol).await;
    assert!(world.kick(0, false).await);
    world.machine(WAITS).turned_away(&world.protocol).await;
    world.pass(Duration::from_millis(world.timing.rebuild_lease_ms() as u64 + 1));
    world
}

/// Changes the license in a way that concerns no seat.
async fn edit(world: &World) {
    assert!(world.suspend().await && world.resume().await);
}

#[tokio::test]
async fn who_is_given_a_seat_that_has_waited_has_it_although_the_license_is_edited_before_that_is_written_down() {
    let world = a_seat_that_has_waited().await;
    let held = world.protocol.steps().hold(Step::Acquire);
    let asks = world.machine(WAITS).acquire_aside(&world.protocol);
    let goes_on = held.wait_until_reached().await;
    edit(&world).await;
    goes_on.send(()).unwrap();
    let told = asks.await.unwrap().unwrap();
    assert!(matches!(told, AcquireOutcome::Seat(_)), "{told:?}");
    world.assert_no_drift().await;
}

#[tokio::test]
async fn a_seat_that_has_waited_does_not_wait_again_because_who_took_it_died_before_an_edit() {
    for taken in [Taken::Now, Taken::LongAgo, Taken::AndClaimed] {
        for (took, comes) in [("took", "comes"), ("took", "took"), ("took", KICKED), (KICKED, "comes")] {
            let world = a_seat_that_has_waited().await;
            world.protocol.steps().cut(Step::Acquire);
            world.machine(took).restarted().acquire_aside(&world.protocol).await.unwrap().unwrap_err();
            if !matches!(taken, Taken::Now) {
                world.pass_ttl();
            }
            if matches!(taken, Taken::AndClaimed) {
                world.reaper.steps().cut(Step::Reap);
                world.reaper.sweep(&world.share()).await.unwrap_err();
            }
            edit(&world).await;
            let told = world.machine(comes).restarted().acquire(&world.protocol).await;
            assert!(matches!(told, AcquireOutcome::Seat(_)), "taken {taken:?} by {took}, {comes}: {told:?}");
            world.assert_no_drift().await;
        }
    }
}

#[tokio::test]
async fn a_seat_that_has_waited_and_was_taken_stays_free_however_often_others_are_changed() {
    let world = World::with_seats(2).await;
    let living = world.machine("living").seated(&world.protocol).await;
    let kicked = world.machine(KICKED).seated(&world.protocol).await;
    assert!(world.kick(kicked.granted.seat, false).await);
    alive(&world.protocol, &living).await;
    for _ in 0..2 {
        world.pass(Duration::from_millis(world.timing.rebuild_lease_ms() as u64 / 2 + 1));
        alive(&world.protocol, &living).await;
    }
    world.protocol.steps().cut(Step::Acquire);
    world.machine(WAITS).acquire_aside(&world.protocol).await.unwrap().unwrap_err();
    for _ in 0..3 {
        edit(&world).await;
        alive(&world.protocol, &living).await;
    }
    assert_eq!(world.count("select count(*) from seats where hold_until is not null").await, 1);
    world.sweep().await;
    assert_eq!(
        world.count("select count(*) from seats where hold_until is not null").await,
        0,
        "the quarantine of that seat is over"
    );
    assert_eq!(world.machine("comes").seated(&world.protocol).await.granted.seat, kicked.granted.seat);
    world.assert_no_drift().await;
}

#[tokio::test]
async fn who_took_a_seat_that_has_waited_and_is_kicked_too_is_waited_for_as_long() {
    for told in [true, false] {
        let world = a_seat_that_has_waited().await;
        let took = world.machine(WAITS).seated(&world.protocol).await;
        if !told {
            world.seat_management.steps().cut(Step::Change); // Redis is not told
            world.try_kick(0, false).await.unwrap_err();
            alive(&world.protocol, &took).await;
            edit(&world).await;
        } else {
            assert!(world.kick(0, false).await);
        }
        let comes = world.machine("comes");
        comes.turned_away(&world.protocol).await;
        gone(&world.protocol, &took, "kicked").await;
        world.pass(Duration::from_millis(world.timing.rebuild_lease_ms() as u64 - 1));
        comes.turned_away(&world.protocol).await;
        world.pass(Duration::from_millis(1));
        comes.seated(&world.protocol).await;
    }
}
