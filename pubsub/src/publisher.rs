//! The trait by which all other code publishes messages.

use crate::{Message, Topic};
use license_core::error::ErrorContext;
use std::pin::Pin;

/// A boxed future that can move between threads.
pub type PublishFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Where messages go: Cloud Pub/Sub or the bus of one machine, in this process or from another.
pub trait Publisher: Send + Sync + 'static {
    /// Publishes all messages to one topic.
    ///
    /// `Ok` only when every message is acknowledged: nothing is left to do in the background, where Cloud Run gives no
    /// CPU. No messages are `Ok` at once.
    ///
    /// # Errors
    /// At least one message is not known to have arrived; others may have. Publish all of them again: receivers dedupe.
    fn publish(&self, topic: Topic, messages: Vec<Message>) -> PublishFuture<'_, Result<(), PublishError>>;
}

/// Why messages are not known to have arrived. All of them may be published again.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PublishError {
    /// The server refused, or could not be asked in time.
    #[error("publishing to {topic}: {missing} of {of} messages not acknowledged")]
    Unacknowledged {
        /// The full name of the topic.
        topic: String,
        /// How many messages were not acknowledged.
        missing: usize,
        /// How many were to be published.
        of: usize,
        /// What the server said, or why it could not be asked.
        #[source]
        reason: ErrorContext,
    },
    /// The bus holds as many undelivered messages as it may. None of these was accepted.
    #[error("the bus is full: {waiting} messages wait to be delivered; publish again when its subscribers answer")]
    Full {
        /// How many messages wait.
        waiting: usize,
    },
    /// The bus is shutting down. None of these was accepted.
    #[error("the bus is shutting down")]
    Closed,
}
