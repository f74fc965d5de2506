//! HEARTBEAT and RELEASE, the scripts that a session calls.

use super::{PoolReply, SeatStore, keys::PoolKey, rate, reply::short, scripts};
use crate::{
    Result,
    domain::{
        id::{SeatNo, SessionId},
        license::LicenseRefusal,
        pool::SeatLease,
    },
};

/// What HEARTBEAT answers when the copy is warm.
#[derive(Clone, Debug, PartialEq)]
pub enum HeartbeatAnswer {
    /// The lease was raised.
    Alive(Box<SeatLease>),
    /// The copy does not count this session. PostgreSQL decides what became of it.
    Unknown {
        /// The epoch of the copy.
        epoch: u64,
        /// Why the license gives no seat now; `None` where it gives seats.
        refusal: Option<LicenseRefusal>,
    },
    /// The license gives no seat now; the lease was not raised.
    Refused(LicenseRefusal),
    /// The session came too often and must wait for so many ms. Its lease was raised a moment before.
    Limited(u64),
}

/// What RELEASE answers when the copy is warm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReleaseAnswer {
    /// The last session of the seat left. The seat is claimed for its end under this ticket.
    Vacated {
        /// First half of the ticket.
        epoch: u64,
        /// Second half of the ticket.
        seq: u64,
    },
    /// Other sessions of the holder stay on the seat.
    Left {
        /// The epoch of the copy. In a later one a rebuild may have brought the session back.
        epoch: u64,
    },
    /// The copy does not count this session.
    NotHeld {
        /// The epoch of the copy.
        epoch: u64,
    },
}

impl SeatStore {
    /// Extends a session's lease (heartbeat.lua).
    ///
    /// # Errors
    /// [`crate::Error::Seats`] if Redis did not answer. The lease may have been raised all the same.
    pub async fn heartbeat(
        &self,
        pool: &PoolKey,
        seat: SeatNo,
        session: SessionId,
    ) -> Result<PoolReply<HeartbeatAnswer>> {
        let session = short(session.0);
        let [every, burst] = rate::limit_arguments(self.rates.heartbeat);
        let limits = [pool.limit_key(&session)];
        let mut reply =
            self.run(&scripts::HEARTBEAT, pool, &limits, &[seat.to_string(), session, every, burst]).await?;
        Ok(PoolReply::Answer(match reply.word() {
            "COLD" => return Ok(PoolReply::NeedsRebuild { epoch: reply.take()? }),
            "OK" => HeartbeatAnswer::Alive(Box::new(SeatLease {
                holder: reply.parse()?,
                facts: reply.facts()?,
                lease_ms: reply.take()?,
                held_ms: reply.held_ms()?,
            })),
            "UNKNOWN" => HeartbeatAnswer::Unknown {
                epoch: reply.take()?,
                refusal: if reply.is_empty() { None } else { Some(reply.refusal()?) },
            },
            "REFUSED" => HeartbeatAnswer::Refused(reply.refusal()?),
            "RATED" => HeartbeatAnswer::Limited(reply.take()?),
            _ => return Err(reply.unknown()),
        }))
    }

    /// Has a session leave its seat (release.lua).
    ///
    /// # Errors
    /// [`crate::Error::Seats`] if Redis did not answer. The session may have left all the same.
    pub async fn release(&self, pool: &PoolKey, seat: SeatNo, session: SessionId) -> Result<PoolReply<ReleaseAnswer>> {
        let mut reply = self.run(&scripts::RELEASE, pool, &[], &[seat.to_string(), short(session.0)]).await?;
        Ok(PoolReply::Answer(match reply.word() {
            "COLD" => return Ok(PoolReply::NeedsRebuild { epoch: reply.take()? }),
            "VACATED" => ReleaseAnswer::Vacated { epoch: reply.take()?, seq: reply.take()? },
            "LEFT" => ReleaseAnswer::Left { epoch: reply.take()? },
            "NOTHELD" => ReleaseAnswer::NotHeld { epoch: reply.take()? },
            _ => return Err(reply.unknown()),
        }))
    }
}
