//! A machine against itself: its dead processes and the limits of its license, before the functions.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure is a panic with its place")]

use license_core::domain::rate::{PoolRates, RateLimit};
use license_tests::{
    World, claims,
    front::{ACQUIRE, Answer, Front, HEARTBEAT, RELEASE, VALIDATE},
    world::Shape,
};
use serde_json::{Value, json};
use std::time::Duration;

/// A pool of one seat, for so many processes on it.
async fn front(processes: u32) -> Front {
    Front::over(World::shaped(Shape { seats: 1, processes, ..Shape::default() }).await)
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn whole(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("a whole number, not {value}"))
}

/// A process of a machine that beats when it is told to, as clients do.
struct Process {
    session: Value,
    beats_in: u64,
}

impl Process {
    async fn start(front: &Front, machine: &str) -> Self {
        let seat = front.seated(machine).await;
        Self { beats_in: whole(&seat["heartbeat_in"]), session: seat["session"].clone() }
    }

    /// A second passes for it; it must never be told anything but that it lives.
    async fn second(&mut self, front: &Front) {
        self.beats_in -= 1;
        if self.beats_in == 0 {
            let alive = front.post_as(HEARTBEAT, &self.session, &json!({})).await.ok(200);
            self.beats_in = whole(&alive["heartbeat_in"]);
        }
    }
}

#[track_caller]
fn told_when(refused: Answer) -> u64 {
    let refused = refused.is(409, "too_many_processes");
    let told = whole(&refused.body["next_process_in"]);
    assert_eq!(refused.headers["retry-after"], told.to_string().as_str());
    told
}

#[tokio::test]
async fn a_program_killed_and_started_again_and_again_is_not_refused_because_of_its_own_dead() {
    // As long as it lives each time, in seconds. The dead of each are never swept, and swept once a minute.
    for (life, sweeps) in
        [(2, false), (2, true), (5, false), (7, true), (11, false), (24, true), (70, false), (130, true)]
    {
        let front = front(32).await;
        let mut passed = 0;
        for start in 0..70 {
            let seat = front.post(ACQUIRE, &front.ask("build")).await;
            assert_eq!(seat.status, 201, "start {start} of programs that live {life} s: {}", seat.body);
            let mut process =
                Process { beats_in: whole(&seat.body["heartbeat_in"]), session: seat.body["session"].clone() };
            for _ in 0..life {
                front.world.pass(seconds(1));
                process.second(&front).await;
                passed += 1;
                if sweeps && passed % 60 == 0 {
                    front.world.sweep().await;
                }
            }
        }
        front.world.sweep_until_quiet().await;
        front.world.assert_no_drift().await;
    }
}

#[tokio::test]
async fn who_is_refused_for_its_own_processes_is_told_when_the_first_of_them_is_over_and_that_is_so() {
    for processes in [1, 2, 3, 4, 8, 32] {
        let front = front(processes).await;
        for _ in 0..processes {
            front.seated("a").await;
            front.world.pass(Duration::from_millis(300));
        }
        let ask = front.ask("a");
        let told = told_when(front.post(ACQUIRE, &ask).await);
        let look = json!({ "license_key": ask["license_key"], "hardware_id": ask["hardware_id"] });
        let valid = front.post(VALIDATE, &look).await.ok(200);
        assert_eq!((&valid["code"], &valid["retry_in"]), (&"too_many_processes".into(), &told.into()));
        assert!(processes == 1 || told <= 20, "of {processes}: {told} s");
        front.world.pass(seconds(told - 1));
        assert_eq!(told_when(front.post(ACQUIRE, &ask).await), 1, "of {processes}, {told} s");
        front.world.pass(seconds(1));
        front.post(ACQUIRE, &ask).await.ok(201);
        let valid = front.post(VALIDATE, &look).await.ok(200);
        assert!(valid["retry_in"].is_null() == valid["code"].is_null(), "{valid}");
    }
}

#[tokio::test]
async fn no_process_that_beats_when_it_is_told_to_gives_way_to_another() {
    for allowed in [1, 3, 8] {
        let front = front(allowed).await;
        let mut living = Vec::new();
        for _ in 0..allowed {
            living.push(Process::start(&front, "a").await);
        }
        for second in 0..1000 {
            front.world.pass(seconds(1));
            for process in &mut living {
                process.second(&front).await;
            }
            if second % 10 == 0 {
                told_when(front.post(ACQUIRE, &front.ask("a")).await);
            }
            if second % 60 == 0 {
                front.world.sweep().await;
            }
        }
    }
}

#[tokio::test]
async fn a_process_given_a_short_lease_is_told_it_and_is_given_no_less_by_redis() {
    let front = front(4).await;
    let mut told = Vec::new();
    for _ in 0..4 {
        let ask = front.ask("a");
        let mut seat = front.post(ACQUIRE, &ask).await.ok(201);
        for _ in 0..2 {
            let now = front.world.clock.now_seconds();
            assert_eq!(whole(&claims(seat["token"].as_str().unwrap())["exp"]), now as u64 + whole(&seat["expires_in"]));
            assert!(
                3 * whole(&seat["heartbeat_in"]) <= whole(&seat["expires_in"]),
                "three chances inside a lease: {seat}"
            );
            seat = front.post(ACQUIRE, &ask).await.ok(200);
        }
        told.push((seat["session"].clone(), whole(&seat["expires_in"])));
    }
    assert_eq!(told.iter().map(|(_, lease)| *lease).collect::<Vec<_>>(), [355, 19, 19, 19]);
    // Each is alive until the end of the lease it was told, however many others start.
    front.world.pass(seconds(19));
    told_when(front.post(ACQUIRE, &front.ask("a")).await);
    for (session, lease) in &told {
        let alive = front.post_as(HEARTBEAT, session, &json!({})).await.ok(200);
        assert!(*lease == 355 || whole(&alive["expires_in"]) == 19, "what is left is nearly nothing: {alive}");
    }
    // What is left, four times over, and in the end a full lease.
    let mut leases = Vec::new();
    for _ in 0..4 {
        front.world.pass(seconds(5));
        leases.push(whole(&front.post_as(HEARTBEAT, &told[1].0, &json!({})).await.ok(200)["expires_in"]));
    }
    assert_eq!(leases, [59, 216, 355, 355]);
}

#[tokio::test]
async fn a_process_that_gave_way_and_beats_again_is_told_so_and_acquires_anew() {
    let front = front(2).await;
    front.seated("a").await;
    let silent = front.seated("a").await;
    front.world.pass(seconds(21));
    front.seated("a").await;
    let gone = front.post_as(HEARTBEAT, &silent["session"], &json!({})).await.is(410, "session_gone");
    assert_eq!(gone.body["reason"], "expired");
    let told = told_when(front.post(ACQUIRE, &front.ask("a")).await);
    front.world.pass(seconds(told));
    front.seated("a").await;
    assert_eq!(front.world.held().await.len(), 1, "one machine, one seat, whatever came and went");
}

#[tokio::test]
async fn where_each_process_has_a_seat_the_dead_keep_theirs_for_a_lease_and_that_is_told() {
    let shape = Shape { seats: 2, processes: 1, holder_by: "process", ..Shape::default() };
    let front = Front::over(World::shaped(shape).await);
    let ask = |instance: &str| {
        let mut ask = front.ask("a");
        ask["instance_id"] = format!("instance-{instance}").into();
        ask
    };
    front.post(ACQUIRE, &ask("one")).await.ok(201);
    front.world.pass(seconds(5));
    let two = front.post(ACQUIRE, &ask("two")).await.ok(201);
    let full = front.post(ACQUIRE, &ask("three")).await.is(409, "no_seats_available");
    assert_eq!((&full.body["next_seat_in"], &full.body["seats_used"]), (&355.into(), &2.into()));
    let again = front.post(ACQUIRE, &ask("two")).await.is(409, "too_many_processes");
    assert!(again.body["detail"].as_str().unwrap().contains("instance_id"), "{}", again.body);
    assert_eq!(again.body["next_process_in"], 360);
    front.post_as(RELEASE, &two["session"], &json!({})).await.ok(200);
    front.post(ACQUIRE, &ask("three")).await.ok(201);
}

/// As it is unless `RATE_ACQUIRE` says otherwise.
const RATE: RateLimit = RateLimit { per_minute: 120, burst: 40 };

async fn limited(processes: u32, rate: RateLimit) -> Front {
    let world = World::shaped(Shape { seats: 1, processes, ..Shape::default() }).await;
    let protocol = world.instance_limited(PoolRates { acquire: Some(rate), ..PoolRates::default() }).await;
    Front::with(world, protocol)
}

#[tokio::test]
async fn as_many_processes_as_the_license_allows_may_start_at_once() {
    for (processes, rate) in [
        (64, RATE),
        (200, RATE),
        (32, RateLimit { per_minute: 6, burst: 3 }),
        (50, RateLimit { per_minute: 60_000, burst: 1 }),
    ] {
        let front = limited(processes, rate).await;
        for start in 0..processes {
            let seat = front.post(ACQUIRE, &front.ask("a")).await;
            assert_eq!(seat.status, 201, "start {start} of {processes}: {}", seat.body);
        }
        let one_more = front.post(ACQUIRE, &front.ask("a")).await;
        assert!([409, 429].contains(&one_more.status), "{}", one_more.body);
        let told = one_more.headers["retry-after"].to_str().unwrap().parse().unwrap();
        front.world.pass(seconds(told));
        let after = front.post(ACQUIRE, &front.ask("a")).await;
        assert!(after.status == 201 || one_more.status == 429 && after.status == 409, "{}", after.body);
    }
}

#[tokio::test]
async fn sixty_four_starts_side_by_side_of_a_license_for_two_hundred_are_all_seated() {
    let front = limited(200, RATE).await;
    let asks: Vec<Value> = (0..64).map(|_| front.ask("a")).collect();
    let mut starts = tokio::task::JoinSet::new();
    for ask in asks {
        let app = front.app.clone();
        starts.spawn(async move { Front::post_to(app, ACQUIRE, &ask).await.status });
    }
    assert_eq!(starts.join_all().await, vec![201; 64]);
}

#[tokio::test]
async fn a_limit_above_what_the_license_allows_stays_as_it_was_set() {
    let front = limited(2, RateLimit { per_minute: 6, burst: 3 }).await;
    for _ in 0..3 {
        let seat = front.seated("a").await;
        front.post_as(RELEASE, &seat["session"], &json!({})).await.ok(200);
    }
    let refused = front.post(ACQUIRE, &front.ask("a")).await.is(429, "rate_limited");
    assert_eq!(refused.headers["retry-after"], "10");
    assert_eq!(refused.headers["ratelimit-policy"], "\"acquire\";q=3;w=30");
    let front = limited(6, RateLimit { per_minute: 6, burst: 3 }).await;
    for _ in 0..6 {
        let seat = front.seated("a").await;
        front.post_as(RELEASE, &seat["session"], &json!({})).await.ok(200);
    }
    let refused = front.post(ACQUIRE, &front.ask("a")).await.is(429, "rate_limited");
    assert_eq!(refused.headers["ratelimit-policy"], "\"acquire\";q=6;w=30", "the limit that was kept");
}
