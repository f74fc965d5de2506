//! What Cloud Scheduler is to the cloud: says "tick" once a period.

use license_core::error::chain;
use license_pubsub::{Message, Publisher, Topic};
use std::{convert::Infallible, time::Duration};
use tokio::time::{MissedTickBehavior, interval};

/// Publishes a tick at once and then every `period`. A tick that cannot be sent is made up by the next one.
pub(crate) async fn tick(publisher: &impl Publisher, period: Duration) -> Infallible {
    let mut clock = interval(period);
    // A machine that slept needs one sweep, not all that it missed.
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        clock.tick().await;
        if let Err(error) = publisher.publish(Topic::Tick, vec![Message::tick()]).await {
            tracing::warn!(
                error = %chain(&error),
                "the reaper was not asked to look; it is asked again in {} s",
                period.as_secs()
            );
        }
    }
}
