//! The crash table of docs/PROTOCOL.md, section 7, row by row: the process dies after a step, and a later request or
//! sweep repairs what it left.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure is a panic with its place")]

mod changes;

use license_core::{
    domain::{license::Status, session::EndReason},
    protocol::{
        acquire::{AcquireOutcome, AcquireRefusal},
        publish,
        steps::Step,
    },
    records::{EndOutcome, GrantOutcome, SeatEnding},
    seat_store::{AcquireAnswer, PoolReply},
};
use license_tests::{
    World,
    client::{alive, gone, open, release, seat},
};
use std::sync::Mutex;

const OPEN: &str = "select count(*) from sessions where ended_at is null";
const HELD: &str = "select count(*) from seats where holder is not null";

#[tokio::test]
async fn dying_after_the_script_of_acquire_leaves_a_reservation_its_machine_gets_at_once() {
    let world = World::with_seats(1).await;
    let a = world.machine("a");
    world.protocol.steps().cut(Step::Acquire);
    a.acquire_aside(&world.protocol).await.unwrap().unwrap_err();
    assert_eq!(world.count(HELD).await, 0, "nobody was told, nothing is written down");
    world.machine("b").turned_away(&world.protocol).await;
    a.seated(&world.protocol).await;
    assert_eq!(world.held().await, [(0, a.holder().to_string())]);
}

#[tokio::test]
async fn dying_after_the_script_of_acquire_leaves_a_reservation_others_get_within_a_lease() {
    let world = World::with_seats(1).await;
    world.protocol.steps().cut(Step::Acquire);
    world.machine("a").acquire_aside(&world.protocol).await.unwrap().unwrap_err();
    world.pass_ttl();
    let b = world.machine("b");
    b.seated(&world.protocol).await;
    assert_eq!(world.held().await, [(0, b.holder().to_string())]);
}

#[tokio::test]
async fn a_grant_whose_answer_was_lost_is_repeated_and_says_ok_without_writing_twice() {
    let world = World::with_seats(1).await;
    let a = world.machine("a");
    world.protocol.steps().cut(Step::Acquire); // makes the copy
    a.acquire_aside(&world.protocol).await.unwrap().unwrap_err();
    let hashes = a.key.hashes(&license_tests::world::peppers());
    let claimant = a.restarted().claimant();
    let session = license_core::domain::id::SessionId::draw();
    let answer = world.seats().acquire(&world.license.pool, &hashes, &claimant, session).await.unwrap();
    let PoolReply::Answer(AcquireAnswer::Granted(granted)) = answer else { panic!("{answer:?}") };
    let service = world.service();
    for _ in 0..2 {
        let outcome = service.grant_seat(&granted, &claimant, &hashes, world.timing.ttl).await.unwrap();
        assert_eq!(outcome, GrantOutcome::Ok);
    }
    assert_eq!((world.count(HELD).await, world.count(OPEN).await), (1, 1));
    assert_eq!(world.count("select count(*) from outbox where kind = 'seat.granted'").await, 1);
}

#[tokio::test]
async fn dying_after_the_commit_of_acquire_gives_the_same_session_to_the_retry() {
    let world = World::with_seats(1).await;
    let a = world.machine("a");
    world.protocol.steps().cut(Step::Grant);
    a.acquire_aside(&world.protocol).await.unwrap().unwrap_err();
    let written: uuid::Uuid =
        sqlx::query_scalar("select session_id from sessions").fetch_one(&mut world.truth().await).await.unwrap();
    let retry = a.seated(&world.protocol).await;
    assert!(retry.renewed);
    assert_eq!(retry.granted.session.0, written);
    assert_eq!(world.count(OPEN).await, 1);
    alive(&world.protocol, &retry).await;
}

#[tokio::test]
async fn dying_after_the_commit_of_acquire_costs_others_a_lease_at_most() {
    let world = World::with_seats(1).await;
    world.protocol.steps().cut(Step::Grant);
    world.machine("a").acquire_aside(&world.protocol).await.unwrap().unwrap_err();
    world.machine("b").turned_away(&world.protocol).await;
    world.pass_ttl();
    world.sweep().await;
    assert_eq!((world.count(HELD).await, world.count(OPEN).await), (0, 0), "the reaper writes it down");
    world.machine("b").seated(&world.protocol).await;
}

#[tokio::test]
async fn an_acquire_paused_for_longer_than_a_lease_gives_no_lease() {
    let world = World::with_seats(1).await;
    let held = world.protocol.steps().hold(Step::Acquire);
    let asks = world.machine("a").acquire_aside(&world.protocol);
    let goes_on = held.wait_until_reached().await;
    world.pass_ttl();
    goes_on.send(()).unwrap();
    // Nobody came meanwhile: it is still the highest ticket and commits; but what it signs is over already.
    let late = seat(asks.await.unwrap().unwrap());
    let claims = license_tests::claims(&late.lease.token);
    assert!(claims["exp"].as_i64().unwrap() < world.clock.now_seconds(), "{claims}");
    world.machine("b").seated(&world.protocol).await;
}

#[tokio::test]
async fn dying_after_the_script_of_release_leaves_a_seat_the_next_takes_at_once() {
    let world = World::with_seats(1).await;
    let a_seat = world.machine("a").seated(&world.protocol).await;
    world.protocol.steps().cut(Step::Release);
    world.protocol.release(&open(&a_seat)).await.unwrap_err();
    assert_eq!(world.count(HELD).await, 1, "the records do not know yet");
    let b = world.machine("b");
    b.seated(&world.protocol).await;
    assert_eq!(world.held().await, [(0, b.holder().to_string())]);
    assert_eq!(world.count(OPEN).await, 1);
}

#[tokio::test]
async fn dying_after_the_script_of_release_is_finished_by_the_reaper() {
    let world = World::with_seats(1).await;
    let a_seat = world.machine("a").seated(&world.protocol).await;
    world.protocol.steps().cut(Step::Release);
    world.protocol.release(&open(&a_seat)).await.unwrap_err();
    assert_eq!(world.sweep().await.seats, 0, "whoever claimed it may still be at it");
    assert_eq!(world.sweep_until_quiet().await, 1);
    assert_eq!((world.count(HELD).await, world.count(OPEN).await), (0, 0));
    world.assert_no_drift().await;
}

#[tokio::test]
async fn dying_after_the_script_of_release_does_not_keep_its_machine_out() {
    let world = World::with_seats(1).await;
    let a = world.machine("a");
    let a_seat = a.seated(&world.protocol).await;
    world.protocol.steps().cut(Step::Release);
    world.protocol.release(&open(&a_seat)).await.unwrap_err();
    let next = a.restarted().seated(&world.protocol).await;
    assert_eq!(next.granted.seat, a_seat.granted.seat);
    gone(&world.protocol, &a_seat, "expired").await;
    alive(&world.protocol, &next).await;
}

#[tokio::test]
async fn dying_before_redis_hears_of_an_end_is_repaired_by_the_next_acquire_or_the_reaper() {
    let world = World::with_seats(1).await;
    for name in ["a", "b"] {
        let taken = world.machine(name).seated(&world.protocol).await;
        world.protocol.steps().cut(Step::EndSeats);
        world.protocol.release(&open(&taken)).await.unwrap_err();
        assert_eq!(world.count(HELD).await, 0);
    }
    assert_eq!(world.sweep_until_quiet().await, 1);
    world.assert_no_drift().await;
    world.machine("c").seated(&world.protocol).await;
}

#[tokio::test]
async fn a_claim_of_a_reaper_that_died_is_taken_up_again() {
    let world = World::with_seats(1).await;
    world.machine("a").seated(&world.protocol).await;
    world.pass_ttl();
    world.reaper.steps().cut(Step::Reap);
    world.reaper.sweep(&world.share()).await.unwrap_err();
    assert_eq!(world.count(HELD).await, 1);
    assert_eq!(world.sweep().await.seats, 0, "not at once: the other may still be at it");
    assert_eq!(world.sweep_until_quiet().await, 1);
    assert_eq!((world.count(HELD).await, world.count(OPEN).await), (0, 0));
    world.assert_no_drift().await;
}

#[tokio::test]
async fn a_claim_of_a_reaper_that_died_keeps_nobody_from_the_seat() {
    let world = World::with_seats(1).await;
    world.machine("a").seated(&world.protocol).await;
    world.pass_ttl();
    world.reaper.steps().cut(Step::Reap);
    world.reaper.sweep(&world.share()).await.unwrap_err();
    let b = world.machine("b");
    b.seated(&world.protocol).await;
    assert_eq!(world.held().await, [(0, b.holder().to_string())]);
}

#[tokio::test]
async fn a_session_claimed_by_a_reaper_that_died_is_ended_by_the_next() {
    let world = World::with_seats(1).await;
    world.machine("a").seated(&world.protocol).await;
    let sibling = world.machine("a").seated(&world.protocol).await;
    world.pass(world.timing.ttl / 2);
    alive(&world.protocol, &sibling).await;
    world.pass(world.timing.ttl / 2 + std::time::Duration::from_millis(1));
    world.reaper.steps().cut(Step::Reap);
    world.reaper.sweep(&world.share()).await.unwrap_err();
    assert_eq!(world.sweep().await.sessions, 1);
    assert_eq!(world.count(OPEN).await, 1);
    alive(&world.protocol, &sibling).await;
    world.assert_no_drift().await;
}

#[tokio::test]
async fn dying_in_the_middle_of_a_rebuild_leaves_it_to_the_next_caller() {
    let world = World::with_seats(1).await;
    let a_seat = world.machine("a").seated(&world.protocol).await;
    let epoch = world.epoch().await;
    world.flush().await;
    world.protocol.steps().cut(Step::RebuildPool);
    world.protocol.heartbeat(&open(&a_seat), None).await.unwrap_err();
    assert_eq!(world.epoch().await, epoch + 1);
    world.pass(std::time::Duration::from_secs(2)); // until then it may still be at it
    alive(&world.protocol, &a_seat).await;
    assert_eq!(world.epoch().await, epoch + 2);
}

#[tokio::test]
async fn dying_before_redis_hears_of_a_change_grants_nothing_old_and_takes_nothing_away() {
    let world = World::with_seats(2).await;
    let a_seat = world.machine("a").seated(&world.protocol).await;
    world.seat_management.steps().cut(Step::Change);
    world.try_decide(Status::Suspended).await.unwrap_err();
    alive(&world.protocol, &a_seat).await; // Redis does not know
    let told = world.machine("b").acquire(&world.protocol).await;
    assert!(
        matches!(told, AcquireOutcome::Refused(AcquireRefusal::License(_))),
        "grants are refused at once by their epoch: {told:?}"
    );
    let told = license_tests::client::beat(&world.protocol, &a_seat).await;
    assert!(
        matches!(told, license_core::protocol::heartbeat::HeartbeatOutcome::Refused(_)),
        "and the copy is repaired: {told:?}"
    );
}

#[tokio::test]
async fn a_change_redis_did_not_hear_of_is_repaired_by_the_reapers_look_at_the_pool() {
    let world = World::with_seats(1).await;
    let a_seat = world.machine("a").seated(&world.protocol).await;
    world.seat_management.steps().cut(Step::Change);
    world.try_kick(0, false).await.unwrap_err();
    alive(&world.protocol, &a_seat).await;
    world.sweep().await;
    gone(&world.protocol, &a_seat, "kicked").await;
}

#[tokio::test]
async fn a_release_overtaken_by_a_rebuild_is_done_again_in_the_new_epoch() {
    let world = World::with_seats(1).await;
    let other = world.instance().await;
    let a_seat = world.machine("a").seated(&world.protocol).await;
    let held = other.steps().hold(Step::Release);
    let releases = tokio::spawn({
        let (other, handle) = (other.clone(), open(&a_seat));
        async move { other.release(&handle).await }
    });
    let goes_on = held.wait_until_reached().await;
    world.flush().await;
    world.machine("b").turned_away(&world.protocol).await; // rebuilt with a in it
    goes_on.send(()).unwrap();
    releases.await.unwrap().unwrap();
    assert_eq!((world.count(HELD).await, world.count(OPEN).await), (0, 0));
    world.machine("b").seated(&world.protocol).await;
}

#[tokio::test]
async fn an_ending_that_comes_twice_or_too_late_changes_nothing_more() {
    let world = World::with_seats(1).await;
    let a_seat = world.machine("a").seated(&world.protocol).await;
    let license = &world.license;
    let claim = license_core::domain::pool::LeaseClaim { seq: 9, lease_end_ms: 0 };
    let ending = SeatEnding {
        epoch: world.epoch().await as u64,
        seats: vec![license_core::domain::pool::SeatClaim { seat: 0, claim }],
        ..SeatEnding::default()
    };
    let end = async || {
        let service = world.service();
        service.end_seats(license.tenant, license.pool_id, &ending, EndReason::Expired, world.timing.ttl).await.unwrap()
    };
    let done = EndOutcome { done: Some(vec![(0, false)]), released_at: None };
    assert_eq!(end().await, done);
    assert_eq!(end().await, done, "a lost answer is repeated");
    assert_eq!(world.count("select count(*) from outbox where kind = 'seat.freed'").await, 1);
    world.flush().await;
    let b_seat = world.machine("b").seated(&world.protocol).await;
    assert_eq!(end().await.done, None, "a new epoch stands");
    alive(&world.protocol, &b_seat).await;
    gone(&world.protocol, &a_seat, "expired").await;
}

#[tokio::test]
async fn dying_after_publishing_publishes_again_with_the_same_ids() {
    let world = World::with_seats(1).await;
    let a_seat = world.machine("a").seated(&world.protocol).await;
    release(&world.protocol, &a_seat).await;
    let published: Mutex<Vec<Vec<uuid::Uuid>>> = Mutex::default();
    let publish = |events: &[license_core::domain::event::Event]| {
        published.lock().unwrap().push(events.iter().map(|e| e.id).collect());
        async { Ok(()) }
    };
    let (records, steps) = (world.reaper.records(), world.reaper.steps());
    steps.cut(Step::Publish);
    publish::drain(records, steps, publish).await.unwrap_err();
    let count = publish::drain(records, steps, publish).await.unwrap();
    assert_eq!(publish::drain(records, steps, publish).await.unwrap(), 0);
    let published = published.lock().unwrap();
    assert_eq!(published.len(), 2);
    assert_eq!(published[0], published[1], "the same events, for consumers to know them by");
    assert_eq!(published[0].len(), count);
}

#[tokio::test]
async fn a_sibling_dropped_by_a_join_that_died_is_ended_by_the_next() {
    let world = World::with_seats(1).await;
    let a = world.machine("a");
    a.seated(&world.protocol).await;
    world.pass_ttl();
    world.protocol.steps().cut(Step::Acquire); // Redis counts the first run out; the records do not know
    a.restarted().acquire_aside(&world.protocol).await.unwrap().unwrap_err();
    let third = a.restarted().seated(&world.protocol).await;
    assert_eq!(world.count(OPEN).await, 1);
    alive(&world.protocol, &third).await;
    // And the first attempt is not locked out by its own old session.
    a.seated(&world.protocol).await;
}
