//! A kicked seat and its quarantine: guards of the protocol, named by docs/PROTOCOL.md.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure is a panic with its place")]

use license_core::{domain::lease::Timing, moves::steps::Step};
use license_tests::{
    World,
    client::{alive, gone},
    world::Shape,
};
use std::time::Duration;

#[tokio::test]
async fn a_kicked_seat_is_granted_only_after_the_kicked_clients_lease() {
    let world = World::with_seats(1).await;
    let a_seat = world.machine("a").seated(&world.moves).await;
    let b = world.machine("b");
    assert!(world.kick(0, false).await);
    b.turned_away(&world.moves).await;
    gone(&world.moves, &a_seat, "kicked").await;
    world.pass_ttl();
    b.turned_away(&world.moves).await;
    world.pass(world.timing.drain);
    b.seated(&world.moves).await;
}

#[tokio::test]
async fn the_quarantine_of_a_kick_counts_from_when_redis_learnt_of_it() {
    let world = World::with_seats(1).await;
    let a_seat = world.machine("a").seated(&world.moves).await;
    world.manage.steps().cut(Step::Change); // Redis is not told
    world.try_kick(0, false).await.unwrap_err();
    for _ in 0..4 {
        world.pass(world.timing.ttl / 2);
        alive(&world.moves, &a_seat).await; // Redis goes on saying so
    }
    world.flush().await;
    world.machine("b").turned_away(&world.moves).await;
    gone(&world.moves, &a_seat, "kicked").await;
    world.pass(Duration::from_millis(world.timing.rebuild_lease_ms() as u64 + 1));
    world.machine("b").seated(&world.moves).await;
}

#[tokio::test]
async fn an_unrelated_rebuild_does_not_renew_a_quarantine_that_was_lifted() {
    let world = World::with_seats(1).await;
    world.machine("a").seated(&world.moves).await;
    assert!(world.kick(0, false).await);
    world.machine("b").turned_away(&world.moves).await;
    world.pass(Duration::from_millis(world.timing.rebuild_lease_ms() as u64 + 1));
    world.sweep().await;
    assert_eq!(world.count("select count(*) from seats where hold_until is not null").await, 0);
    world.flush().await;
    world.machine("b").seated(&world.moves).await;
}

#[tokio::test]
async fn with_force_a_kicked_seat_is_free_at_once() {
    let world = World::with_seats(1).await;
    let a_seat = world.machine("a").seated(&world.moves).await;
    assert!(world.kick(0, true).await);
    world.machine("b").seated(&world.moves).await;
    gone(&world.moves, &a_seat, "kicked").await;
}

#[tokio::test]
async fn a_quarantine_of_more_than_a_day_is_not_forgotten_by_redis_before_it_is_over() {
    let timing = Timing::with_ttl(Duration::from_secs(86_400));
    let world = World::shaped(Shape { seats: 1, timing, ..Shape::default() }).await;
    // No token is as long in a test's world: the seat is taken all the same.
    world.moves.acquire(&world.machine("a").request).await.unwrap_err();
    assert!(world.kick(0, false).await);
    world.machine("b").turned_away(&world.moves).await;
    let mut redis = world.redis().await;
    let left: i64 = redis::cmd("PTTL").arg(world.key("z")).query_async(&mut redis).await.unwrap();
    assert!(left > world.timing.rebuild_lease_ms(), "nobody holds a seat, and the copy goes in {left} ms");
    world.sweep().await;
    let left: i64 = redis::cmd("PTTL").arg(world.key("z")).query_async(&mut redis).await.unwrap();
    assert!(left > world.timing.rebuild_lease_ms(), "after a sweep the copy goes in {left} ms");
}
