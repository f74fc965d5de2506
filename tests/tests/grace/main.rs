//! Offline grace: earned by holding a seat for a while, counted when it is out, bounded where a license says so.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure is a panic with its place")]

mod bound;
mod leases;

use license_core::{
    domain::{
        id::Hw,
        terms::TermsEdit,
        token::{ExpectedToken, TokenClaims, verify},
    },
    protocol::{
        acquire::{LeasedSeat, SignedLease},
        heartbeat,
        steps::Step,
    },
};
use license_tests::{
    World,
    client::{beat, gone, open, release},
    world::ISSUER,
};
use std::time::Duration;
use time::OffsetDateTime;

const HOUR: f64 = 3600.0;
/// Two heartbeats lived through: twice a quarter of the lease.
const EARNED: Duration = Duration::from_secs(180);

/// Seconds of grace beyond the lease that an answer gives.
fn beyond_lease(world: &World, lease: &SignedLease) -> i64 {
    lease.offline_until.unix_timestamp() - world.clock.now_seconds() - lease.expires_in as i64
}

async fn lease_of(world: &World, seat: &LeasedSeat) -> SignedLease {
    match beat(&world.protocol, seat).await {
        heartbeat::HeartbeatOutcome::Alive(alive) => alive.lease,
        other => panic!("alive, not {other:?}"),
    }
}

async fn has_grace(world: &World, seat: &LeasedSeat) -> bool {
    beyond_lease(world, &lease_of(world, seat).await) > 3600
}

async fn policy(world: &World, after_heartbeats: u32, beyond_seats: Option<u32>) {
    let edit = TermsEdit {
        grace_after_heartbeats: Some(after_heartbeats),
        grace_beyond_seats: Some(beyond_seats),
        ..TermsEdit::default()
    };
    world.edit(&edit).await;
}

/// Lets so much time pass for the records too, whose clock no test moves: what is there began so much earlier.
async fn pass(world: &World, time: Duration) {
    world.pass(time);
    for sql in [
        "update seats set held_since = held_since - make_interval(secs => $1) where holder is not null",
        "update sessions set started_at = started_at - make_interval(secs => $1), last_seen_at = last_seen_at - make_interval(secs => $1)
         where ended_at is null",
        "update graces set until = until - make_interval(secs => $1)",
        "update pools set grace_before = grace_before - ($1 * 1000)::bigint where grace_before > 0",
    ] {
        sqlx::query(sql).bind(time.as_secs_f64()).execute(&mut world.truth().await).await.unwrap();
    }
}

const GRACES: &str = "select count(*) from graces where until > now()";

#[tokio::test]
async fn grace_is_earned_by_time_on_a_seat_and_not_by_requests() {
    let world = World::with_seats(1).await;
    let seat = world.machine("a").seated(&world.protocol).await;
    assert_eq!(beyond_lease(&world, &seat.lease), 0, "a first token has none");
    for _ in 0..10 {
        assert!(!has_grace(&world, &seat).await, "ten heartbeats in one moment are as good as one");
    }
    pass(&world, EARNED - Duration::from_millis(1)).await;
    assert!(!has_grace(&world, &seat).await);
    pass(&world, Duration::from_millis(1)).await;
    let lease = lease_of(&world, &seat).await;
    assert_eq!(beyond_lease(&world, &lease) + lease.expires_in as i64, 24 * 3600);
    // Another process of the machine has what the machine has earned; who gives its seat back begins anew.
    let second = world.machine("a").restarted().seated(&world.protocol).await;
    assert!(beyond_lease(&world, &second.lease) > 3600);
    release(&world.protocol, &seat).await;
    release(&world.protocol, &second).await;
    let back = world.machine("a").restarted().seated(&world.protocol).await;
    assert_eq!(beyond_lease(&world, &back.lease), 0);
}

#[tokio::test]
async fn a_license_says_after_how_many_heartbeats_there_is_grace() {
    for (heartbeats, seconds) in [(0, 0), (1, 90), (2, 180), (10, 900)] {
        let world = World::with_seats(1).await;
        policy(&world, heartbeats, None).await;
        let seat = world.machine("a").seated(&world.protocol).await;
        let mut passed = 0;
        while passed < seconds {
            assert!(!has_grace(&world, &seat).await, "{heartbeats} heartbeats: none after {passed} s");
            pass(&world, Duration::from_secs(90)).await;
            passed += 90;
        }
        assert!(has_grace(&world, &seat).await, "{heartbeats} heartbeats: after {seconds} s");
    }
}

#[tokio::test]
async fn a_client_that_beats_as_early_as_it_may_has_earned_its_grace_at_the_second_heartbeat() {
    let world = World::with_seats(1).await;
    let seat = world.machine("a").seated(&world.protocol).await;
    // 101 s is the earliest that is asked for, and clients come up to 7 % before.
    for earned in [false, true] {
        pass(&world, Duration::from_secs_f64(101.0 * 0.93)).await;
        assert_eq!(has_grace(&world, &seat).await, earned);
    }
}

#[tokio::test]
async fn no_loss_of_redis_and_no_change_of_the_license_costs_a_grace_that_was_earned() {
    let world = World::with_seats(2).await;
    let seat = world.machine("a").seated(&world.protocol).await;
    pass(&world, EARNED + Duration::from_secs(1)).await;
    assert!(has_grace(&world, &seat).await);
    world.flush().await;
    assert!(has_grace(&world, &seat).await, "after a flush");
    world.promote().await;
    assert!(has_grace(&world, &seat).await, "after a failover");
    for key in ["h", "z", "s", "m", "n"] {
        world.forget(key).await;
        assert!(has_grace(&world, &seat).await, "after {key} was lost");
    }
    world.resize(3).await;
    assert!(has_grace(&world, &seat).await, "after a resize");
    // And nobody gains any.
    let young = world.machine("b").seated(&world.protocol).await;
    sqlx::query("update seats set held_since = $1 where seat_no = $2")
        .bind(world.clock.now())
        .bind(young.granted.seat as i32)
        .execute(&mut world.truth().await)
        .await
        .unwrap();
    world.flush().await;
    assert!(!has_grace(&world, &young).await);
}

/// What one machine of a loop was signed, as late as it was signed.
async fn walk(world: &World, name: &str, heartbeats: u32) -> OffsetDateTime {
    let seat = world.machine(name).seated(&world.protocol).await;
    let mut until = seat.lease.offline_until;
    for _ in 0..heartbeats {
        pass(world, Duration::from_secs(91)).await;
        world.sweep().await;
        until = until.max(lease_of(world, &seat).await.offline_until);
    }
    release(&world.protocol, &seat).await;
    until
}

/// Forty machines on five seats, each of which takes one, lives through so many heartbeats, gives it back and goes on by what was signed.
/// Answers the hours that are signed beyond the seats when the last has gone: of all but the five machines that have most.
async fn loop_of_forty(world: &World, heartbeats: u32) -> f64 {
    let mut signed = Vec::new();
    for machine in 0..40 {
        world.sweep().await;
        signed.push(walk(world, &format!("m{machine}"), heartbeats).await);
    }
    world.sweep().await;
    let mut hours: Vec<f64> =
        signed.iter().map(|until| ((*until - world.clock.now()).as_seconds_f64() / HOUR).max(0.0)).collect();
    hours.sort_by(f64::total_cmp);
    hours[..35].iter().sum()
}

#[tokio::test]
async fn forty_machines_on_five_seats_have_hardly_an_hour_beyond_them_signed() {
    let mut seen = Vec::new();
    for (what, after, bound, heartbeats) in [
        ("at once, as it was (grace after 0 heartbeats)", 0, None, 0),
        ("at once, grace after 2 heartbeats", 2, None, 0),
        ("two heartbeats each, grace after 2, no bound", 2, None, 2),
        ("two heartbeats each, grace after 2, none beyond the seats", 2, Some(0), 2),
        ("two heartbeats each, grace after 2, three beyond the seats", 2, Some(3), 2),
    ] {
        let world = World::with_seats(5).await;
        policy(&world, after, bound).await;
        let hours = loop_of_forty(&world, heartbeats).await;
        let told = world.count("select count(*) from outbox where kind = 'grace.exceeded'").await;
        let on_grace = world.count(GRACES).await;
        println!("{what}: {hours:.1} signed hours beyond the seats; {on_grace} machines on grace, {told} events");
        seen.push((hours, on_grace, told));
    }
    assert!(seen[0].0 > 35.0 * 23.9, "before: {seen:?}");
    assert!(seen[1].0 < 35.0 * 0.1, "no more than leases: {seen:?}");
    assert!(seen[2].0 > 35.0 * 20.0, "who has patience has them still: {seen:?}");
    assert_eq!((seen[2].1, seen[2].2), (40, 6), "and is told of at 1, 2, 4, 8, 16, 32: {seen:?}");
    assert!(seen[3].0 < 1.0, "unless the license bounds it: {seen:?}");
    assert_eq!((seen[3].1, seen[3].2), (5, 0), "{seen:?}");
    assert!(seen[4].0 < 3.0 * 24.0, "{seen:?}");
    assert_eq!(seen[4].1, 8, "{seen:?}");
}

/// What an offline verifier says of a token at a time.
async fn offline(world: &World, lease: &SignedLease, at: i64) -> Option<TokenClaims> {
    let roots = world.protocol.signer().jwks().await.unwrap().keys;
    let hw = Hw::of(world.license.key.number(), &world.machine("a").hardware);
    let expected = ExpectedToken { issuer: ISSUER, audience: "coditect", nonce: None, hw: &hw };
    verify(&lease.token, &lease.certificate, &roots, &expected, at).ok()
}

#[tokio::test]
async fn a_train_journey_of_an_honest_client_is_unharmed() {
    let world = World::with_seats(1).await;
    let seat = world.machine("a").seated(&world.protocol).await;
    pass(&world, Duration::from_secs(108)).await;
    lease_of(&world, &seat).await;
    pass(&world, Duration::from_secs(108)).await;
    let last = lease_of(&world, &seat).await;
    // Five hours without contact; somebody else has the seat meanwhile.
    world.pass_ttl();
    world.sweep().await;
    let other = world.machine("b").seated(&world.protocol).await;
    pass(&world, Duration::from_secs(5 * 3600)).await;
    let now = world.clock.now_seconds();
    assert!(offline(&world, &last, now).await.is_some(), "it works on");
    assert!(offline(&world, &last, now + 20 * 3600).await.is_none(), "not for ever");
    // Back in the station: its session is over, it takes a seat again and earns its grace again.
    gone(&world.protocol, &seat, "expired").await;
    world.sweep().await;
    gone(&world.protocol, &other, "expired").await;
    let back = world.machine("a").restarted().seated(&world.protocol).await;
    pass(&world, EARNED).await;
    assert!(has_grace(&world, &back).await);
}

#[tokio::test]
async fn every_end_of_a_session_that_earned_its_grace_is_counted_and_no_other_is() {
    for earned in [true, false] {
        for end in ["released", "expired", "displaced", "kicked", "told gone"] {
            let world = World::with_seats(1).await;
            let a = world.machine("a");
            let seat = a.seated(&world.protocol).await;
            if earned {
                pass(&world, EARNED + Duration::from_secs(6)).await;
                assert!(has_grace(&world, &seat).await);
            }
            match end {
                "released" => release(&world.protocol, &seat).await,
                "expired" => {
                    world.pass_ttl();
                    world.sweep().await;
                }
                "displaced" => {
                    world.pass_ttl();
                    world.machine("b").seated(&world.protocol).await;
                }
                "kicked" => assert!(world.kick(0, true).await),
                _ => {
                    world.pass_ttl();
                    // Claimed in Redis, and told gone before the records know.
                    world.reaper.steps().cut(Step::Reap);
                    world.reaper.sweep(&world.share()).await.unwrap_err();
                    gone(&world.protocol, &seat, "expired").await;
                }
            }
            let counted = world.count("select count(*) from graces").await;
            assert_eq!(counted, i64::from(earned), "{end}, earned: {earned}");
        }
    }
}

#[tokio::test]
async fn a_machine_is_counted_once_wherever_it_is_and_no_longer_than_its_grace() {
    let world = World::with_seats(2).await;
    let on_grace = "select machines_on_grace(tenant_id, pool_id)::bigint from pools";
    let a = world.machine("a").seated(&world.protocol).await;
    assert_eq!(world.count(on_grace).await, 0);
    pass(&world, EARNED).await;
    assert_eq!(world.count(on_grace).await, 1, "it holds its seat");
    release(&world.protocol, &a).await;
    assert_eq!(world.count(on_grace).await, 1, "it gave it back, and may have kept its token");
    let back = world.machine("a").restarted().seated(&world.protocol).await;
    assert_eq!(world.count(on_grace).await, 1, "it is back");
    pass(&world, EARNED).await;
    assert_eq!(world.count(on_grace).await, 1, "it has earned it again, on a seat and beside it");
    release(&world.protocol, &back).await;
    pass(&world, Duration::from_secs(24 * 3600)).await;
    assert_eq!(world.count(on_grace).await, 0);
    world.machine("b").seated(&world.protocol).await;
    world.sweep().await;
    assert_eq!(world.count("select count(*) from graces").await, 0, "what is over is taken away");
}

#[tokio::test]
async fn a_copy_made_anew_goes_by_the_bound_too() {
    let world = World::with_seats(1).await;
    policy(&world, 2, Some(0)).await;
    walk(&world, "a", 2).await;
    let late = world.machine("b").seated(&world.protocol).await;
    world.sweep().await;
    pass(&world, EARNED).await;
    assert!(!has_grace(&world, &late).await);
    world.flush().await;
    assert!(!has_grace(&world, &late).await, "the records know it");
    policy(&world, 2, Some(1)).await;
    world.sweep().await;
    assert!(has_grace(&world, &late).await, "a license that allows one more gives it");
    assert_eq!(open(&late).seat, 0);
}

#[tokio::test]
async fn grace_beyond_the_seats_is_told_once_for_each_doubling_and_anew_when_there_was_none() {
    let world = World::with_seats(1).await;
    let told = "select count(*) from outbox where kind = 'grace.exceeded'";
    for (machine, events) in [("a", 0), ("b", 1), ("c", 2), ("d", 2), ("e", 3)] {
        walk(&world, machine, 2).await;
        world.sweep().await;
        world.sweep().await;
        assert_eq!(world.count(told).await, events, "after {machine}");
    }
    let payload: serde_json::Value =
        sqlx::query_scalar("select payload from outbox where kind = 'grace.exceeded' order by id desc limit 1")
            .fetch_one(&mut world.truth().await)
            .await
            .unwrap();
    assert_eq!((&payload["machines"], &payload["beyond"], &payload["seats"]), (&5.into(), &4.into(), &1.into()));
    pass(&world, Duration::from_secs(25 * 3600)).await;
    let f = world.machine("f").seated(&world.protocol).await;
    world.sweep().await;
    assert_eq!(world.count(told).await, 3);
    release(&world.protocol, &f).await;
    for machine in ["g", "h"] {
        walk(&world, machine, 2).await;
        world.sweep().await;
    }
    assert_eq!(world.count(told).await, 4);
}

#[tokio::test]
async fn a_bound_that_comes_later_renews_none_until_they_are_fewer_and_forgets_nobody() {
    let world = World::with_seats(2).await;
    for machine in ["a", "b"] {
        walk(&world, machine, 2).await;
    }
    let seats = [world.machine("c").seated(&world.protocol).await, world.machine("d").seated(&world.protocol).await];
    pass(&world, EARNED).await;
    for seat in &seats {
        assert!(has_grace(&world, seat).await);
    }
    policy(&world, 2, Some(0)).await;
    world.sweep().await;
    world.sweep().await;
    for seat in &seats {
        assert!(!has_grace(&world, seat).await, "there are four for two seats");
    }
    for seat in &seats {
        release(&world.protocol, seat).await;
    }
    assert_eq!(world.count(GRACES).await, 4, "what was signed is counted until its end");
    let late = world.machine("late").seated(&world.protocol).await;
    world.sweep().await;
    pass(&world, EARNED).await;
    world.sweep().await;
    release(&world.protocol, &late).await;
    assert_eq!(world.count(GRACES).await, 4, "who had none leaves none behind");
    let e = world.machine("e").seated(&world.protocol).await;
    world.sweep().await;
    pass(&world, Duration::from_secs(25 * 3600)).await;
    world.sweep().await;
    assert!(!matches!(beat(&world.protocol, &e).await, heartbeat::HeartbeatOutcome::Alive(_)), "silent for a day");
    let f = world.machine("f").seated(&world.protocol).await;
    world.sweep().await;
    pass(&world, EARNED).await;
    assert!(has_grace(&world, &f).await, "those of before are over");
}
