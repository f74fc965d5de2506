//! history: the tables of coming months are created, and months that were kept for long enough are removed. Each call
//! takes small steps.

use crate::{
    Result,
    records::{HistoryStep, Records},
};
use std::time::{Duration, Instant};

/// How long one call takes steps. Steps that are due after that are left to the next call.
const TIME_PER_CALL: Duration = Duration::from_secs(5);

/// Takes steps until none is due, the next table is in use, or the time of the call is over. Answers how many steps it
/// took. Several instances may call it at once, because each step takes its locks.
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
