//! What can be wrong when `migrate` runs: each fault has its exit code, and a message that says what to do.

use super::{ManagedServer, run};
use std::path::Path;

#[tokio::test(flavor = "multi_thread")]
async fn an_edited_file_is_refused_by_its_name() {
    let server = ManagedServer::migrated().await;
    server.told("update _sqlx_migrations set checksum = '\\x00' where version = 124").await;
    let before = server.writes().await;
    for verb in ["up", "status"] {
        let said = server.migrate(&[verb]).await.said(7);
        assert!(said.starts_with("the file 0124_pools.sql is another one than was applied"), "{said}");
    }
    assert_eq!(server.writes().await, before, "nothing was done");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_right_says_which() {
    let server = ManagedServer::start().await;
    server.told("create role plain login").await;
    let before = server.writes().await;
    let url = server.url("plain");
    let said = run(&["up"], &[("DATABASE_URL", &url)]).await.said(6);
    assert!(said.contains("permission denied to set role \"cloudsqlsuperuser\""), "{said}");
    assert!(said.contains("The user must be a superuser, a member of cloudsqlsuperuser"), "{said}");
    assert_eq!(server.writes().await, before);
    server.migrate(&["up"]).await.ended(0);
    server.told("grant connect on database license to plain").await;
    for words in [&["status"][..], &["up"], &["after-restore"]] {
        let said = run(words, &[("DATABASE_URL", &url), ("REDIS_URL", "redis://127.0.0.1:1")]).await.said(6);
        assert!(said.contains("permission denied for "), "{words:?}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_database_server_user_or_project_is_told_apart() {
    let server = ManagedServer::start().await;
    let mine = server.url(super::MIGRATE);
    let elsewhere = |name: &str| mine.replace("/license?", &format!("/{name}?"));
    server.told("grant connect on database postgres to public").await;
    server.told("create database strange").await;
    server.told("create database foreign_ones").await;
    server.told("create database latin template template0 encoding 'SQL_ASCII' locale 'C'").await;
    let at = |name: &str| server.postgres.superuser().database(name);
    told(at("strange"), "create table customers (id int)").await;
    told(
        at("foreign_ones"),
        "create table _sqlx_migrations (version bigint, description text, success bool, checksum bytea);
         insert into _sqlx_migrations values (20260101, 'shop', true, '');
         grant select on _sqlx_migrations to public",
    )
    .await;
    let far = "postgres://migrate%40one.iam@127.0.0.1:1/license";
    let strangers = mine.replace(super::MIGRATE.split('@').next().unwrap(), "nobody");
    for (url, code, part) in [
        (elsewhere("nowhere"), 5, "database \"nowhere\" does not exist"),
        (elsewhere("postgres"), 5, "the database postgres belongs to the server itself"),
        (elsewhere("strange"), 5, "the database strange has tables of something else (customers)"),
        (elsewhere("foreign_ones"), 5, "the database has migrations of another program"),
        (elsewhere("latin"), 5, "the database latin has the encoding SQL_ASCII; make one with UTF8"),
        (strangers, 4, "role \"nobody@one.iam\" does not exist"),
        (far.to_owned(), 3, "Look whether the address in DATABASE_URL is right"),
        ("mysql://host/license".to_owned(), 2, "DATABASE_URL must begin with postgres://"),
        (String::new(), 2, "DATABASE_URL is not set"),
    ] {
        for verb in ["up", "status"] {
            let said = run(&[verb], &[("DATABASE_URL", &url), ("START_PATIENCE_SECONDS", "0")]).await.said(code);
            assert!(said.contains(part), "{verb} {url}: {said}");
        }
    }
    let said = server.migrate_with(&["up"], &[("GOOGLE_CLOUD_PROJECT", "two")]).await.said(5);
    assert_eq!(said, "DATABASE_URL logs in as a user of the project one, and this runs in two.");
    server.migrate_with(&["up"], &[("GOOGLE_CLOUD_PROJECT", "one")]).await.ended(0);
}

async fn told(at: sqlx::postgres::PgConnectOptions, sql: &'static str) {
    use sqlx::{Connection, Executor};
    sqlx::PgConnection::connect_with(&at).await.unwrap().execute(sql).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_in_no_line() {
    let secret = "a-secret-word";
    for url in [
        format!("postgres://user:{secret}@127.0.0.1:1/license"),
        format!("postgres://user:{secret}@127.0.0.1:nowhere/license"),
    ] {
        let ended = run(&["up"], &[("DATABASE_URL", &url), ("START_PATIENCE_SECONDS", "0")]).await;
        assert!(
            ended.code != 0 && !ended.output.contains(secret) && !ended.errors.contains(secret),
            "{}",
            ended.output
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_is_one_of_four_words() {
    for words in [&[][..], &["down"], &["up", "--force"], &["after-restore", "now"]] {
        let ended = run(words, &[]).await;
        assert!(ended.code == 2 && ended.output.is_empty(), "{words:?}");
        assert!(ended.errors.starts_with("migrate: one of up, status, grants and after-restore is needed"));
    }
    let help = run(&["--help"], &[]).await;
    assert_eq!(help.code, 0);
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/OPERATING.md");
    let page = std::fs::read_to_string(page).unwrap();
    let codes = help.output.split_once("Exit codes:\n").unwrap().1;
    let rows: Vec<String> = codes
        .lines()
        .map(|line| line.trim_start().split_once("  ").unwrap())
        .map(|(code, means)| format!("| {code} | {means} |"))
        .collect();
    assert_eq!(rows.len(), 15);
    for row in rows {
        assert!(page.contains(&row), "docs/OPERATING.md lists: {row}");
    }
}
