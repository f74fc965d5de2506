//! validate gives the answer that an acquire would receive, in every state a pool can be in.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure is a panic with its place")]

use license_core::{
    protocol::{acquire, steps::Step, validate},
    seat_store::SeatProspect,
};
use license_tests::{
    Machine, World,
    client::{open, release},
    world::Shape,
};
use std::time::Duration;

/// validate, and then the acquire right after it, by a new process of that machine.
async fn agree(world: &World, machine: &Machine, state: &str) -> SeatProspect {
    let machine = machine.restarted();
    let told = world.protocol.validate(&machine.key, Some(&machine.hardware), machine.instance.as_ref(), &machine.pool);
    let validate::ValidateOutcome::Valid(valid) = told.await.unwrap() else { panic!("{state}: a valid license") };
    let outcome = machine.acquire(&world.protocol).await;
    let got = match &outcome {
        acquire::AcquireOutcome::Seat(_) => SeatProspect::Seat,
        acquire::AcquireOutcome::Refused(acquire::AcquireRefusal::Full(_)) => SeatProspect::Full,
        acquire::AcquireOutcome::Refused(acquire::AcquireRefusal::TooMany(_)) => SeatProspect::TooMany,
        other => panic!("{state}: {other:?}"),
    };
    assert_eq!(valid.prospect, got, "{state}: {valid:?} but {outcome:?}");
    got
}

/// A pool of so many seats, all of them held by machines that live: `m0`, `m1`, …
async fn full(seats: u32) -> (World, Vec<acquire::LeasedSeat>) {
    let world = World::shaped(Shape { seats, processes: 2, ..Shape::default() }).await;
    let mut held = Vec::new();
    for n in 0..seats {
        held.push(world.machine(&format!("m{n}")).seated(&world.protocol).await);
    }
    (world, held)
}

#[tokio::test]
async fn a_full_house_is_full_for_who_comes_and_open_to_who_sits_in_it() {
    let (world, _held) = full(2).await;
    assert_eq!(agree(&world, &world.machine("new"), "full").await, SeatProspect::Full);
    assert_eq!(agree(&world, &world.machine("m0"), "its second process").await, SeatProspect::Seat);
    assert_eq!(agree(&world, &world.machine("m0"), "its third").await, SeatProspect::TooMany);
}

#[tokio::test]
async fn a_seat_of_the_dead_is_free_before_and_after_a_sweep() {
    for swept in [false, true] {
        let (world, _held) = full(1).await;
        world.pass_ttl();
        if swept {
            world.sweep().await;
        }
        assert_eq!(agree(&world, &world.machine("new"), "dead").await, SeatProspect::Seat, "swept: {swept}");
    }
    let (world, _held) = full(1).await;
    world.pass_ttl();
    world.reaper.steps().cut(Step::Reap);
    world.reaper.sweep(&world.share()).await.unwrap_err();
    assert_eq!(agree(&world, &world.machine("new"), "claimed").await, SeatProspect::Seat);
}

#[tokio::test]
async fn a_seat_given_back_is_free_although_redis_was_not_told_of_its_end() {
    for step in [Step::Release, Step::EndSeats] {
        let (world, held) = full(1).await;
        world.protocol.steps().cut(step);
        world.protocol.release(&open(&held[0])).await.unwrap_err();
        assert_eq!(agree(&world, &world.machine("new"), "given back").await, SeatProspect::Seat, "{step:?}");
    }
}

#[tokio::test]
async fn a_kicked_seat_is_free_after_its_quarantine_and_at_once_with_force() {
    let (world, held) = full(1).await;
    assert!(world.kick(held[0].granted.seat, false).await);
    assert_eq!(agree(&world, &world.machine("new"), "in quarantine").await, SeatProspect::Full);
    world.pass(Duration::from_millis(world.timing.rebuild_lease_ms() as u64 + 1));
    assert_eq!(agree(&world, &world.machine("new"), "after it").await, SeatProspect::Seat);
    let (world, held) = full(1).await;
    assert!(world.kick(held[0].granted.seat, true).await);
    assert_eq!(agree(&world, &world.machine("new"), "by force").await, SeatProspect::Seat);
}

#[tokio::test]
async fn a_pool_that_drains_is_full_until_its_living_are_fewer_than_its_seats() {
    let (world, held) = full(3).await;
    assert!(world.resize(1).await);
    assert_eq!(agree(&world, &world.machine("new"), "drains").await, SeatProspect::Full);
    release(&world.protocol, &held[0]).await;
    assert_eq!(agree(&world, &world.machine("new"), "drains still").await, SeatProspect::Full);
    world.pass(Duration::from_millis(world.timing.rebuild_lease_ms() as u64 + 1));
    assert_eq!(agree(&world, &world.machine("new"), "full of the dead").await, SeatProspect::Seat);
}

#[tokio::test]
async fn nobody_is_promised_a_seat_before_a_restored_pool_opens() {
    let (world, _held) = full(2).await;
    sqlx::query("update pools set opens_at = now() + interval '1 hour'")
        .execute(&mut world.truth().await)
        .await
        .unwrap();
    world.flush().await;
    assert_eq!(agree(&world, &world.machine("m0"), "closed").await, SeatProspect::Full);
    world.pass(Duration::from_secs(3700));
    assert_eq!(agree(&world, &world.machine("m0"), "open").await, SeatProspect::Seat);
}

#[tokio::test]
async fn licenses_that_count_processes_are_told_by_process() {
    let world = World::shaped(Shape { seats: 1, holder_by: "process", ..Shape::default() }).await;
    let machine = world.machine("a");
    machine.seated(&world.protocol).await;
    assert_eq!(agree(&world, &machine, "the process that holds it").await, SeatProspect::Seat);
    assert_eq!(agree(&world, &machine.instance("another"), "another process of the machine").await, SeatProspect::Full);
    world.pass_ttl();
    assert_eq!(agree(&world, &machine.instance("another"), "the first is dead").await, SeatProspect::Seat);
}
