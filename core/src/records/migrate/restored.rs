//! After the database was restored to an earlier point.

use super::{SchemaConnection, SchemaError, SchemaErrorKind, SchemaResult};
use sqlx::Executor;
use std::time::{Duration, Instant};

/// How long the pools are tried for, and the time between two tries.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(300);

impl SchemaConnection {
    /// Refuses to go on while a service is connected: the service might give away a seat whose holder still relies on
    /// its lease.
    ///
    /// A service that has no connection at this moment, because it had no request lately, is not seen.
    /// [`Self::hold_pools`] keeps it from granting a seat while this command works; what it granted since the restore
    /// cannot be found out.
    ///
    /// # Errors
    /// [`SchemaErrorKind::ServicesRun`] with what is connected.
    pub async fn no_service_is_connected(&mut self) -> SchemaResult<()> {
        let sql = "-- connected_services
            select application_name || ': ' || count(*) from pg_stat_activity
            where datname = current_database() and application_name in ('service', 'reaper', 'notify', 'admin')
            group by application_name order by application_name";
        let connected: Vec<String> = sqlx::query_scalar(sql)
            .fetch_all(&mut self.connection)
            .await
            .map_err(|e| SchemaError::of("the connections could not be counted", e))?;
        if connected.is_empty() {
            return Ok(());
        }
        let what = format!(
            "services are connected to the database ({}); stop all of them first, or say --force if these are only \
             connections that a server keeps for a client that is gone",
            connected.join(", ")
        );
        Err(SchemaError::new(SchemaErrorKind::ServicesRun, what))
    }

    /// Refuses to go on where there is no schema.
    ///
    /// # Errors
    /// [`SchemaErrorKind::WrongDatabase`].
    pub async fn require_schema(&mut self) -> SchemaResult<()> {
        if self.status().await?.applied.is_empty() {
            let what = "the database has no schema: it was not restored, or it is another one";
            return Err(SchemaError::new(SchemaErrorKind::WrongDatabase, what));
        }
        Ok(())
    }

    /// Keeps every service from reading a pool, until [`Self::after_restore`] or the end of the connection. A service
    /// that made a copy after Redis was emptied and before the epochs are raised would grant seats whose holders of
    /// before still rely on their leases.
    ///
    /// # Errors
    /// [`SchemaErrorKind::Locked`] if a transaction that reads a pool does not end within 5 s.
    pub async fn hold_pools(&mut self) -> SchemaResult<()> {
        self.as_owner().await?;
        let started = Instant::now();
        loop {
            let held = self.connection.execute("begin; lock table pools in access exclusive mode").await;
            let Err(error) = held else { return Ok(()) };
            let error = SchemaError::of("the pools could not be held, and nothing was done", error);
            let ended = self.connection.execute("rollback").await;
            ended.map_err(|e| SchemaError::of("the transaction could not be ended", e))?;
            if error.kind != SchemaErrorKind::Locked {
                return Err(error);
            }
            if started.elapsed() >= PATIENCE {
                let what = format!(
                    "the pools could not be held within {} s, because somebody reads or changes them, and nothing was \
                     done. {}",
                    PATIENCE.as_secs(),
                    self.in_the_way().await
                );
                return Err(SchemaError::new(SchemaErrorKind::Locked, what));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Raises every epoch, puts every free seat into quarantine and lets no seat be granted for `lease`
    /// (`after_restore`, docs/OPERATING.md), and releases the pools. Redis must be empty by then. Answers how many
    /// pools there are.
    ///
    /// # Errors
    /// If the statement failed.
    pub async fn after_restore(&mut self, lease: Duration) -> SchemaResult<i64> {
        let failed = |e| SchemaError::of("after_restore() failed, and nothing of it was done", e);
        let sql = "select after_restore($1 * interval '1 second')";
        let pools = sqlx::query_scalar(sql).bind(lease.as_secs_f64()).fetch_one(&mut self.connection).await;
        let pools = pools.map_err(failed)?;
        self.connection.execute("commit").await.map_err(failed)?;
        Ok(pools)
    }
}
