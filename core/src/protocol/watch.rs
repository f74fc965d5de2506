//! watch: how many seats are held and silent, and which events wait, for whoever watches the server. No request and no
//! sweep waits for it.

use super::reap::SeatReaper;
use crate::{
    Error, Result,
    records::{PoolSeats, SeatCounts, WaitingEvents},
    seat_store::{PoolKey, PoolReply},
};
use tokio::task::JoinSet;

/// Calls to Redis that are under way at once.
const AT_ONCE: usize = 16;

impl SeatReaper {
    /// The seats of all pools, and of the `most` pools that are used most. One bounded statement.
    ///
    /// # Errors
    /// [`Error::Records`].
    pub async fn seat_counts(&self, most: u16) -> Result<SeatCounts> {
        self.records().seat_counts(most).await
    }

    /// The events that wait to be published. One bounded statement.
    ///
    /// # Errors
    /// [`Error::Records`].
    pub async fn events_waiting(&self) -> Result<WaitingEvents> {
        self.records().events_waiting().await
    }

    /// How many holders of each of these pools are silent, in their order; `None` where Redis has no usable copy now.
    /// One short call for each pool, some of them side by side. Nothing is rebuilt for it.
    ///
    /// # Errors
    /// [`Error::Seats`] at the first pool for which Redis did not answer.
    pub async fn count_silent(&self, pools: &[PoolSeats]) -> Result<Vec<Option<u32>>> {
        let mut counted = vec![None; pools.len()];
        let mut calls = JoinSet::new();
        for (at, pool) in pools.iter().enumerate() {
            if calls.len() >= AT_ONCE {
                take(calls.join_next().await, &mut counted)?;
            }
            let (seats, key) = (self.seats().clone(), PoolKey { license: pool.license, pool: pool.pool.clone() });
            calls.spawn(async move { (at, seats.count_silent(&key).await) });
        }
        while !calls.is_empty() {
            take(calls.join_next().await, &mut counted)?;
        }
        Ok(counted)
    }
}

/// What one call came to, and of which pool.
type CountedPool = std::result::Result<(usize, Result<PoolReply<u32>>), tokio::task::JoinError>;

fn take(call: Option<CountedPool>, counted: &mut [Option<u32>]) -> Result<()> {
    let Some(call) = call else { return Ok(()) };
    let (at, reply) = call.map_err(|error| Error::internal("silent holders were not counted", error))?;
    counted[at] = match reply? {
        PoolReply::Answer(silent) => Some(silent),
        PoolReply::NeedsRebuild { .. } => None,
    };
    Ok(())
}
