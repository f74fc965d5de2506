//! Who shares a seat and who does not; retries, restarts, several processes.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure is a panic with its place")]

use license_core::protocol::acquire::{AcquireOutcome, AcquireRefusal, KeyRejection};
use license_tests::{
    World,
    client::{alive, gone, release},
    world::Shape,
};

const OPEN: &str = "select count(*) from sessions where ended_at is null";

#[tokio::test]
async fn a_retry_gets_the_same_session_and_a_full_answer() {
    let world = World::with_seats(1).await;
    let a = world.machine("a");
    let first = a.seated(&world.protocol).await;
    let again = a.seated(&world.protocol).await;
    assert!(!first.renewed && again.renewed);
    assert_eq!(
        (first.granted.session, first.granted.seat, first.granted.held),
        (again.granted.session, again.granted.seat, again.granted.held)
    );
    assert!(!again.lease.token.is_empty() && !again.lease.certificate.is_empty() && !again.handle.is_empty());
    alive(&world.protocol, &again).await;
    assert_eq!(world.count(OPEN).await, 1);
}

#[tokio::test]
async fn two_processes_of_one_machine_share_its_seat_and_the_last_to_leave_frees_it() {
    let world = World::with_seats(1).await;
    let one = world.machine("a").seated(&world.protocol).await;
    let two = world.machine("a").seated(&world.protocol).await;
    assert_eq!(one.granted.seat, two.granted.seat);
    assert_ne!(one.granted.session, two.granted.session);
    alive(&world.protocol, &one).await;
    alive(&world.protocol, &two).await;

    release(&world.protocol, &one).await;
    gone(&world.protocol, &one, "released").await;
    alive(&world.protocol, &two).await;
    world.machine("b").turned_away(&world.protocol).await;

    release(&world.protocol, &two).await;
    world.machine("b").seated(&world.protocol).await;
    world.assert_no_drift().await;
}

#[tokio::test]
async fn a_late_release_of_the_previous_run_ends_only_that_run() {
    let world = World::with_seats(1).await;
    let a = world.machine("a");
    let before = a.seated(&world.protocol).await;
    let after = a.restarted().seated(&world.protocol).await;
    release(&world.protocol, &before).await;
    alive(&world.protocol, &after).await;
    world.machine("b").turned_away(&world.protocol).await;
}

#[tokio::test]
async fn thirty_starts_of_one_machine_at_once_use_one_seat() {
    let world = World::new().await;
    let starts: Vec<_> = (0..30).map(|_| world.machine("a").acquire_aside(&world.protocol)).collect();
    for start in starts {
        let seat = license_tests::client::seat(start.await.unwrap().unwrap());
        assert!(!seat.renewed);
    }
    assert_eq!(world.held().await.len(), 1);
    assert_eq!(world.count(OPEN).await, 30);
}

#[tokio::test]
async fn a_seat_carries_no_more_processes_than_its_license_allows() {
    let world = World::shaped(Shape { processes: 2, ..Shape::default() }).await;
    let one = world.machine("a").seated(&world.protocol).await;
    world.machine("a").seated(&world.protocol).await;
    let third = world.machine("a");
    assert!(
        matches!(third.acquire(&world.protocol).await, AcquireOutcome::Refused(AcquireRefusal::TooMany(many)) if many.processes == 2)
    );
    release(&world.protocol, &one).await;
    third.seated(&world.protocol).await;
}

#[tokio::test]
async fn a_license_that_counts_processes_gives_each_its_own_seat() {
    let world = World::shaped(Shape { seats: 2, holder_by: "process", ..Shape::default() }).await;
    let a = world.machine("a");
    a.seated(&world.protocol).await;
    a.instance("two").seated(&world.protocol).await;
    a.instance("three").turned_away(&world.protocol).await;
    let mut nameless = world.machine("b");
    nameless.instance = None;
    assert!(matches!(nameless.acquire(&world.protocol).await, AcquireOutcome::Refused(AcquireRefusal::NeedsInstance)));
}

#[tokio::test]
async fn a_restarted_machine_whose_lease_lapsed_gets_its_seat_back_and_the_old_run_is_over() {
    let world = World::with_seats(1).await;
    let a = world.machine("a");
    let before = a.seated(&world.protocol).await;
    world.pass_ttl();
    let after = a.restarted().seated(&world.protocol).await;
    assert_eq!(before.granted.seat, after.granted.seat);
    gone(&world.protocol, &before, "expired").await;
    alive(&world.protocol, &after).await;
    assert_eq!(world.count(OPEN).await, 1);
}

#[tokio::test]
async fn one_holder_has_at_most_one_seat_of_a_pool_whatever_it_repeats() {
    let world = World::with_seats(3).await;
    for _ in 0..5 {
        let seat = world.machine("a").seated(&world.protocol).await;
        assert_eq!(seat.granted.seat, 0);
        assert_eq!(world.held().await.len(), 1);
    }
    world.flush().await;
    world.machine("a").seated(&world.protocol).await;
    assert_eq!(world.held().await.len(), 1);
}

#[tokio::test]
async fn a_key_with_a_wrong_secret_and_an_unknown_number_get_the_same_answer_and_reach_no_seat() {
    let world = World::with_seats(1).await;
    let mut forged = world.machine("a");
    forged.key = license_core::domain::key::LicenseKey::draw(world.license.pool.license);
    assert!(matches!(forged.acquire(&world.protocol).await, AcquireOutcome::KeyRejected(KeyRejection::BadKey)));
    world.machine("b").seated(&world.protocol).await; // now Redis has a copy
    assert!(matches!(forged.acquire(&world.instance().await).await, AcquireOutcome::KeyRejected(KeyRejection::BadKey)));
    let mut unknown = world.machine("c");
    unknown.key = license_core::domain::key::LicenseKey::draw(license_core::domain::id::LicenseNumber::draw());
    assert!(matches!(unknown.acquire(&world.protocol).await, AcquireOutcome::KeyRejected(KeyRejection::BadKey)));
    assert_eq!(world.held().await.len(), 1);
}

#[tokio::test]
async fn a_pool_the_license_lacks_and_another_product_are_refused() {
    let world = World::with_seats(1).await;
    let mut elsewhere = world.machine("a");
    elsewhere.pool = "gpu".parse().unwrap();
    assert!(matches!(elsewhere.acquire(&world.protocol).await, AcquireOutcome::KeyRejected(KeyRejection::NoPool)));
    let mut other = world.machine("a");
    other.product = Some("another".into());
    assert!(
        matches!(other.acquire(&world.protocol).await, AcquireOutcome::Refused(AcquireRefusal::WrongProduct(named)) if named == "coditect")
    );
    assert_eq!(world.held().await, [], "a refused product takes no seat");
    world.machine("b").seated(&world.protocol).await;
}
