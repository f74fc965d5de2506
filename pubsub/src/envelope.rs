//! The body of a push, as Cloud Pub/Sub sends it (<https://cloud.google.com/pubsub/docs/push#receive_push>).

use crate::{Message, Topic};
use base64::{Engine, engine::general_purpose::STANDARD};
use license_core::{
    Clock,
    domain::{
        event::{Event, SweepShare},
        id::draw_uuid,
    },
    error::ErrorContext,
};
use serde::{Deserialize, de::DeserializeOwned};
use std::collections::BTreeMap;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// One delivery of one message. The same message may come again, with the same [`PushDelivery::message_id`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushDelivery {
    /// The subscription's full name; empty if the sender gave none.
    pub subscription: String,
    /// Unique within the topic, given by the server when it accepted the message.
    pub message_id: String,
    /// When the server accepted the message.
    pub publish_time: Option<OffsetDateTime>,
    /// 1 for the first delivery. Cloud Pub/Sub says it only where the subscription has a dead-letter topic.
    pub delivery_attempt: Option<u32>,
    /// The message's body.
    pub data: Vec<u8>,
    /// The message's attributes.
    pub attributes: BTreeMap<String, String>,
}

impl PushDelivery {
    /// The first delivery of a message accepted now, under a new id.
    pub fn new(topic: Topic, message: Message, clock: &Clock) -> Self {
        Self {
            subscription: format!("projects/local/subscriptions/{}", topic.as_str()),
            message_id: draw_uuid().to_string(),
            publish_time: Some(clock.now()),
            delivery_attempt: Some(1),
            data: message.data,
            attributes: message.attributes,
        }
    }

    /// The trace of whoever caused the message, as `traceparent` has it; `None` where it carries none.
    pub fn traceparent(&self) -> Option<&str> {
        self.attributes.get(Message::TRACE).map(String::as_str)
    }

    /// The message as a request for one share of a sweep.
    ///
    /// # Errors
    /// The data is no such request, or names more pools than a share may have. A repetition would change nothing: record
    /// it and acknowledge.
    pub fn share(&self) -> Result<SweepShare, MalformedPush> {
        let asked: SweepShare = self.read()?;
        if asked.pools.len() <= SweepShare::MAX_POOLS {
            return Ok(asked);
        }
        let most = SweepShare::MAX_POOLS;
        let named = asked.pools.len();
        Err(MalformedPush::Message(format!("it names {named} pools, and a share has {most} at most").into()))
    }

    /// The message as an event.
    ///
    /// # Errors
    /// The data is no event. A repetition would change nothing: record it and acknowledge.
    pub fn event(&self) -> Result<Event, MalformedPush> {
        self.read()
    }

    fn read<T: DeserializeOwned>(&self) -> Result<T, MalformedPush> {
        let unread = |e| MalformedPush::Message(ErrorContext::new("it cannot be read", e));
        serde_json::from_slice(&self.data).map_err(unread)
    }
}

/// Why a body is no push, or its message not what the topic carries. Redelivery would not change it.
#[derive(Debug, thiserror::Error)]
pub enum MalformedPush {
    /// Larger than [`Envelope::MAX_BYTES`].
    #[error("the push has {0} bytes; {max} are allowed", max = Envelope::MAX_BYTES)]
    TooLarge(usize),
    /// Not JSON at all.
    #[error("the push is not JSON")]
    NotJson(#[source] serde_json::Error),
    /// JSON, but not the envelope.
    #[error("the push is not a Pub/Sub envelope")]
    NotAnEnvelope(#[source] ErrorContext),
    /// An envelope around data that is not base64.
    #[error("the message's data is not base64")]
    NotBase64(#[source] base64::DecodeError),
    /// A well-formed envelope around a message that is of no kind that the receiver knows.
    #[error("the message is not what its topic carries")]
    Message(#[source] ErrorContext),
}

/// Reads and writes the JSON around a message. Both spellings of its fields are written, as Google does, and either is
/// read; unknown fields are passed over.
#[derive(Clone, Copy, Debug)]
pub struct Envelope;

#[derive(Deserialize)]
struct WireEnvelope {
    message: WireMessage,
    subscription: Option<String>,
    #[serde(rename = "deliveryAttempt")]
    delivery_attempt: Option<u32>,
}

// Two fields for each spelling: a serde alias would call a body that has both a duplicate.
#[derive(Deserialize)]
struct WireMessage {
    data: Option<String>,
    attributes: Option<BTreeMap<String, String>>,
    #[serde(rename = "messageId")]
    camel_id: Option<String>,
    #[serde(rename = "message_id")]
    snake_id: Option<String>,
    #[serde(rename = "publishTime")]
    camel_time: Option<String>,
    #[serde(rename = "publish_time")]
    snake_time: Option<String>,
}

impl Envelope {
    /// The largest body read: the messages we take have a few hundred bytes.
    pub const MAX_BYTES: usize = 64 * 1024;

    /// Takes a push's body apart.
    ///
    /// # Errors
    /// [`MalformedPush`], for the log. No content of the message is in it beyond the field that was wrong.
    pub fn parse(body: &[u8]) -> Result<PushDelivery, MalformedPush> {
        if body.len() > Self::MAX_BYTES {
            return Err(MalformedPush::TooLarge(body.len()));
        }
        let WireEnvelope { message, subscription, delivery_attempt } = serde_json::from_slice(body).map_err(|e| {
            if e.is_data() {
                MalformedPush::NotAnEnvelope(ErrorContext::new("a field cannot be read", e))
            } else {
                MalformedPush::NotJson(e)
            }
        })?;
        let missing = || MalformedPush::NotAnEnvelope("message.messageId is missing or empty".into());
        let message_id = message.camel_id.or(message.snake_id).filter(|id| !id.is_empty()).ok_or_else(missing)?;
        Ok(PushDelivery {
            subscription: subscription.unwrap_or_default(),
            message_id,
            publish_time: message.camel_time.or(message.snake_time).map(|text| read_time(&text)).transpose()?,
            delivery_attempt,
            data: STANDARD.decode(message.data.unwrap_or_default()).map_err(MalformedPush::NotBase64)?,
            attributes: message.attributes.unwrap_or_default(),
        })
    }

    /// The body a push endpoint gets for this delivery. What was not known is left out.
    pub fn write(push: &PushDelivery) -> Vec<u8> {
        let mut message = serde_json::json!({
            "data": STANDARD.encode(&push.data),
            "attributes": push.attributes,
            "messageId": push.message_id,
            "message_id": push.message_id,
        });
        if let Some(time) = push.publish_time.and_then(|at| at.format(&Rfc3339).ok()) {
            message["publishTime"] = time.clone().into();
            message["publish_time"] = time.into();
        }
        let mut envelope = serde_json::json!({ "message": message, "subscription": push.subscription });
        if let Some(attempt) = push.delivery_attempt {
            envelope["deliveryAttempt"] = attempt.into();
        }
        envelope.to_string().into_bytes()
    }
}

fn read_time(text: &str) -> Result<OffsetDateTime, MalformedPush> {
    OffsetDateTime::parse(text, &Rfc3339).map_err(|e| {
        MalformedPush::NotAnEnvelope(ErrorContext::new("message.publishTime is not an RFC 3339 date and time", e))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn push() -> PushDelivery {
        let attributes = BTreeMap::from([("kind".to_owned(), "seat.granted".to_owned())]);
        let message = Message { data: vec![0, 159, 255, b'"'], attributes };
        PushDelivery { delivery_attempt: Some(3), ..PushDelivery::new(Topic::Events, message, &Clock::system()) }
    }

    fn parse(body: serde_json::Value) -> Result<PushDelivery, MalformedPush> {
        Envelope::parse(body.to_string().as_bytes())
    }

    #[test]
    fn a_written_envelope_reads_back_as_the_same_push() {
        let whole = push();
        assert_eq!(Envelope::parse(&Envelope::write(&whole)).unwrap(), whole);
        let bare = PushDelivery { publish_time: None, delivery_attempt: None, ..push() };
        assert_eq!(Envelope::parse(&Envelope::write(&bare)).unwrap(), bare);
    }

    #[test]
    fn the_envelope_of_googles_documentation_is_read() {
        let body = br#"{
            "message": {
                "attributes": { "key": "value" },
                "data": "SGVsbG8gQ2xvdWQgUHViL1N1YiEgSGVyZSBpcyBteSBtZXNzYWdlIQ==",
                "messageId": "2070443601311540", "message_id": "2070443601311540",
                "publishTime": "2021-02-26T19:13:55.749Z", "publish_time": "2021-02-26T19:13:55.749Z"
            },
            "subscription": "projects/myproject/subscriptions/mysubscription"
        }"#;
        let push = Envelope::parse(body).unwrap();
        assert_eq!(push.data, b"Hello Cloud Pub/Sub! Here is my message!");
        assert_eq!(push.message_id, "2070443601311540");
        assert_eq!(push.attributes["key"], "value");
        assert_eq!(push.publish_time.unwrap().unix_timestamp(), 1_614_366_835);
        assert_eq!(push.delivery_attempt, None);
    }

    #[test]
    fn unknown_fields_and_a_single_spelling_are_no_obstacle() {
        let push = parse(json!({"message": {"message_id": "7", "orderingKey": "k", "new": [1]}, "newer": {}})).unwrap();
        assert_eq!((push.message_id.as_str(), push.data.len(), push.attributes.len()), ("7", 0, 0));
    }

    #[test]
    fn a_malformed_envelope_is_refused_with_its_reason() {
        let envelope = |message| parse(json!({ "message": message }));
        assert!(matches!(Envelope::parse(b""), Err(MalformedPush::NotJson(_))));
        assert!(matches!(Envelope::parse(b"{\"message\":"), Err(MalformedPush::NotJson(_))));
        assert!(matches!(Envelope::parse(&[0xff; 9]), Err(MalformedPush::NotJson(_))));
        assert!(matches!(
            Envelope::parse(&[b'['; 9999]),
            Err(MalformedPush::NotJson(_) | MalformedPush::NotAnEnvelope(_))
        ));
        for body in [json!([]), json!("x"), json!({}), json!({"message": 5}), json!({"message": null})] {
            assert!(matches!(parse(body.clone()), Err(MalformedPush::NotAnEnvelope(_))), "{body}");
        }
        for message in [
            json!({}),
            json!({"messageId": ""}),
            json!({"messageId": 5}),
            json!({"messageId": "1", "attributes": {"a": 1}}),
            json!({"messageId": "1", "data": {}}),
            json!({"messageId": "1", "publishTime": "yesterday"}),
        ] {
            assert!(matches!(envelope(message.clone()), Err(MalformedPush::NotAnEnvelope(_))), "{message}");
        }
        assert!(matches!(envelope(json!({"messageId": "1", "data": "%%"})), Err(MalformedPush::NotBase64(_))));
        assert!(matches!(Envelope::parse(&vec![b' '; 70_000]), Err(MalformedPush::TooLarge(70_000))));
    }

    #[test]
    fn a_message_that_names_no_share_of_ours_is_malformed() {
        let share = |data: &str| PushDelivery { data: data.as_bytes().to_vec(), ..push() }.share();
        let pool = r#"["00000000-0000-0000-0000-000000000001","00000000-0000-0000-0000-000000000002"]"#;
        let pools = |count| format!(r#"{{"pools":[{}]}}"#, vec![pool; count].join(","));
        assert_eq!(share(&pools(0)).unwrap(), SweepShare::default());
        assert_eq!(share(&pools(SweepShare::MAX_POOLS)).unwrap().pools.len(), SweepShare::MAX_POOLS);
        let more = pools(SweepShare::MAX_POOLS + 1);
        let wrong = ["", "{}", "63", "[]", r#"{"bucket":63}"#, r#"{"pools":null}"#, r#"{"pools":[["1","2"]]}"#, &more];
        for data in wrong.into_iter().chain([r#"{"pools":[[]]}"#, r#"{"pools":[],"bucket":1}"#]) {
            assert!(matches!(share(data), Err(MalformedPush::Message(_))), "{data}");
        }
    }
}
