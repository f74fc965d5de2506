//! A Redis that answers with an error. A client that needs its lease extended does not get it, so this counts as an
//! absence of Redis, as if it did not answer at all.

use license_core::ProblemCode;
use license_tests::{
    World,
    client::{alive, open},
    world::Shape,
};
use redis::aio::MultiplexedConnection;
use std::time::Duration;

const TTL: Duration = Duration::from_secs(2);

async fn set(redis: &mut MultiplexedConnection, name: &str, value: &str) {
    redis::cmd("CONFIG").arg("SET").arg(name).arg(value).exec_async(redis).await.unwrap();
}

/// A full house of one for two leases under `refuse`, until `again`: everybody asks meanwhile and only errors come back. Whoever waits asks
/// first then, and is turned away; who held goes on.
async fn refused(
    refuse: impl AsyncFn(&World, &mut MultiplexedConnection),
    again: impl AsyncFn(&World, &mut MultiplexedConnection),
) {
    let world = World::shaped(Shape::live(1, TTL)).await;
    let mut redis = world.redis().await;
    let seat = world.machine("a").seated(&world.protocol).await;
    let waits = world.machine("b");
    refuse(&world, &mut redis).await;
    let until = tokio::time::Instant::now() + 2 * TTL;
    let mut answers = 0;
    while tokio::time::Instant::now() < until {
        let answer = world.protocol.heartbeat(&open(&seat), None).await;
        assert!(matches!(&answer, Err(e) if e.code() == ProblemCode::SeatsUnavailable), "{answer:?}");
        answers += 1;
        // What only reads may be answered all the while, and proves nothing.
        let _ = world.protocol.validate(&waits.key, Some(&waits.hardware), None, &waits.pool).await;
        tokio::time::sleep(TTL / 10).await;
    }
    assert!(answers > 5, "it answered all the while: {answers}");
    again(&world, &mut redis).await;
    waits.turned_away(&world.protocol).await;
    alive(&world.protocol, &seat).await;
}

#[tokio::test]
async fn a_redis_that_had_too_few_replicas_to_write_for_two_leases_costs_no_holder_its_seat() {
    refused(
        async |_, redis| set(redis, "min-replicas-to-write", "1").await,
        async |_, redis| set(redis, "min-replicas-to-write", "0").await,
    )
    .await;
}

#[tokio::test]
async fn a_redis_that_could_not_save_for_two_leases_costs_no_holder_its_seat() {
    refused(
        async |_, redis| {
            set(redis, "stop-writes-on-bgsave-error", "yes").await;
            set(redis, "save", "3600 1").await;
            // Where it would be saved nothing can be.
            let mut place = std::path::PathBuf::new();
            for name in ["dir", "dbfilename"] {
                let at: Vec<String> = redis::cmd("CONFIG").arg("GET").arg(name).query_async(redis).await.unwrap();
                place.push(&at[1]);
            }
            std::fs::create_dir(place).unwrap();
            redis::cmd("BGSAVE").exec_async(redis).await.unwrap();
            loop {
                let info: String = redis::cmd("INFO").arg("persistence").query_async(redis).await.unwrap();
                if info.contains("rdb_last_bgsave_status:err") {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        },
        async |_, redis| set(redis, "stop-writes-on-bgsave-error", "no").await,
    )
    .await;
}

#[tokio::test]
async fn a_redis_that_was_busy_with_a_script_for_two_leases_costs_no_holder_its_seat() {
    refused(
        async |world, redis| {
            set(redis, "busy-reply-threshold", "1").await;
            let mut busy = world.redis().await;
            tokio::spawn(async move { redis::cmd("EVAL").arg("while true do end").arg(0).exec_async(&mut busy).await });
            while redis::cmd("PING").exec_async(redis).await.is_ok() {}
        },
        async |_, redis| {
            redis::cmd("SCRIPT").arg("KILL").exec_async(redis).await.unwrap();
            while redis::cmd("PING").exec_async(redis).await.is_err() {}
        },
    )
    .await;
}

#[tokio::test]
async fn a_redis_that_permitted_nothing_for_two_leases_costs_no_holder_its_seat() {
    refused(
        async |_, redis| {
            redis::cmd("ACL")
                .arg("SETUSER")
                .arg("default")
                .arg("-hset")
                .arg("-evalsha")
                .arg("-eval")
                .exec_async(redis)
                .await
                .unwrap()
        },
        async |_, redis| redis::cmd("ACL").arg("SETUSER").arg("default").arg("+@all").exec_async(redis).await.unwrap(),
    )
    .await;
}

#[tokio::test]
async fn a_redis_whose_memory_is_full_serves_holders_so_a_dead_ones_seat_comes_free_as_ever() {
    let world = World::shaped(Shape::live(1, TTL)).await;
    let mut redis = world.redis().await;
    world.machine("dead").seated(&world.protocol).await;
    set(&mut redis, "maxmemory", "1").await;
    let b = world.machine("b");
    let until = tokio::time::Instant::now() + TTL + Duration::from_millis(100);
    while tokio::time::Instant::now() < until {
        let answer = world.protocol.acquire(&b.request()).await;
        assert!(matches!(&answer, Err(e) if e.code() == ProblemCode::SeatsUnavailable), "{answer:?}");
        tokio::time::sleep(TTL / 10).await;
    }
    set(&mut redis, "maxmemory", "0").await;
    b.seated(&world.protocol).await;
}
