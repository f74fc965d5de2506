//! Changes people make to licenses and seats: committed first, then the old copies are proved stale to Redis.
//!
//! If the process dies in between, grants are refused at once by their epoch and the next acquire or sweep repairs the copy.

mod erasing;
mod licenses;
mod sessions;

pub use licenses::{LivePool, Rotated, Shown};
pub use sessions::{Ended, Presence, Seen};

use super::{
    rebuild::Rebuilds,
    steps::{Step, Steps},
};
use crate::{
    Result,
    records::{Change, Records},
    seats::{PoolKey, Seats},
};

/// What the admin function may do with seats. Cheap to clone.
#[derive(Clone)]
pub struct Manage {
    seats: Seats,
    records: Records,
    rebuilds: Rebuilds,
    steps: Steps,
}

impl Manage {
    /// Over these rooms; `records` as [`crate::records::Role::Admin`].
    pub fn new(seats: Seats, records: Records) -> Self {
        let steps = Steps::default();
        Self { rebuilds: Rebuilds::new(seats.clone(), records.clone(), steps.clone()), seats, records, steps }
    }

    /// The fail points of these moves.
    pub fn steps(&self) -> &Steps {
        &self.steps
    }

    async fn tell(&self, changes: &[Change]) -> Result<()> {
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
