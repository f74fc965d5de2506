//! Stores that forget, stop, die and come back under load. What must hold is checked after each run from the belief log.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure is a panic with its place")]

use license_core::seats::ReplicationId;
use license_tests::{
    World,
    load::{Crowd, Habits, check, crowd::Group},
    world::Shape,
};
use std::time::{Duration, Instant};

const TTL: Duration = Duration::from_secs(4);
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
        crowd.go_on(TTL / 4).await;
        Self { world, crowd, steady, lively }
    }

    /// Waits until every steady process was answered after `fault`, and tells how many epochs it took.
    async fn recovered(&mut self, fault: Instant) {
        let steady = self.steady.clone();
        self.crowd.until("heartbeats are answered again", SOON, || steady.all_answered_since(fault)).await;
    }

    /// Lets the faults' last leases run out under load, stops everybody and checks all.
    async fn ends_well(mut self) {
        self.crowd.go_on(TTL + self.world.timing.drain).await;
        self.crowd.stop().await;
        println!("steady {:?}\nlively {:?}", self.steady.tally(), self.lively.tally());
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

async fn flush_costs_no_seat(shape: Shape) {
    let mut run = Run::new(shape).await;
    for _ in 0..3 {
        let before = run.world.epoch().await;
        let fault = Instant::now();
        run.world.flush().await;
        run.recovered(fault).await;
        let bumps = run.world.epoch().await - before;
        println!("bumps {bumps}, back after {:?}", fault.elapsed());
        assert!((1..=INSTANCES as i64).contains(&bumps), "{bumps} epochs for one flush");
    }
    run.ends_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flush_under_load_costs_nobody_a_seat() {
    flush_costs_no_seat(live()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flush_costs_nobody_a_seat_where_scripts_may_not_ask_which_node_they_run_on() {
    flush_costs_no_seat(fallback()).await;
}
