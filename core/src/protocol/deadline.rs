//! A request's time.

use crate::{Error, Result, domain::lease::LeaseTiming, error::StoreName};
use std::time::{Duration, Instant};

/// Until when an operation may be asked again.
#[derive(Clone, Copy)]
pub(crate) struct Deadline(Instant);

impl Deadline {
    /// A client's request that was just received. A little less than its time: the answer must still be written.
    pub(crate) fn of_request() -> Self {
        Self::after(LeaseTiming::DEADLINE - Duration::from_millis(250))
    }

    pub(crate) fn after(time: Duration) -> Self {
        Self(Instant::now() + time)
    }

    /// Waits for somebody else's work until the time is over.
    pub(crate) async fn wait<T>(self, store: StoreName, work: impl Future<Output = T>) -> Result<T> {
        let left = self.0.saturating_duration_since(Instant::now());
        tokio::time::timeout(left, work).await.map_err(|_| Error::Deadline(store))
    }

    /// Fails once the time is over, naming the store that was waited for.
    pub(crate) fn check(self, store: StoreName) -> Result<()> {
        if Instant::now() < self.0 { Ok(()) } else { Err(Error::Deadline(store)) }
    }
}
