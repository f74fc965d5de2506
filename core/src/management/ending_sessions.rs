//! Ending all live sessions of a person, a machine or a project.

use super::{Management, SeatManagement};
use crate::{
    domain::session::EndReason,
    records::{AuditedChange, Caller, ListedRows, PageRequest, PoolChange, SessionFilter},
    refusal::ChangeResult,
};
use serde::{Deserialize, Serialize};

/// So many sessions end in one transaction, each with an entry of the audit log.
const MOST_ENDED: u16 = 100;

/// What became of a request to end sessions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionsEnd {
    /// How many sessions ended, up to 100.
    pub ended: u64,
    /// Whether more of them are live.
    pub more: bool,
    /// The pools whose copies in Redis are stale.
    pub changed_pools: Vec<PoolChange>,
}

impl Management {
    /// Ends live sessions that a filter finds, up to 100, and with each every process on its seat, as
    /// [`Management::end_session`] does without `force`.
    ///
    /// # Errors
    /// A refusal, or [`crate::Error::Records`].
    pub async fn end_sessions(&self, caller: &Caller, filter: &SessionFilter) -> ChangeResult<SessionsEnd> {
        self.records.change(caller, async |change| change.end_sessions(filter).await).await
    }
}

impl SeatManagement {
    /// As [`Management::end_sessions`], and marks the copies in Redis as stale. Sent again, it ends what is left.
    ///
    /// # Errors
    /// As [`SeatManagement::edit_license`].
    pub async fn end_sessions(&self, caller: &Caller, filter: &SessionFilter) -> ChangeResult<SessionsEnd> {
        let end = self.management.end_sessions(caller, filter).await?;
        self.mark_stale(&end.changed_pools).await?;
        Ok(end)
    }
}

impl AuditedChange<'_> {
    async fn end_sessions(&mut self, filter: &SessionFilter) -> ChangeResult<SessionsEnd> {
        let page = PageRequest { after: None, limit: MOST_ENDED };
        let ListedRows { items: mut sessions, .. } = self.open_sessions(filter, page).await?;
        // Each locks its pool: all who lock several do so in one order.
        sessions.sort_by_key(|session| (session.pool_id.0, session.seat));
        let mut end = SessionsEnd { ended: 0, more: false, changed_pools: Vec::new() };
        for session in sessions {
            let ended = self.end_session(session.id, false).await?;
            end.ended += u64::from(ended.reason == EndReason::Kicked);
            // Of a pool that changed several times, the last epoch counts.
            end.changed_pools.retain(|pool| pool.pool_id != ended.pool_id);
            end.changed_pools.push(PoolChange {
                pool_id: ended.pool_id,
                pool: ended.pool,
                license: ended.number,
                epoch_before: ended.epoch.saturating_sub(1),
            });
        }
        end.more = !self.open_sessions(filter, PageRequest { limit: 1, ..page }).await?.items.is_empty();
        Ok(end)
    }
}
