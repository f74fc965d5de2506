//! Stores that forget, stop, die and come back under load. What must hold is checked after each run from the belief log.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure is a panic with its place")]

mod nodes;
mod politely;
mod storms;

use license_core::{ProblemCode, seat_store::ReplicationId};
use license_tests::{
    World,
    load::{Crowd, Group, Habits, check},
    stores,
    world::Shape,
};
use std::time::{Duration, Instant};

const TTL: Duration = Duration::from_secs(3);
/// Beside the reaper.
const INSTANCES: usize = 3;
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
        assert!(self.crowd.log().compared() > 0, "leases in Redis were held against beliefs");
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
    let mut crowd = Crowd::trusting(&world, 20.0).await;
    crowd.join_seated("vanishing", 2, Habits::VANISHING).await;
    crowd.join_seated("next", 2, Habits::STEADY).await;
    crowd.stop().await;
    let found = check::look(&world, crowd.log()).await;
    let all = found.broken.join("\n");
    assert!(found.most > 2 && ["S2: ", "S3: ", "S4: "].iter().all(|kind| all.contains(kind)), "{found:?}");
}

/// Three flushes under load.
async fn flushes_cost_no_seat(shape: Shape) {
    let mut run = Run::new(shape).await;
    for _ in 0..3 {
        let before = run.world.epoch().await;
        run.world.flush().await;
        let fault = Instant::now();
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
        if key == "n" {
            // It names only sessions that share a seat.
            run.world.machine("steady-0").restarted().seated(&run.world.protocol).await;
        }
        let before = run.world.epoch().await;
        run.world.forget(key).await;
        let fault = Instant::now();
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
    for _ in 0..5 {
        if silent_holders_after_a_flush().await {
            return;
        }
    }
    panic!("five times the holders' leases were over before the flush");
}

/// Whether the holders' leases were not over yet when Redis was emptied, and somebody had to wait.
async fn silent_holders_after_a_flush() -> bool {
    let world = World::shaped(Shape { seats: 3, ..live() }).await;
    let mut crowd = Crowd::over(&world, INSTANCES).await;
    crowd.join_seated("vanishing", 3, Habits::VANISHING).await;
    let waiting = crowd.join("waiting", 3, Habits::STEADY);
    crowd.go_on(TTL / 4).await;
    world.flush().await;
    let fault = Instant::now();
    let took = crowd.until("silent holders' seats are granted", 3 * SOON, || waiting.tally().answered.len() == 3).await;
    println!("granted after {took:?}");
    let tally = waiting.tally();
    let full: Vec<_> = tally.full.iter().filter(|(sent, _)| *sent >= fault).collect();
    let Some(rebuilt) = full.iter().map(|(_, answered)| *answered).min() else {
        crowd.stop().await;
        return false;
    };
    // An instance that waits long for Redis lets its clock of leases stand still, at most for a lease.
    let prompt = full.iter().all(|(sent, answered)| *answered - *sent < Duration::from_millis(200));
    let prompt = prompt && tally.failed_acquires.is_empty();
    let most = TTL + world.timing.drain + if prompt { Duration::from_millis(50) } else { TTL };
    let late: Vec<_> = full.iter().map(|(sent, _)| *sent - rebuilt).filter(|since| *since > most).collect();
    assert!(late.is_empty(), "told \"full\" by a question that was sent {late:?} after the rebuild, prompt: {prompt}");
    crowd.stop().await;
    check::holds(&world, crowd.log()).await;
    true
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
        let answer = world.protocol.acquire(&newcomer.request()).await;
        assert!(matches!(&answer, Err(e) if e.code() == ProblemCode::RecordsUnavailable), "{answer:?}");
    }
    crowd.go_on(TTL + TTL / 2).await;
    assert_eq!(steady.tally().failed_heartbeats.len(), 0, "heartbeats need no records: {}", steady.tally());
    server.restart().await.unwrap();
    let back = Instant::now();
    crowd.until("heartbeats go on", SOON, || steady.all_answered_since(back)).await;
    newcomer.seated(&world.protocol).await;
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
async fn a_redis_that_stood_still_for_two_leases_costs_no_holder_its_seat_in_a_full_house_with_others_waiting() {
    let (mut world, mut crowd, steady, waiting) = full_house(live()).await;
    stands_still(&mut world, &mut crowd).await;
    let back = Instant::now();
    crowd.until("heartbeats are answered again", SOON, || steady.all_answered_since(back)).await;
    crowd.go_on(TTL + TTL / 2).await;
    crowd.stop().await;
    println!("steady {}\nwaiting {}", steady.tally(), waiting.tally());
    assert_eq!((steady.tally().seats, steady.tally().lost), (8, 0));
    assert_eq!(waiting.tally().seats, 0);
    check::holds(&world, crowd.log()).await;
}

async fn stands_still(world: &mut World, crowd: &mut Crowd) {
    world.redis.pause();
    crowd.go_on(2 * TTL).await;
    world.redis.resume();
}
