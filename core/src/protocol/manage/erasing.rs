//! Erasing people and machines: blanked in the records, and then in what Redis shows of who holds seats.

use super::SeatManagement;
use crate::{
    domain::secret::KeyRing,
    protocol::deadline::Deadline,
    records::{Caller, ChangeResult, ErasureCursor, ErasureReport, ErasureSubject},
    seat_store::PoolKey,
};

impl SeatManagement {
    /// Blanks what names a person or a machine ([`crate::records::Records::erase`]). Copies in Redis that have labels
    /// of theirs are made anew at once; nobody loses a seat or a second of a lease by it.
    ///
    /// # Errors
    /// If a store could not be asked; part of it may have been done. The same request again does the rest; copies that
    /// could not be made anew are found by the next acquire or sweep.
    pub async fn erase(
        &self,
        act: &Caller,
        whom: &ErasureSubject,
        cursor: Option<ErasureCursor>,
        peppers: &KeyRing,
    ) -> ChangeResult<ErasureReport> {
        let deadline = Deadline::of_request();
        let answer = self.records.erase(act, whom, cursor, peppers).await?;
        if let Ok(erased) = &answer {
            self.tell(&erased.tell).await?;
            for change in &erased.tell {
                let pool = PoolKey { license: change.license, pool: change.pool.clone() };
                self.rebuilds.ensure_warm(&pool, act.tenant, change.pool_id, deadline).await?;
            }
        }
        Ok(answer)
    }
}
