//! `LOOK_UP_SEATS`: what people are shown of numbered seats.

use super::{PoolReply, SeatStore, keys::PoolKey, scripts};
use crate::{Result, domain::id::SeatNo};

/// What a warm copy of a pool knows of some of its seats.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeatsLookup {
    /// The epoch of the copy.
    pub epoch: u64,
    /// What it knows of each seat, in the order in which they were asked about.
    pub seats: Vec<SeatSighting>,
}

/// What a warm copy knows of a seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeatSighting {
    /// What the seat is.
    pub condition: SeatCondition,
    /// When its holder's lease ends or ended, ms; `None` where it has no holder, or nobody knows when that was.
    pub lease_end_ms: Option<i64>,
    /// From when it can be granted if its holder is not heard from, ms; `None`: now, or that is not known.
    pub free_at_ms: Option<i64>,
}

/// What a seat is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeatCondition {
    /// Its holder's lease is valid.
    Live,
    /// Its holder's lease is over and nobody has taken the seat yet.
    Silent,
    /// It is claimed for its end.
    Ending,
    /// Nobody holds it, and nobody is given it yet: who had it may still believe in a lease.
    Waiting,
    /// Whoever comes next can have it.
    Free,
}

impl SeatStore {
    /// Seats that are looked at in one call, which takes Redis about a millisecond.
    pub const MOST_SEATS: u16 = 1000;

    /// Looks up seats of a pool by their numbers (`look_up_seats.lua`), of which there should be no more than
    /// [`SeatStore::MOST_SEATS`]. It changes nothing.
    ///
    /// # Errors
    /// [`crate::Error::Seats`] if Redis did not answer.
    pub async fn look_up_seats(&self, pool: &PoolKey, seats: &[SeatNo]) -> Result<PoolReply<SeatsLookup>> {
        let arguments: Vec<String> = seats.iter().map(ToString::to_string).collect();
        let mut reply = self.run_with_list(&scripts::LOOK_UP_SEATS, pool, &[], &[], &arguments).await?;
        match reply.word() {
            "COLD" => return Ok(PoolReply::NeedsRebuild { epoch: reply.take()? }),
            "SEATS" => {}
            _ => return Err(reply.unknown()),
        }
        let mut found = SeatsLookup { epoch: reply.take()?, seats: Vec::new() };
        while !reply.is_empty() {
            let condition = match reply.take::<String>()?.as_str() {
                "LIVE" => SeatCondition::Live,
                "SILENT" => SeatCondition::Silent,
                "ENDING" => SeatCondition::Ending,
                "WAITING" => SeatCondition::Waiting,
                "FREE" => SeatCondition::Free,
                _ => return Err(reply.unknown()),
            };
            let [lease_end_ms, free_at_ms] = [reply.take()?, reply.take()?].map(|ms| Some(ms).filter(|&ms| ms > 0));
            found.seats.push(SeatSighting { condition, lease_end_ms, free_at_ms });
        }
        Ok(PoolReply::Answer(found))
    }
}
