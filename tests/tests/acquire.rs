//! Acquire, heartbeat and release where nothing goes wrong.

use license_core::protocol::{
    acquire::{AcquireOutcome, AcquireRefusal},
    heartbeat,
};
use license_tests::{World, client::open};
use sqlx::Executor;

#[tokio::test]
async fn a_machine_takes_a_seat_keeps_it_and_gives_it_back() {
    let world = World::new().await;
    let a = world.machine("a");
    let seat = a.seated(&world.protocol).await;
    assert!(!seat.renewed);
    assert_eq!((seat.granted.held, seat.granted.lease.facts.seats_total), (1, 5));
    assert_eq!(world.held().await, [(seat.granted.seat as i32, a.holder().to_string())]);

    let handle = open(&seat);
    assert!(matches!(world.protocol.heartbeat(&handle, None).await.unwrap(), heartbeat::HeartbeatOutcome::Alive(_)));

    let first = world.protocol.release(&handle).await.unwrap();
    assert_eq!(world.held().await, []);
    let again = world.protocol.release(&handle).await.unwrap();
    assert_eq!(first, again, "releasing twice is one release");
    let gone = world.protocol.heartbeat(&handle, None).await.unwrap();
    assert!(matches!(&gone, heartbeat::HeartbeatOutcome::Gone(reason) if reason.as_str() == "released"), "{gone:?}");
}

#[tokio::test]
async fn a_session_that_was_forgotten_is_gone_whoever_asks_for_it_and_costs_nobody_a_seat() {
    let world = World::new().await;
    let a = world.machine("a");
    let seat = a.seated(&world.protocol).await;
    world.protocol.release(&open(&seat)).await.unwrap();
    world.truth().await.execute("delete from sessions where ended_at is not null").await.unwrap();
    let others = world.machine("b").seated(&world.protocol).await;
    assert_eq!(others.granted.seat, seat.granted.seat, "its seat is another's now");
    assert_eq!(world.protocol.release(&open(&seat)).await.unwrap(), None);
    license_tests::client::gone(&world.protocol, &seat, "unknown").await;
    // The same process start asks once more, as a request that was held up for a year would: a seat of its own, never the other's.
    let again = a.seated(&world.protocol).await;
    assert_ne!((again.granted.seat, again.granted.session), (seat.granted.seat, seat.granted.session));
    assert_eq!(world.held().await.len(), 2);
    assert!(matches!(
        world.protocol.heartbeat(&open(&others), None).await.unwrap(),
        heartbeat::HeartbeatOutcome::Alive(_)
    ));
}

#[tokio::test]
async fn the_sixth_machine_of_five_is_told_who_holds_the_seats_and_when_one_frees() {
    let world = World::new().await;
    for name in ["a", "b", "c", "d", "e"] {
        world.machine(name).seated(&world.protocol).await;
        world.pass(std::time::Duration::from_secs(1));
    }
    let AcquireOutcome::Refused(AcquireRefusal::Full(full)) = world.machine("f").acquire(&world.protocol).await else {
        panic!("the pool is full")
    };
    assert_eq!((full.held, full.seats_total), (5, 5));
    assert_eq!(full.next_lease_end_ms - full.now_ms, 355_000);
    let labels: Vec<&str> = full.silent.iter().map(|s| s.label.as_str()).collect();
    assert_eq!(labels, ["a", "b", "c", "d", "e"], "longest silent first");
}
