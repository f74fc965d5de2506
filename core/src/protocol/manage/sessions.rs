//! What people ask about sessions: the records say which there are, Redis whether their clients are heard from; and
//! ending one.

use super::SeatManagement;
use crate::{
    Result, clock,
    domain::{
        id::{LicenseId, SeatNo, SessionId},
        lease::LeaseTiming,
        session::EndReason,
    },
    protocol::{deadline::Deadline, steps::Step},
    records::{Caller, ChangeResult, ListedRows, PageRequest, SessionEnd, SessionFilter, SessionRow},
    seat_store::{PoolKey, PoolReply, SessionLiveness, SessionLookup, SessionSighting},
};
use std::{collections::HashMap, time::Duration};
use time::OffsetDateTime;
use tokio::task::JoinSet;

/// How long a reader waits for Redis; what it has not said by then is unknown. A list of many pools asks all at once.
const PATIENCE: Duration = Duration::from_secs(1);

/// Whether a session's client is heard from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientPresence {
    /// Its lease goes on.
    Live,
    /// Its lease is over, and nobody has taken its seat yet.
    Silent,
    /// It is being ended just now.
    Ending,
    /// It has ended.
    Ended,
    /// Redis could not be asked, or has forgotten and hears of it with the next request of any client of the pool.
    Unknown,
}

/// A session and what is known of its client.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionView {
    /// What the records say.
    pub session: SessionRow,
    /// Whether its client is heard from.
    pub presence: ClientPresence,
    /// When it was last heard of: by Redis where that knows, else as it is written down.
    pub last_seen_at: OffsetDateTime,
    /// When its lease ends or ended, where Redis knows.
    pub lease_ends_at: Option<OffsetDateTime>,
}

/// A session that was ended, or had ended before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndedSessionRow {
    /// Its end.
    pub end: SessionEnd,
    /// From when its seat can be granted, and in how long. `None` where it did not end by a kick, or somebody holds the
    /// seat again.
    pub free: Option<(OffsetDateTime, Duration)>,
}

impl SeatManagement {
    /// Sessions that who asks may see, those that began last first. Redis is only looked at: where it has forgotten, or
    /// is away, the list is what the records know.
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn sessions(
        &self,
        act: &Caller,
        filter: &SessionFilter,
        page: PageRequest,
    ) -> Result<ListedRows<SessionView>> {
        let listed = self.records.sessions(act, filter, page).await?;
        Ok(ListedRows { items: self.look(listed.items).await, next: listed.next })
    }

    /// The same of one license. `None`: the organization has none of this id.
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn sessions_of(
        &self,
        act: &Caller,
        license: LicenseId,
        filter: SessionFilter,
        page: PageRequest,
    ) -> Result<Option<ListedRows<SessionView>>> {
        if !self.records.has_license(act.tenant, license).await? {
            return Ok(None);
        }
        let filter = SessionFilter { license: Some(license), ..filter };
        self.sessions(act, &filter, page).await.map(Some)
    }

    /// A session. `None`: there is none of that id that who asks may see.
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn session(&self, act: &Caller, id: SessionId) -> Result<Option<SessionView>> {
        let found = self.records.session(act, id).await?;
        Ok(self.look(found.into_iter().collect()).await.pop())
    }

    /// Ends a session and with it every process on its seat ([`crate::records::Records::end_session`]), and says from
    /// when the seat is free: a quarantine counts from when Redis learns of it, so the copy is rebuilt at once.
    ///
    /// # Errors
    /// If a store could not be asked; the session may have ended. Asked again, it is found so and Redis is told.
    pub async fn end_session(&self, act: &Caller, id: SessionId, force: bool) -> ChangeResult<EndedSessionRow> {
        let deadline = Deadline::of_request();
        let end = match self.records.end_session(act, id, force).await? {
            Ok(end) => end,
            Err(refused) => return Ok(Err(refused)),
        };
        self.steps.done(Step::Change).await?;
        if end.reason != EndReason::Kicked {
            return Ok(Ok(EndedSessionRow { end, free: None }));
        }
        let pool = PoolKey { license: end.number, pool: end.pool.clone() };
        // Also for one that had ended: whoever kicked it may not have come this far.
        self.seats.invalidate(&pool, end.epoch.saturating_sub(1)).await?;
        loop {
            deadline.check("seats")?;
            match self.seats.look_up_sessions(&pool, &[(end.seat, id)]).await? {
                PoolReply::Answer(look) => return Ok(Ok(EndedSessionRow { free: free(&look), end })),
                PoolReply::NeedsRebuild { .. } => {
                    if !self.rebuilds.ensure_warm(&pool, act.tenant, end.pool_id, deadline).await? {
                        return Ok(Ok(EndedSessionRow { end, free: None }));
                    }
                }
            }
        }
    }

    /// Adds to sessions what Redis knows of those that are open: one question for each pool, all at once.
    async fn look(&self, sessions: Vec<SessionRow>) -> Vec<SessionView> {
        let mut pools: HashMap<PoolKey, Vec<(SeatNo, SessionId)>> = HashMap::new();
        for session in sessions.iter().filter(|session| session.ended.is_none()) {
            let pool = PoolKey { license: session.number, pool: session.pool.clone() };
            pools.entry(pool).or_default().push((session.seat, session.id));
        }
        let mut asked = JoinSet::new();
        for (pool, wanted) in pools {
            let seats = self.seats.clone();
            asked.spawn(async move {
                let answer = tokio::time::timeout(PATIENCE, seats.look_up_sessions(&pool, &wanted)).await;
                if let Ok(Err(e)) = &answer {
                    tracing::warn!(error = %e, "sessions are listed without what Redis knows of them");
                }
                (wanted, answer.ok().and_then(Result::ok))
            });
        }
        let mut known = HashMap::new();
        while let Some(answer) = asked.join_next().await {
            if let Ok((wanted, Some(PoolReply::Answer(look)))) = answer {
                let now = look.now_ms;
                known.extend(wanted.into_iter().map(|(_, id)| id).zip(look.sessions.into_iter().map(|it| (it, now))));
            }
        }
        let timing = self.seats.timing();
        sessions
            .into_iter()
            .map(|session| {
                let looked = known.get(&session.id).copied();
                seen(session, looked, timing)
            })
            .collect()
    }
}

fn seen(session: SessionRow, looked: Option<(SessionSighting, i64)>, timing: &LeaseTiming) -> SessionView {
    let mut seen = SessionView {
        presence: ClientPresence::Ended,
        last_seen_at: session.last_seen_at,
        lease_ends_at: None,
        session,
    };
    if seen.session.ended.is_some() {
        return seen;
    }
    seen.presence = match looked {
        None => ClientPresence::Unknown,
        Some((SessionSighting { liveness: SessionLiveness::Live, .. }, _)) => ClientPresence::Live,
        Some((SessionSighting { liveness: SessionLiveness::Silent, .. }, _)) => ClientPresence::Silent,
        Some((SessionSighting { liveness: SessionLiveness::Ending, .. }, _)) => ClientPresence::Ending,
    };
    if let Some((SessionSighting { lease_end_ms, .. }, now_ms)) = looked.filter(|(looked, _)| looked.lease_end_ms > 0) {
        seen.lease_ends_at = Some(clock::from_ms(lease_end_ms));
        // After a rebuild a lease is longer than one from a heartbeat.
        let heard = clock::from_ms((lease_end_ms - timing.ttl_ms()).min(now_ms));
        seen.last_seen_at = seen.last_seen_at.max(heard);
    }
    seen
}

/// From when the one seat that was looked at can be granted.
fn free(look: &SessionLookup) -> Option<(OffsetDateTime, Duration)> {
    let at = look.sessions.first()?.free_at_ms?.max(look.now_ms);
    Some((clock::from_ms(at), Duration::from_millis((at - look.now_ms) as u64)))
}
