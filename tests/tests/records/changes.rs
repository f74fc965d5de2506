//! Changes made without a ticket: resize, kick, suspend, resume, rotate, and what follows a restore.

use super::Book;
use license_core::{
    domain::{key::LicenseKey, lease::LeaseTiming, license::Status, secret::KeyRing},
    records::GrantOutcome,
};
use license_tests::{
    staff::rotation,
    world::{Shape, register},
};
use sqlx::Executor;
use uuid::Uuid;

#[tokio::test]
async fn growing_brings_retired_seats_back_first_and_then_makes_new_ones() {
    let book = Book::open().await;
    book.resize(2).await;
    assert_eq!((book.seats("not retired").await, book.seats("retired").await), (vec![0, 1], vec![2, 3, 4]));
    book.resize(4).await;
    assert_eq!((book.seats("not retired").await, book.seats("retired").await), (vec![0, 1, 2, 3], vec![4]));
    book.resize(7).await;
    assert_eq!(book.seats("not retired").await, [0, 1, 2, 3, 4, 5, 6]);
    assert_eq!((book.surplus().await, book.epoch().await), (0, 6));
}

#[tokio::test]
async fn shrinking_retires_only_seats_that_are_free_and_not_in_quarantine_and_the_rest_as_they_leave() {
    let book = Book::open().await;
    book.granted(0, 1, 1).await;
    book.granted(1, 2, 2).await;
    book.granted(2, 3, 3).await;
    book.kick(2, false).await.unwrap();
    book.resize(1).await;
    assert_eq!(book.seats("retired").await, [3, 4]);
    assert_eq!(book.surplus().await, 2);
    assert_eq!(
        book.write(&book.decided(3, 9, 3).await).await,
        GrantOutcome::EpochStale,
        "a retired seat is never granted"
    );

    assert_eq!(book.vacate(&[(1, 4)]).await.done, Some(vec![(1, true)]), "FREE takes it out of Redis");
    assert_eq!(book.vacate(&[(1, 4)]).await.done, Some(vec![(1, true)]), "told again when asked again");
    assert_eq!(book.surplus().await, 1);
    assert_eq!(book.vacate(&[(2, 5)]).await.done, Some(vec![(2, true)]), "its quarantine was served");
    assert_eq!(book.vacate(&[(0, 6)]).await.done, Some(vec![(0, false)]), "one seat stays");
    assert_eq!((book.surplus().await, book.seats("not retired").await), (0, vec![0]));
}

#[tokio::test]
async fn of_several_seats_freed_at_once_only_the_surplus_is_retired() {
    let book = Book::open().await;
    for seat in 0..5 {
        book.granted(seat, seat as u8 + 1, u64::from(seat) + 1).await;
    }
    book.resize(3).await;
    assert_eq!((book.surplus().await, book.seats("holder is not null").await.len()), (2, 5), "nobody is thrown out");
    let done = book.vacate(&[(0, 10), (1, 11), (2, 12), (3, 13)]).await.done.unwrap();
    assert_eq!(done.iter().filter(|(_, retired)| *retired).count(), 2);
    assert_eq!((book.surplus().await, book.seats("not retired").await.len()), (0, 3));
}

#[tokio::test]
async fn growing_again_while_draining_keeps_who_still_sits() {
    let book = Book::open().await;
    for seat in 0..5 {
        book.granted(seat, seat as u8 + 1, u64::from(seat) + 1).await;
    }
    book.resize(2).await;
    book.resize(4).await;
    assert_eq!((book.surplus().await, book.seats("not retired").await.len()), (1, 5));
    book.resize(6).await;
    assert_eq!((book.surplus().await, book.seats("not retired").await.len()), (0, 6));
    assert_eq!(book.seats("holder is not null").await, [0, 1, 2, 3, 4]);
}

#[tokio::test]
async fn a_kick_ends_every_session_frees_the_seat_and_marks_it_unless_forced() {
    let book = Book::open().await;
    let first = book.granted(0, 1, 1).await;
    let mut second = book.decided(0, 1, 2).await;
    second.live.push(first.session);
    book.write(&second).await;
    let late = book.decided(1, 3, 3).await;
    assert_eq!(book.kick(0, false).await, Some(0), "the epoch before");
    for session in [first.session, second.session] {
        assert_eq!(book.end_of(session).await.as_deref(), Some("kicked"));
    }
    assert_eq!((book.seats("holder is not null").await, book.seats("hold_until is not null").await), (vec![], vec![0]));
    assert_eq!(book.events().await, ["seat.granted", "seat.freed kicked"]);
    assert_eq!(book.write(&late).await, GrantOutcome::EpochStale, "the epoch rose");

    book.granted(0, 2, 4).await;
    assert_eq!(book.seats("hold_until is not null").await, [] as [i32; 0], "a ticket drawn after it lifts it");
    book.kick(0, true).await.unwrap();
    assert_eq!(book.seats("hold_until is not null").await, [] as [i32; 0], "somebody vouched");
    assert_eq!((book.kick(99, true).await, book.kick_seat(99, true).await), (None, None), "there is no such seat");
}

#[tokio::test]
async fn a_suspended_license_grants_nothing_until_it_is_resumed() {
    let book = Book::open().await;
    let (tenant, pool) = (book.license.tenant, book.license.pool_id);
    let held = book.granted(0, 1, 1).await;
    let changes = book.decide(Status::Suspended).await.changed_pools;
    assert_eq!((changes.len(), changes[0].pool_id, changes[0].epoch_before), (1, pool, 0));
    assert_eq!(changes[0].license, book.license.key.number());
    assert_eq!(book.write(&book.decided(1, 2, 2).await).await, GrantOutcome::Refused);
    assert_eq!(
        (book.end_of(held.session).await, book.seats("holder is not null").await),
        (None, vec![0]),
        "nobody is thrown out"
    );
    assert_eq!(
        book.service.rebuild_pool(tenant, pool, 0, &LeaseTiming::default()).await.unwrap().unwrap().status,
        "suspended"
    );
    assert_eq!(
        book.decide(Status::Suspended).await.changed_pools[0].epoch_before,
        1,
        "told again: the copies before are old"
    );
    assert_eq!(book.epoch().await, 2, "nothing changed, nothing rose");

    for _ in 0..2 {
        assert_eq!(book.decide(Status::Active).await.changed_pools[0].epoch_before, 2);
    }
    assert_eq!(book.epoch().await, 3);
    book.granted(1, 2, 3).await;
    assert_eq!(
        book.number("select count(*) from outbox where kind in ('license.suspended', 'license.active')").await,
        2
    );
}

#[tokio::test]
async fn a_rotated_key_opens_at_once_and_the_old_one_until_its_time() {
    let book = Book::open().await;
    let peppers = KeyRing::single(vec![2; 32]);
    let number = book.license.key.number();
    let opens = async |key: &LicenseKey| {
        book.service.find_license(number, &key.hashes(&peppers), &book.license.pool.pool).await.unwrap().is_some()
    };
    let rotate = async |old_for| {
        book.management.rotate_key(&book.act(), book.license.id, rotation(old_for), &peppers).await.unwrap()
    };
    let (first, stranger) = (&book.license.key, LicenseKey::draw(number));
    let second = rotate(86_400).await;
    assert_eq!((second.changed_pools.len(), second.changed_pools[0].epoch_before), (1, 0));
    assert_eq!((opens(first).await, opens(&second.key).await, opens(&stranger).await), (true, true, false));
    let third = rotate(0).await;
    assert_eq!((third.changed_pools.len(), third.changed_pools[0].epoch_before), (1, 1));
    assert_eq!((opens(first).await, opens(&second.key).await, opens(&third.key).await), (false, false, true));
    let fourth = rotate(86_400).await;
    assert_eq!((opens(&third.key).await, opens(&fourth.key).await), (true, true));
    assert!(!opens(first).await && !opens(&second.key).await, "no rotation gives an older key more time");
}

#[tokio::test]
async fn after_a_restore_every_epoch_jumps_and_every_free_seat_waits_a_full_lease() {
    let book = Book::open().await;
    let other = register(&book.admin, &book.database, &Shape { seats: 3, ..Shape::default() }, "other").await;
    let held = book.granted(0, 1, 1).await;
    let late = book.decided(1, 2, 2).await;
    book.resize(4).await;
    let epochs = "select min(epoch) from pools";
    let before = book.number(epochs).await;
    let mut owner = book.truth().await;
    owner.execute("set role owner").await.unwrap();
    let pools: i64 = sqlx::query_scalar("select after_restore()").fetch_one(&mut owner).await.unwrap();
    assert_eq!((pools, book.number(epochs).await), (2, before + 1_000_000));
    assert_eq!(
        book.number("select count(*) from seats where holder is null and not retired and hold_until is null").await,
        0
    );
    assert_eq!(book.number("select count(*) from seats where holder is not null and hold_until is not null").await, 0);
    assert_eq!(
        book.number(&format!(
            "select count(*) from seats where hold_until is not null and tenant_id = '{}'",
            other.tenant
        ))
        .await,
        5,
        "retired seats too: growing brings them back"
    );
    assert_eq!(book.end_of(held.session).await, None, "holders the records know keep their seats");
    assert_eq!(book.write(&late).await, GrantOutcome::EpochStale);
}

#[tokio::test]
async fn events_keep_their_order_however_quickly_they_follow_each_other() {
    let book = Book::open().await;
    let mut truth = book.truth().await;
    let mut ids: Vec<Uuid> = Vec::new();
    for _ in 0..300 {
        ids.push(sqlx::query_scalar("select uuid_v7()").fetch_one(&mut truth).await.unwrap());
    }
    assert!(ids.is_sorted(), "{ids:?}");
    assert!(ids.iter().all(|id| id.get_version_num() == 7 && id.get_variant() == uuid::Variant::RFC4122));
    let ms: i64 = sqlx::query_scalar("select (extract(epoch from clock_timestamp()) * 1000)::bigint")
        .fetch_one(&mut truth)
        .await
        .unwrap();
    let (seconds, nanos) = ids[299].get_timestamp().unwrap().to_unix();
    let ours = seconds as i64 * 1000 + i64::from(nanos) / 1_000_000;
    assert!((0..5_000).contains(&(ms - ours)), "{ours} is {ms}");
}
