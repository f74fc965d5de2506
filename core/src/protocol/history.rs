//! history: the months that come are made, those that were kept for long enough are taken away, one small step after
//! the other.

use crate::{
    Result,
    records::{HistoryStep, Records},
};
use std::time::{Duration, Instant};

/// How long one call goes on; what is due then is left to the next.
const TIME_PER_CALL: Duration = Duration::from_secs(5);

/// Takes steps until nothing is due, somebody uses the table that is next, or its time is over. Answers how many it
/// took. Safe to run in several instances at once: each step takes its locks.
///
/// # Errors
/// [`crate::Error::Records`].
pub async fn take_due_steps(records: &Records) -> Result<usize> {
    let began = Instant::now();
    let mut steps = 0;
    while began.elapsed() < TIME_PER_CALL {
        match records.keep_history().await? {
            HistoryStep::Nothing => break,
            HistoryStep::Did(what) => tracing::info!(%what, "history kept"),
            HistoryStep::Later => {
                tracing::info!("a table of the history is in use; it is asked again at the next tick");
                break;
            }
        }
        steps += 1;
    }
    Ok(steps)
}
