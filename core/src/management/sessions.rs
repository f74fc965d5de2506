//! What people ask about sessions: the records say which there are, Redis whether their clients are heard from; and
//! ending one.

use super::{Management, SeatManagement, looking::looked};
use crate::{
    Error, Result, clock,
    domain::{
        access::PersonRole,
        id::{LicenseId, LicenseNumber, PoolId, PoolName, SeatNo, SessionId},
        lease::LeaseTiming,
        session::EndReason,
    },
    error::StoreName,
    protocol::deadline::Deadline,
    records::{AuditedChange, Caller, KickOutcome, ListedRows, PageRequest, SessionFilter, SessionRow},
    refusal::{ChangeRefusal, ChangeResult},
    seat_store::{PoolKey, PoolReply, SessionLiveness, SessionLookup, SessionSighting},
    steps::Step,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::{collections::HashMap, time::Duration};
use time::OffsetDateTime;
use tokio::task::JoinSet;

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

/// What became of a request to end a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionEnd {
    /// The session.
    pub id: SessionId,
    /// The license's public number.
    pub number: LicenseNumber,
    /// The pool of its seat.
    pub pool_id: PoolId,
    /// The pool's name.
    pub pool: PoolName,
    /// The seat.
    pub seat: SeatNo,
    /// When it ended, now or before.
    #[serde(with = "time::serde::rfc3339")]
    pub ended_at: OffsetDateTime,
    /// How.
    pub reason: EndReason,
    /// The pool's epoch afterwards: every older copy is stale.
    pub epoch: u64,
}

impl AuditedChange<'_> {
    /// Ends a session, and writes it into the audit log.
    pub(super) async fn end_session(&mut self, id: SessionId, force: bool) -> ChangeResult<SessionEnd> {
        let before = self.visible_session(id).await?.ok_or(ChangeRefusal::NotFound)?;
        if force && self.caller().sees_only().is_some() {
            return Err(ChangeRefusal::RoleTooLow(PersonRole::Admin).into());
        }
        let (outcome, epoch) = self.kick_session(id, force).await?;
        match outcome {
            KickOutcome::Kicked => {
                let described = json!({
                    "license": before.number, "seat": before.seat, "machine": before.hw, "label": before.label,
                    "user": before.person,
                });
                let after = json!({ "reason": "kicked", "force": force });
                self.audit("session.ended", &id.to_string(), described, after);
            }
            KickOutcome::EndedBefore => {}
            KickOutcome::Shared => return Err(ChangeRefusal::SeatShared.into()),
            KickOutcome::Unknown => return Err(ChangeRefusal::NotFound.into()),
        }
        let ended = self.visible_session(id).await?.and_then(|session| session.ended);
        let (ended_at, reason) = ended.ok_or_else(|| Error::Internal("a session that was ended is open".into()))?;
        let SessionRow { number, pool_id, pool, seat, .. } = before;
        Ok(SessionEnd { id, number, pool_id, pool, seat, ended_at, reason, epoch })
    }
}

impl Management {
    /// Ends a session and with it every process on its seat. The seat waits until a lease is over, unless the caller
    /// says that the machine is off (`force`, for admins). A session that had ended is answered with its end; `force`
    /// then lifts the wait that its kick left behind.
    ///
    /// # Errors
    /// A refusal, or [`crate::Error::Records`].
    pub async fn end_session(&self, caller: &Caller, id: SessionId, force: bool) -> ChangeResult<SessionEnd> {
        self.records.change(caller, async |change| change.end_session(id, force).await).await
    }
}

impl SeatManagement {
    /// Sessions that who asks may see, those that began last first. Redis is only looked at: where it has forgotten, or
    /// is away, the list is what the records know.
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn sessions(
        &self,
        caller: &Caller,
        filter: &SessionFilter,
        page: PageRequest,
    ) -> Result<ListedRows<SessionView>> {
        let listed = self.records.sessions(caller, filter, page).await?;
        Ok(ListedRows { items: self.look(listed.items).await, next: listed.next })
    }

    /// The same of one license. `None`: the organization has none of this id.
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn sessions_of(
        &self,
        caller: &Caller,
        license: LicenseId,
        filter: &SessionFilter,
        page: PageRequest,
    ) -> Result<Option<ListedRows<SessionView>>> {
        if !self.records.has_license(caller.tenant, license).await? {
            return Ok(None);
        }
        let filter = SessionFilter { license: Some(license), ..filter.clone() };
        self.sessions(caller, &filter, page).await.map(Some)
    }

    /// A session. `None`: there is none of that id that who asks may see.
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn session(&self, caller: &Caller, id: SessionId) -> Result<Option<SessionView>> {
        let found = self.records.session(caller, id).await?;
        Ok(self.look(found.into_iter().collect()).await.pop())
    }

    /// As [`Management::end_session`], and says from when the seat is free: a quarantine counts from when Redis learns
    /// of it, so the copy is rebuilt at once.
    ///
    /// # Errors
    /// A refusal. If a store could not be asked; the session may have ended. Asked again, it is found so and Redis is
    /// told.
    pub async fn end_session(&self, caller: &Caller, id: SessionId, force: bool) -> ChangeResult<EndedSessionRow> {
        let deadline = Deadline::of_request();
        let end = self.management.end_session(caller, id, force).await?;
        self.steps.done(Step::Change).await?;
        if end.reason != EndReason::Kicked {
            return Ok(EndedSessionRow { end, free: None });
        }
        let pool = PoolKey { license: end.number, pool: end.pool.clone() };
        // Also for one that had ended: whoever kicked it may not have come this far.
        self.seats.invalidate(&pool, end.epoch.saturating_sub(1)).await?;
        loop {
            deadline.check(StoreName::Seats)?;
            match self.seats.look_up_sessions(&pool, &[(end.seat, id)]).await? {
                PoolReply::Answer(look) => return Ok(EndedSessionRow { free: free(&look), end }),
                PoolReply::NeedsRebuild { .. } => {
                    if !self.rebuilds.ensure_warm(&pool, caller.tenant, end.pool_id, deadline).await? {
                        return Ok(EndedSessionRow { end, free: None });
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
                let answer = looked(seats.look_up_sessions(&pool, &wanted)).await;
                (wanted, answer)
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
