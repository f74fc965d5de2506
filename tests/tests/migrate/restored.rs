//! The drill of docs/OPERATING.md, section 4: a database from before, a Redis from after, and one command.

use super::{Running, run};
use license_core::{Clock, protocol::acquire::AcquireOutcome, records::SchemaConnection};
use license_tests::{
    World,
    client::{alive, gone},
    stores,
    world::Shape,
};
use sqlx::{Connection, Executor, PgConnection};
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread")]
async fn after_a_restore_one_command_makes_it_safe_to_start_again() {
    let server = stores::own_server().await;
    let lease = Duration::from_secs(4);
    let shape = Shape { database: Some(server.superuser()), ..Shape::live(2, lease) };
    let world = World::shaped(shape).await;
    let known = world.machine("known").seated(&world.protocol).await;
    let restored = stores::restored_at(&world.database, &server, "").await;
    let forgotten = world.machine("forgotten").seated(&world.protocol).await;
    let entries: i64 = redis::cmd("DBSIZE").query_async(&mut world.redis().await).await.unwrap();
    assert!(entries > 0);

    let url = server.url("postgres").replace("/license?", "/restored?");
    let redis = world.redis.url();
    let variables = [
        ("DATABASE_URL", url.as_str()),
        ("REDIS_URL", redis.as_str()),
        ("SEAT_TTL_SECONDS", "4"),
        ("SEAT_DRAIN_SECONDS", "1"),
    ];
    // A service that was not stopped would give seats away meanwhile.
    let service = restored.clone().username("service").application_name("service");
    let service = PgConnection::connect_with(&service).await.unwrap();
    let said = run(&["after-restore"], &variables).await.said(12);
    assert!(said.contains("stop all of them first") && said.contains("(service: 1)"), "{said}");
    let still: i64 = redis::cmd("DBSIZE").query_async(&mut world.redis().await).await.unwrap();
    assert_eq!(still, entries, "nothing was done");
    run(&["after-restore", "--force"], &variables).await.ended(0);
    service.close().await.unwrap();

    // A Redis that does not answer: nothing is done to the database.
    let epoch = epoch(&restored).await;
    let away = [variables[0], ("REDIS_URL", "redis://127.0.0.1:1"), ("START_PATIENCE_SECONDS", "0")];
    let said = run(&["after-restore"], &away).await.said(13);
    assert!(said.ends_with("Nothing was done to the database; run it again when Redis answers."), "{said}");
    assert_eq!(self::epoch(&restored).await, epoch);

    let (started, wait) = (Instant::now(), Duration::from_secs(5));
    let lines = run(&["after-restore"], &variables).await.ended(0);
    assert_eq!((&lines[1]["pools"], &lines[1]["wait_seconds"]), (&1.into(), &5.into()));
    let left: i64 = redis::cmd("DBSIZE").query_async(&mut world.redis().await).await.unwrap();
    assert_eq!(left, 0);
    assert_eq!(self::epoch(&restored).await, epoch + 1_000_000, "again does no harm");

    let protocol = world.instance_over(&redis, restored.clone(), Clock::system()).await;
    alive(&protocol, &known).await;
    gone(&protocol, &forgotten, "unknown").await;
    let outcome = world.machine("new").acquire(&protocol).await;
    let refused = matches!(outcome, AcquireOutcome::Refused(_));
    assert!(refused || started.elapsed() > wait, "nobody sits down yet: {outcome:?}");
    loop {
        alive(&protocol, &known).await;
        if let AcquireOutcome::Seat(_) = world.machine("new").acquire(&protocol).await {
            break;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "a seat is given at last");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(started.elapsed() > wait, "and not before the lease is over");
}

#[tokio::test(flavor = "multi_thread")]
async fn run_on_a_live_system_by_mistake_it_costs_nobody_a_seat_and_gives_nobody_a_second_one() {
    let server = stores::own_server().await;
    let shape = Shape { database: Some(server.superuser()), ..Shape::live(2, Duration::from_secs(4)) };
    let world = World::shaped(shape).await;
    let seated = [world.machine("a").seated(&world.protocol).await, world.machine("b").seated(&world.protocol).await];
    let (url, redis) = (server.url("postgres"), world.redis.url());
    let variables = [
        ("DATABASE_URL", url.as_str()),
        ("REDIS_URL", redis.as_str()),
        ("SEAT_TTL_SECONDS", "4"),
        ("SEAT_DRAIN_SECONDS", "1"),
    ];
    let said = run(&["after-restore"], &variables).await.said(12);
    assert!(said.contains("stop all of them first"), "{said}");
    let before = world.epoch().await;
    let words = ["after-restore", "--force"];
    let (mut done, mut rounds) = (std::pin::pin!(run(&words, &variables)), 0);
    let ended = loop {
        tokio::select! {
            ended = &mut done => break ended,
            () = async {
                for seat in &seated {
                    alive(&world.protocol, seat).await;
                }
                let outcome = world.machine("third").acquire(&world.protocol).await;
                assert!(!matches!(outcome, AcquireOutcome::Seat(_)), "{outcome:?}");
                rounds += 1;
            } => {}
        }
    };
    ended.ended(0);
    assert!(rounds > 0 && world.epoch().await >= before + 1_000_000);
    let over = Instant::now() + Duration::from_secs(8);
    while Instant::now() < over {
        for seat in &seated {
            alive(&world.protocol, seat).await;
        }
        let outcome = world.machine("third").acquire(&world.protocol).await;
        assert!(!matches!(outcome, AcquireOutcome::Seat(_)), "{outcome:?}");
    }
    // A copy that was made between the two steps is of an epoch before: nothing is granted by it, and a sweep replaces
    // it.
    world.sweep().await;
    world.assert_no_drift().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_nobody_saw_gives_no_seat_while_redis_is_emptied() {
    let server = stores::own_server().await;
    let shape = Shape { database: Some(server.superuser()), ..Shape::live(2, Duration::from_secs(4)) };
    let world = World::shaped(shape).await;
    let mut schema = SchemaConnection::connect(&server.superuser().into(), Duration::ZERO).await.unwrap();
    schema.hold_pools().await.unwrap();
    let () = redis::cmd("FLUSHALL").query_async(&mut world.redis().await).await.unwrap();
    let early = world.machine("early").acquire_aside(&world.protocol).await.unwrap();
    assert!(!matches!(early, Ok(AcquireOutcome::Seat(_))), "{early:?}");
    schema.after_restore(Duration::from_secs(4)).await.unwrap();
    let later = world.machine("later").acquire(&world.protocol).await;
    assert!(!matches!(later, AcquireOutcome::Seat(_)), "{later:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_somebody_reads_the_pools_redis_is_left_as_it_is_and_who_it_is_is_told() {
    let server = stores::own_server().await;
    let world = World::shaped(Shape { database: Some(server.superuser()), ..Shape::default() }).await;
    world.machine("one").seated(&world.protocol).await;
    let mut busy = PgConnection::connect_with(&server.superuser()).await.unwrap();
    busy.execute("begin; select count(*) from pools").await.unwrap();
    let (url, redis) = (server.url("postgres"), world.redis.url());
    let variables = [("DATABASE_URL", url.as_str()), ("REDIS_URL", redis.as_str())];
    let said = run(&["after-restore", "--force"], &variables).await.said(9);
    assert!(
        said.starts_with("the pools could not be held within 5 s") && said.contains("idle in transaction"),
        "{said}"
    );
    let entries: i64 = redis::cmd("DBSIZE").query_async(&mut world.redis().await).await.unwrap();
    assert!(entries > 0);
    busy.execute("rollback").await.unwrap();
    run(&["after-restore", "--force"], &variables).await.ended(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_was_killed_at_any_moment_is_ended_by_a_second_run() {
    let server = stores::own_server().await;
    let world = World::shaped(Shape { database: Some(server.superuser()), ..Shape::default() }).await;
    world.machine("one").seated(&world.protocol).await;
    let (url, redis) = (server.url("postgres"), world.redis.url());
    let variables = [("DATABASE_URL", url.as_str()), ("REDIS_URL", redis.as_str())];
    let words = ["after-restore", "--force"];
    let started = Instant::now();
    run(&words, &variables).await.ended(0);
    let whole = started.elapsed();
    let before = world.epoch().await;
    for tenth in 0..=10 {
        let mut killed = Running::start(&words, &variables);
        // The moment itself is what is tried: there is nothing to wait for.
        tokio::time::sleep(whole * tenth / 10).await;
        killed.child.kill().await.unwrap();
        let raised = world.epoch().await - before;
        assert_eq!(raised % 1_000_000, 0, "whole or not at all");
    }
    let mut killed = Running::start(&words, &variables);
    killed.until("Redis is empty").await;
    killed.child.kill().await.unwrap();
    let done = world.epoch().await;
    run(&words, &variables).await.ended(0);
    assert!(world.epoch().await >= done + 1_000_000);
    let entries: i64 = redis::cmd("DBSIZE").query_async(&mut world.redis().await).await.unwrap();
    assert_eq!(entries, 0);
}

async fn epoch(database: &sqlx::postgres::PgConnectOptions) -> i64 {
    let mut truth = PgConnection::connect_with(database).await.unwrap();
    sqlx::query_scalar("select epoch from pools").fetch_one(&mut truth).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_without_the_schema_costs_redis_nothing() {
    let server = license_local::stores::PostgresServer::temporary().await.unwrap();
    let world = World::new().await;
    world.machine("one").seated(&world.protocol).await;
    let (url, redis) = (server.url("postgres"), world.redis.url());
    let said = run(&["after-restore"], &[("DATABASE_URL", &url), ("REDIS_URL", &redis)]).await.said(5);
    assert!(said.starts_with("the database has no schema"), "{said}");
    let entries: i64 = redis::cmd("DBSIZE").query_async(&mut world.redis().await).await.unwrap();
    assert!(entries > 0);
}
