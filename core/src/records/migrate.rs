//! Schema and roles. `migrations/README.md` says how a migration is written, and from when on none is edited any more.

use crate::{Error, Result};
use sqlx::{
    Connection, Executor, PgConnection,
    migrate::{Migration, MigrationType, Migrator},
    postgres::PgConnectOptions,
};

/// Number, name and text of each migration, in order: `build.rs` lists `migrations/`.
const MIGRATIONS: &[(i64, &str, &str)] = include!(concat!(env!("OUT_DIR"), "/migrations.rs"));

fn migrator() -> Migrator {
    let migrations = MIGRATIONS.iter().map(|(number, name, text)| {
        Migration::new(*number, (*name).into(), MigrationType::Simple, sqlx::SqlStr::from_static(text), false)
    });
    Migrator::with_migrations(migrations.collect())
}

/// Brings a database to the newest schema. `options` log in as whoever owns the cluster (may create roles); the schema
/// belongs to `owner`. Harmless to repeat and to run from several places at once.
///
/// # Errors
/// [`Error::Records`] with the server's error underneath.
pub async fn migrate(options: &PgConnectOptions) -> Result<()> {
    #[expect(clippy::disallowed_methods, reason = "here the owner of the cluster connects, once")]
    let mut connection = PgConnection::connect_with(options).await?;
    connection.execute(include_str!("../../../migrations/roles.sql")).await?;
    connection.execute("set role owner").await?;
    migrator().run(&mut connection).await.map_err(|e| Error::records("a migration failed", e))?;
    connection.close().await.map_err(Error::from)
}
