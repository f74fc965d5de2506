//! One PostgreSQL for all tests of a process, a database of its own for each; one Redis for each.

use license_core::records;
use license_local::stores::{DATABASE, PostgresServer};
use redis::{AsyncConnectionConfig, Client, RedisResult, aio::MultiplexedConnection};
use sqlx::{Connection, Executor, PgConnection, postgres::PgConnectOptions};
use std::{
    process::Stdio,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};
use tokio::{io::AsyncWriteExt, process::Command, sync::OnceCell};

/// Ends with the process: its keeper sees the pipe close.
static SERVER: OnceCell<PostgresServer> = OnceCell::const_new();
static NEXT: AtomicU32 = AtomicU32::new(0);

/// How long a test that looks at Redis itself waits for it: a busy machine answers later than a service would wait.
const PATIENCE: Duration = Duration::from_secs(20);

/// A raw connection to a Redis, for looks and faults.
///
/// # Errors
/// Redis is not there, or says nothing for 20 s.
pub async fn redis_connection(url: &str) -> RedisResult<MultiplexedConnection> {
    let patient =
        AsyncConnectionConfig::new().set_connection_timeout(Some(PATIENCE)).set_response_timeout(Some(PATIENCE));
    Client::open(url)?.get_multiplexed_async_connection_with_config(&patient).await
}

async fn server() -> &'static PostgresServer {
    let start = || async {
        let server = PostgresServer::temporary().await.expect("PostgreSQL starts");
        records::migrate(&server.superuser()).await.expect("the schema is made");
        server
    };
    SERVER.get_or_init(start).await
}

/// A migrated database nobody else uses.
pub async fn database() -> PgConnectOptions {
    made(&format!("template {DATABASE}")).await
}

/// A dump of a database of [`database`], restored into a new one of another locale. `locale`: how `create database` says it.
pub async fn restored(database: &PgConnectOptions, locale: &str) -> PgConnectOptions {
    let made = made(&format!("template template0 encoding 'UTF8' {locale}")).await;
    copy(database, &made).await;
    made
}

/// The same into a migrated server of the caller's own, which may be of another version.
pub async fn restored_at(database: &PgConnectOptions, server: &PostgresServer, locale: &str) -> PgConnectOptions {
    let mut connection = PgConnection::connect_with(&server.superuser().database("postgres")).await.unwrap();
    let create = format!("create database restored template template0 encoding 'UTF8' {locale}");
    connection.execute(sqlx::AssertSqlSafe(create)).await.unwrap();
    let made = server.superuser().database("restored");
    copy(database, &made).await;
    made
}

/// Dumps a database of the shared server and restores it into an empty one, with the programs of that server.
async fn copy(from: &PgConnectOptions, to: &PgConnectOptions) {
    let server = server().await;
    let run = |program: &str, database: &PgConnectOptions, args: &[&str]| {
        let mut command = Command::new(server.program(program));
        let name = database.get_database().expect("it has a name");
        let socket = database.get_socket().expect("it is on a socket");
        command.arg("-h").arg(socket).args(["-p", "5432", "-U", "postgres", "-d", name]).args(args);
        command.kill_on_drop(true).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        command.spawn().unwrap_or_else(|error| panic!("{program} does not start: {error}"))
    };
    let dump = run("pg_dump", from, &[]).wait_with_output().await.unwrap();
    assert!(dump.status.success(), "pg_dump {}", dump.status);
    let mut psql = run("psql", to, &["-q", "-v", "ON_ERROR_STOP=1", "-o", "/dev/null"]);
    psql.stdin.take().unwrap().write_all(&dump.stdout).await.unwrap();
    let restored = psql.wait_with_output().await.unwrap();
    assert!(restored.status.success(), "psql {}", restored.status);
}

async fn made(how: &str) -> PgConnectOptions {
    let server = server().await;
    let name = format!("t{}", NEXT.fetch_add(1, Ordering::SeqCst));
    let mut connection = PgConnection::connect_with(&server.superuser().database("postgres")).await.unwrap();
    connection.execute(sqlx::AssertSqlSafe(format!("create database {name} {how}"))).await.unwrap();
    server.superuser().database(&name)
}

/// A migrated PostgreSQL of the caller's own, to be broken.
pub async fn own_server() -> PostgresServer {
    let server = PostgresServer::temporary().await.expect("PostgreSQL starts");
    records::migrate(&server.superuser()).await.expect("the schema is made");
    server
}
