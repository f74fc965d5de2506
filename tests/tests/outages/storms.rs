//! Outages under many clients at once, and several outages at once.

use super::INSTANCES;
use license_core::{
    Clock,
    protocol::{
        SeatProtocol,
        acquire::{AcquireOutcome, AcquireRefusal, LeasedSeat},
        steps::Step,
    },
};
use license_tests::{
    Machine, World,
    client::{alive, seat},
    load::{Crowd, Dice, Habits, check, drift},
    world::Shape,
};
use std::{
    collections::HashSet,
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

/// Where more is to happen in the same time.
const WILD_TTL: Duration = Duration::from_millis(1500);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_heartbeats_on_a_cold_pool_cost_at_most_one_epoch_for_each_instance() {
    let world = World::shaped(Shape { seats: 100, clock: Clock::system(), ..Shape::default() }).await;
    let instances = three(&world).await;
    let machines: Vec<Machine> = (0..100).map(|n| world.machine(&format!("m{n}"))).collect();
    let seats: Vec<LeasedSeat> = all_at_once(&instances, &machines).await.into_iter().map(seat).collect();
    let before = world.epoch().await;
    world.flush().await;
    let mut beats = JoinSet::new();
    for (n, seat) in seats.into_iter().enumerate() {
        let protocol = instances[n % 3].clone();
        beats.spawn(async move { alive(&protocol, &seat).await });
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
    let seats: Vec<LeasedSeat> = all_at_once(&instances, &starts).await.into_iter().map(seat).collect();
    println!("30 starts took {:?}", began.elapsed());
    assert!(seats.iter().all(|seat| !seat.renewed && seat.granted.seat == seats[0].granted.seat));
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
    let (seats, others): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(|o| matches!(o, AcquireOutcome::Seat(_)));
    assert_eq!(seats.len(), 20);
    assert!(others.iter().all(|o| matches!(o, AcquireOutcome::Refused(AcquireRefusal::Full(_)))), "{others:?}");
    assert_eq!(world.held().await.len(), 20);
    assert_eq!(drift::between(&world).await, Vec::<String>::new());
}

async fn three(world: &World) -> [SeatProtocol; 3] {
    [world.instance().await, world.instance().await, world.instance().await]
}

/// Every machine asks for a seat at the same time, over the instances in turn.
async fn all_at_once(instances: &[SeatProtocol; 3], machines: &[Machine]) -> Vec<AcquireOutcome> {
    let asking: Vec<_> = machines.iter().enumerate().map(|(n, m)| m.acquire_aside(&instances[n % 3])).collect();
    let mut outcomes = Vec::new();
    for asked in asking {
        outcomes.push(asked.await.unwrap().unwrap());
    }
    outcomes
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
