//! One want is one denial, however often it asks and however badly it is told.

use crate::{
    MINUTE, sweep, world,
    written::{Fate, Want, wants},
};
use license_core::protocol::steps::Step;
use license_tests::{World, client::release};
use std::time::Duration;

/// The one denial there is.
async fn only_want(world: &World) -> Want {
    let all: Vec<_> = wants(world).await.into_values().collect();
    assert_eq!(all.len(), 1, "{all:?}");
    all[0]
}

/// A world whose seats are all held.
async fn full_world() -> (World, license_core::protocol::acquire::LeasedSeat) {
    let world = world().await;
    world.resize(1).await;
    let seat = world.machine("holder").seated(&world.protocol).await;
    (world, seat)
}

#[tokio::test]
async fn polls_are_one_denial_that_is_there_with_the_next_sweep_and_ends_with_the_seat() {
    let (world, seat) = full_world().await;
    let (waiting, began) = (world.machine("waiting"), world.clock.now_ms());
    for asks in 1..=20 {
        waiting.turned_away(&world.protocol).await;
        if asks == 1 {
            sweep(&world).await;
            assert_eq!(only_want(&world).await, Want { last: began, tries: 1, fate: Fate::Waits });
        }
        world.pass(Duration::from_secs(10));
    }
    release(&world.protocol, &seat).await;
    let granted = world.clock.now_ms();
    waiting.seated(&world.protocol).await;
    sweep(&world).await;
    let last = granted - 10_000;
    assert_eq!(only_want(&world).await, Want { last, tries: 20, fate: Fate::Granted(granted) });
    assert_eq!(world.count("select count(*) from outbox where kind = 'seat.denied'").await, 1);
}

#[tokio::test]
async fn who_is_silent_for_a_lease_gave_up_and_wants_anew() {
    let (world, _) = full_world().await;
    let (waiting, began) = (world.machine("waiting"), world.clock.now_ms());
    waiting.turned_away(&world.protocol).await;
    let lease = world.timing.ttl;
    world.pass(lease - Duration::from_millis(1));
    world.machine("holder").seated(&world.protocol).await;
    waiting.turned_away(&world.protocol).await;
    world.pass(lease);
    world.machine("holder").seated(&world.protocol).await;
    waiting.turned_away(&world.protocol).await;
    sweep(&world).await;
    let lease = lease.as_millis() as i64;
    let of = |first| ("waiting".to_owned(), first);
    let last = began + lease - 1;
    let expected = [
        (of(began), Want { last, tries: 2, fate: Fate::GaveUp }),
        (of(last + lease), Want { last: last + lease, tries: 1, fate: Fate::Waits }),
    ];
    assert_eq!(wants(&world).await, expected.into());
}

#[tokio::test]
async fn a_sweep_that_dies_and_two_at_once_tell_each_want_once() {
    for (step, told) in [(Step::ReapWants, 0), (Step::RecordWants, 1)] {
        let (world, _) = full_world().await;
        world.machine("a").turned_away(&world.protocol).await;
        world.reaper.steps().cut(step);
        assert!(!sweep(&world).await);
        assert_eq!(wants(&world).await.len(), told, "{step:?}");
        world.machine("b").turned_away(&world.protocol).await;
        tokio::join!(sweep(&world), sweep(&world));
        assert_eq!(wants(&world).await.len(), 2, "{step:?}");
        assert_eq!(world.count("select count(*) from outbox where kind = 'seat.denied'").await, 2, "{step:?}");
    }
}

#[tokio::test]
async fn an_edit_loses_no_want() {
    let (world, _) = full_world().await;
    world.machine("a").turned_away(&world.protocol).await;
    sweep(&world).await;
    world.suspend().await;
    world.resume().await;
    world.pass(MINUTE);
    let last = world.clock.now_ms();
    world.machine("a").turned_away(&world.protocol).await;
    world.pass(world.timing.ttl);
    sweep(&world).await;
    assert_eq!(only_want(&world).await, Want { last, tries: 2, fate: Fate::GaveUp });
}

#[tokio::test]
async fn a_loss_of_redis_marks_the_wants_that_went_on_also_where_nobody_comes_any_more() {
    for somebody_comes in [true, false] {
        let (world, seat) = full_world().await;
        let began = world.clock.now_ms();
        world.machine("a").turned_away(&world.protocol).await;
        if !somebody_comes {
            release(&world.protocol, &seat).await;
        }
        sweep(&world).await;
        assert_eq!(only_want(&world).await, Want { last: began, tries: 1, fate: Fate::Waits });
        world.flush().await;
        world.pass(Duration::from_secs(1));
        if somebody_comes {
            world.machine("holder").seated(&world.protocol).await;
        }
        sweep(&world).await;
        assert_eq!(only_want(&world).await, Want { last: began, tries: 1, fate: Fate::Lost }, "{somebody_comes}");
    }
}

#[tokio::test]
async fn somebody_who_asks_again_and_again_for_a_seat_of_a_pool_without_seats_is_told_of_to_the_end() {
    let (world, seat) = full_world().await;
    release(&world.protocol, &seat).await;
    world.resize(0).await;
    let began = world.clock.now_ms();
    for _ in 0..90 {
        world.machine("a").turned_away(&world.protocol).await;
        sweep(&world).await;
        world.pass(MINUTE);
    }
    // The last edit was more than a day ago: by that alone nobody sweeps the pool any more.
    sqlx::query("update pools set changed_at = null").execute(&mut world.truth().await).await.unwrap();
    let last = began + 89 * 60_000;
    for _ in 0..=world.timing.ttl.as_secs() / 60 {
        world.pass(MINUTE);
        sweep(&world).await;
    }
    assert_eq!(only_want(&world).await, Want { last, tries: 90, fate: Fate::GaveUp });
}

#[tokio::test]
async fn whoever_waits_is_told_to_have_given_up_also_where_nobody_holds_a_seat_any_more() {
    let (world, seat) = full_world().await;
    world.machine("a").turned_away(&world.protocol).await;
    sweep(&world).await;
    release(&world.protocol, &seat).await;
    for _ in 0..=world.timing.ttl.as_secs() / 60 {
        world.pass(MINUTE);
        sweep(&world).await;
    }
    assert_eq!(only_want(&world).await.fate, Fate::GaveUp);
}

#[tokio::test]
async fn a_storm_of_ever_new_machines_is_counted_and_what_it_costs_in_redis_is_bounded() {
    let (world, _) = full_world().await;
    let mut redis = world.redis().await;
    let (asks, most) = (10_500, 10_000);
    for machine in 0..asks {
        world.machine(&format!("m{machine}")).turned_away(&world.protocol).await;
    }
    world.machine(&format!("m{}", asks - 1)).turned_away(&world.protocol).await;
    let key = |suffix: &str| format!("{{{}}}/default:{suffix}", world.license.pool.license);
    let mut bytes = 0_u64;
    for suffix in ["y", "v", "e"] {
        let of_key: u64 = redis::cmd("MEMORY")
            .arg("USAGE")
            .arg(key(suffix))
            .arg("SAMPLES")
            .arg(0)
            .query_async(&mut redis)
            .await
            .unwrap();
        bytes += of_key;
        println!("{suffix}: {of_key} bytes");
    }
    assert!(bytes < 8 << 20, "{bytes} bytes");
    world.pass(MINUTE);
    sweep(&world).await;
    assert_eq!(wants(&world).await.len(), most);
    let counted = world.count("select denied from usage_minutes order by at limit 1").await;
    assert_eq!(counted, asks + 1);
    let refused = world.count("select refused from usage_minutes order by at limit 1").await;
    assert_eq!(refused, most as i64, "as many as there are denials");
    let left: u64 = redis::cmd("ZCARD").arg(key("e")).query_async(&mut redis).await.unwrap();
    assert_eq!(left, 0, "what was told is forgotten");
}
