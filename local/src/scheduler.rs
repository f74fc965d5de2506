//! The scheduler of one machine, in place of Cloud Scheduler: publishes a tick once a period.

use license_core::error::chain;
use license_pubsub::{Message, Publisher, Topic};
use std::{convert::Infallible, time::Duration};
use tokio::time::{MissedTickBehavior, interval};

/// Publishes a tick at once and then every `period`. If a tick cannot be published, the next one does its work.
pub(crate) async fn tick(publisher: &impl Publisher, period: Duration) -> Infallible {
    let mut clock = interval(period);
    // A machine that slept needs one sweep, and not all the sweeps that it missed.
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        clock.tick().await;
        if let Err(error) = publisher.publish(Topic::Tick, vec![Message::tick()]).await {
            tracing::warn!(
                error = %chain(&error),
                "nobody was asked to look; the next tick comes in {} s",
                period.as_secs()
            );
        }
    }
}
