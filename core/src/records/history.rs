//! The history: ended sessions and published events are kept in one table for each month, and are deleted when they
//! were kept for long enough (`migrations/0301_history_step.sql`).

use super::connect::Records;
use crate::Result;

/// PostgreSQL's word for a lock that could not be had in time:
/// <https://www.postgresql.org/docs/current/errcodes-appendix.html>
const LOCK_NOT_AVAILABLE: &str = "55P03";

/// What one step did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HistoryStep {
    /// There was nothing to do.
    Nothing,
    /// This was done; more may be due.
    Did(String),
    /// Something is to be done to a table that is in use. The next tick tries again.
    Later,
}

impl Records {
    /// Makes, moves or deletes one small part of the history if something is to be done. No request waits for it longer
    /// than 100 ms. To be called as [`super::DatabaseRole::Reaper`].
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn keep_history(&self) -> Result<HistoryStep> {
        self.repeat(|pool| async move {
            let mut transaction = pool.begin().await?;
            // Less time than there is between two ticks. A step that drops a large table, or reads a copied month once
            // more, takes seconds, and no request waits for it.
            sqlx::query("set local statement_timeout = '30s'").execute(&mut *transaction).await?;
            let did =
                sqlx::query_scalar::<_, Option<String>>("select history.step()").fetch_one(&mut *transaction).await;
            match did {
                Err(sqlx::Error::Database(e)) if e.code().as_deref() == Some(LOCK_NOT_AVAILABLE) => {
                    Ok(HistoryStep::Later)
                }
                Err(error) => Err(error),
                Ok(did) => transaction.commit().await.map(|()| did.map_or(HistoryStep::Nothing, HistoryStep::Did)),
            }
        })
        .await
    }
}
