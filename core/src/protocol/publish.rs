//! publish: waiting events are handed to the publisher and then marked. Each event is published at least once.

use super::steps::{FailPoints, Step};
use crate::{Result, domain::event::Event, records::Records};

/// Events per batch: one transaction, and no more than a publisher takes at once.
const BATCH: i64 = 500;

/// Publishes every event that waits. `publish` must return only when every event was accepted. Answers how many there
/// were.
///
/// # Errors
/// If PostgreSQL could not be asked, or `publish` failed. Events that were not marked are published again.
pub async fn drain<F>(records: &Records, steps: &FailPoints, publish: impl Fn(&[Event]) -> F) -> Result<usize>
where
    F: Future<Output = Result<()>>,
{
    let mut total = 0;
    loop {
        let batch = records.waiting_events(BATCH).await?;
        let count = batch.events.len();
        if count == 0 {
            return Ok(total);
        }
        publish(&batch.events).await?;
        steps.done(Step::Publish).await?;
        batch.published().await?;
        total += count;
    }
}
