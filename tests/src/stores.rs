//! One PostgreSQL for all tests of a process, a database of its own for each; one Redis for each.

use license_core::records;
use license_local::stores::{DATABASE, Postgres};
use sqlx::{Connection, Executor, PgConnection, postgres::PgConnectOptions};
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::sync::OnceCell;

/// Ends with the process: its keeper sees the pipe close.
static SERVER: OnceCell<Postgres> = OnceCell::const_new();
static NEXT: AtomicU32 = AtomicU32::new(0);

/// A migrated database nobody else uses.
pub async fn database() -> PgConnectOptions {
    let server = SERVER
        .get_or_init(|| async {
            let server = Postgres::temporary().await.expect("PostgreSQL starts");
            records::migrate(&server.superuser()).await.expect("the schema is made");
            server
        })
        .await;
    let name = format!("t{}", NEXT.fetch_add(1, Ordering::SeqCst));
    let mut connection = PgConnection::connect_with(&server.superuser().database("postgres")).await.unwrap();
    let copy = format!("create database {name} template {}", DATABASE);
    connection.execute(sqlx::AssertSqlSafe(copy)).await.unwrap();
    server.superuser().database(&name)
}

/// A migrated PostgreSQL of the caller's own, to be broken.
pub async fn own_server() -> Postgres {
    let server = Postgres::temporary().await.expect("PostgreSQL starts");
    records::migrate(&server.superuser()).await.expect("the schema is made");
    server
}
