//! Outages under many clients at once, and several outages at once.

use super::INSTANCES;
use license_core::{
    Clock, Error, Result,
    protocol::{
        SeatProtocol,
        acquire::{AcquireOutcome, AcquireRefusal, LeasedSeat},
        heartbeat::HeartbeatOutcome,
        steps::Step,
    },
};
use license_tests::{
    Machine, World,
    client::{alive, open, seat},
    load::{Crowd, Dice, Habits, check, drift},
    world::Shape,
};
use std::{
    collections::HashSet,
    time::{Duration, Instant},
};
use tokio::task::{JoinHandle, JoinSet};

/// Where more is to happen in the same time.
const WILD_TTL: Duration = Duration::from_millis(1500);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_heartbeats_on_a_cold_pool_cost_at_most_one_epoch_for_each_instance() {
    let world = World::shaped(Shape { seats: 100, clock: Clock::system(), ..Shape::default() }).await;
    let instances = three(&world).await;
    let machines: Vec<Machine> = (0..100).map(|n| world.machine(&format!("m{n}"))).collect();
    let seats: Vec<LeasedSeat> =
        all_at_once(&instances, &machines).await.into_iter().map(|a| seat(a.outcome)).collect();
    let before = world.epoch().await;
    world.flush().await;
    let mut beats = JoinSet::new();
    for (n, seat) in seats.into_iter().enumerate() {
        let (protocol, handle) = (instances[n % 3].clone(), open(&seat));
        let beat = move || {
            let (protocol, handle) = (protocol.clone(), handle.clone());
            tokio::spawn(async move { protocol.heartbeat(&handle, None).await })
        };
        beats.spawn(until_answered(beat));
    }
    for (outcome, _) in beats.join_all().await {
        assert!(matches!(outcome, HeartbeatOutcome::Alive(_)), "alive, not {outcome:?}");
    }
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
    let answers = all_at_once(&instances, &starts).await;
    println!("30 starts took {:?}", began.elapsed());
    // Whoever had to ask again may be told of the session that its first request was given.
    let tries: Vec<usize> = answers.iter().map(|answer| answer.tries).collect();
    let seats: Vec<LeasedSeat> = answers.into_iter().map(|answer| seat(answer.outcome)).collect();
    assert!(seats.iter().all(|seat| seat.granted.seat == seats[0].granted.seat));
    assert!(seats.iter().zip(tries).all(|(seat, tries)| tries > 1 || !seat.renewed));
    let sessions: HashSet<_> = seats.iter().map(|seat| seat.granted.session).collect();
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
    let outcomes = outcomes.into_iter().map(|answer| answer.outcome);
    let (seats, others): (Vec<_>, Vec<_>) = outcomes.partition(|outcome| matches!(outcome, AcquireOutcome::Seat(_)));
    assert_eq!(seats.len(), 20);
    assert!(others.iter().all(|o| matches!(o, AcquireOutcome::Refused(AcquireRefusal::Full(_)))), "{others:?}");
    assert_eq!(world.held().await.len(), 20);
    assert_eq!(drift::between(&world).await, Vec::<String>::new());
}

async fn three(world: &World) -> [SeatProtocol; 3] {
    [world.instance().await, world.instance().await, world.instance().await]
}

/// What a machine was told in the end, and how often it had to ask.
struct Answer {
    outcome: AcquireOutcome,
    tries: usize,
}

/// Every machine asks for a seat at the same time, over the instances in turn.
async fn all_at_once(instances: &[SeatProtocol; 3], machines: &[Machine]) -> Vec<Answer> {
    let mut asking = Vec::new();
    for (n, machine) in machines.iter().enumerate() {
        let (protocol, machine) = (instances[n % 3].clone(), machine.clone());
        asking.push(tokio::spawn(async move {
            let (outcome, tries) = until_answered(|| machine.acquire_aside(&protocol)).await;
            Answer { outcome, tries }
        }));
    }
    let mut answers = Vec::new();
    for asked in asking {
        answers.push(asked.await.expect("nobody panics"));
    }
    answers
}

/// Asks as a client does: where a store was not reached in time, which a busy machine is enough for, it asks for the same again. With how
/// often it asked.
///
/// # Panics
/// With any other error, and with this one after a minute.
async fn until_answered<T>(ask: impl Fn() -> JoinHandle<Result<T>>) -> (T, usize) {
    let (since, mut tries) = (Instant::now(), 0);
    loop {
        tries += 1;
        match ask().await.expect("no request panics") {
            Ok(answer) => return (answer, tries),
            Err(error @ (Error::Deadline(_) | Error::Seats(_) | Error::Records(_)))
                if since.elapsed().as_secs() < 60 =>
            {
                println!("{error}, and asked again");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Err(error) => panic!("{error} after {tries} tries in {:?}", since.elapsed()),
        }
    }
}

/// Something goes wrong: Redis forgets all or a key, or a request dies or stands still between two steps.
async fn mishap(world: &World, instances: &[SeatProtocol], dice: &mut Dice) {
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
