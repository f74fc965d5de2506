//! After the database was restored to an earlier point.

use super::{SchemaConnection, SchemaError, SchemaErrorKind, SchemaResult};
use std::time::Duration;

impl SchemaConnection {
    /// Refuses to go on while a service is connected: it may give away a seat in which somebody still believes.
    ///
    /// # Errors
    /// [`SchemaErrorKind::ServicesRun`] with what is connected.
    pub async fn no_service_is_connected(&mut self) -> SchemaResult<()> {
        let sql = "-- connected_services
            select application_name || ': ' || count(*) from pg_stat_activity
            where datname = current_database() and application_name in ('service', 'reaper', 'admin')
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
    pub async fn is_there(&mut self) -> SchemaResult<()> {
        if self.status().await?.applied.is_empty() {
            let what = "the database has no schema: it was not restored, or it is another one";
            return Err(SchemaError::new(SchemaErrorKind::WrongDatabase, what));
        }
        Ok(())
    }

    /// Raises every epoch, has every free seat wait and lets nobody sit down for `lease` (`after_restore`,
    /// docs/OPERATING.md). Redis must be empty by then. Answers how many pools there are.
    ///
    /// # Errors
    /// If the statement failed.
    pub async fn after_restore(&mut self, lease: Duration) -> SchemaResult<i64> {
        let failed = |e| SchemaError::of("after_restore() failed, and nothing of it was done", e);
        self.as_owner().await?;
        let sql = "select after_restore($1 * interval '1 second')";
        sqlx::query_scalar(sql).bind(lease.as_secs_f64()).fetch_one(&mut self.connection).await.map_err(failed)
    }
}
