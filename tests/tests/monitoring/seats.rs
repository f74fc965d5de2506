//! What a scrape is told of seats and events, on real stores and as the reaper's role.

use license_core::{records::PoolSeats, seat_store::PoolReply};
use license_tests::World;

/// The numbers of the world's one pool: its size, how many seats are held, and how many of their holders are silent.
async fn counts(world: &World) -> (u64, u64, Option<u32>) {
    let counts = world.reaper.seat_counts(200).await.unwrap();
    assert!(counts.complete);
    let of_pools: u64 = counts.pools.iter().map(|pool| pool.used).sum();
    assert_eq!(of_pools, counts.used, "the totals are of all pools");
    let silent = world.reaper.count_silent(&counts.pools).await.unwrap();
    (counts.total, counts.used, silent.first().copied().flatten())
}

#[tokio::test]
async fn a_holder_is_silent_from_the_end_of_its_lease_until_its_seat_is_taken_or_ended() {
    let world = World::with_seats(3).await;
    assert_eq!(counts(&world).await, (3, 0, None), "a pool that nobody uses is not listed");
    world.machine("a").seated(&world.protocol).await;
    world.pass(world.timing.ttl / 2);
    world.machine("b").seated(&world.protocol).await;
    assert_eq!(counts(&world).await, (3, 2, Some(0)));
    world.pass(world.timing.ttl / 2 + std::time::Duration::from_millis(1));
    assert_eq!(counts(&world).await, (3, 2, Some(1)), "the first one's lease is over");
    assert_eq!(world.sweep().await.seats, 1);
    assert_eq!(counts(&world).await, (3, 1, Some(0)), "a free seat whose time is over is nobody's");
    world.flush().await;
    assert_eq!(counts(&world).await, (3, 1, None), "Redis has no copy, and none is made for it");
    let pool = PoolReply::NeedsRebuild { epoch: 0 };
    assert_eq!(world.seats().count_silent(&world.license.pool).await.unwrap(), pool);
}

#[tokio::test]
async fn as_many_pools_are_named_as_were_asked_for_and_the_totals_stay() {
    let world = World::with_seats(2).await;
    world.machine("a").seated(&world.protocol).await;
    let counts = world.reaper.seat_counts(0).await.unwrap();
    assert_eq!((counts.total, counts.used, counts.pools.len()), (2, 1, 0));
    let pool = world.license.pool.clone();
    let named = world.reaper.seat_counts(1).await.unwrap().pools;
    assert_eq!(named, [PoolSeats { license: pool.license, pool: pool.pool, total: 2, used: 1 }]);
}

#[tokio::test]
async fn events_that_wait_are_counted_with_the_age_of_the_oldest() {
    let world = World::with_seats(2).await;
    // What made the organization and its license waits already, and is of no concern here.
    sqlx::query("delete from outbox").execute(&mut world.truth().await).await.unwrap();
    let none = world.reaper.events_waiting().await.unwrap();
    assert_eq!((none.count, none.oldest.as_nanos()), (0, 0));
    world.machine("a").seated(&world.protocol).await;
    world.machine("b").seated(&world.protocol).await;
    let aged = "update outbox set created_at = now() - interval '100 seconds' where id = (select id from outbox order by id limit 1)";
    sqlx::query(aged).execute(&mut world.truth().await).await.unwrap();
    let two = world.reaper.events_waiting().await.unwrap();
    assert_eq!(two.count, 2);
    assert!((100..160).contains(&two.oldest.as_secs()), "{:?}", two.oldest);
}
