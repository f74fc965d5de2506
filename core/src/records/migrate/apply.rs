//! The migrations, one transaction each, beside live traffic.
//!
//! While a statement waits for a lock on a table, all later statements on that table wait behind it. So a migration
//! waits for a fifth of a second, gives up to let the others through, and tries again, until [`PATIENCE`] is over. What
//! a file did before it had to wait is rolled back with its transaction.

use super::{SchemaConnection, SchemaError, SchemaErrorKind, SchemaResult};
use sqlx::{
    Executor,
    migrate::{Migrate, MigrateError},
};
use std::time::{Duration, Instant};

/// How long a migration tries for its locks.
const PATIENCE: Duration = Duration::from_secs(5);
/// The pause between two tries: longer than a try, so that requests wait for less than half of the time.
const PAUSE: Duration = Duration::from_millis(300);
const TABLE: &str = "public._sqlx_migrations";

impl SchemaConnection {
    /// Applies the oldest migration that the database lacks, and answers its name and how long it took; `None`: it
    /// lacks none. Migrations that only a later release knows do not matter.
    ///
    /// # Errors
    /// As [`SchemaConnection::status`]; [`SchemaErrorKind::Locked`] if another transaction kept a lock for too long.
    /// Nothing of the migration is left then, and what was applied before it stays.
    pub async fn apply_next(&mut self) -> SchemaResult<Option<(String, Duration)>> {
        self.as_owner().await?;
        let status = self.status().await?;
        let Some(name) = status.pending.first() else { return Ok(None) };
        if status.applied.is_empty() {
            let made = self.connection.ensure_migrations_table(TABLE).await;
            made.map_err(|e| failed("the table of migrations could not be made".to_owned(), e))?;
        }
        // On a slow disk a first start would wait for minutes, two commits a migration. The last one is waited for, and
        // with it all before it; what a crash takes away until then is applied again.
        if status.pending.len() == 1 {
            return self.apply(name).await;
        }
        let failed = |e| SchemaError::of("synchronous_commit could not be set", e);
        self.connection.execute("set synchronous_commit = off").await.map_err(failed)?;
        let applied = self.apply(name).await;
        let reset = self.connection.execute("reset synchronous_commit").await.map_err(failed);
        // Where both fail, the migration's error is the cause.
        let applied = applied?;
        reset.map(|_| applied)
    }

    async fn apply(&mut self, name: &str) -> SchemaResult<Option<(String, Duration)>> {
        let started = Instant::now();
        loop {
            let migration = self.migrations.iter().find(|migration| migration.description == name);
            let Some(migration) = migration else { return Ok(None) };
            let error = match self.connection.apply(TABLE, migration).await {
                Ok(took) => return Ok(Some((name.to_owned(), took))),
                Err(error) => failed(format!("the migration {name}.sql failed, and nothing of it was done"), error),
            };
            if error.kind != SchemaErrorKind::Locked {
                return Err(error);
            }
            if started.elapsed() >= PATIENCE {
                return Err(self.locked(name).await);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn locked(&mut self, name: &str) -> SchemaError {
        let what = format!(
            "the migration {name}.sql did not get its locks within {} s, and nothing of it was done; what was applied \
             before it stays. {}",
            PATIENCE.as_secs(),
            self.in_the_way().await
        );
        SchemaError::new(SchemaErrorKind::Locked, what)
    }

    /// Who seems to be in the way, and what to do about it.
    pub(super) async fn in_the_way(&mut self) -> String {
        // The login may see what others do; the owner of the tables may not.
        let _ = self.connection.execute("reset role").await;
        let sql = "-- long_transactions
            select pid, coalesce(usename, '')::text, application_name, coalesce(state, 'unknown'),
              extract(epoch from now() - xact_start)::bigint
            from pg_stat_activity
            where datname = current_database() and pid <> pg_backend_pid() and xact_start < now() - interval '3 seconds'
            order by xact_start limit 3";
        let seen: Vec<(i32, String, String, String, i64)> =
            sqlx::query_as(sql).fetch_all(&mut self.connection).await.unwrap_or_default();
        let seen: Vec<String> = seen
            .into_iter()
            .map(|(pid, user, program, state, age)| {
                format!("process {pid} ({user}, {program}, {state}, since {age} s)")
            })
            .collect();
        let seen = if seen.is_empty() { "nobody that this user may see".to_owned() } else { seen.join(", ") };
        format!(
            "Open transactions: {seen}. Run it again when they are over, or end one: select \
             pg_terminate_backend(<process>)"
        )
    }
}

fn failed(what: String, error: MigrateError) -> SchemaError {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => SchemaError::of(what, error),
        other => SchemaError::of(what, sqlx::Error::from(other)),
    }
}
