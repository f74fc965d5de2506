//! What happens to seats whose holders vanish, with and without the reaper.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure is a panic with its place")]

use license_tests::{
    World,
    client::{alive, gone, release},
};
use sqlx::{Connection, Executor, Row};
use std::time::Duration;

#[tokio::test]
async fn a_vanished_holders_seat_goes_to_somebody_else_right_after_its_lease_without_any_reaper() {
    let world = World::with_seats(1).await;
    let a_seat = world.machine("a").seated(&world.protocol).await;
    let b = world.machine("b");
    world.pass(world.timing.ttl - Duration::from_millis(1));
    b.turned_away(&world.protocol).await;
    world.pass(Duration::from_millis(1));
    b.seated(&world.protocol).await;
    assert_eq!(world.held().await, [(0, b.holder().to_string())]);
    gone(&world.protocol, &a_seat, "expired").await;
}

#[tokio::test]
async fn a_pool_full_of_dead_holders_serves_everybody_who_comes() {
    let world = World::with_seats(3).await;
    for name in ["a", "b", "c"] {
        world.machine(name).seated(&world.protocol).await;
    }
    world.pass_ttl();
    for name in ["d", "e", "f"] {
        world.machine(name).seated(&world.protocol).await;
    }
    world.machine("g").turned_away(&world.protocol).await;
}

#[tokio::test]
async fn the_reaper_writes_down_who_expired_and_when_it_was_last_heard_of() {
    let world = World::with_seats(1).await;
    let a_seat = world.machine("a").seated(&world.protocol).await;
    world.pass(Duration::from_secs(100));
    alive(&world.protocol, &a_seat).await;
    let last_heard = world.clock.now_ms();
    world.pass_ttl();
    let report = world.sweep().await;
    assert_eq!((report.seats, report.failed), (1, 0));
    let row = sqlx::query("select end_reason, last_seen_at, ended_at is not null as ended from sessions")
        .fetch_one(&mut world.truth().await)
        .await
        .unwrap();
    assert_eq!(row.get::<String, _>("end_reason"), "expired");
    assert!(row.get::<bool, _>("ended"));
    assert_eq!(license_core::clock::to_ms(row.get("last_seen_at")), last_heard);
    assert_eq!(world.sweep().await.seats, 0, "once");
    world.assert_no_drift().await;
}

#[tokio::test]
async fn a_seat_whose_holder_never_reached_the_records_is_freed_whoever_they_name() {
    // h lapses, n takes the seat in Redis and dies before the records, n lapses: the records still name h.
    let world = World::with_seats(1).await;
    world.machine("h").seated(&world.protocol).await;
    world.pass_ttl();
    world.protocol.steps().cut(license_core::protocol::steps::Step::Acquire);
    world.machine("n").acquire_aside(&world.protocol).await.unwrap().unwrap_err();
    world.pass_ttl();
    assert_eq!(world.sweep().await.seats, 1);
    assert_eq!(world.held().await, []);
    world.assert_no_drift().await;
}

#[tokio::test]
async fn after_redis_lost_everything_silent_holders_seats_come_back_within_the_rebuild_lease() {
    let world = World::with_seats(2).await;
    let a_seat = world.machine("a").seated(&world.protocol).await;
    world.machine("silent").seated(&world.protocol).await;
    world.flush().await;
    world.sweep().await; // rebuilds: somebody holds seats
    world.machine("c").turned_away(&world.protocol).await;
    for _ in 0..4 {
        world.pass(Duration::from_millis(world.timing.rebuild_lease_ms() as u64 / 4 + 1));
        alive(&world.protocol, &a_seat).await;
    }
    world.machine("c").seated(&world.protocol).await;
}

#[tokio::test]
async fn every_change_of_a_holder_is_exactly_one_event() {
    let world = World::with_seats(1).await;
    let events = async || -> Vec<(String, Option<String>, Option<String>)> {
        sqlx::query_as(
            "select kind, payload->>'reason', payload->>'to' from outbox where kind like 'seat.%' order by id",
        )
        .fetch_all(&mut world.truth().await)
        .await
        .unwrap()
    };
    let (a, b) = (world.machine("a"), world.machine("b"));
    let a_seat = a.seated(&world.protocol).await;
    a.seated(&world.protocol).await; // a retry
    let sibling = a.restarted().seated(&world.protocol).await; // a join
    alive(&world.protocol, &a_seat).await;
    assert_eq!(events().await.len(), 1, "one holder, one event");
    release(&world.protocol, &a_seat).await;
    assert_eq!(events().await.len(), 1, "a sibling holds on");
    release(&world.protocol, &sibling).await;
    b.seated(&world.protocol).await;
    world.pass_ttl();
    a.restarted().seated(&world.protocol).await; // takes over from b
    world.pass_ttl();
    world.sweep().await;
    let told: Vec<(String, Option<String>)> =
        events().await.into_iter().map(|(kind, reason, _)| (kind, reason)).collect();
    let freed = |reason: &str| ("seat.freed".to_owned(), Some(reason.to_owned()));
    let granted = ("seat.granted".to_owned(), None);
    assert_eq!(told, [granted.clone(), freed("released"), granted.clone(), granted, freed("expired")]);
}

#[tokio::test]
async fn use_is_counted_as_one_event_per_pool_and_active_minute() {
    let world = World::with_seats(2).await;
    let usage = async || -> Vec<(i64, i64, i64)> {
        sqlx::query_as(
            "select (payload->>'held')::bigint, (payload->>'peak')::bigint, (payload->>'denied')::bigint
             from outbox where kind = 'usage' order by id",
        )
        .fetch_all(&mut world.truth().await)
        .await
        .unwrap()
    };
    world.machine("a").seated(&world.protocol).await;
    let b_seat = world.machine("b").seated(&world.protocol).await;
    for _ in 0..3 {
        world.machine("c").turned_away(&world.protocol).await;
    }
    release(&world.protocol, &b_seat).await;
    let minute = Duration::from_secs(60);
    world.sweep().await;
    assert_eq!(usage().await, [], "the minute under way is not told");
    world.pass(minute);
    world.sweep().await;
    world.sweep().await; // a tick that came twice
    assert_eq!(usage().await, [(1, 2, 3)], "held, peak, denied");
    world.machine("c").seated(&world.protocol).await;
    world.pass(minute);
    world.sweep().await;
    world.sweep().await;
    assert_eq!(usage().await[1..], [(2, 2, 0)]);
    for _ in 0..5 {
        world.pass(minute);
        world.sweep().await;
    }
    assert_eq!(
        usage().await[2..],
        [(2, 2, 0), (2, 2, 0), (2, 2, 0), (2, 2, 0), (1, 2, 0)],
        "silent holders keep their seats until their leases are over"
    );
    world.pass(minute);
    world.sweep().await;
    world.pass(minute);
    world.sweep().await;
    world.pass(minute);
    world.sweep().await;
    assert_eq!(usage().await[7..], [(0, 1, 0)], "nothing once nobody is there");
}

/// When the pool was last marked as used, and by which transaction.
async fn used(world: &World) -> Option<(time::OffsetDateTime, i64)> {
    let sql = "select used_at, xmin::text::bigint from pools where used_at is not null";
    sqlx::query_as(sql).fetch_optional(&mut world.truth().await).await.unwrap()
}

#[tokio::test]
async fn a_pool_whose_last_holder_has_left_is_looked_at_until_its_use_is_told() {
    let world = World::with_seats(2).await;
    world.truth().await.execute("update pools set changed_at = null").await.unwrap();
    assert!(
        world.reaper.shares().await.unwrap().iter().all(|share| share.pools.is_empty()),
        "nobody has ever held a seat"
    );
    let seat = world.machine("a").seated(&world.protocol).await;
    release(&world.protocol, &seat).await;
    assert_eq!(world.reaper.shares().await.unwrap(), [world.share()]);
    let mark = used(&world).await.expect("marked");
    // Within the minute nothing more is written; later it is.
    let seat = world.machine("b").seated(&world.protocol).await;
    release(&world.protocol, &seat).await;
    assert_eq!(used(&world).await, Some(mark));
    world.truth().await.execute("update pools set used_at = now() - interval '61 seconds'").await.unwrap();
    let seat = world.machine("b").seated(&world.protocol).await;
    release(&world.protocol, &seat).await;
    assert!(used(&world).await > Some(mark));
    world.sweep().await;
    assert_eq!(world.reaper.shares().await.unwrap(), [world.share()], "the minute under way is not told yet");
    // The mark may be a minute older than the last use, and the clocks differ.
    world.pass(Duration::from_secs(120));
    world.sweep().await;
    assert_eq!(world.reaper.shares().await.unwrap(), [world.share()], "it may have been used after what is told");
    world.pass(Duration::from_secs(300));
    world.sweep().await;
    assert_eq!(world.count("select count(*) from usage_minutes where used = 0 and peak = 0").await, 1, "nobody came");
    assert_eq!(world.reaper.shares().await.unwrap(), [world.share()], "an hour of that is told at once");
    world.pass(Duration::from_secs(3600));
    world.sweep().await;
    world.truth().await.execute("update outbox set published_at = now()").await.unwrap();
    assert_eq!(world.reaper.shares().await.unwrap(), [], "its use is told");
}

#[tokio::test]
async fn a_release_does_not_wait_for_whoever_marks_the_pool_as_used() {
    let world = World::with_seats(2).await;
    let seat = world.machine("a").seated(&world.protocol).await;
    let mut truth = world.truth().await;
    let mut other = truth.begin().await.unwrap();
    other.execute("update pools set used_at = now()").await.unwrap();
    release(&world.protocol, &seat).await;
    assert_eq!(world.held().await, []);
    other.rollback().await.unwrap();
}

#[tokio::test]
async fn a_hundred_vanished_holders_are_closed_in_one_sweep() {
    let world = World::with_seats(100).await;
    for n in 0..100 {
        world.machine(&format!("m{n}")).seated(&world.protocol).await;
    }
    world.pass_ttl();
    assert_eq!(world.sweep().await.seats, 100);
    assert_eq!(world.held().await, []);
    world.assert_no_drift().await;
}
