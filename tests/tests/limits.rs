//! What attackers, a full Redis, idle pools and very large pools can and cannot do.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure is a panic with its place")]

use license_core::{
    Clock, ProblemCode,
    domain::{
        id::LicenseNumber,
        key::LicenseKey,
        pool::PoolSnapshot,
        rate::{LimitKind, PoolRates, RateLimit},
    },
    protocol::{
        SeatProtocol,
        acquire::{AcquireOutcome, AcquireRefusal, KeyRejection},
        heartbeat,
        steps::Step,
    },
    seat_store::NonceAnswer,
};
use license_tests::{
    Machine, World,
    client::{alive, beat, open, release},
    load::drift::{self, Keys},
    world::Shape,
};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

/// Requests under way at once.
const WIDE: usize = 64;

async fn ask<T: redis::FromRedisValue>(world: &World, words: &[&str]) -> T {
    redis::cmd(words[0]).arg(&words[1..]).query_async(&mut world.redis().await).await.unwrap()
}

/// Everything strangers must not change.
async fn untouched(world: &World) -> (i64, i64, i64, Vec<(i32, String)>) {
    let rows = world.count("select (select count(*) from sessions) + (select count(*) from outbox)").await;
    (ask(world, &["DBSIZE"]).await, world.epoch().await, rows, world.held().await)
}

/// `total` acquires by machines whose keys `draw` makes, all of which must be refused with one and the same answer.
async fn strangers(world: &World, total: usize, draw: impl Fn() -> LicenseKey + Send + Sync + 'static) -> Duration {
    let began = Instant::now();
    let (next, draw) = (Arc::new(AtomicUsize::new(0)), Arc::new(draw));
    let instances = [world.instance().await, world.instance().await, world.instance().await];
    let mut askers = JoinSet::new();
    for n in 0..WIDE {
        let (next, draw, protocol) = (next.clone(), draw.clone(), instances[n % 3].clone());
        let mut machine = world.machine("stranger");
        askers.spawn(async move {
            while next.fetch_add(1, Ordering::Relaxed) < total {
                machine.key = draw();
                let outcome = refused(&protocol, &machine).await;
                assert!(matches!(outcome, AcquireOutcome::KeyRejected(KeyRejection::BadKey)), "{outcome:?}");
            }
        });
    }
    askers.join_all().await;
    began.elapsed()
}

async fn refused(protocol: &SeatProtocol, machine: &Machine) -> AcquireOutcome {
    protocol.acquire(&machine.request()).await.expect("strangers take nothing down")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_thousand_strangers_leave_no_trace() {
    let world = World::shaped(Shape { clock: Clock::system(), ..Shape::default() }).await;
    let seat = world.machine("a").seated(&world.protocol).await;
    // Gone by itself ten seconds after the rebuild.
    world.forget("c").await;
    let before = untouched(&world).await;
    let unknown = strangers(&world, 50_000, || LicenseKey::draw(LicenseNumber::draw())).await;
    let number = world.license.key.number();
    let wrong = strangers(&world, 50_000, move || LicenseKey::draw(number)).await;
    println!("50,000 unknown numbers took {unknown:?}, 50,000 wrong secrets {wrong:?}");
    assert_eq!(untouched(&world).await, before);
    alive(&world.protocol, &seat).await;
}

#[tokio::test]
async fn a_full_redis_keeps_live_seats_and_lets_nobody_in() {
    let world = World::new().await;
    let (a, b) = (world.machine("a").seated(&world.protocol).await, world.machine("b").seated(&world.protocol).await);
    // What Redis needs for itself is more than this.
    ask::<()>(&world, &["CONFIG", "SET", "maxmemory", "1"]).await;
    assert_eq!(nobody_gets_in(&world).await, ProblemCode::SeatsUnavailable);
    alive(&world.protocol, &a).await;
    // Also where nothing is left of the copy, nor of the scripts.
    world.flush().await;
    ask::<()>(&world, &["SCRIPT", "FLUSH"]).await;
    alive(&world.protocol, &a).await;
    alive(&world.protocol, &b).await;
    assert_eq!(nobody_gets_in(&world).await, ProblemCode::SeatsUnavailable);
    release(&world.protocol, &b).await;
    assert_eq!(world.held().await.len(), 1);
    assert_eq!(drift::between(&world).await, Vec::<String>::new());
    world.pass_ttl();
    world.pass(world.timing.drain);
    world.sweep().await;
    assert_eq!(world.held().await, [], "the reaper goes on");
    ask::<()>(&world, &["CONFIG", "SET", "maxmemory", "0"]).await;
    world.machine("c").seated(&world.protocol).await;
}

async fn nobody_gets_in(world: &World) -> ProblemCode {
    let answer = world.protocol.acquire(&world.machine("late").request()).await;
    answer.expect_err("no memory for another holder").code()
}

/// Life of each key of the pool that there is, in ms; -1: no end.
async fn lives(world: &World) -> BTreeMap<&'static str, i64> {
    let mut lives = BTreeMap::new();
    for suffix in ["h", "z", "s", "m", "n"] {
        let life: i64 = ask(world, &["PTTL", &world.key(suffix)]).await;
        lives.extend((life != -2).then_some((suffix, life)));
    }
    lives
}

#[tokio::test]
async fn an_idle_pool_leaves_redis_after_a_day_and_a_held_one_stays() {
    const DAY: i64 = 24 * 3600 * 1000;
    let world = World::new().await;
    let idle = |lives: &BTreeMap<&str, i64>| lives.values().all(|life| (DAY - 60_000..=DAY).contains(life));
    let a = world.machine("a").seated(&world.protocol).await;
    let reserved = lives(&world).await;
    assert!(reserved.len() == 4 && idle(&reserved), "for all Redis knows the grant may have died: {reserved:?}");
    world.sweep().await;
    assert_eq!(lives(&world).await, ["h", "z", "s", "m"].map(|key| (key, -1)).into(), "held");

    release(&world.protocol, &a).await;
    let after = lives(&world).await;
    assert!(after.contains_key("h") && idle(&after), "given back: {after:?}");

    let machine = world.machine("a");
    let a = machine.seated(&world.protocol).await;
    machine.restarted().seated(&world.protocol).await;
    let reserved = lives(&world).await;
    assert!(reserved.len() == 5 && idle(&reserved), "with what a second process brings: {reserved:?}");
    world.sweep().await;
    assert!(lives(&world).await.values().all(|life| *life == -1), "held again");
    world.pass_ttl();
    world.sweep().await;
    let after = lives(&world).await;
    assert!(after.contains_key("h") && idle(&after), "expired: {after:?}");
    assert!(matches!(world.protocol.heartbeat(&open(&a), None).await.unwrap(), heartbeat::HeartbeatOutcome::Gone(_)));

    world.flush().await;
    let b = world.machine("b");
    world.protocol.seats().ready().await.unwrap();
    rebuilt_idle(&world).await;
    let after = lives(&world).await;
    assert!(after.contains_key("h") && idle(&after), "rebuilt with nobody in it: {after:?}");
    b.seated(&world.protocol).await;
    world.sweep().await;
    assert!(lives(&world).await.values().all(|life| *life == -1), "and held");
}

#[tokio::test]
async fn a_reservation_that_died_on_a_pool_nobody_holds_leaves_redis_after_a_day() {
    let world = World::new().await;
    world.protocol.steps().cut(Step::Acquire);
    world.machine("a").acquire_aside(&world.protocol).await.unwrap().unwrap_err();
    world.sweep().await;
    let left = lives(&world).await;
    assert!(left.len() == 4 && left.values().all(|life| *life > 0), "all of it goes: {left:?}");
}

/// Rebuilds the pool as the next caller would, and takes nothing.
async fn rebuilt_idle(world: &World) {
    let (nonce, snapshot) = (nonce(world).await, snapshot(world).await);
    assert!(world.seats().rebuild(&world.license.pool, &nonce, &snapshot).await.unwrap());
}

async fn nonce(world: &World) -> String {
    match world.seats().request_nonce(&world.license.pool).await.unwrap() {
        NonceAnswer::Nonce { nonce, .. } => nonce,
        other => panic!("a cold copy gives a nonce, not {other:?}"),
    }
}

async fn snapshot(world: &World) -> PoolSnapshot {
    world.service().rebuild_pool(world.license.tenant, world.license.pool_id, 0, &world.timing).await.unwrap().unwrap()
}

/// 5,000 seats: 2,999 held, of which some have two sessions and some none; one in quarantine.
async fn large() -> World {
    let world = World::with_seats(5_000).await;
    let fill = "with holders as (
           update seats set held_since = now(), holder = rtrim(translate(encode(substring(sha256(seat_no::text::bytea) for 16), 'base64'), '+/', '-_'), '=')
           where seat_no % 5 < 3 returning *)
         insert into sessions (tenant_id, session_id, license_id, pool_id, seat_no, holder, attempt, hw, label)
         select h.tenant_id, gen_random_uuid(), p.license_id, h.pool_id, h.seat_no, h.holder, gen_random_uuid(), h.holder, 'large-' || h.seat_no
         from holders h join pools p using (tenant_id, pool_id) cross join generate_series(1, h.seat_no % 5) n";
    sqlx::query(fill).execute(&mut world.truth().await).await.unwrap();
    sqlx::query("update seats set hold_until = now(), hold_epoch = 1 where seat_no = 4")
        .execute(&mut world.truth().await)
        .await
        .unwrap();
    world
}

#[tokio::test]
async fn a_large_pool_rebuilt_in_chunks_is_whole_and_the_same_as_in_one_piece() {
    let world = large().await;
    let began = Instant::now();
    // The operation that everybody calls: three chunks.
    world.machine("newcomer").seated(&world.protocol).await;
    println!("a pool of 5,000 seats was rebuilt and a seat taken in {:?}", began.elapsed());
    assert_eq!(world.held().await.len(), 3_001);
    assert_eq!(drift::between(&world).await, Vec::<String>::new());

    let mut copies = Vec::new();
    for size in [2_000, 10_000] {
        world.flush().await;
        let (nonce, mut snapshot) = (nonce(&world).await, snapshot(&world).await);
        // The order of a seat's sessions is the records'; the epoch is each rebuild's own.
        snapshot.epoch = 1_000;
        let done = world.seats().rebuild_in_chunks(&world.license.pool, &nonce, &snapshot, size).await.unwrap();
        assert!(done);
        let keys: Vec<String> = ask(&world, &["KEYS", "*"]).await;
        assert_eq!(keys.len(), 5, "no shadow stays behind: {keys:?}");
        assert!(lives(&world).await.values().all(|life| *life == -1), "nothing of a held pool has an end");
        copies.push(Keys::read(&world).await);
    }
    assert_eq!(copies[0].z.len(), 5_000);
    assert!(copies[0] == copies[1], "three chunks and one piece differ");
    assert!(copies[0].z.iter().any(|(seat, end)| seat == "4" && *end > 0.0), "a quarantine is kept");
}

/// Six a minute, three at once: one every ten seconds.
const RATE: RateLimit = RateLimit { per_minute: 6, burst: 3 };

fn waits(outcome: &AcquireOutcome) -> u64 {
    match outcome {
        AcquireOutcome::Refused(AcquireRefusal::Limited(limited)) => {
            assert_eq!((limited.by, limited.rate), (LimitKind::Holder, RATE));
            limited.wait_ms
        }
        other => panic!("too often, not {other:?}"),
    }
}

#[tokio::test]
async fn a_holder_that_starts_too_often_waits_and_neither_retries_nor_a_full_pool_count() {
    let world = World::shaped(Shape { seats: 1, processes: 3, ..Shape::default() }).await;
    let protocol = world.instance_limited(PoolRates { acquire: Some(RATE), ..PoolRates::default() }).await;
    let machine = world.machine("a");
    let first = machine.seated(&protocol).await;
    for _ in 0..10 {
        assert!(machine.seated(&protocol).await.renewed, "a retry takes no token");
    }
    for _ in 0..10 {
        world.machine("b").turned_away(&protocol).await; // the next assertions show that it was not counted
    }
    for _ in 0..2 {
        machine.restarted().seated(&protocol).await;
    }
    let other_instance = world.instance_limited(PoolRates { acquire: Some(RATE), ..PoolRates::default() }).await;
    assert_eq!(
        waits(&machine.restarted().acquire(&other_instance).await),
        10_000,
        "counted for all instances together"
    );
    assert!(machine.seated(&protocol).await.renewed);
    alive(&protocol, &first).await;
    let sessions = "select count(*) from sessions where ended_at is null";
    assert_eq!(world.count(sessions).await, 3, "who was refused left nothing");
    world.assert_no_drift().await;

    world.pass(Duration::from_secs(10));
    release(&protocol, &first).await;
    machine.restarted().seated(&protocol).await;
    assert_eq!(waits(&machine.restarted().acquire(&protocol).await), 10_000);
    world.pass_ttl();
    for _ in 0..3 {
        world.machine("b").restarted().seated(&protocol).await;
    }
    assert!(waits(&world.machine("b").restarted().acquire(&protocol).await) > 0);
}

#[tokio::test]
async fn a_license_that_gives_no_seat_is_not_asked_in_a_loop_either() {
    let world = World::shaped(Shape { processes: 3, ..Shape::default() }).await;
    let protocol = world.instance_limited(PoolRates { acquire: Some(RATE), ..PoolRates::default() }).await;
    world.machine("a").seated(&protocol).await;
    world.suspend().await;
    for _ in 0..3 {
        let outcome = world.machine("b").acquire(&protocol).await;
        assert!(matches!(outcome, AcquireOutcome::Refused(AcquireRefusal::License(_))), "{outcome:?}");
    }
    assert!(waits(&world.machine("b").acquire(&protocol).await) > 0);
}

#[tokio::test]
async fn a_session_in_a_loop_is_told_to_wait_and_keeps_its_lease_and_one_that_keeps_pace_leaves_nothing_behind() {
    let world = World::new().await;
    let protocol = world.instance_limited(PoolRates { heartbeat: Some(RATE), ..PoolRates::default() }).await;
    let (fast, slow) = (world.machine("fast").seated(&protocol).await, world.machine("slow").seated(&protocol).await);
    let tokens_taken = async || ask::<Vec<String>>(&world, &["KEYS", "*:r:*"]).await.len();
    for _ in 0..20 {
        world.pass(Duration::from_secs(10));
        alive(&protocol, &slow).await;
        assert_eq!(tokens_taken().await, 0);
    }
    alive(&protocol, &fast).await;
    for _ in 0..3 {
        alive(&protocol, &fast).await;
    }
    let limited = beat(&protocol, &fast).await;
    assert!(matches!(limited, heartbeat::HeartbeatOutcome::Limited(10_000)), "{limited:?}");
    assert_eq!(tokens_taken().await, 1);
    alive(&protocol, &slow).await;
    // The lease was raised by the last good heartbeat: nothing is lost by waiting.
    world.pass(world.timing.ttl - Duration::from_millis(1));
    alive(&protocol, &fast).await;
    world.assert_no_drift().await;
}
