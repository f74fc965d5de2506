//! Connections to PostgreSQL, transactions for one tenant, and which calls are repeated.

use super::{
    DatabaseRole,
    login::{RecordsAddress, TokenLogin, is_refused},
};
use crate::{
    Error, Result,
    domain::{id::TenantId, lease::LeaseTiming, secret::KeyRing},
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
/// What a connection must answer before another call may use it. It shows that the connection works and is in no
/// transaction. If a call is dropped while its BEGIN is under way, the server has a transaction open of which sqlx
/// 0.9.0 does not know, and what the next call does over this connection would never be committed. In that case the
/// BEGIN here changes nothing and the ROLLBACK ends the open transaction; otherwise both together are an empty
/// transaction. A transaction that has failed refuses BEGIN, which is an error.
const NO_TRANSACTION: &str = "BEGIN; ROLLBACK";
/// How long one call is repeated while its outcome is unknown. A request has no time for three calls that use all of
/// this, so the deadline of the caller counts as well.
pub(crate) const REPEAT: Duration = Duration::from_secs(4);
const _: () = assert!(
    REPEAT.as_millis() < LeaseTiming::DEADLINE.as_millis(),
    "a call that is repeated must end within the deadline of its request"
);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(10);

/// The settings that every connection begins with.
const CONNECTION_SETTINGS: [(&str, &str); 14] = [
    ("lock_timeout", "250ms"),
    ("statement_timeout", "2s"),
    ("idle_in_transaction_session_timeout", "5s"),
    // A guarantee of the protocol rests on these settings, so they are set here, whatever `alter database` or `alter
    // role` say. A statement of an operation must see what was committed while it waited for its lock: a rebuild must
    // not give away a seat that was granted meanwhile.
    ("default_transaction_isolation", "read committed"),
    ("default_transaction_read_only", "off"),
    // A grant is answered once a crash cannot undo it. A database that is configured to wait for more than that, such
    // as for the replay of a standby, waits for the standby's disk only.
    ("synchronous_commit", "on"),
    // Row-level security is in force, names without a schema mean our tables, and a connection has no tenant until a
    // transaction sets one.
    ("row_security", "on"),
    ("search_path", "public,pg_temp"),
    ("app.tenant_id", ""),
    // Every statement of the seat operations finds its rows by key, whatever its arguments are. Without this setting
    // PostgreSQL plans each of the dozen statements of a function anew if arrays are among its arguments, which cost
    // nearly half of its work for an acquire and a release.
    ("plan_cache_mode", "force_generic_plan"),
    // The same must hold whatever the statistics say. While a table is small, or if a partial index was empty when it
    // was last analyzed, reading the whole table looks cheaper to the planner than one look by key, and the plan stays
    // for as long as the connection. Where there is no other way, a plan uses what is switched off here all the same,
    // at a computed cost for which PostgreSQL would start its compiler (JIT); so that is switched off too.
    ("enable_seqscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("jit", "off"),
];

/// The records, as one role. Cheap to clone; clones share a connection pool.
#[derive(Clone, Debug)]
pub struct Records {
    pool: PgPool,
    /// As whom its connections log in.
    pub(super) role: DatabaseRole,
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
        Self { pool, role, login, peppers: None }
    }

    /// The same with the address already taken apart; its user is replaced.
    pub fn with(options: PgConnectOptions, role: DatabaseRole, size: u32) -> Self {
        Self::new(options.into(), role, size)
    }

    /// The same, with the keys by which entries of the audit log are sealed. An entry that is written without them has
    /// no seal, which a check of the log reports as a fault: every service that writes entries must have them.
    #[must_use]
    pub fn sealing(self, peppers: Arc<KeyRing>) -> Self {
        Self { peppers: Some(peppers), ..self }
    }

    /// True if PostgreSQL answers now. Only the readiness check asks; no request depends on the answer.
    pub async fn ready(&self) -> Result<()> {
        let sql = "-- ready
            select 1";
        self.repeat(|pool| async move { sqlx::query(sql).execute(&pool).await.map(drop) }).await
    }

    /// Begins a transaction in which only the rows of `tenant` can be seen and changed.
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

    /// How many connections there are, how many of them wait for a call, and how many there may be.
    pub(super) fn pool_size(&self) -> (u32, usize, u32) {
        (self.pool.size(), self.pool.num_idle(), self.pool.options().get_max_connections())
    }

    /// Makes a call, and makes it again if its outcome is unknown or nothing happened: a broken connection, a lock that
    /// was not granted in time, a deadlock. Only for calls that may run twice.
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
