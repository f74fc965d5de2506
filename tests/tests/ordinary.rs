//! Ordinary days: people edit, kick and resize while clients work, leave and die. A change is not a failover: clients
//! that are alive are not disturbed by it, and dead ones are not given another lease.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure is a panic with its place")]

use license_core::{
    domain::license::RefusalReason,
    protocol::{
        acquire::{AcquireOutcome, AcquireRefusal, LeasedSeat},
        heartbeat,
        steps::Step,
    },
    seat_store::PoolReply,
};
use license_tests::{
    World,
    client::{alive, beat, gone, open, release},
};
use sqlx::postgres::PgConnectOptions;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

/// Which change people make.
#[derive(Clone, Copy, Debug)]
enum Change {
    ForcedKick,
    Edit,
    Grow,
    Shrink,
}

const CHANGES: [Change; 4] = [Change::ForcedKick, Change::Edit, Change::Grow, Change::Shrink];

/// Somebody makes a change that is none of the others' business; a forced kick ends the CI job on seat `job`.
async fn change(world: &World, what: Change, job: u32) {
    match what {
        Change::ForcedKick => assert!(world.kick(job, true).await),
        Change::Edit => {
            world.suspend().await;
            world.resume().await;
        }
        Change::Grow => assert!(world.resize(4).await && world.resize(3).await),
        Change::Shrink => assert!(world.resize(2).await && world.resize(3).await),
    }
}

#[tokio::test]
async fn a_dead_machine_loses_its_seat_within_ttl_however_often_others_are_changed() {
    for what in CHANGES {
        let world = World::with_seats(3).await;
        let living = world.machine("living").seated(&world.protocol).await;
        world.machine("dead").seated(&world.protocol).await;
        let mut job = world.machine("job").seated(&world.protocol).await;
        // The last change falls just before the dead machine's lease is over.
        for _ in 0..5 {
            world.pass(MINUTE);
            change(&world, what, job.granted.seat).await;
            alive(&world.protocol, &living).await;
            job = world.machine("job").restarted().seated(&world.protocol).await;
            world.sweep().await;
        }
        assert_eq!(world.held().await.len(), 3, "{what:?}: its lease still goes on");
        world.pass(MINUTE + Duration::from_millis(1));
        change(&world, what, job.granted.seat).await;
        alive(&world.protocol, &living).await;
        world.sweep().await;
        let dead = world.machine("dead").holder().to_string();
        assert!(
            world.held().await.iter().all(|(_, holder)| *holder != dead),
            "{what:?}: a lease is over after a lease"
        );
        world.assert_no_drift().await;
    }
}

#[tokio::test]
async fn a_quarantine_runs_down_although_others_are_changed() {
    for what in CHANGES {
        let world = World::with_seats(3).await;
        let living = world.machine("living").seated(&world.protocol).await;
        let kicked = world.machine("kicked").seated(&world.protocol).await;
        let mut job = world.machine("job").seated(&world.protocol).await;
        assert!(world.kick(kicked.granted.seat, false).await);
        let free_at = free_at(&world, &kicked).await;
        assert_eq!(free_at, world.clock.now_ms() + world.timing.rebuild_lease_ms());
        let mut passed = Duration::ZERO;
        while passed + MINUTE < Duration::from_millis(world.timing.rebuild_lease_ms() as u64) {
            world.pass(MINUTE);
            passed += MINUTE;
            change(&world, what, job.granted.seat).await;
            alive(&world.protocol, &living).await;
            job = world.machine("job").restarted().seated(&world.protocol).await;
            world.sweep().await;
        }
        assert_eq!(self::free_at(&world, &kicked).await, free_at, "{what:?}: the end of the wait stays where it was");
        world.pass(MINUTE);
        world.sweep().await;
        world.machine("next").seated(&world.protocol).await;
        alive(&world.protocol, &living).await;
    }
}

/// From when the seat of a kicked session can be granted, as people are told.
async fn free_at(world: &World, kicked: &LeasedSeat) -> i64 {
    world.machine("nobody").acquire(&world.protocol).await; // has a stale copy rebuilt
    let looked = world
        .seats()
        .look_up_sessions(&world.license.pool, &[(kicked.granted.seat, kicked.granted.session)])
        .await
        .unwrap();
    let PoolReply::Answer(look) = looked else { panic!("the copy is warm") };
    look.sessions[0].free_at_ms.unwrap()
}

#[tokio::test]
async fn two_hours_of_kicks_edits_and_resizes_cost_nobody_alive_anything_and_the_dead_get_nothing() {
    let world = World::with_seats(5).await;
    let living =
        [world.machine("one").seated(&world.protocol).await, world.machine("two").seated(&world.protocol).await];
    world.machine("dead").seated(&world.protocol).await;
    let dead = world.machine("dead").holder().to_string();
    let kicked = world.machine("kicked").seated(&world.protocol).await;
    let mut job = world.machine("job").seated(&world.protocol).await;
    assert!(world.kick(kicked.granted.seat, false).await);
    let free = free_at(&world, &kicked).await;
    for minute in 1..=120_u32 {
        world.pass(MINUTE);
        for seat in &living {
            alive(&world.protocol, seat).await;
        }
        if minute % 5 == 0 {
            for what in [Change::ForcedKick, Change::Edit] {
                change(&world, what, job.granted.seat).await;
                job = world.machine("job").restarted().seated(&world.protocol).await;
            }
            assert!(world.resize(if minute % 10 == 5 { 6 } else { 5 }).await);
        }
        alive(&world.protocol, &job).await;
        world.sweep().await;
        let held = world.held().await;
        let waited = minute * 60 >= world.timing.ttl.as_secs() as u32;
        assert_eq!(held.iter().any(|(_, holder)| *holder == dead), !waited, "minute {minute}");
        // `seat_free_in` counts down: what it counts to stays where it is.
        if world.clock.now_ms() < free {
            assert_eq!(free_at(&world, &kicked).await, free, "minute {minute}");
        }
    }
    for seat in &living {
        alive(&world.protocol, seat).await;
    }
    world.assert_no_drift().await;
}

#[tokio::test]
async fn a_seat_given_back_while_its_license_is_edited_is_free_at_once() {
    let world = World::with_seats(1).await;
    let a_seat = world.machine("a").seated(&world.protocol).await;
    let held = world.protocol.steps().hold(Step::Release); // claimed in Redis, not yet written down
    let (protocol, handle) = (world.protocol.clone(), open(&a_seat));
    let released = tokio::spawn(async move { protocol.release(&handle).await });
    let goes_on = held.wait_until_reached().await;
    world.suspend().await;
    world.resume().await;
    goes_on.send(()).unwrap();
    released.await.unwrap().unwrap();
    world.machine("b").seated(&world.protocol).await;
    world.sweep().await;
    world.assert_no_drift().await;
}

#[tokio::test]
async fn a_seat_given_back_while_a_rebuilder_died_is_free_at_once() {
    let world = World::with_seats(1).await;
    let a_seat = world.machine("a").seated(&world.protocol).await;
    let held = world.protocol.steps().hold(Step::Release);
    let (protocol, handle) = (world.protocol.clone(), open(&a_seat));
    let released = tokio::spawn(async move { protocol.release(&handle).await });
    let goes_on = held.wait_until_reached().await;
    let dying = world.instance().await;
    world.flush().await;
    dying.steps().cut(Step::RebuildPool); // the epoch is bumped, Redis is cold
    world.machine("b").acquire_aside(&dying).await.unwrap().unwrap_err();
    world.pass(Duration::from_secs(3)); // its rebuild lock is over
    goes_on.send(()).unwrap();
    released.await.unwrap().unwrap();
    world.machine("b").seated(&world.protocol).await;
}

#[tokio::test]
async fn a_seat_whose_last_session_was_told_gone_is_free_at_once_after_a_rebuild() {
    let world = World::with_seats(1).await;
    let a_seat = world.machine("a").seated(&world.protocol).await;
    world.pass_ttl();
    world.reaper.steps().cut(Step::Reap); // claimed; the records were never told
    world.reaper.sweep(&world.share()).await.unwrap_err();
    gone(&world.protocol, &a_seat, "expired").await; // ends the session by id: the seat still names its holder
    world.flush().await;
    world.machine("b").seated(&world.protocol).await;
}

#[tokio::test]
async fn a_suspension_that_falls_into_a_rebuild_is_told_at_the_next_heartbeat() {
    let world = World::with_seats(1).await;
    let a_seat = world.machine("a").seated(&world.protocol).await;
    let other = world.instance().await;
    world.flush().await;
    let held = other.steps().hold(Step::RebuildPool); // it has read that the license is active
    let (protocol, handle) = (other.clone(), open(&a_seat));
    let asks = tokio::spawn(async move { protocol.heartbeat(&handle, None).await });
    let goes_on = held.wait_until_reached().await;
    world.suspend().await;
    goes_on.send(()).unwrap();
    asks.await.unwrap().unwrap();
    let told = beat(&world.protocol, &a_seat).await;
    assert!(matches!(told, heartbeat::HeartbeatOutcome::Refused(r) if r.why == RefusalReason::Suspended), "{told:?}");
    let told = world.machine("b").acquire(&world.protocol).await;
    assert!(
        matches!(told, AcquireOutcome::Refused(AcquireRefusal::License(r)) if r.why == RefusalReason::Suspended),
        "{told:?}"
    );
}

#[tokio::test]
async fn a_seat_taken_over_from_the_dead_while_the_license_is_edited_is_given_at_once() {
    let world = World::with_seats(1).await;
    world.machine("dead").seated(&world.protocol).await;
    world.pass_ttl();
    let held = world.protocol.steps().hold(Step::Acquire); // Redis has given the seat to b; the records still name the dead
    let asks = world.machine("b").acquire_aside(&world.protocol);
    let goes_on = held.wait_until_reached().await;
    world.suspend().await;
    world.resume().await;
    goes_on.send(()).unwrap();
    let told = asks.await.unwrap().unwrap();
    assert!(matches!(told, AcquireOutcome::Seat(_)), "{told:?}");
}

#[tokio::test]
async fn a_seat_the_reaper_has_claimed_while_the_license_is_edited_is_free_at_once() {
    let world = World::with_seats(1).await;
    world.machine("dead").seated(&world.protocol).await;
    world.pass_ttl();
    world.reaper.steps().cut(Step::Reap);
    world.reaper.sweep(&world.share()).await.unwrap_err();
    world.suspend().await;
    world.resume().await;
    world.machine("b").seated(&world.protocol).await;
}

#[tokio::test]
async fn one_of_two_processes_that_died_is_over_although_the_license_was_edited() {
    let world = World::with_seats(1).await;
    let a = world.machine("a");
    let (first, second) = (a.seated(&world.protocol).await, a.restarted().seated(&world.protocol).await);
    for _ in 0..3 {
        world.pass(2 * MINUTE);
        alive(&world.protocol, &first).await;
        world.suspend().await;
        world.resume().await;
        alive(&world.protocol, &first).await;
    }
    world.pass(Duration::from_millis(1));
    world.sweep().await;
    assert_eq!(world.count("select count(*) from sessions where ended_at is null").await, 1);
    gone(&world.protocol, &second, "expired").await;
    release(&world.protocol, &first).await;
    world.machine("b").seated(&world.protocol).await;
}

/// Nobody renews a lease while a pool waits for its rebuild. That the records are away then for however long is no fault of who asks.
#[tokio::test]
async fn who_kept_asking_while_a_license_was_edited_and_the_records_were_away_is_not_overtaken() {
    for minutes in [2, 5, 300] {
        let world = World::with_seats(2).await;
        let dead = world.machine("dead").seated(&world.protocol).await;
        let living = world.machine("living").seated(&world.protocol).await;
        world.pass(MINUTE * 5);
        alive(&world.protocol, &living).await;
        let nowhere = PgConnectOptions::new().host("127.0.0.1").port(1);
        let cut_off = world.instance_over(&world.redis.url(), nowhere, world.clock.clone()).await;
        assert!(world.resize(3).await && world.resize(2).await);
        for _ in 0..2 {
            cut_off.heartbeat(&open(&living), None).await.unwrap_err();
            world.pass(MINUTE * minutes);
        }
        let waits = world.machine("waits");
        waits.turned_away(&world.protocol).await;
        alive(&world.protocol, &living).await;
        // The dead machine's lease goes on for what it had left when nobody could ask any more, and no longer.
        world.pass(MINUTE - Duration::from_secs(1));
        waits.turned_away(&world.protocol).await;
        world.pass(Duration::from_secs(2));
        assert_eq!(waits.seated(&world.protocol).await.granted.seat, dead.granted.seat, "twice {minutes} minutes");
        alive(&world.protocol, &living).await;
    }
}

/// Nobody asked, so nobody missed a renewal.
#[tokio::test]
async fn a_pool_that_waits_for_its_rebuild_although_nobody_asks_gives_the_dead_no_longer_lease() {
    let world = World::with_seats(1).await;
    world.machine("dead").seated(&world.protocol).await;
    for _ in 0..6 {
        assert!(world.resize(2).await && world.resize(1).await);
        world.pass(MINUTE - Duration::from_millis(1));
        world.machine("waits").turned_away(&world.protocol).await;
    }
    world.pass(Duration::from_millis(6));
    world.machine("waits").seated(&world.protocol).await;
}

/// A request waits longer than that for a rebuild, so nobody who asked has missed a renewal.
#[tokio::test]
async fn rebuilds_that_take_seconds_give_the_dead_no_longer_lease() {
    let world = World::with_seats(2).await;
    world.machine("dead").seated(&world.protocol).await;
    let living = world.machine("living").seated(&world.protocol).await;
    let nowhere = PgConnectOptions::new().host("127.0.0.1").port(1);
    let cut_off = world.instance_over(&world.redis.url(), nowhere, world.clock.clone()).await;
    let slow = Duration::from_secs(4);
    for _ in 0..2 {
        assert!(world.resize(3).await && world.resize(2).await);
        cut_off.heartbeat(&open(&living), None).await.unwrap_err();
        world.pass(slow);
        alive(&world.protocol, &living).await;
    }
    world.pass(world.timing.ttl - 2 * slow - Duration::from_secs(1));
    let waits = world.machine("waits");
    waits.turned_away(&world.protocol).await;
    world.pass(Duration::from_secs(1));
    waits.seated(&world.protocol).await;
    alive(&world.protocol, &living).await;
}
