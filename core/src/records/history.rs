//! What is over: ended sessions and published events lie in tables of their months, and go when they were kept for long
//! enough (`migrations/0301_history_step.sql`).

use super::connect::Records;
use crate::Result;

/// PostgreSQL's word for a lock that could not be had in time:
/// <https://www.postgresql.org/docs/current/errcodes-appendix.html>
const LOCK_NOT_AVAILABLE: &str = "55P03";

/// What one step did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HistoryStep {
    /// Nothing is due.
    Nothing,
    /// This was done; more may be due.
    Did(String),
    /// Something is due whose table is in use: to be asked again later.
    Later,
}

impl Records {
    /// Makes or takes away one small part of the history, where something is due. No request waits for it longer than
    /// 100 ms. As [`super::DatabaseRole::Reaper`].
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn keep_history(&self) -> Result<HistoryStep> {
        self.repeat(|pool| async move {
            let mut transaction = pool.begin().await?;
            // Less than a tick has. A step that drops a large table, or reads a copied month once more, takes seconds
            // and holds up nobody.
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
