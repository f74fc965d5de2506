//! Changes people make to licenses and seats: committed first, then the old copies are proved stale to Redis.
//!
//! If the process dies in between, grants are refused at once by their epoch and the next acquire or sweep repairs the
//! copy.

mod erasing;
mod licenses;
mod sessions;

pub use licenses::{LicenseView, LivePool, RotatedKey};
pub use sessions::{ClientPresence, EndedSessionRow, SessionView};

use super::{
    rebuild::PoolRebuilds,
    steps::{FailPoints, Step},
};
use crate::{
    Result,
    records::{PoolChange, Records},
    seat_store::{PoolKey, SeatStore},
};

/// What the admin function may do with seats. Cheap to clone.
#[derive(Clone)]
pub struct SeatManagement {
    seats: SeatStore,
    records: Records,
    rebuilds: PoolRebuilds,
    steps: FailPoints,
}

impl SeatManagement {
    /// Over these rooms; `records` as [`crate::records::DatabaseRole::Admin`].
    pub fn new(seats: SeatStore, records: Records) -> Self {
        let steps = FailPoints::default();
        Self { rebuilds: PoolRebuilds::new(seats.clone(), records.clone(), steps.clone()), seats, records, steps }
    }

    /// The fail points of these moves.
    pub fn steps(&self) -> &FailPoints {
        &self.steps
    }

    async fn tell(&self, changes: &[PoolChange]) -> Result<()> {
        self.steps.done(Step::Change).await?;
        // One pool's trouble keeps no other from hearing of it; who asked is told, and may ask again.
        let mut told = Ok(());
        for change in changes {
            let pool = PoolKey { license: change.license, pool: change.pool.clone() };
            told = self.seats.invalidate(&pool, change.epoch_before).await.and(told);
        }
        told
    }
}
