//! What people change while clients work: a license is suspended, gets fewer or more seats, or another key.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure is a panic with its place")]

use license_core::{
    domain::{
        key::LicenseKey,
        license::{RefusalReason, Status},
    },
    protocol::{
        acquire::{AcquireOutcome, AcquireRefusal, KeyRejection},
        heartbeat, validate,
    },
    refusal::ChangeRefusal,
};
use license_tests::{
    World,
    client::{alive, beat, gone, release},
    outcomes::{refusal, unavailable},
    staff::rotation,
};
use std::time::Duration;

#[tokio::test]
async fn a_suspended_license_gives_no_seat_and_tells_every_client_and_resumed_within_the_lease_all_go_on() {
    let world = World::with_seats(2).await;
    let a_seat = world.machine("a").seated(&world.protocol).await;
    assert!(world.suspend().await);
    assert!(!world.suspend().await, "the license is suspended already");
    let told = beat(&world.protocol, &a_seat).await;
    assert!(matches!(told, heartbeat::HeartbeatOutcome::Refused(r) if r.why == RefusalReason::Suspended), "{told:?}");
    let told = world.machine("b").acquire(&world.protocol).await;
    assert!(
        matches!(told, AcquireOutcome::Refused(AcquireRefusal::License(r)) if r.why == RefusalReason::Suspended),
        "{told:?}"
    );
    world.pass(Duration::from_secs(60));
    assert!(world.resume().await);
    alive(&world.protocol, &a_seat).await;
    world.machine("b").seated(&world.protocol).await;
}

#[tokio::test]
async fn a_license_resumed_after_the_lease_finds_its_clients_expired() {
    let world = World::with_seats(1).await;
    let a_seat = world.machine("a").seated(&world.protocol).await;
    world.suspend().await;
    beat(&world.protocol, &a_seat).await; // the rebuild gives a full lease; a refused heartbeat does not raise it
    world.pass(Duration::from_millis(world.timing.rebuild_lease_ms() as u64 / 2));
    beat(&world.protocol, &a_seat).await;
    world.pass(Duration::from_millis(world.timing.rebuild_lease_ms() as u64 / 2 + 1));
    world.sweep().await;
    world.resume().await;
    gone(&world.protocol, &a_seat, "expired").await;
    world.machine("a").seated(&world.protocol).await;
}

#[tokio::test]
async fn shrinking_throws_nobody_out_and_does_not_replace_who_leaves() {
    let world = World::with_seats(5).await;
    let mut seats = Vec::new();
    for name in ["a", "b", "c", "d", "e"] {
        seats.push(world.machine(name).seated(&world.protocol).await);
    }
    assert!(world.resize(3).await);
    for seat in &seats {
        alive(&world.protocol, seat).await;
    }
    let rows = "select count(*) from seats where not retired";
    for left in [4, 3] {
        release(&world.protocol, &seats.pop().unwrap()).await;
        assert_eq!((world.held().await.len(), world.count(rows).await), (left, left as i64));
        assert_eq!(world.count("select (seats_total + surplus)::bigint from pools").await, left as i64);
        world.machine("f").turned_away(&world.protocol).await;
    }
    release(&world.protocol, &seats.pop().unwrap()).await;
    world.machine("f").seated(&world.protocol).await;
    assert_eq!(world.count(rows).await, 3);
    world.assert_no_drift().await;
}

#[tokio::test]
async fn a_machine_whose_seat_is_draining_keeps_it_over_a_restart() {
    let world = World::with_seats(2).await;
    let a = world.machine("a");
    let b = world.machine("b");
    a.seated(&world.protocol).await;
    b.seated(&world.protocol).await;
    world.resize(1).await;
    a.restarted().seated(&world.protocol).await;
    b.restarted().seated(&world.protocol).await;
    world.machine("c").turned_away(&world.protocol).await;
}

#[tokio::test]
async fn growing_gives_new_seats_at_once_and_brings_retired_ones_back_first() {
    let world = World::with_seats(2).await;
    world.machine("a").seated(&world.protocol).await;
    world.resize(1).await;
    world.machine("b").turned_away(&world.protocol).await;
    world.resize(3).await;
    world.machine("b").seated(&world.protocol).await;
    world.machine("c").seated(&world.protocol).await;
    world.machine("d").turned_away(&world.protocol).await;
    assert_eq!(world.count("select count(*) from seats").await, 5, "the pool began with five seats");
}

#[tokio::test]
async fn a_rotated_key_opens_at_once_and_the_old_one_until_its_time() {
    let world = World::with_seats(2).await;
    let a = world.machine("a");
    a.seated(&world.protocol).await;
    let key = world.rotate_key(3600).await;
    let mut b = world.machine("b");
    b.key = key;
    b.seated(&world.protocol).await;
    a.restarted().seated(&world.protocol).await;
    world.pass(Duration::from_secs(3601));
    // The clock of PostgreSQL is the real one, so it still knows the old key. The copy does not, and it decides.
    assert!(matches!(a.restarted().acquire(&world.protocol).await, AcquireOutcome::KeyRejected(KeyRejection::BadKey)));
}

#[tokio::test]
async fn a_key_redis_does_not_know_yet_is_judged_by_the_records() {
    let world = World::with_seats(2).await;
    world.machine("a").seated(&world.protocol).await;
    let (act, license, peppers) = (world.act_once("rotate"), world.license.id, &license_tests::world::peppers());
    world.seat_management.steps().cut(license_core::protocol::steps::Step::Change);
    unavailable(world.seat_management.rotate_key(&act, license, rotation(0), peppers).await);
    // PostgreSQL alone is asked again. It answers the key that was made, and Redis still does not know it.
    let key = world.management.rotate_key(&act, license, rotation(0), peppers).await.unwrap().key;
    let mut b = world.machine("b");
    b.key = key;
    b.seated(&world.protocol).await;
    assert!(
        matches!(world.machine("c").acquire(&world.protocol).await, AcquireOutcome::KeyRejected(KeyRejection::BadKey)),
        "the old secret is out"
    );
}

#[tokio::test]
async fn no_more_than_thirty_two_earlier_keys_are_good_at_a_time() {
    let world = World::with_seats(1).await;
    for _ in 0..32 {
        world.rotate_key(3600).await;
    }
    let peppers = &license_tests::world::peppers();
    let told = world.seat_management.rotate_key(&world.act(), world.license.id, rotation(3600), peppers).await;
    assert_eq!(refusal(told), ChangeRefusal::TooManyKeys);
    let mut a = world.machine("a");
    a.seated(&world.protocol).await;
    a.key = world.rotate_key(0).await; // ends all of them at once
    a.restarted().seated(&world.protocol).await;
    world.rotate_key(3600).await;
}

#[tokio::test]
async fn a_license_past_its_term_gives_no_seat_and_says_since_when() {
    let world = World::with_seats(1).await;
    let a_seat = world.machine("a").seated(&world.protocol).await;
    world.pass(Duration::from_secs(15 * 86_400)); // the trial has 14 days
    let told = world.machine("b").acquire(&world.protocol).await;
    assert!(
        matches!(told, AcquireOutcome::Refused(AcquireRefusal::License(r)) if r.why == RefusalReason::Expired && r.since_ms > 0),
        "{told:?}"
    );
    let told = beat(&world.protocol, &a_seat).await;
    assert!(matches!(told, heartbeat::HeartbeatOutcome::Refused(_)), "{told:?}");
}

#[tokio::test]
async fn validate_says_what_an_acquire_would_and_takes_no_seat() {
    let world = World::with_seats(2).await;
    let a = world.machine("a");
    let ask = async |machine: &license_tests::Machine| {
        world.protocol.validate(&machine.key, Some(&machine.hardware), None, &machine.pool).await.unwrap()
    };
    let validate::ValidateOutcome::Valid(valid) = ask(&a).await else { panic!("valid") };
    assert_eq!((valid.held, valid.seats_total, valid.has_seat), (0, 2, false));
    a.seated(&world.protocol).await;
    let validate::ValidateOutcome::Valid(valid) = ask(&a).await else { panic!("valid") };
    assert_eq!((valid.held, valid.seats_total, valid.has_seat), (1, 2, true));
    assert_eq!(valid.silent.len(), 1);
    world.suspend().await;
    let validate::ValidateOutcome::Refused(refusal, _) = ask(&a).await else { panic!("refused") };
    assert_eq!(refusal.why, RefusalReason::Suspended);
    let mut forged = a.clone();
    forged.key = LicenseKey::draw(world.license.pool.license);
    assert!(matches!(ask(&forged).await, validate::ValidateOutcome::KeyRejected(KeyRejection::BadKey)));
}

#[tokio::test]
async fn a_drained_pool_whose_last_free_was_lost_gives_its_seat_at_once() {
    let world = World::with_seats(2).await;
    let a_seat = world.machine("a").seated(&world.protocol).await;
    let b_seat = world.machine("b").seated(&world.protocol).await;
    world.resize(1).await;
    world.protocol.steps().cut(license_core::protocol::steps::Step::EndSeats);
    world.protocol.release(&license_tests::client::open(&b_seat)).await.unwrap_err();
    release(&world.protocol, &a_seat).await;
    world.machine("c").seated(&world.protocol).await;
    world.machine("d").turned_away(&world.protocol).await;
}

#[tokio::test]
async fn a_kicked_seat_nobody_asks_for_is_free_one_rebuild_lease_later() {
    let world = World::with_seats(1).await;
    world.machine("a").seated(&world.protocol).await;
    assert!(world.kick(0, false).await);
    world.flush().await; // not even an old copy is left
    world.sweep().await; // the quarantine begins
    world.pass(Duration::from_millis(world.timing.rebuild_lease_ms() as u64 + 1));
    world.machine("b").seated(&world.protocol).await;
}

#[tokio::test]
async fn a_grace_longer_than_certificates_allow_is_cut_and_not_refused() {
    let world = World::with_seats(1).await;
    sqlx::query("update licenses set grace_hours = 1000, grace_after_heartbeats = 0, expires_at = null")
        .execute(&mut world.truth().await)
        .await
        .unwrap();
    let a_seat = world.machine("a").seated(&world.protocol).await;
    let longest = world.clock.now() + world.protocol.signer().settings().max_grace;
    assert!(a_seat.lease.offline_until <= longest && a_seat.lease.offline_until > longest - Duration::from_secs(2));
}

#[tokio::test]
async fn kicking_an_empty_seat_costs_nobody_a_wait() {
    let world = World::with_seats(1).await;
    // As operators do it where the management API is out of reach (docs/OPERATING.md, section 5): the API ends
    // sessions, not seats.
    let epoch: Option<i64> = sqlx::query_scalar("select kick_seat($1, $2, 0, false, 'an operator')")
        .bind(world.license.tenant.0)
        .bind(world.license.pool_id.0)
        .fetch_one(&mut world.truth().await)
        .await
        .unwrap();
    assert_eq!(epoch, Some(world.epoch().await - 1));
    world.machine("a").seated(&world.protocol).await;
}

#[tokio::test]
async fn ending_a_session_that_was_given_back_costs_nobody_a_wait() {
    let world = World::with_seats(1).await;
    let a_seat = world.machine("a").seated(&world.protocol).await;
    release(&world.protocol, &a_seat).await;
    let (epoch, ended) = (world.epoch().await, world.end(a_seat.granted.session, false).await);
    assert_eq!((ended.end.reason.as_str(), ended.free), ("released", None));
    assert_eq!(world.epoch().await, epoch, "nothing changed");
    let b_seat = world.machine("b").seated(&world.protocol).await;
    world.end(a_seat.granted.session, true).await;
    alive(&world.protocol, &b_seat).await;
}

#[tokio::test]
async fn a_rotation_asked_for_twice_with_one_key_is_one_rotation_and_of_a_foreign_license_there_is_none() {
    let world = World::with_seats(1).await;
    let (act, peppers) = (world.act_once("rotate"), &license_tests::world::peppers());
    let ask = async |license| world.seat_management.rotate_key(&act, license, rotation(0), peppers).await.unwrap();
    let (first, again) = (ask(world.license.id).await, ask(world.license.id).await);
    assert_eq!((first.key.reveal(), first.old_until), (again.key.reveal(), again.old_until));
    assert_eq!(world.count("select count(*) from license_keys").await, 2);
    world.rotate_key(0).await;
    assert_eq!(
        world.count("select count(*) from license_keys").await,
        3,
        "without the idempotency key each request is another rotation"
    );
    let nobody = license_core::domain::id::LicenseId(uuid::Uuid::now_v7());
    let refused = world.seat_management.rotate_key(&world.act(), nobody, rotation(0), peppers).await;
    assert_eq!(refusal(refused), ChangeRefusal::NotFound);
}

#[tokio::test]
async fn a_resumed_license_nobody_holds_a_seat_of_gives_seats_although_redis_was_not_told() {
    let world = World::with_seats(1).await;
    assert!(world.suspend().await);
    let told = world.machine("a").acquire(&world.protocol).await;
    assert!(
        matches!(told, AcquireOutcome::Refused(AcquireRefusal::License(r)) if r.why == RefusalReason::Suspended),
        "{told:?}"
    );
    world.seat_management.steps().cut(license_core::protocol::steps::Step::Change);
    world.try_decide(Status::Active).await.unwrap_err();
    world.sweep().await;
    world.machine("a").seated(&world.protocol).await;
}

#[tokio::test]
async fn a_drained_pool_full_of_dead_holders_serves_who_comes() {
    let world = World::with_seats(2).await;
    for name in ["a", "b"] {
        world.machine(name).seated(&world.protocol).await;
    }
    world.resize(1).await;
    alive_again(&world).await;
    world.pass(Duration::from_millis(world.timing.rebuild_lease_ms() as u64 + 1));
    world.machine("c").seated(&world.protocol).await;
    world.machine("d").turned_away(&world.protocol).await;
    world.sweep().await;
    world.assert_no_drift().await;
    assert_eq!(world.count("select count(*) from seats where not retired").await, 1);
}

/// Has the copy rebuilt after a change, by an acquire that is refused.
async fn alive_again(world: &World) {
    world.machine("nobody").turned_away(&world.protocol).await;
}

#[tokio::test]
async fn after_a_restore_holders_go_on_and_nobody_else_sits_down_before_every_older_lease_is_over() {
    let world = World::with_seats(2).await;
    let a_seat = world.machine("a").seated(&world.protocol).await;
    let lease = world.timing.rebuild_lease_ms();
    // The restored database shows a as a holder. Since the backup a may have released, and another may have its seat.
    let mut truth = world.truth().await;
    sqlx::query("set role owner").execute(&mut truth).await.unwrap();
    let restored = sqlx::query("select after_restore(make_interval(secs => $1))").bind(lease as f64 / 1000.0);
    restored.execute(&mut truth).await.unwrap();
    world.flush().await;

    alive(&world.protocol, &a_seat).await;
    for machine in [world.machine("b"), world.machine("a").restarted(), world.machine("a")] {
        let AcquireOutcome::Refused(AcquireRefusal::Full(full)) = machine.acquire(&world.protocol).await else {
            panic!("no machine may take a seat yet")
        };
        assert!(full.next_lease_end_ms > full.now_ms, "the refusal says until when: {full:?}");
    }
    // Another rebuild does not start the wait again.
    world.pass(Duration::from_millis(lease as u64 / 2));
    world.flush().await;
    alive(&world.protocol, &a_seat).await;
    world.pass(Duration::from_millis(lease as u64 / 2 + 1000));
    world.machine("a").restarted().seated(&world.protocol).await;
    alive(&world.protocol, &a_seat).await;
}
