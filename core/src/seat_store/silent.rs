//! `COUNT_SILENT`: how many holders of a pool are silent.

use super::{PoolReply, SeatStore, keys::PoolKey, scripts};
use crate::Result;

impl SeatStore {
    /// Seats of one pool whose lease is over that are looked at in one call, which takes Redis less than a millisecond.
    pub const MOST_SILENT: u32 = 1000;

    /// Counts the holders of a pool whose lease is over and whose seat was not taken yet (`count_silent.lua`), up to
    /// [`SeatStore::MOST_SILENT`]. It changes nothing.
    ///
    /// # Errors
    /// [`crate::Error::Seats`] if Redis did not answer.
    pub async fn count_silent(&self, pool: &PoolKey) -> Result<PoolReply<u32>> {
        let most = [Self::MOST_SILENT.to_string()];
        let mut reply = self.run(&scripts::COUNT_SILENT, pool, &[], &most).await?;
        match reply.word() {
            "COLD" => Ok(PoolReply::NeedsRebuild { epoch: reply.take()? }),
            "SILENT" => Ok(PoolReply::Answer(reply.take()?)),
            _ => Err(reply.unknown()),
        }
    }
}
