//! One test for each guard of the protocol, named by docs/PROTOCOL.md: each fails in a build without its guard.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure is a panic with its place")]

use license_core::{
    domain::lease::LeaseTiming,
    protocol::{
        acquire::{AcquireOutcome, AcquireRefusal},
        heartbeat::HeartbeatOutcome,
        steps::Step,
    },
    seat_store::NonceAnswer,
};
use license_tests::{
    World,
    client::{alive, beat, gone, open, release, seat},
};
use std::time::Duration;

/// Counts the open sessions in PostgreSQL.
const OPEN: &str = "select count(*) from sessions where ended_at is null";

#[tokio::test]
async fn a_grant_decided_before_a_rebuild_is_not_written_down() {
    let world = World::with_seats(1).await;
    let (first, second) = (world.instance().await, world.instance().await);
    let (a, b) = (world.machine("a"), world.machine("b"));
    let a_held = first.steps().hold(Step::Acquire);
    let a_asks = a.acquire_aside(&first);
    let a_goes_on = a_held.wait_until_reached().await;
    world.flush().await;
    let b_held = second.steps().hold(Step::Acquire);
    let b_asks = b.acquire_aside(&second);
    let b_goes_on = b_held.wait_until_reached().await;

    a_goes_on.send(()).unwrap();
    let a_told = a_asks.await.unwrap().unwrap();
    assert!(
        matches!(a_told, AcquireOutcome::Refused(AcquireRefusal::Full(_))),
        "the seat is b's in the copy that counts, not {a_told:?}"
    );
    b_goes_on.send(()).unwrap();
    let b_seat = seat(b_asks.await.unwrap().unwrap());
    alive(&world.protocol, &b_seat).await;
    assert_eq!(world.held().await, [(0, b.holder().to_string())]);
}

#[tokio::test]
async fn a_paused_acquire_cannot_take_a_seat_twice() {
    let world = World::with_seats(1).await;
    let first = world.instance().await;
    let (a, b) = (world.machine("a"), world.machine("b"));
    let held = first.steps().hold(Step::Acquire);
    let asks = a.acquire_aside(&first);
    let goes_on = held.wait_until_reached().await;
    world.pass_ttl();
    let b_seat = b.seated(&world.protocol).await;

    goes_on.send(()).unwrap();
    let told = asks.await.unwrap().unwrap();
    assert!(matches!(told, AcquireOutcome::Refused(AcquireRefusal::Full(_))), "it was overtaken: {told:?}");
    alive(&world.protocol, &b_seat).await;
    assert_eq!(world.held().await, [(0, b.holder().to_string())]);
    assert_eq!(world.count(OPEN).await, 1);
}

#[tokio::test]
async fn a_paused_acquire_does_not_free_the_newer_seat_of_its_machine() {
    let world = World::with_seats(2).await;
    let (first, third) = (world.instance().await, world.instance().await);
    let (h, n, m) = (world.machine("h"), world.machine("n"), world.machine("m"));
    let held = first.steps().hold(Step::Acquire);
    let asks = h.acquire_aside(&first); // seat 0
    let goes_on = held.wait_until_reached().await;
    let m_seat = m.seated(&world.protocol).await; // seat 1
    world.pass(world.timing.ttl / 2);
    alive(&world.protocol, &m_seat).await;
    world.pass(world.timing.ttl / 2 + Duration::from_millis(1));
    alive(&world.protocol, &m_seat).await;
    third.steps().cut(Step::Acquire); // n takes seat 0 in Redis and dies
    n.acquire_aside(&third).await.unwrap().unwrap_err();
    release(&world.protocol, &m_seat).await;
    let newer = h.restarted().seated(&world.protocol).await; // seat 1
    assert_eq!(newer.granted.seat, 1);

    goes_on.send(()).unwrap();
    let older = seat(asks.await.unwrap().unwrap());
    assert_eq!(older.granted.seat, 1, "the paused acquire joins its machine's new seat");
    assert_eq!(world.held().await, [(1, h.holder().to_string())]);
    assert_eq!(world.count(OPEN).await, 2, "the newer process keeps its session");
    alive(&world.protocol, &newer).await;
    alive(&world.protocol, &older).await;
}

#[tokio::test]
async fn a_promoted_copy_that_missed_a_grant_is_not_trusted() {
    let world = World::with_seats(1).await;
    let a = world.machine("a");
    world.machine("b").seated(&world.protocol).await; // so that there is a copy
    world.pass_ttl();
    world.sweep().await;
    let before = world.dump().await;
    let a_seat = a.seated(&world.protocol).await;
    // What a replica contains that was promoted before the grant to machine a reached it.
    world.restore(&before).await;
    world.promote().await;

    world.machine("b").turned_away(&world.protocol).await;
    alive(&world.protocol, &a_seat).await;
    assert_eq!(world.held().await, [(0, a.holder().to_string())]);
}

#[tokio::test]
async fn losing_any_one_key_loses_nobody_a_seat() {
    for key in ["h", "z", "s", "m", "n"] {
        let world = World::with_seats(1).await;
        let a = world.machine("a");
        let a_seat = a.seated(&world.protocol).await;
        a.restarted().seated(&world.protocol).await; // a seat's only session is not in n
        let epoch = world.epoch().await;
        world.forget(key).await;
        alive(&world.protocol, &a_seat).await;
        assert_eq!(world.epoch().await, epoch + 1, "the loss of {key} is seen and repaired once");
        world.forget(key).await;
        world.machine("b").turned_away(&world.protocol).await;
        alive(&world.protocol, &a_seat).await;
    }
}

#[tokio::test]
async fn a_rebuild_that_read_the_records_before_the_copy_was_lost_again_is_refused() {
    let world = World::with_seats(1).await;
    let (slow, quick) = (world.instance().await, world.instance().await);
    let a_seat = world.machine("a").seated(&world.protocol).await;
    world.flush().await;
    let held = slow.steps().hold(Step::RebuildPool);
    let beats = tokio::spawn({
        let (slow, handle) = (slow.clone(), open(&a_seat));
        async move { slow.heartbeat(&handle, None).await }
    });
    let goes_on = held.wait_until_reached().await; // has read that a holds the seat
    world.pass(Duration::from_secs(3));
    let b = world.machine("b");
    b.turned_away(&quick).await; // rebuilds
    world.pass(Duration::from_millis(world.timing.rebuild_lease_ms() as u64 + 1));
    let b_seat = b.seated(&quick).await; // a's lease is over
    world.flush().await;

    goes_on.send(()).unwrap();
    let told = beats.await.unwrap().unwrap();
    assert!(
        matches!(&told, HeartbeatOutcome::Gone(reason) if reason.as_str() == "expired"),
        "the seat is b's, so not {told:?}"
    );
    alive(&quick, &b_seat).await;
}

#[tokio::test]
async fn a_heartbeat_does_not_shorten_the_lease_a_rebuild_gave() {
    let world = World::with_seats(1).await;
    let a_seat = world.machine("a").seated(&world.protocol).await;
    world.flush().await;
    alive(&world.protocol, &a_seat).await; // TTL + DRAIN, since an old primary may still answer others
    alive(&world.protocol, &a_seat).await;
    world.pass_ttl();
    world.machine("b").turned_away(&world.protocol).await;
    world.pass(world.timing.drain);
    world.machine("b").seated(&world.protocol).await;
}

#[tokio::test]
async fn a_session_claimed_by_the_reaper_cannot_come_back() {
    let world = World::with_seats(1).await;
    let (a, sibling) = (world.machine("a"), world.machine("a"));
    let a_seat = a.seated(&world.protocol).await;
    let sibling_seat = sibling.seated(&world.protocol).await;
    world.pass(world.timing.ttl / 2);
    alive(&world.protocol, &sibling_seat).await;
    world.pass(world.timing.ttl / 2 + Duration::from_millis(1));

    let held = world.reaper.steps().hold(Step::Reap);
    let sweeps = {
        let reaper = world.reaper.clone();
        let share = world.share();
        tokio::spawn(async move { reaper.sweep(&share).await })
    };
    let goes_on = held.wait_until_reached().await;
    gone(&world.protocol, &a_seat, "expired").await;
    goes_on.send(()).unwrap();
    assert_eq!(sweeps.await.unwrap().unwrap().sessions, 1);
    alive(&world.protocol, &sibling_seat).await;
    assert_eq!(world.count(OPEN).await, 1);
}

#[tokio::test]
async fn a_late_heartbeat_before_the_claim_keeps_its_session() {
    let world = World::with_seats(1).await;
    let a_seat = world.machine("a").seated(&world.protocol).await;
    world.pass_ttl();
    alive(&world.protocol, &a_seat).await;
    assert_eq!(world.sweep().await.seats, 0);
    alive(&world.protocol, &a_seat).await;
}

#[tokio::test]
async fn an_ended_session_is_never_opened_again() {
    // A repeated acquire of machine a draws a newer ticket and is paused, and a releases its seat meanwhile. The
    // repeated acquire must not open the session again.
    let world = World::with_seats(1).await;
    let first = world.instance().await;
    let a = world.machine("a");
    let a_seat = a.seated(&world.protocol).await;
    let sibling = world.machine("a").seated(&world.protocol).await;
    let held = first.steps().hold(Step::Acquire);
    let copy = a.acquire_aside(&first);
    let goes_on = held.wait_until_reached().await;
    release(&world.protocol, &a_seat).await;
    goes_on.send(()).unwrap();
    let late = seat(copy.await.unwrap().unwrap());
    assert_ne!(late.granted.session, a_seat.granted.session, "an ended id is not used again");
    gone(&world.protocol, &a_seat, "released").await;
    alive(&world.protocol, &sibling).await;
}

#[tokio::test]
async fn a_session_told_gone_does_not_come_back_with_a_rebuild() {
    let world = World::with_seats(1).await;
    let a_seat = world.machine("a").seated(&world.protocol).await;
    world.pass_ttl();
    world.reaper.steps().cut(Step::Reap); // claimed, the records do not know
    world.reaper.sweep(&world.share()).await.unwrap_err();
    gone(&world.protocol, &a_seat, "expired").await;
    world.flush().await;
    let other = world.instance().await; // remembers nothing
    gone(&other, &a_seat, "expired").await;
}

#[tokio::test]
async fn a_free_of_an_old_epoch_frees_nothing_in_a_new_one() {
    let world = World::with_seats(1).await;
    let seats = world.seats();
    let pool = &world.license.pool;
    let a_seat = world.machine("a").seated(&world.protocol).await;
    world.protocol.steps().cut(Step::EndSeats);
    world.protocol.release(&open(&a_seat)).await.unwrap_err(); // ticket (1, 2) is written down, FREE never came
    world.flush().await;
    let b_seat = world.machine("b").seated(&world.protocol).await; // ticket (2, 1)
    world.protocol.steps().cut(Step::Release);
    world.protocol.release(&open(&b_seat)).await.unwrap_err(); // ticket (2, 2) claimed in Redis only
    let late = [license_core::seat_store::SeatToFree { seat: 0, seq: 2, retired: false }];
    seats.free(pool, 1, &late, &[]).await.unwrap();
    assert_eq!(world.sweep_until_quiet().await, 1, "a sweep finishes the claim of b's seat");
    assert_eq!(world.held().await, []);
}

#[tokio::test]
async fn beats_of_the_defaults_fit_three_times_into_a_lease() {
    let timing = LeaseTiming::default();
    assert!(timing.heartbeat * 3 < timing.ttl - timing.eps());
    let world = World::with_seats(1).await;
    let a_seat = world.machine("a").seated(&world.protocol).await;
    let license_core::protocol::heartbeat::HeartbeatOutcome::Alive(it) = beat(&world.protocol, &a_seat).await else {
        panic!("alive")
    };
    assert!((101..=115).contains(&it.lease.heartbeat_in));
    assert_eq!(it.lease.expires_in, 355);
}

#[tokio::test]
async fn a_session_released_while_its_pool_is_rebuilt_is_over_in_the_new_copy_and_the_same_attempt_acquires_at_once() {
    let world = World::with_seats(1).await;
    let other = world.instance().await;
    let (a, sibling) = (world.machine("a"), world.machine("a"));
    let a_seat = a.seated(&world.protocol).await;
    let sibling_seat = sibling.seated(&world.protocol).await;
    let held = other.steps().hold(Step::Release);
    let releases = tokio::spawn({
        let (other, handle) = (other.clone(), open(&a_seat));
        async move { other.release(&handle).await }
    });
    let goes_on = held.wait_until_reached().await; // LEFT
    world.flush().await;
    alive(&world.protocol, &sibling_seat).await; // rebuilt with both sessions
    goes_on.send(()).unwrap();
    releases.await.unwrap().unwrap();
    gone(&world.protocol, &a_seat, "released").await;
    let again = a.seated(&world.protocol).await;
    assert_ne!(again.granted.session, a_seat.granted.session);
    alive(&world.protocol, &again).await;
    world.assert_no_drift().await;
}

#[tokio::test]
async fn an_acquire_does_not_loop_on_a_session_that_has_ended() {
    let world = World::with_seats(1).await;
    let a = world.machine("a");
    let a_seat = a.seated(&world.protocol).await;
    // The session is ended in PostgreSQL alone, which no operation of ours does. A copy that still counts it is wrong.
    sqlx::query("update sessions set ended_at = now(), end_reason = 'expired'")
        .execute(&mut world.truth().await)
        .await
        .unwrap();
    let again = a.seated(&world.protocol).await;
    assert_ne!(again.granted.session, a_seat.granted.session);
    alive(&world.protocol, &again).await;
}

#[tokio::test]
async fn an_id_read_per_connection_is_not_believed_once_the_node_was_promoted_again() {
    let world = World::shaped(license_tests::world::Shape {
        seats: 1,
        replication_id: license_core::seat_store::ReplicationId::Connection,
        ..Default::default()
    })
    .await;
    let a = world.machine("a");
    world.machine("b").seated(&world.protocol).await; // opens the connection and makes a copy
    world.pass_ttl();
    world.sweep().await;
    let before = world.dump().await;
    let other = world.instance().await;
    let a_seat = a.seated(&other).await;
    world.restore(&before).await;
    world.promote().await;
    // The old connection stays open, and the id that was read over it is not believed any more.
    world.protocol.acquire(&world.machine("b").request()).await.unwrap_err();
    world.machine("b").turned_away(&world.protocol).await;
    alive(&world.protocol, &a_seat).await;
}

#[tokio::test]
async fn a_redis_that_may_drop_live_seats_is_not_ready() {
    let world = World::new().await;
    world.seats().ready().await.unwrap();
    let policy = async |name: &str| {
        let mut command = redis::cmd("CONFIG");
        command.arg("SET").arg("maxmemory-policy").arg(name).exec_async(&mut world.redis().await).await.unwrap();
    };
    policy("volatile-lru").await;
    let told = world.seats().ready().await.unwrap_err().to_string();
    assert!(told.contains("noeviction"), "{told}");
    policy("noeviction").await;
    world.seats().ready().await.unwrap();
}

#[tokio::test]
async fn no_script_is_sent_over_an_old_connection() {
    // After a failover a deposed primary can be reached over an old connection for a while. The drain is longer than
    // that.
    let world = World::with_seats(1).await;
    let young = LeaseTiming { max_connection_age: Duration::from_millis(50), ..world.timing };
    let seats = |timing| {
        let id = license_core::seat_store::ReplicationId::Script;
        license_core::seat_store::SeatStore::new(&world.redis.url(), id, timing, world.clock.clone()).unwrap()
    };
    let mut redis = world.redis().await;
    let mut connections = async || -> u64 {
        let info: String = redis::cmd("INFO").arg("stats").query_async(&mut redis).await.unwrap();
        let line = info.lines().find_map(|line| line.strip_prefix("total_connections_received:")).unwrap();
        line.parse().unwrap()
    };
    let (young, old) = (seats(young), seats(world.timing));
    for store in [&young, &old] {
        store.invalidate(&world.license.pool, 0).await.unwrap();
    }
    let before = connections().await;
    let until = std::time::Instant::now() + Duration::from_secs(60);
    while connections().await < before + 3 {
        assert!(std::time::Instant::now() < until, "old connections are replaced");
        young.invalidate(&world.license.pool, 0).await.unwrap();
    }
    let before = connections().await;
    for _ in 0..100 {
        old.invalidate(&world.license.pool, 0).await.unwrap();
    }
    assert_eq!(connections().await, before, "a young connection is kept");
}

#[tokio::test]
async fn a_rebuild_repeated_after_h_was_lost_does_not_forget_what_was_granted_in_between() {
    let world = World::with_seats(1).await;
    let pool = &world.license.pool;
    let NonceAnswer::Nonce { nonce, .. } = world.seats().request_nonce(pool).await.unwrap() else {
        panic!("a cold copy gives a nonce")
    };
    let snapshot = world
        .service()
        .rebuild_pool(world.license.tenant, world.license.pool_id, 0, &world.timing)
        .await
        .unwrap()
        .unwrap();
    assert!(world.seats().rebuild(pool, &nonce, &snapshot).await.unwrap());
    let a_seat = world.machine("a").seated(&world.protocol).await;
    world.forget("h").await;
    assert!(!world.seats().rebuild(pool, &nonce, &snapshot).await.unwrap(), "a rebuild counts once");
    alive(&world.protocol, &a_seat).await;
}
