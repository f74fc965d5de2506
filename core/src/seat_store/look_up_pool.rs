//! `LOOK_UP_POOL`: how a pool is used, as people are shown it.

use super::{PoolReply, SeatStore, keys::PoolKey, scripts};
use crate::Result;

/// What a warm copy knows of the use of its pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolLookup {
    /// The epoch of the copy.
    pub epoch: u64,
    /// Seats held.
    pub held: u32,
    /// How many of their holders are silent: up to [`SeatStore::MOST_SILENT`] are counted.
    pub silent: u32,
    /// Seats that have no holder and cannot be granted yet.
    pub waiting: u32,
    /// When a seat of a full pool can be granted if nobody else comes and no holder is heard from before, ms; `None`: a
    /// seat is free now, or that is not known.
    pub next_free_at_ms: Option<i64>,
}

impl SeatStore {
    /// Looks up how a pool is used (`look_up_pool.lua`). It changes nothing.
    ///
    /// # Errors
    /// [`crate::Error::Seats`] if Redis did not answer.
    pub async fn look_up_pool(&self, pool: &PoolKey) -> Result<PoolReply<PoolLookup>> {
        let most = [Self::MOST_SILENT.to_string()];
        let mut reply = self.run(&scripts::LOOK_UP_POOL, pool, &[], &most).await?;
        match reply.word() {
            "COLD" => Ok(PoolReply::NeedsRebuild { epoch: reply.take()? }),
            "USED" => Ok(PoolReply::Answer(PoolLookup {
                epoch: reply.take()?,
                held: reply.take()?,
                silent: reply.take()?,
                waiting: reply.take()?,
                next_free_at_ms: Some(reply.take()?).filter(|&ms| ms > 0),
            })),
            _ => Err(reply.unknown()),
        }
    }
}
