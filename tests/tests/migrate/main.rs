//! The command `migrate` as it ships, on a PostgreSQL whose users are those of a managed server: nobody is superuser,
//! and whoever changes the schema is a member of `cloudsqlsuperuser`.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests; clippy.toml's exception does not reach helpers")]

mod grants;
mod iam;
mod live;
mod restored;
mod up;
mod wrong;

use license_local::stores::{PostgresServer, PostgresSettings};
use license_tests::process::binary;
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, postgres::PgConnectOptions};
use std::{fs, path::Path, process::Stdio};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
};

/// The user of the job in the project `one`.
const MIGRATE: &str = "migrate@one.iam";

/// A managed server with an empty database.
struct ManagedServer {
    postgres: PostgresServer,
}

impl ManagedServer {
    async fn start() -> Self {
        // Whatever writes besides those who are asked to, or waits for the disk, would be counted as theirs.
        let more = ["autovacuum=off", "wal_writer_delay=10s", "wal_writer_flush_after=1GB"].map(str::to_owned).to_vec();
        let settings = PostgresSettings { durable: false, more, ..PostgresSettings::default() };
        let server = Self { postgres: PostgresServer::temporary_with(settings).await.unwrap() };
        // As Google makes it: it makes roles and databases, and owns the database that was asked for.
        server.told("create role cloudsqlsuperuser nologin createrole createdb in role pg_monitor").await;
        server.told(&format!("create role \"{MIGRATE}\" login in role cloudsqlsuperuser")).await;
        server.told("alter database license owner to cloudsqlsuperuser").await;
        server
    }

    async fn migrated() -> Self {
        let server = Self::start().await;
        server.migrate(&["up"]).await.ended(0);
        server
    }

    async fn superuser(&self) -> PgConnection {
        PgConnection::connect_with(&self.postgres.superuser()).await.unwrap()
    }

    /// Has the superuser do something.
    async fn told(&self, sql: &str) {
        self.superuser().await.execute(AssertSqlSafe(sql.to_owned())).await.unwrap();
    }

    async fn number(&self, sql: &str) -> i64 {
        sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(&mut self.superuser().await).await.unwrap()
    }

    /// The number of the next transaction that writes.
    async fn writes(&self) -> i64 {
        self.number("select pg_snapshot_xmax(pg_current_snapshot())::text::bigint").await
    }

    fn url(&self, user: &str) -> String {
        self.postgres.url(&user.replace('@', "%40"))
    }

    /// Runs the command as the job's user.
    async fn migrate(&self, words: &[&str]) -> Ended {
        self.migrate_with(words, &[]).await
    }

    /// The same with more variables.
    async fn migrate_with(&self, words: &[&str], more: &[(&str, &str)]) -> Ended {
        let url = self.url(MIGRATE);
        run(words, &[&[("DATABASE_URL", url.as_str())], more].concat()).await
    }
}

/// How the command ended.
struct Ended {
    code: i32,
    output: String,
    errors: String,
}

impl Ended {
    /// The lines, after a look at the exit code.
    fn ended(&self, code: i32) -> Vec<Value> {
        assert_eq!(self.code, code, "{}{}", self.output, self.errors);
        self.output.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// What the last line says, after a look at the exit code; a failure says its own code too.
    fn said(&self, code: i32) -> String {
        let lines = self.ended(code);
        let last = lines.last().unwrap_or_else(|| panic!("it says something: {}", self.errors));
        if last["severity"] == "ERROR" {
            assert_eq!(last["exit_code"], code, "{last}");
        }
        last["message"].as_str().unwrap().to_owned()
    }
}

fn command(words: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(binary("migrate"));
    command.args(words).env_clear().envs(variables.iter().copied());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

async fn run(words: &[&str], variables: &[(&str, &str)]) -> Ended {
    let output = command(words, variables).output().await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ended { code: output.status.code().unwrap(), output: text(output.stdout), errors: text(output.stderr) }
}

/// The command while it runs.
struct Running {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Running {
    fn start(words: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut child = command(words, variables).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// Waits for a line that says this.
    async fn until(&mut self, what: &str) {
        while let Some(line) = self.lines.next_line().await.unwrap() {
            if line.contains(what) {
                return;
            }
        }
        panic!("it never says {what:?}");
    }
}

/// The names of the files in `migrations/`, in order.
fn files() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrations");
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter_map(|name| name.strip_suffix(".sql").map(str::to_owned)).collect();
    names.retain(|name| name != "roles");
    names.sort();
    names
}

/// How many migrations the lines say were applied.
fn applied(lines: &[Value]) -> usize {
    lines.iter().filter(|line| line["migration"].is_string()).count()
}

/// A connection as a user that becomes a role while it connects, as a service does.
async fn connected(database: PgConnectOptions, user: &str, role: &str) -> sqlx::Result<PgConnection> {
    PgConnection::connect_with(&database.username(user).options([("role", role)])).await
}
