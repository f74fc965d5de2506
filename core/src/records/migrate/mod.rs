//! Schema, roles and rights of a database: what `migrate` and the start of `license-local` do to it.
//! `migrations/README.md` says how a migration is written, and from when on none is edited any more.
//!
//! [`SchemaConnection`] is the one way in. `error.rs`: what can be wrong, in kinds that tell apart what a person has to
//! do · `checks.rs`: whether this is our database, and what is applied to it · `apply.rs`: the migrations beside live
//! traffic · `grants.rs`: which login has which role · `restored.rs`: after a restore.

mod apply;
mod checks;
mod error;
mod grants;
mod restored;

pub use checks::SchemaStatus;
pub use error::{SchemaError, SchemaErrorKind};
pub use grants::{GrantReport, RoleGrant};

use super::RecordsAddress;
use crate::Result;
use sqlx::{
    Connection, Executor, PgConnection,
    migrate::{Migration, MigrationType},
    postgres::PgConnectOptions,
};
use std::time::{Duration, Instant};

/// Number, name and text of each migration, in order: `build.rs` lists `migrations/`.
const MIGRATIONS: &[(i64, &str, &str)] = include!(concat!(env!("OUT_DIR"), "/migrations.rs"));

/// How long one statement waits for a lock. Requests queue behind a statement that waits for a table, so it waits for
/// less time than they do (250 ms, `connect.rs`), and comes back.
const LOCK_TIMEOUT: &str = "200ms";
/// How long one connect may take.
const CONNECT: Duration = Duration::from_secs(10);
/// Between two tries to connect, and between two looks whether another `migrate` is done.
const PAUSE: Duration = Duration::from_millis(250);
/// The role that a managed server gives its administrators in place of a superuser. Members do not inherit its right to
/// make roles: they have to become it.
const MANAGED_ADMIN: &str = "cloudsqlsuperuser";

/// What of a migration is known.
pub type SchemaResult<T> = std::result::Result<T, SchemaError>;

/// A connection of whoever may change the schema of one database.
pub struct SchemaConnection {
    connection: PgConnection,
    migrations: Vec<Migration>,
}

impl SchemaConnection {
    /// Connects, and comes back as long as nobody answers and `patience` is not over: a fresh instance in a cloud may
    /// have no network yet.
    ///
    /// # Errors
    /// If nobody answers, the login is refused, or the server is not one for this schema.
    pub async fn connect(address: &RecordsAddress, patience: Duration) -> SchemaResult<Self> {
        let started = Instant::now();
        let mut connection = loop {
            let error = match tokio::time::timeout(CONNECT, connected(address)).await {
                Ok(Ok(connection)) => break connection,
                Ok(Err(error)) => error,
                Err(_) => SchemaError::new(
                    SchemaErrorKind::Unreachable,
                    format!("the database server did not answer within {} s", CONNECT.as_secs()),
                ),
            };
            if error.kind != SchemaErrorKind::Unreachable || started.elapsed() >= patience {
                return Err(error);
            }
            tokio::time::sleep(PAUSE).await;
        };
        // A server that checks whether its client is still there ends the work of a `migrate` that was killed, and
        // releases its locks. Not every operating system allows the check; then the server notices when the statement
        // is done.
        let _ = connection.execute("set client_connection_check_interval = '1s'").await;
        checks::server(&mut connection).await?;
        Ok(Self { connection, migrations: compiled() })
    }

    /// The same with more migrations than this build has. For tests of what a later release does.
    #[cfg(feature = "testing")]
    pub fn with_more(mut self, list: &[(i64, &'static str, &'static str)]) -> Self {
        self.migrations.extend(migrations(list));
        self
    }

    /// Waits until no other `migrate` works on this database, and keeps others away as long as the connection is open.
    /// `waiting` is called once if one works on it now.
    ///
    /// # Errors
    /// [`SchemaErrorKind::Busy`] if `patience` is over.
    pub async fn lock(&mut self, patience: Duration, waiting: impl FnOnce()) -> SchemaResult<()> {
        let started = Instant::now();
        let mut waiting = Some(waiting);
        loop {
            // The lock is tried in a loop. A statement that waited for it would keep its snapshot, and if the other
            // `migrate` builds an index concurrently, that would wait for this statement in turn.
            let sql = "-- lock_schema
                select pg_try_advisory_lock(hashtextextended('license migrate', 0))";
            let asked = sqlx::query_scalar::<_, bool>(sql).fetch_one(&mut self.connection).await;
            if asked.map_err(|e| SchemaError::of("the lock of the schema could not be asked for", e))? {
                return Ok(());
            }
            if started.elapsed() >= patience {
                return Err(SchemaError::new(
                    SchemaErrorKind::Busy,
                    format!(
                        "another migrate has been working on this database for more than {} s; wait for it, or end \
                         its connection if it hangs: select pg_terminate_backend(pid) from pg_stat_activity where \
                         application_name = 'migrate' and pid <> pg_backend_pid()",
                        patience.as_secs()
                    ),
                ));
            }
            if let Some(waiting) = waiting.take() {
                waiting();
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Makes the roles and takes away what every role has by default (`migrations/roles.sql`). If that was done before,
    /// nothing changes.
    ///
    /// # Errors
    /// [`SchemaErrorKind::MissingRight`] for a login that may not make roles.
    pub async fn make_roles(&mut self) -> SchemaResult<()> {
        self.as_administrator().await?;
        let made = self.connection.execute(include_str!("../../../../migrations/roles.sql")).await;
        made.map(drop).map_err(|e| SchemaError::of("the roles could not be made", e))
    }

    /// Whoever makes roles and grants them: the managed server's administrator where there is one, else the login.
    async fn as_administrator(&mut self) -> SchemaResult<()> {
        let failed = |e| SchemaError::of("the role of an administrator could not be taken", e);
        self.connection.execute("reset role").await.map_err(failed)?;
        let sql = "-- managed_administrator
            select exists (select from pg_roles where rolname = $1)
              and not (select rolsuper from pg_roles where rolname = current_user)";
        let managed = sqlx::query_scalar::<_, bool>(sql).bind(MANAGED_ADMIN).fetch_one(&mut self.connection).await;
        if managed.map_err(failed)? {
            self.connection.execute("set role cloudsqlsuperuser").await.map_err(failed)?;
        }
        Ok(())
    }

    /// The role that the tables belong to.
    async fn as_owner(&mut self) -> SchemaResult<()> {
        let taken = self.connection.execute("set role owner").await;
        taken.map(drop).map_err(|e| SchemaError::of("the role owner could not be taken", e))
    }

    /// Ends the connection in good order.
    ///
    /// # Errors
    /// If the connection broke.
    pub async fn close(self) -> SchemaResult<()> {
        self.connection.close().await.map_err(|e| SchemaError::of("the connection could not be closed", e))
    }
}

/// A connection of the address's own user, with a fresh token where it logs in with one.
#[expect(clippy::disallowed_methods, reason = "here the schema's own user connects, once")]
async fn connected(address: &RecordsAddress) -> SchemaResult<PgConnection> {
    let options = address.as_own_user().await;
    let options = options.map_err(|e| SchemaError::caused(SchemaErrorKind::Unreachable, "there is no password", e))?;
    let options = options.application_name("migrate").options([
        ("lock_timeout", LOCK_TIMEOUT),
        ("statement_timeout", "0"),
        ("synchronous_commit", "on"),
        ("search_path", "public,pg_temp"),
    ]);
    let connection = PgConnection::connect_with(&options).await;
    connection.map_err(|e| SchemaError::of("connecting to the database failed", e))
}

fn compiled() -> Vec<Migration> {
    migrations(MIGRATIONS)
}

fn migrations(list: &[(i64, &'static str, &'static str)]) -> Vec<Migration> {
    let migration = |&(number, name, text): &(i64, &'static str, &'static str)| {
        Migration::new(number, name.into(), MigrationType::Simple, sqlx::SqlStr::from_static(text), false)
    };
    list.iter().map(migration).collect()
}

/// Brings a database to the newest schema: what `license-local` and tests do at their start.
///
/// `options` log in as whoever may make roles; the schema belongs to `owner`. Harmless to repeat and to run from several places at once.
///
/// # Errors
/// [`crate::Error::Records`] with the server's error underneath.
pub async fn migrate(options: &PgConnectOptions) -> Result<()> {
    let mut schema = SchemaConnection::connect(&options.clone().into(), Duration::ZERO).await?;
    schema.lock(Duration::from_secs(60), || ()).await?;
    schema.make_roles().await?;
    while schema.apply_next().await?.is_some() {}
    Ok(schema.close().await?)
}
