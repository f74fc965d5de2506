//! Connections, the two doors, and what is worth trying again.

use super::login::{RecordsAddress, TokenLogin, is_refused};
use crate::{
    Error, Result,
    domain::{id::TenantId, secret::KeyRing},
    error::chain,
};
use sqlx::{
    Executor, PgPool, Postgres,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// Long enough for a server that is busy, short enough for a request to be answered within its deadline.
const ACQUIRE: Duration = Duration::from_secs(2);
/// How long a connection may take to show that it still works when a call is done with it.
const GIVE_UP: Duration = Duration::from_secs(2);
/// What a connection answers before another call has it: it works, and is in no transaction. A call that is given up
/// while its BEGIN is under way leaves one open that sqlx 0.9.0 knows nothing of, and what the next call is told over
/// it would never be committed. Here BEGIN goes on with it, ROLLBACK ends it; where there is none, this is a
/// transaction of nothing. One that has failed refuses BEGIN: an error.
const NO_TRANSACTION: &str = "BEGIN; ROLLBACK";
/// How long one call is repeated while its outcome is unknown. Three of these fit no request: the caller's deadline
/// counts too.
pub(crate) const REPEAT: Duration = Duration::from_secs(4);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(10);

/// What every connection is set to.
const CONNECTION_SETTINGS: [(&str, &str); 14] = [
    ("lock_timeout", "250ms"),
    ("statement_timeout", "2s"),
    ("idle_in_transaction_session_timeout", "5s"),
    // What a promise rests on is said here, whatever `alter database` or `alter role` say. A statement of a
    // move sees what was committed while it waited for its lock: a rebuild must not hand out a seat that was
    // granted meanwhile.
    ("default_transaction_isolation", "read committed"),
    ("default_transaction_read_only", "off"),
    // A grant is told when a crash cannot take it back. A database that is set to wait for more, such as a
    // standby's replay, waits for the standby's disk.
    ("synchronous_commit", "on"),
    // Policies bind, names mean our tables, and nobody has a tenant before it is set.
    ("row_security", "on"),
    ("search_path", "public,pg_temp"),
    ("app.tenant_id", ""),
    // Every statement of the moves finds its rows by key whatever its arguments. Planning each of a function's
    // dozen anew, as PostgreSQL does by itself when arrays are among them, cost nearly half of its work for an
    // acquire and a release.
    ("plan_cache_mode", "force_generic_plan"),
    // And so it must be whatever the statistics say: while a table is small, or a partial index was empty when
    // it was last looked at, reading all of it looks cheaper to the planner than one look by key, and the plan
    // stays for as long as the connection. Where there is no other way a plan goes by what is off all the same,
    // at a price that would call the compiler: that is off too.
    ("enable_seqscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("jit", "off"),
];

/// The roles that serve. None owns a table, none bypasses row-level security (migrations/roles.sql).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatabaseRole {
    /// acquire, heartbeat, release.
    Service,
    /// reaper.
    Reaper,
    /// register, admin.
    Admin,
}

impl DatabaseRole {
    /// The role's name in the database.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::Reaper => "reaper",
            Self::Admin => "admin",
        }
    }
}

/// The records, as one role. Cheap to clone; clones share a connection pool.
#[derive(Clone, Debug)]
pub struct Records {
    pool: PgPool,
    /// How new connections log in, where their password changes.
    login: Option<TokenLogin>,
    /// What entries of the audit log are sealed with.
    pub(super) peppers: Option<Arc<KeyRing>>,
}

/// A transaction with the tenant set for it alone. Rolled back when dropped.
pub type TenantTransaction = sqlx::Transaction<'static, Postgres>;

impl Records {
    /// Records at an address, as `role`. Connects when first asked, at most `size` times.
    #[expect(clippy::disallowed_methods, reason = "the one place that makes a pool")]
    pub fn new(address: RecordsAddress, role: DatabaseRole, size: u32) -> Self {
        let (options, login) = address.into_role(role);
        let options = options.application_name(role.name()).options(CONNECTION_SETTINGS);
        let pool = PgPoolOptions::new()
            .max_connections(size)
            .acquire_timeout(ACQUIRE)
            // A ping before each call would double the round trips; a broken connection shows itself and the call is
            // repeated.
            .test_before_acquire(false)
            // The pool tests a connection that comes back, but waits for that without end: on a network that went
            // silent each call cut by its deadline would keep a place, until none is left. Nor does it see whether the
            // connection is in a transaction. An error here closes the connection at once.
            .after_release(|connection, _| {
                Box::pin(async move {
                    let tested = tokio::time::timeout(GIVE_UP, connection.execute(NO_TRANSACTION)).await;
                    tested.map_err(|_| sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()))?.map(|_| true)
                })
            })
            .connect_lazy_with(options);
        Self { pool, login, peppers: None }
    }

    /// The same with the address already taken apart; its user is replaced.
    pub fn with(options: PgConnectOptions, role: DatabaseRole, size: u32) -> Self {
        Self::new(options.into(), role, size)
    }

    /// The same, with what entries of the audit log are sealed with. What is written without has no seal, and is found
    /// by whoever checks the log: every service that writes any must have it.
    #[must_use]
    pub fn sealing(self, peppers: Arc<KeyRing>) -> Self {
        Self { peppers: Some(peppers), ..self }
    }

    /// True if the records answer now. For readiness; nothing is gated on it.
    pub async fn ready(&self) -> Result<()> {
        let sql = "-- ready
            select 1";
        self.repeat(|pool| async move { sqlx::query(sql).execute(&pool).await.map(drop) }).await
    }

    /// A transaction in which only `tenant`'s rows exist.
    ///
    /// # Errors
    /// [`Error::Records`] if no connection can be had.
    pub async fn begin(&self, tenant: TenantId) -> Result<TenantTransaction> {
        self.repeat(|pool| async move {
            let mut transaction = pool.begin().await?;
            sqlx::query("select set_config('app.tenant_id', $1, true)")
                .bind(tenant.to_string())
                .execute(&mut *transaction)
                .await?;
            Ok(transaction)
        })
        .await
    }

    /// The pool, whose new connections log in with a token that is still good.
    pub(super) async fn pool(&self) -> Result<PgPool> {
        if let Some(login) = &self.login {
            login.renew(&self.pool).await.map_err(|e| Error::records("no password for PostgreSQL", e))?;
        }
        Ok(self.pool.clone())
    }

    /// How many connections there are, and how many of them wait for a call.
    pub(super) fn pool_size(&self) -> (u32, usize) {
        (self.pool.size(), self.pool.num_idle())
    }

    /// Asks once, and again where the outcome is unknown or nothing happened: a broken connection, a lock not had in
    /// time, a deadlock. Only for calls that may run twice.
    pub(super) async fn repeat<T, F>(&self, call: impl Fn(PgPool) -> F) -> Result<T>
    where
        F: Future<Output = sqlx::Result<T>>,
    {
        let started = Instant::now();
        // A refused token is replaced once.
        let mut login = self.login.clone();
        loop {
            let pool = self.pool().await?;
            let shown = login.as_ref().and_then(TokenLogin::last_used);
            match call(pool).await {
                Ok(answer) => return Ok(answer),
                Err(e) if let Some(login) = login.take_if(|_| is_refused(&e)) => {
                    tracing::debug!(error = %chain(&e), "login refused; the access token is fetched anew");
                    let unreplaced = |e| Error::records("the login was refused, and there is no new password", e);
                    login.replace(&self.pool, shown.as_ref()).await.map_err(unreplaced)?;
                }
                Err(e) if worth_repeating(&e) && started.elapsed() < REPEAT => {
                    tracing::debug!(error = %chain(&e), "records call repeated");
                    tokio::time::sleep(PAUSE).await;
                }
                Err(e) => return Err(e.into()),
            }
        }
    }
}

impl From<sqlx::Error> for Error {
    /// The error of a call that is not repeated: the one place where an error of sqlx becomes ours.
    fn from(error: sqlx::Error) -> Self {
        Self::records("a query failed", error)
    }
}

/// True where nothing happened or the outcome is unknown.
pub(super) fn worth_repeating(e: &sqlx::Error) -> bool {
    rolled_back(e) || unknown(e)
}

/// Nothing happened: a lock was not had in time, a deadlock or a conflict.
fn rolled_back(e: &sqlx::Error) -> bool {
    matches!(e, sqlx::Error::Database(e) if matches!(e.code().as_deref(), Some("55P03" | "40P01" | "40001")))
}

/// It may have happened: reset or closed under way, cancelled by a time limit, shut down (57P01 to 57P03).
fn unknown(e: &sqlx::Error) -> bool {
    match e {
        sqlx::Error::Io(e) => {
            e.kind() != std::io::ErrorKind::NotFound && e.kind() != std::io::ErrorKind::ConnectionRefused
        }
        sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(e) => matches!(e.code().as_deref(), Some("57014" | "57P01" | "57P02" | "57P03")),
        _ => false,
    }
}
