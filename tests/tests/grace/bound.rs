//! What a sweep says of the bound is kept in the copy that scripts read, and in the records.

use super::{EARNED, beyond_lease, has_grace, pass};
use license_core::seat_store::{PoolKey, PoolRecords, PoolReply, ToldWants};
use license_tests::World;
use std::time::Duration;

#[tokio::test]
async fn who_came_too_late_for_the_bound_has_none_by_every_copy_and_those_before_keep_theirs() {
    let world = World::with_seats(3).await;
    let pool: &PoolKey = &world.license.pool;
    let first = world.machine("a").seated(&world.protocol).await;
    world.pass(Duration::from_secs(10));
    let between = world.clock.now_ms() - 5000;
    let late = world.machine("b").seated(&world.protocol).await;
    pass(&world, EARNED).await;
    let epoch = world.epoch().await as u64;
    let reap = async |grace_before_ms| {
        let records = PoolRecords { epoch, told_minute: 0, grace_before_ms };
        world.seats().reap(pool, records, ToldWants::default(), 1000).await.unwrap()
    };
    let reaped = reap(Some(between)).await;
    assert!(matches!(reaped, PoolReply::Answer(_)));
    assert!(has_grace(&world, &first).await);
    assert!(!has_grace(&world, &late).await);
    let retry = world.machine("b").restarted().seated(&world.protocol).await;
    assert_eq!(beyond_lease(&world, &retry.lease), 0, "nor by another process of the machine");
    // A sweep that could not count leaves it as it is; one that finds room lifts it.
    reap(None).await;
    assert!(!has_grace(&world, &late).await);
    reap(Some(0)).await;
    assert!(has_grace(&world, &late).await);
}
