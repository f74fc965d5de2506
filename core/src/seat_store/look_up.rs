//! LOOK_UP_SESSIONS.

use super::{PoolReply, SeatStore, keys::PoolKey, reply::short, scripts};
use crate::{
    Result,
    domain::id::{SeatNo, SessionId},
};

/// What a warm copy of a pool knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionLookup {
    /// Redis time of the answer, ms.
    pub now_ms: i64,
    /// Seats held.
    pub held: u32,
    /// Seats there are.
    pub seats_total: u32,
    /// What it knows of each session asked about, in their order.
    pub sessions: Vec<SessionSighting>,
}

/// What a warm copy knows of a session and its seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionSighting {
    /// Whether the session gives a sign of life.
    pub liveness: SessionLiveness,
    /// When its lease ends or ended, ms; 0 where it is ending.
    pub lease_end_ms: i64,
    /// From when its seat can be granted, ms, 0 for now; `None` where somebody holds it, or there is no such seat any
    /// more.
    pub free_at_ms: Option<i64>,
}

/// Whether a session gives a sign of life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionLiveness {
    /// Its lease goes on.
    Live,
    /// Its lease is over and nobody has taken its seat yet: it comes back with its next heartbeat, or is ended.
    Silent,
    /// Claimed for its end, or not counted in any more.
    Ending,
}

impl SeatStore {
    /// Looks at sessions of a pool (look_up_sessions.lua); with none asked about, at how many seats are held. Changes nothing.
    ///
    /// # Errors
    /// [`crate::Error::Seats`] if Redis did not answer.
    pub async fn look_up_sessions(
        &self,
        pool: &PoolKey,
        sessions: &[(SeatNo, SessionId)],
    ) -> Result<PoolReply<SessionLookup>> {
        let arguments: Vec<String> =
            sessions.iter().flat_map(|(seat, session)| [seat.to_string(), short(session.0)]).collect();
        let mut reply = self.run_with_list(&scripts::LOOK_UP_SESSIONS, pool, &[], &[], &arguments).await?;
        match reply.word() {
            "COLD" => return Ok(PoolReply::NeedsRebuild { epoch: reply.take()? }),
            "SEEN" => {}
            _ => return Err(reply.unknown()),
        }
        let mut found = SessionLookup {
            now_ms: reply.take()?,
            held: reply.take()?,
            seats_total: reply.take()?,
            sessions: Vec::new(),
        };
        while !reply.is_empty() {
            let liveness = match reply.take::<String>()?.as_str() {
                "LIVE" => SessionLiveness::Live,
                "SILENT" => SessionLiveness::Silent,
                "ENDING" => SessionLiveness::Ending,
                _ => return Err(reply.unknown()),
            };
            let lease_end_ms = reply.take()?;
            let free_at_ms = Some(reply.take()?).filter(|&at| at >= 0);
            found.sessions.push(SessionSighting { liveness, lease_end_ms, free_at_ms });
        }
        Ok(PoolReply::Answer(found))
    }
}
