//! `up`: once, twice, four at once, killed, and an older one.

use super::{ManagedServer, Running, applied, files};
use license_core::records::SchemaConnection;
use sqlx::Connection;
use std::{collections::BTreeSet, time::Duration};

#[tokio::test(flavor = "multi_thread")]
async fn a_member_of_cloudsqlsuperuser_makes_the_schema_and_a_second_run_writes_nothing() {
    let server = ManagedServer::start().await;
    let pending = server.migrate(&["status"]).await.ended(10);
    assert_eq!(pending[0]["pending"].as_array().unwrap().len(), files().len());
    assert_eq!(server.number("select count(*) from pg_class where relnamespace = 'public'::regnamespace").await, 0);

    let lines = server.migrate(&["up"]).await.ended(0);
    let told: Vec<&str> = lines.iter().filter_map(|line| line["migration"].as_str()).collect();
    assert_eq!(told, files(), "a line for each, in order");
    assert!(lines.iter().all(|line| line["ms"].is_u64() && line["time"].is_string()), "{lines:?}");
    let owners = "select count(*) from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where n.nspname in ('public', 'catalog', 'directory', 'history') and c.relowner <> 'owner'::regrole";
    assert_eq!(server.number(owners).await, 0, "everything is the owner's");
    let database = "select count(*) from pg_database where datname = 'license' and datdba = 'owner'::regrole";
    assert_eq!(server.number(database).await, 1);

    let before = server.writes().await;
    let lines = server.migrate(&["up"]).await.ended(0);
    assert_eq!((applied(&lines), server.writes().await), (0, before), "{lines:?}");
    let status = server.migrate(&["status"]).await.ended(0);
    assert_eq!(status[0]["newest"], files().last().unwrap().as_str());
    assert_eq!((status[0]["pending"].as_array().unwrap().len(), server.writes().await), (0, before));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_four_at_once_each_ends_well_and_every_file_is_applied_once() {
    let server = ManagedServer::start().await;
    let words = ["up"];
    let [one, two, three, four] = [(); 4].map(|()| server.migrate(&words));
    let (one, two, three, four) = tokio::join!(one, two, three, four);
    let told: usize = [one, two, three, four].iter().map(|ended| applied(&ended.ended(0))).sum();
    assert_eq!(told, files().len());
    assert_eq!(server.number("select count(*) from _sqlx_migrations").await as usize, files().len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_run_mends_what_a_killed_one_left() {
    let server = ManagedServer::start().await;
    let url = server.url(super::MIGRATE);
    for file in ["0001_schemas", "0122_licenses", "0236_change_license"] {
        let mut killed = Running::start(&["up"], &[("DATABASE_URL", &url)]);
        killed.until(file).await;
        killed.child.kill().await.unwrap();
    }
    let lines = server.migrate(&["up"]).await.ended(0);
    assert!(applied(&lines) < files().len(), "what was committed is kept");
    assert_eq!(server.number("select count(*) from _sqlx_migrations where success").await as usize, files().len());
    server.migrate(&["status"]).await.ended(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_comes_while_another_works_says_so_and_waits() {
    let server = ManagedServer::start().await;
    let mut other = server.superuser().await;
    let locked = "select pg_advisory_lock(hashtextextended('license migrate', 0))";
    sqlx::query(locked).execute(&mut other).await.unwrap();
    let url = server.url(super::MIGRATE);
    let mut waits = Running::start(&["up"], &[("DATABASE_URL", &url)]);
    waits.until("another migrate is at work").await;
    assert_eq!(server.number("select count(*) from pg_class where relname = '_sqlx_migrations'").await, 0);
    other.close().await.unwrap();
    waits.until("the schema is this build's").await;
    assert!(waits.child.wait().await.unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_build_leaves_a_newer_schema_as_it_is() {
    let server = ManagedServer::migrated().await;
    server.told("alter table licenses add column later text collate \"C\"").await;
    let newer = "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
        values (9000, '9000_license_later', true, '\\x00', 1)";
    server.told(newer).await;
    let before = server.writes().await;
    let lines = server.migrate(&["up"]).await.ended(0);
    assert_eq!(lines[0]["message"], "the schema is a later build's");
    assert_eq!(lines[0]["newer"], serde_json::json!(["9000_license_later"]));
    assert_eq!(server.writes().await, before);
    let status = server.migrate(&["status"]).await.ended(0);
    assert_eq!(status[0]["newest"], "9000_license_later");
}

#[tokio::test(flavor = "multi_thread")]
async fn once_the_roles_exist_a_member_of_the_owner_alone_may_migrate() {
    let server = ManagedServer::migrated().await;
    server.told("create role plain login in role owner; alter role cloudsqlsuperuser rename to somebody").await;
    let url = server.url("plain");
    let lines = super::run(&["up"], &[("DATABASE_URL", &url)]).await.ended(0);
    assert_eq!(applied(&lines), 0);
}

/// Each migration is two commits. Where the disk is slow, a first start that waited for it at every commit would take minutes.
#[tokio::test(flavor = "multi_thread")]
async fn the_disk_is_waited_for_once_and_when_all_migrations_are_done() {
    let server = ManagedServer::start().await;
    let mut schema = SchemaConnection::connect(&server.postgres.superuser().into(), Duration::ZERO).await.unwrap();
    schema.make_roles().await.unwrap();
    let mut looking = server.superuser().await;
    let mut positions = async || -> (i64, i64) {
        let sql = "select (pg_current_wal_insert_lsn() - '0/0')::bigint, (pg_current_wal_flush_lsn() - '0/0')::bigint";
        sqlx::query_as(sql).fetch_one(&mut looking).await.unwrap()
    };
    let mut seen = Vec::new();
    let mut before = positions().await;
    while schema.apply_next().await.unwrap().is_some() {
        let after = positions().await;
        seen.push((before.0, after.1));
        before = after;
    }
    let on_disk: BTreeSet<i64> = seen.iter().map(|(_, flushed)| *flushed).collect();
    assert!(on_disk.len() < files().len() / 4, "waited for the disk {} times", on_disk.len());
    let (written_before_the_last, flushed) = seen.last().unwrap();
    assert!(flushed > written_before_the_last, "the last ones are not on disk");
}
