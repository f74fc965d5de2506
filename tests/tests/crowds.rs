//! New sessions of a license: a crowd that fits on the seats is never refused, and a client that takes seat after seat
//! under ever new names is.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure is a panic with its place")]

use license_core::{
    domain::rate::{LimitKind, PoolRates, RateLimit, RateLimited},
    protocol::{
        SeatProtocol,
        acquire::{AcquireOutcome, AcquireRefusal},
    },
};
use license_tests::{
    World,
    client::{alive, release},
    explain::Plans,
    front::{ACQUIRE, Front, VALIDATE},
    world::Shape,
};
use std::time::Duration;

/// Six new sessions a minute, three of them at once: one every ten seconds.
const RATE: RateLimit = RateLimit { per_minute: 6, burst: 3 };
const BOTH: PoolRates = PoolRates { acquire: Some(RATE), license: Some(RATE), heartbeat: None };
const LICENSE: PoolRates = PoolRates { acquire: None, ..BOTH };

async fn of(seats: u32, processes: u32, rates: PoolRates) -> (World, SeatProtocol) {
    let world = World::shaped(Shape { seats, processes, ..Shape::default() }).await;
    let protocol = world.instance_limited(rates).await;
    (world, protocol)
}

/// Asserts that an acquire was refused by the rate limit of the license, and answers how many ms the client is to wait.
#[track_caller]
fn waits(outcome: &AcquireOutcome, rate: RateLimit) -> u64 {
    match outcome {
        AcquireOutcome::Refused(AcquireRefusal::Limited(RateLimited {
            by: LimitKind::License,
            wait_ms,
            rate: its,
        })) => {
            assert_eq!(*its, rate);
            *wait_ms
        }
        other => panic!("the license has too many new sessions, and the answer is {other:?}"),
    }
}

/// Takes a seat as a machine that was not seen before, and gives it back.
async fn pass_through(world: &World, protocol: &SeatProtocol, name: &str) {
    let seat = world.machine(name).seated(protocol).await;
    release(protocol, &seat).await;
}

#[tokio::test]
async fn a_class_of_forty_starts_all_it_may_at_once_behind_one_address_and_again_after_a_crash() {
    let (world, protocol) = of(40, 3, BOTH).await;
    let machines: Vec<_> = (0..40).map(|n| world.machine(&format!("pc-{n}"))).collect();
    for machine in &machines {
        machine.seated(&protocol).await;
    }
    for _ in 0..2 {
        for machine in &machines {
            machine.restarted().seated(&protocol).await;
        }
    }
    // The rate limit allows no further session now. Retries are allowed, because they are no new sessions.
    for machine in &machines {
        assert!(machine.seated(&protocol).await.renewed);
    }
}

#[tokio::test]
async fn a_full_pool_refuses_honestly_and_its_machines_lose_no_token_by_it() {
    let (world, protocol) = of(2, 3, BOTH).await;
    let seat = world.machine("a").seated(&protocol).await;
    world.machine("b").seated(&protocol).await;
    for n in 0..30 {
        world.machine(&format!("late-{n}")).turned_away(&protocol).await;
    }
    release(&protocol, &seat).await;
    world.machine("late-0").seated(&protocol).await;
}

#[tokio::test]
async fn who_takes_seats_under_ever_new_names_is_refused_and_who_holds_a_seat_is_not() {
    let (world, protocol) = of(2, 3, LICENSE).await;
    let limit = RateLimit { per_minute: 12, burst: 6 };
    let holder = world.machine("holder");
    let seat = holder.seated(&protocol).await;
    for n in 0..5 {
        pass_through(&world, &protocol, &format!("name-{n}")).await;
    }
    let sessions = "select count(*) from sessions";
    let before = world.count(sessions).await;
    let plans = Plans::of(&world.database).await;
    for n in 0..20 {
        assert_eq!(waits(&world.machine(&format!("more-{n}")).acquire(&protocol).await, limit), 5_000);
    }
    // A second instance counts by the same limit.
    let other = world.instance_limited(LICENSE).await;
    assert_eq!(waits(&world.machine("elsewhere").acquire(&other).await, limit), 5_000);
    assert_eq!(plans.take().len(), 0, "refusing asks PostgreSQL nothing");
    drop(plans);
    // A holder keeps its seat, may repeat its acquire, start again and release.
    alive(&protocol, &seat).await;
    assert!(holder.seated(&protocol).await.renewed);
    let second = holder.restarted().seated(&protocol).await;
    release(&protocol, &second).await;
    assert_eq!(world.count(sessions).await, before + 1);
    // The session that it began counted all the same, so the next machine waits for it too.
    assert_eq!(waits(&world.machine("next").acquire(&protocol).await, limit), 10_000);
    world.pass(Duration::from_secs(10));
    pass_through(&world, &protocol, "next").await;
    assert_eq!(waits(&world.machine("another").acquire(&protocol).await, limit), 5_000);
    world.assert_no_drift().await;
}

#[tokio::test]
async fn the_tokens_are_the_licenses_own_and_nobody_elses() {
    let (world, protocol) = of(1, 1, LICENSE).await;
    for n in 0..3 {
        pass_through(&world, &protocol, &format!("name-{n}")).await;
    }
    assert_eq!(waits(&world.machine("more").acquire(&protocol).await, RATE), 10_000);
    // The limit is for each seat: with three seats, a new session is allowed three times as often as every ten seconds.
    let three = World::shaped(Shape { seats: 3, processes: 1, ..Shape::default() }).await;
    let protocol = three.instance_limited(LICENSE).await;
    for n in 0..9 {
        pass_through(&three, &protocol, &format!("name-{n}")).await;
    }
    let waited = waits(&three.machine("more").acquire(&protocol).await, RateLimit { per_minute: 18, burst: 9 });
    assert_eq!(waited, 3_334);
}

#[tokio::test]
async fn two_machines_in_a_loop_of_crashes_keep_nobody_else_out() {
    let (world, protocol) = of(5, 1, BOTH).await;
    let loops = [world.machine("loop-a"), world.machine("loop-b")];
    for machine in &loops {
        for _ in 0..3 {
            release(&protocol, &machine.restarted().seated(&protocol).await).await;
        }
    }
    for minute in 0..10 {
        for _ in 0..6 {
            world.pass(Duration::from_secs(10));
            for machine in &loops {
                // As often as the limit of one machine allows.
                release(&protocol, &machine.restarted().seated(&protocol).await).await;
                assert!(matches!(
                    machine.restarted().acquire(&protocol).await,
                    AcquireOutcome::Refused(AcquireRefusal::Limited(RateLimited { by: LimitKind::Holder, .. }))
                ));
            }
        }
        for n in 0..3 {
            pass_through(&world, &protocol, &format!("honest-{minute}-{n}")).await;
        }
    }
}

#[tokio::test]
async fn whatever_a_holder_begins_on_its_seat_makes_others_wait_for_no_more_than_two_bursts() {
    let (world, protocol) = of(2, 3, LICENSE).await;
    let holder = world.machine("holder");
    holder.seated(&protocol).await;
    for _ in 0..60 {
        let more = holder.restarted().seated(&protocol).await;
        release(&protocol, &more).await;
    }
    // Twelve sessions count, at five seconds each, and six may begin at once.
    let waited = waits(&world.machine("next").acquire(&protocol).await, RateLimit { per_minute: 12, burst: 6 });
    assert_eq!(waited, 35_000);
    world.pass(Duration::from_millis(waited));
    pass_through(&world, &protocol, "next").await;
}

#[tokio::test]
async fn of_a_company_of_ten_thousand_seats_a_hundred_start_at_once_under_the_smallest_limit() {
    let world = World::with_seats(10_000).await;
    let rates = PoolRates { license: Some(RateLimit::per_minute(1)), ..PoolRates::default() };
    let protocol = world.instance_limited(rates).await;
    for n in 0..100 {
        world.machine(&format!("pc-{n}")).seated(&protocol).await;
    }
}

#[tokio::test]
async fn the_answer_names_the_limit_and_when_to_come_back() {
    let (world, protocol) = of(2, 1, LICENSE).await;
    let front = Front::with(world, protocol);
    for n in 0..6 {
        let seat = front.seated(&format!("name-{n}")).await;
        front.post_as(license_tests::front::RELEASE, &seat["session"], &serde_json::json!({})).await.ok(200);
    }
    let refused = front.post(ACQUIRE, &front.ask("more")).await.is(429, "rate_limited");
    let header = |name: &str| refused.headers[name].to_str().unwrap();
    assert_eq!(header("retry-after"), "5");
    assert_eq!((header("ratelimit-policy"), header("ratelimit")), ("\"license\";q=6;w=30", "\"license\";r=0;t=5"));
    assert!(refused.body["detail"].as_str().unwrap().contains("new sessions of this license"), "{}", refused.body);
    // Validate, which takes no seat, still answers what the license has.
    let key = front.ask("more")["license_key"].clone();
    front.post(VALIDATE, &serde_json::json!({ "license_key": key })).await.ok(200);
}
