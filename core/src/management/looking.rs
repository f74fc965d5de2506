//! How whoever only looks asks Redis: for a moment, and without it if need be.

use crate::{Result, error::chain, seat_store::PoolReply};
use std::time::Duration;

/// How long a reader waits for Redis; what it has not said by then is unknown. A list of many pools asks all at once.
const PATIENCE: Duration = Duration::from_secs(1);

/// The answer to a question that is about what is shown and not about what is decided. `None`: Redis did not answer,
/// or not in time.
pub(super) async fn looked<T>(question: impl Future<Output = Result<PoolReply<T>>>) -> Option<PoolReply<T>> {
    let answer = tokio::time::timeout(PATIENCE, question).await;
    if let Ok(Err(e)) = &answer {
        tracing::warn!(error = %chain(e), "seats and sessions are shown without what Redis knows of them");
    }
    answer.ok().and_then(Result::ok)
}
