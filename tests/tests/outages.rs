//! Stores that forget, stop, die and come back under load. What must hold is checked after each run from the belief log.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure is a panic with its place")]

use license_core::{
    Clock, Code,
    domain::id::SessionId,
    moves::{
        Moves,
        acquire::{Outcome, Seat},
        steps::Step,
    },
    seats::{HeartbeatAnswer, ReplicationId, Seats, Warm},
};
use license_local::stores::{Redis, RedisSettings};
use license_tests::{
    Machine, World,
    client::{alive, seat},
    load::{Crowd, Dice, Habits, check, crowd::Group, drift},
    stores,
    world::Shape,
};
use std::{
    collections::HashSet,
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

const TTL: Duration = Duration::from_secs(3);
/// Beside the reaper.
const INSTANCES: usize = 3;
/// Where more is to happen in the same time.
const WILD_TTL: Duration = Duration::from_millis(1500);
const SEATS: u32 = 8;
/// How long an answer may take on a busy machine.
const SOON: Duration = Duration::from_secs(10);

/// Five processes that keep their seats, eight that come and go over the other three seats.
struct Run {
    world: World,
    crowd: Crowd,
    steady: Group,
    lively: Group,
}

impl Run {
    async fn new(shape: Shape) -> Self {
        let world = World::shaped(shape).await;
        let mut crowd = Crowd::over(&world, INSTANCES).await;
        let steady = crowd.join_seated("steady", 5, Habits::STEADY).await;
        let lively = crowd.join("lively", 8, Habits::LIVELY);
        crowd.sweep(&world).await;
        crowd.go_on(TTL / 4).await;
        Self { world, crowd, steady, lively }
    }

    /// Waits until every steady process was answered after `fault`, and sees that it cost no more epochs than it may.
    async fn recovered(&mut self, fault: Instant, epoch_before: i64) {
        let steady = self.steady.clone();
        self.crowd.until("heartbeats are answered again", SOON, || steady.all_answered_since(fault)).await;
        let bumps = self.world.epoch().await - epoch_before;
        println!("all answered {:?} after the fault, {bumps} epochs", fault.elapsed());
        assert!((1..=INSTANCES as i64 + 1).contains(&bumps), "{bumps} epochs for one fault");
    }

    /// Lets the faults' last leases run out under load, stops everybody and checks all.
    async fn ends_well(mut self) {
        self.crowd.go_on(TTL + self.world.timing.drain).await;
        self.crowd.stop().await;
        println!("steady {}\nlively {}", self.steady.tally(), self.lively.tally());
        assert_eq!(self.steady.tally().lost, 0, "no live session is lost");
        check::holds(&self.world, self.crowd.log()).await;
    }
}

fn live() -> Shape {
    Shape::live(SEATS, TTL)
}

fn fallback() -> Shape {
    Shape { replication_id: ReplicationId::Connection, ..live() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_faults_nobody_is_lost_nothing_is_oversold_and_the_stores_agree() {
    Run::new(live()).await.ends_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_that_believe_too_long_are_found_in_the_log() {
    let world = World::shaped(Shape { seats: 2, ..live() }).await;
    let mut crowd = Crowd::trusting(&world, 1.5).await;
    crowd.join_seated("vanishing", 2, Habits::VANISHING).await;
    crowd.join_seated("next", 2, Habits::STEADY).await;
    crowd.stop().await;
    let found = check::look(&world, crowd.log()).await;
    let all = found.broken.join("\n");
    assert!(found.most > 2 && all.contains("S2: ") && all.contains("S3: "), "{found:?}");
}

/// Three flushes under load.
async fn flushes_cost_no_seat(shape: Shape) {
    let mut run = Run::new(shape).await;
    for _ in 0..3 {
        let before = run.world.epoch().await;
        let fault = Instant::now();
        run.world.flush().await;
        run.recovered(fault, before).await;
    }
    run.ends_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flush_under_load_costs_nobody_a_seat() {
    flushes_cost_no_seat(live()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flush_costs_nobody_a_seat_where_scripts_may_not_ask_which_node_they_run_on() {
    flushes_cost_no_seat(fallback()).await;
}

/// Redis dies twice under load and comes back knowing nothing.
async fn deaths_of_redis_cost_no_seat(shape: Shape) {
    let mut run = Run::new(shape).await;
    for _ in 0..2 {
        let before = run.world.epoch().await;
        run.world.redis.kill().await;
        run.crowd.go_on(TTL / 10).await;
        run.world.redis.restart().await.unwrap();
        run.recovered(Instant::now(), before).await;
    }
    run.ends_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_redis_that_comes_back_empty_costs_nobody_a_seat() {
    deaths_of_redis_cost_no_seat(live()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_redis_costs_nobody_a_seat_where_scripts_may_not_ask_which_node_they_run_on() {
    deaths_of_redis_cost_no_seat(fallback()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_single_key_lost_under_load_costs_nobody_a_seat() {
    let mut run = Run::new(live()).await;
    for key in ["h", "z", "s", "m", "n"] {
        let before = run.world.epoch().await;
        let fault = Instant::now();
        run.world.forget(key).await;
        println!("without {key}:");
        run.recovered(fault, before).await;
    }
    let before = run.world.epoch().await;
    run.world.forget("c").await;
    run.crowd.go_on(TTL / 3).await;
    assert_eq!(run.world.epoch().await, before, "a lost nonce of a warm pool is nothing");
    run.ends_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn seats_of_silent_holders_are_others_within_the_rebuild_lease_after_a_flush() {
    let world = World::shaped(Shape { seats: 3, ..live() }).await;
    let mut crowd = Crowd::over(&world, INSTANCES).await;
    crowd.join_seated("vanishing", 3, Habits::VANISHING).await;
    let waiting = crowd.join("waiting", 3, Habits::STEADY);
    crowd.go_on(TTL / 4).await;
    world.flush().await;
    let most = TTL + world.timing.drain + Duration::from_secs(1);
    let took = crowd.until("silent holders' seats are granted", most, || waiting.tally().answered.len() == 3).await;
    println!("granted after {took:?}");
    crowd.stop().await;
    check::holds(&world, crowd.log()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_postgres_costs_nobody_a_seat_and_no_heartbeat() {
    let mut server = stores::own_server().await;
    let world = World::shaped(Shape { database: Some(server.superuser()), ..live() }).await;
    let mut crowd = Crowd::over(&world, INSTANCES).await;
    let steady = crowd.join_seated("steady", 5, Habits::STEADY).await;
    let lively = crowd.join("lively", 2, Habits::LIVELY);
    crowd.go_on(TTL / 2).await;
    server.kill().await;
    let newcomer = world.machine("newcomer");
    for _ in 0..3 {
        let answer = world.moves.acquire(&newcomer.request).await;
        assert!(matches!(&answer, Err(e) if e.code() == Code::RecordsUnavailable), "{answer:?}");
    }
    crowd.go_on(TTL + TTL / 2).await;
    assert_eq!(steady.tally().failed_heartbeats.len(), 0, "heartbeats need no records: {}", steady.tally());
    server.restart().await.unwrap();
    let back = Instant::now();
    crowd.until("heartbeats go on", SOON, || steady.all_answered_since(back)).await;
    newcomer.seated(&world.moves).await;
    crowd.go_on(TTL + world.timing.drain).await;
    crowd.stop().await;
    println!("steady {}\nlively {}", steady.tally(), lively.tally());
    assert_eq!((steady.tally().lost, steady.tally().seats), (0, 5));
    check::holds(&world, crowd.log()).await;
}

/// A pool whose seats are all held by processes that keep them, and four more that want one.
async fn full_house(shape: Shape) -> (World, Crowd, Group, Group) {
    let world = World::shaped(shape).await;
    let mut crowd = Crowd::over(&world, INSTANCES).await;
    let steady = crowd.join_seated("steady", SEATS as usize, Habits::STEADY).await;
    let waiting = crowd.join("waiting", 4, Habits::STEADY);
    crowd.go_on(TTL / 4).await;
    (world, crowd, steady, waiting)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_three_leases_without_redis_every_holder_has_its_seat_and_nobody_else_got_one() {
    let (mut world, mut crowd, steady, waiting) = full_house(live()).await;
    world.redis.kill().await;
    crowd.go_on(3 * TTL).await;
    assert_eq!(crowd.log().believing(), 0, "by their own clocks all leases are over");
    world.redis.restart().await.unwrap();
    let back = Instant::now();
    crowd.until("every holder has its seat again", SOON, || steady.all_answered_since(back)).await;
    crowd.go_on(TTL / 2).await;
    crowd.stop().await;
    println!("steady {}\nwaiting {}", steady.tally(), waiting.tally());
    assert_eq!((steady.tally().seats, steady.tally().lost, steady.tally().lapsed), (8, 0, 0), "the same sessions");
    assert_eq!(waiting.tally().seats, 0);
    check::holds(&world, crowd.log()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_stood_still_for_two_leases_costs_nobody_a_seat() {
    let mut world = World::shaped(live()).await;
    let mut crowd = Crowd::over(&world, INSTANCES).await;
    let steady = crowd.join_seated("steady", 6, Habits::STEADY).await;
    stands_still(&mut world, &mut crowd).await;
    let back = Instant::now();
    crowd.until("heartbeats are answered again", SOON, || steady.all_answered_since(back)).await;
    crowd.stop().await;
    println!("steady {}", steady.tally());
    assert_eq!((steady.tally().seats, steady.tally().lost), (6, 0));
    check::holds(&world, crowd.log()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_stood_still_for_two_leases_oversells_nothing_in_a_full_house() {
    let (mut world, mut crowd, steady, waiting) = full_house(live()).await;
    stands_still(&mut world, &mut crowd).await;
    crowd.go_on(TTL + TTL / 2).await;
    crowd.stop().await;
    println!("steady {}\nwaiting {}", steady.tally(), waiting.tally());
    check::holds(&world, crowd.log()).await;
}

async fn stands_still(world: &mut World, crowd: &mut Crowd) {
    world.redis.pause();
    crowd.go_on(2 * TTL).await;
    world.redis.resume();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_heartbeats_on_a_cold_pool_cost_at_most_one_epoch_for_each_instance() {
    let world = World::shaped(Shape { seats: 100, clock: Clock::system(), ..Shape::default() }).await;
    let instances = three(&world).await;
    let machines: Vec<Machine> = (0..100).map(|n| world.machine(&format!("m{n}"))).collect();
    let seats: Vec<Seat> = all_at_once(&instances, &machines).await.into_iter().map(seat).collect();
    let before = world.epoch().await;
    world.flush().await;
    let mut beats = JoinSet::new();
    for (n, seat) in seats.into_iter().enumerate() {
        let moves = instances[n % 3].clone();
        beats.spawn(async move { alive(&moves, &seat).await });
    }
    beats.join_all().await;
    let bumps = world.epoch().await - before;
    println!("{bumps} epochs for 100 heartbeats over 3 instances");
    assert!((1..=3).contains(&bumps), "{bumps} epochs");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thirty_starts_of_one_machine_at_once_share_one_seat() {
    let world = World::shaped(Shape { clock: Clock::system(), ..Shape::default() }).await;
    let instances = three(&world).await;
    let machine = world.machine("one");
    let starts: Vec<Machine> = (0..30).map(|_| machine.restarted()).collect();
    let began = Instant::now();
    let seats: Vec<Seat> = all_at_once(&instances, &starts).await.into_iter().map(seat).collect();
    println!("30 starts took {:?}", began.elapsed());
    assert!(seats.iter().all(|seat| !seat.renewed && seat.seat == seats[0].seat));
    let sessions: HashSet<_> = seats.iter().map(|seat| seat.session).collect();
    assert_eq!(sessions.len(), 30, "each start is a session of its own");
    assert_eq!(world.held().await.len(), 1);
    assert_eq!(world.count("select count(*) from sessions where ended_at is null").await, 30);
    for (n, seat) in seats.iter().enumerate() {
        alive(&instances[n % 3], seat).await;
    }
    assert_eq!(drift::between(&world).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_three_hundred_machines_at_once_twenty_get_the_twenty_seats() {
    let world = World::shaped(Shape { seats: 20, clock: Clock::system(), ..Shape::default() }).await;
    let instances = three(&world).await;
    let machines: Vec<Machine> = (0..300).map(|n| world.machine(&format!("m{n}"))).collect();
    let began = Instant::now();
    let outcomes = all_at_once(&instances, &machines).await;
    println!("300 acquires took {:?}", began.elapsed());
    let (seats, others): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(|o| matches!(o, Outcome::Seat(_)));
    assert_eq!(seats.len(), 20);
    assert!(others.iter().all(|o| matches!(o, Outcome::Full(_))), "{others:?}");
    assert_eq!(world.held().await.len(), 20);
    assert_eq!(drift::between(&world).await, Vec::<String>::new());
}

async fn three(world: &World) -> [Moves; 3] {
    [world.instance().await, world.instance().await, world.instance().await]
}

/// Every machine asks for a seat at the same time, over the instances in turn.
async fn all_at_once(instances: &[Moves; 3], machines: &[Machine]) -> Vec<Outcome> {
    let asking: Vec<_> = machines.iter().enumerate().map(|(n, m)| m.acquire_aside(&instances[n % 3])).collect();
    let mut outcomes = Vec::new();
    for asked in asking {
        outcomes.push(asked.await.unwrap().unwrap());
    }
    outcomes
}

/// Two Redis nodes, the second a copy of the first.
async fn two_nodes(shape: Shape) -> (World, Redis) {
    let tcp = RedisSettings { tcp: true, ..RedisSettings::default() };
    let world = World::shaped(Shape { redis: tcp.clone(), ..shape }).await;
    let port = world.redis.port().unwrap().to_string();
    let more = vec!["--replicaof".into(), "127.0.0.1".into(), port];
    let replica = Redis::temporary(RedisSettings { more, ..tcp }).await.unwrap();
    (world, replica)
}

/// Waits until a node follows its primary and has the pool as it is now. The first is not enough: what was written during the first
/// transfer comes up to a second later.
async fn in_sync(world: &World, node: &Redis) {
    let until = Instant::now() + SOON;
    let key = world.key("h");
    loop {
        let epoch: Option<i64> = command(node, &["HGET", &key, "epoch"]).await;
        let info: String = command(node, &["INFO", "replication"]).await;
        if epoch == Some(world.epoch().await) && info.contains("master_link_status:up") {
            return;
        }
        assert!(Instant::now() < until, "the replica follows its primary");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn command<T: redis::FromRedisValue>(node: &Redis, words: &[&str]) -> T {
    let client = redis::Client::open(node.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    redis::cmd(words[0]).arg(&words[1..]).query_async(&mut connection).await.unwrap()
}

/// What a node says of the world's pool to somebody who asks it directly.
async fn judgement(world: &World, node: &Redis) -> license_core::Result<Warm<HeartbeatAnswer>> {
    let seats = Seats::new(&node.url(), world.replication_id, world.timing, world.clock.clone()).unwrap();
    seats.heartbeat(&world.license.pool, 0, SessionId::draw()).await
}

async fn instances_at(world: &World, node: &Redis) -> Vec<Moves> {
    vec![world.instance_at(&node.url()).await, world.instance_at(&node.url()).await]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_promoted_stale_replica_and_an_old_primary_that_still_answers_oversell_nothing() {
    let (mut world, mut replica) = two_nodes(live()).await;
    let mut crowd = Crowd::of(&world, instances_at(&world, &world.redis).await);
    let steady = crowd.join_seated("steady", 5, Habits::STEADY).await;
    let lively = crowd.join("lively", 8, Habits::LIVELY);
    // There and back: a node's run id repeats when it is primary again, its replication id does not.
    for _ in 0..2 {
        in_sync(&world, &replica).await;
        assert!(judgement(&world, &replica).await.is_err(), "a replica judges nobody");
        command::<()>(&replica, &["REPLICAOF", "NO", "ONE"]).await;
        // The promoted copy grows stale: everybody still asks the old primary.
        crowd.go_on(TTL / 3).await;
        let stale = judgement(&world, &replica).await.unwrap();
        assert!(matches!(stale, Warm::Cold(epoch) if epoch > 0), "a copy that another node stamped: {stale:?}");
        let epoch = world.epoch().await;
        let (old, new) = (instances_at(&world, &world.redis).await, instances_at(&world, &replica).await);
        crowd.route(old.into_iter().chain(new.iter().cloned()).collect());
        crowd.go_on(world.timing.drain * 3 / 4).await;
        crowd.route(new);
        let alone = Instant::now();
        crowd.until("heartbeats are answered by the new primary", SOON, || steady.all_answered_since(alone)).await;
        println!("{} epochs for one promotion", world.epoch().await - epoch);
        crowd.go_on(world.timing.drain).await;
        replica = world.fail_over(replica).await;
        let port = world.redis.port().unwrap().to_string();
        command::<()>(&replica, &["REPLICAOF", "127.0.0.1", &port]).await;
    }
    crowd.go_on(TTL).await;
    crowd.stop().await;
    println!("steady {}\nlively {}", steady.tally(), lively.tally());
    assert_eq!(steady.tally().lost, 0);
    check::holds(&world, crowd.log()).await;
}

#[tokio::test]
async fn a_lease_extended_by_an_old_primary_within_the_drain_margin_is_waited_for_by_the_new_one() {
    let (world, replica) = two_nodes(Shape { seats: 1, ..Shape::default() }).await;
    let a = world.machine("a").seated(&world.moves).await;
    in_sync(&world, &replica).await;
    command::<()>(&replica, &["REPLICAOF", "NO", "ONE"]).await;
    let promoted = world.instance_at(&replica.url()).await;
    let b = world.machine("b");
    b.turned_away(&promoted).await;
    world.pass(world.timing.drain - Duration::from_millis(1));
    alive(&world.moves, &a).await;
    world.pass(world.timing.ttl - world.timing.eps());
    b.turned_away(&promoted).await;
    world.pass(world.timing.eps() + Duration::from_millis(1));
    b.seated(&promoted).await;
}

/// Something goes wrong: Redis forgets all or a key, or a request dies or stands still between two steps.
async fn mishap(world: &World, instances: &[Moves], dice: &mut Dice) {
    const STEPS: [Step; 6] =
        [Step::Acquire, Step::Grant, Step::Heartbeat, Step::Release, Step::EndSeats, Step::RebuildPool];
    let steps = instances[dice.below(instances.len())].steps();
    let step = STEPS[dice.below(STEPS.len())];
    match dice.below(60) {
        0 => world.flush().await,
        1 => world.forget(["h", "z", "s", "m", "n", "c"][dice.below(6)]).await,
        2..=9 => world.reaper.steps().cut([Step::Reap, Step::EndSeats][dice.below(2)]),
        10..=34 => steps.cut(step),
        _ => {
            let held = steps.hold(step);
            let time = dice.between(world.timing.ttl, 0.0, 1.5);
            tokio::spawn(async move {
                // Dropped, it lets the request go on: also one that comes to the step only later.
                tokio::time::sleep(time).await;
                drop(held);
            });
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_that_can_go_wrong_at_once_oversells_nothing() {
    let mut world = World::shaped(Shape::live(4, WILD_TTL)).await;
    let mut crowd = Crowd::over(&world, INSTANCES).await;
    let wild = crowd.join("wild", 16, Habits::WILD);
    crowd.sweep(&world).await;
    let (instances, mut dice) = (crowd.instances(), crowd.dice());
    let until = Instant::now() + 6 * WILD_TTL;
    while Instant::now() < until {
        mishap(&world, &instances, &mut dice).await;
        crowd.go_on(dice.between(WILD_TTL, 0.0, 0.1)).await;
    }
    crowd.route(three(&world).await.into());
    crowd.go_on(2 * WILD_TTL + world.timing.drain).await;
    crowd.stop().await;
    println!("wild {}", wild.tally());
    world.reaper = world.another_reaper();
    check::holds(&world, crowd.log()).await;
}
