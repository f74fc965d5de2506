//! Migrations beside live traffic: for how long they wait for locks, and that requests do not wait behind them for
//! long.

use super::{ManagedServer, applied};
use license_core::records::{SchemaConnection, SchemaErrorKind};
use license_local::stores::PostgresServer;
use license_tests::{World, client::alive, stores, world::Shape};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

#[tokio::test(flavor = "multi_thread")]
async fn where_nothing_is_to_do_no_table_is_waited_for() {
    let server = ManagedServer::migrated().await;
    let tables = "select string_agg(c.oid::regclass::text, ', ') from pg_class c
        where c.relnamespace = any ('{public,catalog,directory,history}'::regnamespace[]) and c.relkind in ('r', 'p')
          and c.relname <> '_sqlx_migrations'";
    let mut busy = server.superuser().await;
    let tables: String = sqlx::query_scalar(tables).fetch_one(&mut busy).await.unwrap();
    busy.execute("begin").await.unwrap();
    busy.execute(AssertSqlSafe(format!("lock table {tables} in access exclusive mode"))).await.unwrap();
    let lines = server.migrate(&["up"]).await.ended(0);
    assert_eq!(applied(&lines), 0);
    server.migrate(&["status"]).await.ended(0);
    busy.execute("rollback").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_is_not_had_in_five_seconds_is_told_with_who_may_have_it_and_a_later_run_mends() {
    let server = ManagedServer::migrated().await;
    // The newest file is still to be applied, and somebody is about to make the same by hand.
    server.told("drop function history.staff_export; delete from _sqlx_migrations where version = 332").await;
    let mut busy = server.superuser().await;
    busy.execute("begin; create function history.staff_export() returns int language sql as 'select 1'").await.unwrap();
    let started = Instant::now();
    let said = server.migrate(&["up"]).await.said(9);
    let took = started.elapsed();
    assert!(said.starts_with("the migration 0332_staff_export.sql did not get its locks within 5 s"), "{said}");
    let pid: i32 = sqlx::query_scalar("select pg_backend_pid()").fetch_one(&mut busy).await.unwrap();
    assert!(said.contains(&format!("process {pid} (postgres, ")) && said.contains("idle in transaction"), "{said}");
    assert!(took >= Duration::from_secs(5) && took < Duration::from_secs(20), "{took:?}");
    busy.execute("rollback").await.unwrap();
    assert_eq!(applied(&server.migrate(&["up"]).await.ended(0)), 1);
}

const LATER: (i64, &str, &str) = (9000, "9000_pool_notes", "alter table pools add column note text collate \"C\"");

async fn later(server: &PostgresServer) -> SchemaConnection {
    let mut schema =
        SchemaConnection::connect(&server.superuser().into(), Duration::ZERO).await.unwrap().with_more(&[LATER]);
    // The one who worked here before has ended; its lock ends with its process of the server.
    schema.lock(Duration::from_secs(10), || ()).await.unwrap();
    schema
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn seats_are_given_and_kept_while_a_migration_waits_behind_a_long_transaction() {
    let server = stores::own_server().await;
    let shape = Shape { database: Some(server.superuser()), ..Shape::live(5, Duration::from_secs(360)) };
    let world = Arc::new(World::shaped(shape).await);
    let kept = world.machine("kept").seated(&world.protocol).await;
    let mut long = PgConnection::connect_with(&server.superuser()).await.unwrap();
    long.execute("begin; select count(*) from pools").await.unwrap();

    let over = Arc::new(AtomicBool::new(false));
    let traffic = tokio::spawn({
        let (world, over) = (world.clone(), over.clone());
        async move {
            let (mut rounds, mut slowest) = (0, Duration::ZERO);
            while !over.load(Ordering::SeqCst) {
                let started = Instant::now();
                let seat = world.machine("comes and goes").seated(&world.protocol).await;
                slowest = slowest.max(started.elapsed());
                license_tests::client::release(&world.protocol, &seat).await;
                alive(&world.protocol, &kept).await;
                rounds += 1;
            }
            (rounds, slowest)
        }
    });
    let error = later(&server).await.apply_next().await.unwrap_err();
    assert_eq!(error.kind, SchemaErrorKind::Locked, "{error}");
    long.execute("rollback").await.unwrap();
    let applied = later(&server).await.apply_next().await.unwrap();
    assert_eq!(applied.unwrap().0, "9000_pool_notes", "beside traffic alone it gets its lock");
    over.store(true, Ordering::SeqCst);
    let (rounds, slowest) = traffic.await.unwrap();
    eprintln!("{rounds} seats taken and given back meanwhile, the slowest acquire took {slowest:?}");
    assert!(rounds > 10 && slowest < Duration::from_secs(3), "{rounds} rounds, the slowest {slowest:?}");
    long.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_another_one_gives_up_at_last() {
    let server = stores::own_server().await;
    let _first = later(&server).await;
    let mut second = SchemaConnection::connect(&server.superuser().into(), Duration::ZERO).await.unwrap();
    let mut said = 0;
    let error = second.lock(Duration::from_millis(600), || said += 1).await.unwrap_err();
    assert_eq!((error.kind, said), (SchemaErrorKind::Busy, 1), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_migration_that_fails_leaves_nothing_of_itself() {
    let server = stores::own_server().await;
    let broken = (9001, "9001_broken", "create table half (id int); select 1 / 0");
    let schema = SchemaConnection::connect(&server.superuser().into(), Duration::ZERO).await.unwrap();
    let mut schema = schema.with_more(&[LATER, broken]);
    assert_eq!(schema.apply_next().await.unwrap().unwrap().0, "9000_pool_notes");
    let error = schema.apply_next().await.unwrap_err();
    assert_eq!(error.kind, SchemaErrorKind::Failed);
    let text = license_core::error::chain(&error).to_string();
    assert!(text.contains("the migration 9001_broken.sql failed") && text.contains("division by zero"), "{text}");
    assert_eq!(schema.status().await.unwrap().pending, ["9001_broken"]);
    let mut truth = PgConnection::connect_with(&server.superuser()).await.unwrap();
    let half: bool = sqlx::query_scalar("select to_regclass('half') is null").fetch_one(&mut truth).await.unwrap();
    assert!(half);
}
