//! `LOOK_UP_SESSIONS`: what people are shown of sessions.

use super::{PoolReply, SeatStore, keys::PoolKey, reply::short, scripts};
use crate::{
    Result,
    domain::id::{SeatNo, SessionId},
};

/// What a warm copy of a pool knows of its seats and of the sessions asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionLookup {
    /// Redis time of the answer, ms.
    pub now_ms: i64,
    /// Seats held.
    pub held: u32,
    /// Seats there are.
    pub seats_total: u32,
    /// What the copy knows of each session, in the order in which they were asked about.
    pub sessions: Vec<SessionSighting>,
}

/// What a warm copy knows of a session and its seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionSighting {
    /// Whether the session is heard from.
    pub liveness: SessionLiveness,
    /// When its lease ends or ended, ms; 0 where the session is ending.
    pub lease_end_ms: i64,
    /// From when its seat can be granted, ms, 0 for now; `None` where the seat has a holder or does not exist any more.
    pub free_at_ms: Option<i64>,
}

/// Whether a session is heard from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionLiveness {
    /// Its lease is valid.
    Live,
    /// Its lease is over and its seat was not taken yet: its next heartbeat revives it, or it is ended.
    Silent,
    /// It is claimed for its end, or the copy does not count it any more.
    Ending,
}

impl SeatStore {
    /// Looks up sessions of a pool (`look_up_sessions.lua`). Without any, it answers only how many seats are held. It
    /// changes nothing.
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
