//! Messages, and the topics that they are published to.

use license_core::domain::event::{Event, SweepShare};
use std::collections::BTreeMap;

/// The topics there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Topic {
    /// "Sweep now", once a minute. In the cloud only Cloud Scheduler publishes it.
    Tick,
    /// One message per share of a sweep: [`SweepShare`].
    Reap,
    /// Events from the outbox: [`Event`].
    Events,
}

impl Topic {
    /// The word for this topic in logs, and its name where no other is configured.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tick => "tick",
            Self::Reap => "reap",
            Self::Events => "events",
        }
    }
}

/// What the topics are called in one environment: ids without `projects/…/topics/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicNames {
    /// Name of [`Topic::Tick`].
    pub tick: String,
    /// Name of [`Topic::Reap`].
    pub reap: String,
    /// Name of [`Topic::Events`].
    pub events: String,
}

impl Default for TopicNames {
    fn default() -> Self {
        let name = |topic: Topic| topic.as_str().to_owned();
        Self { tick: name(Topic::Tick), reap: name(Topic::Reap), events: name(Topic::Events) }
    }
}

impl TopicNames {
    /// The configured name of a topic.
    pub fn name(&self, topic: Topic) -> &str {
        match topic {
            Topic::Tick => &self.tick,
            Topic::Reap => &self.reap,
            Topic::Events => &self.events,
        }
    }

    /// The topic of that name.
    pub fn named(&self, name: &str) -> Option<Topic> {
        [Topic::Tick, Topic::Reap, Topic::Events].into_iter().find(|topic| self.name(*topic) == name)
    }
}

/// One message. Cloud Pub/Sub's limits hold: 10 MB of data, attribute keys up to 256 bytes, values up to 1,024 bytes,
/// and not both empty (<https://cloud.google.com/pubsub/quotas#resource_limits>).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// The body: JSON.
    pub data: Vec<u8>,
    /// What subscriptions can filter by without reading the body.
    pub attributes: BTreeMap<String, String>,
}

impl Message {
    /// The attribute that carries the trace of whoever caused a message, as `traceparent` has it (W3C Trace Context). Google's own
    /// clients use the same name.
    pub const TRACE: &str = "googclient_traceparent";

    /// The same, as part of a trace; `None` leaves it as it is.
    #[must_use]
    pub fn of_trace(mut self, traceparent: Option<&str>) -> Self {
        if let Some(text) = traceparent {
            self.attributes.insert(Self::TRACE.to_owned(), text.to_owned());
        }
        self
    }

    /// Asks for a sweep. Carries nothing: an empty JSON object, because Pub/Sub refuses an empty message.
    pub fn tick() -> Self {
        Self { data: b"{}".to_vec(), attributes: BTreeMap::new() }
    }

    /// Asks for one share of a sweep: `{"pools":[["<tenant>","<pool>"],…]}`.
    pub fn reap(share: &SweepShare) -> Self {
        // A list of UUIDs can always be written as JSON.
        let data = serde_json::json!(share).to_string().into_bytes();
        Self { data, attributes: BTreeMap::new() }
    }

    /// The message about an event. Attributes: `id` (what consumers dedupe by), `kind`, `tenant`.
    ///
    /// # Errors
    /// An event whose date has no RFC 3339 form (a year beyond 9999). It can never be published: record it and go on.
    pub fn event(event: &Event) -> serde_json::Result<Self> {
        let attributes =
            [("id", event.id.to_string()), ("kind", event.kind.clone()), ("tenant", event.tenant.to_string())];
        let attributes = attributes.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        Ok(Self { data: serde_json::to_vec(event)?, attributes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::push::{Envelope, PushDelivery};
    use license_core::{
        Clock,
        domain::id::{PoolId, TenantId},
    };
    use uuid::Uuid;

    #[test]
    fn a_reap_message_reads_back_as_its_share_and_the_largest_fits_a_push() {
        let pool = (TenantId(Uuid::max()), PoolId(Uuid::nil()));
        for pools in [0, 1, SweepShare::MAX_POOLS] {
            let share = SweepShare { pools: vec![pool; pools] };
            let message = Message::reap(&share);
            assert_eq!(serde_json::from_slice::<SweepShare>(&message.data).unwrap(), share);
            let body = Envelope::write(&PushDelivery::new(Topic::Reap, message, &Clock::system()));
            assert!(body.len() <= Envelope::MAX_BYTES, "{} bytes", body.len());
            assert_eq!(Envelope::parse(&body).unwrap().share().unwrap(), share);
        }
    }

    #[test]
    fn every_topic_has_the_name_that_was_configured_for_it() {
        let topics = TopicNames { tick: "t".into(), reap: "r".into(), events: "e".into() };
        assert_eq!([Topic::Tick, Topic::Reap, Topic::Events].map(|t| topics.name(t)), ["t", "r", "e"]);
        assert_eq!(
            ["t", "r", "e", "tick"].map(|n| topics.named(n)),
            [Some(Topic::Tick), Some(Topic::Reap), Some(Topic::Events), None]
        );
        let default = TopicNames::default();
        assert_eq!([Topic::Tick, Topic::Reap, Topic::Events].map(|t| default.name(t)), ["tick", "reap", "events"]);
    }
}
