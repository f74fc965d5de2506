//! How the rebuilds of this process ended since its start.

use crate::Result;
use std::sync::atomic::{AtomicU64, Ordering};

/// How one rebuild ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RebuildEnd {
    /// The copy was replaced.
    Rebuilt,
    /// Another instance was faster, or the copy is a newer one by now.
    Late,
    /// PostgreSQL knows no such pool.
    NoPool,
    /// A store did not answer.
    Failed,
}

impl RebuildEnd {
    /// Every one there is.
    pub const ALL: [Self; 4] = [Self::Rebuilt, Self::Late, Self::NoPool, Self::Failed];

    /// Its word in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rebuilt => "rebuilt",
            Self::Late => "late",
            Self::NoPool => "no_pool",
            Self::Failed => "failed",
        }
    }

    /// How many rebuilds of this process ended so. All services of a process are counted together.
    pub fn count(self) -> u64 {
        COUNTS[self as usize].load(Ordering::Relaxed)
    }

    /// How a rebuild ended that came to this.
    pub(super) fn of(done: &Result<Option<bool>>) -> Self {
        match done {
            Ok(Some(true)) => Self::Rebuilt,
            Ok(Some(false)) => Self::Late,
            Ok(None) => Self::NoPool,
            Err(_) => Self::Failed,
        }
    }

    /// One more ended so.
    pub(super) fn add(self) {
        COUNTS[self as usize].fetch_add(1, Ordering::Relaxed);
    }
}

static COUNTS: [AtomicU64; RebuildEnd::ALL.len()] = [const { AtomicU64::new(0) }; RebuildEnd::ALL.len()];
