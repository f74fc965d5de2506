//! An erasure that was cut and is asked for again with the same idempotency key is the same erasure: it goes on under
//! its first entry of the audit log.

use license_core::{
    management::SeatManagement,
    records::{Caller, DatabaseRole, ErasureReport, ErasureSubject, Records, RepeatableRequest},
    refusal::{ChangeRefusal, ChangeResult},
};
use license_tests::{
    World,
    network::Network,
    outcomes::{refusal, unavailable},
    world::peppers,
};
use sqlx::{Connection, Executor};
use std::sync::Arc;
use uuid::Uuid;

async fn erase(management: &SeatManagement, caller: &Caller, whom: &str) -> ChangeResult<ErasureReport> {
    let subject = ErasureSubject::Person(whom.parse().unwrap());
    management.erase(caller, &subject, None, &peppers()).await
}

/// The entries of the audit log about erasures, oldest first.
async fn entries(world: &World) -> Vec<Uuid> {
    let sql = "select id from audit_log where action in ('person.erased', 'machine.erased') order by id";
    sqlx::query_scalar(sql).fetch_all(&mut world.truth().await).await.unwrap()
}

#[tokio::test]
async fn an_erasure_that_was_cut_at_any_of_its_messages_is_the_same_one_when_it_is_asked_for_again() {
    let world = World::new().await;
    let network = Network::to(world.database.get_socket().unwrap()).await;
    // One connection: when it is ready again, the transaction that was cut has ended.
    let records = Records::with(network.way(&world.database), DatabaseRole::Admin, 1).sealing(Arc::new(peppers()));
    let cut = SeatManagement::new(world.seats(), records.clone());
    for carried in 0.. {
        let (caller, whom) = (world.act_once(&format!("erasure {carried}")), format!("ada{carried}@example.com"));
        records.ready().await.unwrap();
        network.hold("BEGIN\0", carried);
        let was_cut = tokio::select! {
            biased;
            done = erase(&cut, &caller, &whom) => { done.unwrap(); false }
            () = network.held() => true,
        };
        network.open();
        records.ready().await.unwrap();
        let again = erase(&world.seat_management, &caller, &whom).await.unwrap();
        let entries = entries(&world).await;
        assert_eq!(entries.len(), carried + 1, "cut after message {carried}");
        assert_eq!((again.id, again.next), (entries[carried], None), "cut after message {carried}");
        if !was_cut {
            assert!(carried > 20, "an erasure says more than {carried} messages");
            return;
        }
    }
}

#[tokio::test]
async fn the_same_erasure_twice_at_once_has_one_entry() {
    let world = World::new().await;
    let caller = world.act_once("the key");
    let once = || erase(&world.seat_management, &caller, "ada@example.com");
    let (a, b) = tokio::join!(once(), once());
    assert_eq!(a.unwrap(), b.unwrap());
    assert_eq!(entries(&world).await.len(), 1);
}

/// Another erasure blanks every answer that was kept. What is not done may not be taken for done by that.
#[tokio::test]
async fn a_cut_erasure_goes_on_although_another_one_blanked_what_was_kept() {
    let world = World::new().await;
    let (caller, management) = (world.act_once("a cut one"), &world.seat_management);
    let mut moving = world.truth().await;
    let mut step = moving.begin().await.unwrap();
    step.execute("select pg_advisory_xact_lock(history.moving())").await.unwrap();
    unavailable(erase(management, &caller, "ada@example.com").await);
    step.rollback().await.unwrap();
    let cut = entries(&world).await;
    assert_eq!(cut.len(), 1, "it is written down before anything is blanked");

    let other =
        Caller { repeat: Some(RepeatableRequest::new("a cut one", &[b"another request"], &peppers())), ..world.act() };
    assert_eq!(refusal(erase(management, &other, "eve@example.com").await), ChangeRefusal::IdempotencyKeyReused);

    let eve = erase(management, &world.act_once("another"), "eve@example.com").await.unwrap();
    let ada = erase(management, &caller, "ada@example.com").await.unwrap();
    let again = erase(management, &world.act_once("another"), "eve@example.com").await.unwrap();
    assert_eq!((ada.id, again.id), (cut[0], eve.id));
    assert_eq!(entries(&world).await, [ada.id, eve.id]);
}

#[tokio::test]
async fn without_a_key_each_request_is_an_erasure_of_its_own() {
    let world = World::new().await;
    for _ in 0..2 {
        erase(&world.seat_management, &world.act(), "ada@example.com").await.unwrap();
    }
    assert_eq!(entries(&world).await.len(), 2);
}
