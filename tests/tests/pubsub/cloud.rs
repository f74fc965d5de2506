//! Publishing to Cloud Pub/Sub, with Google's client against Google's server.

use crate::{pstest::Pstest, share};
use license_core::{
    Clock,
    domain::{
        event::{Event, SweepShare},
        id::TenantId,
    },
};
use license_pubsub::{
    Message, PublishError, Publisher, Topic, TopicNames,
    cloud::{CloudPublisher, CloudSettings, PubsubServer},
};
use std::time::{Duration, Instant};
use uuid::Uuid;

const REAP: &str = "projects/test/topics/our-reap";
const EVENTS: &str = "projects/test/topics/our-events";

async fn publisher(address: &str, deadline: Duration) -> CloudPublisher {
    crate::install_crypto();
    let topics = TopicNames { tick: "our-tick".into(), reap: "our-reap".into(), events: "our-events".into() };
    let server = PubsubServer::Emulator(address.to_owned());
    CloudPublisher::new(CloudSettings { project: "test".into(), topics, server, deadline }).await.unwrap()
}

const SHARES: u128 = 64;

fn sweep() -> Vec<Message> {
    (0..SHARES).map(|n| Message::reap(&share(n))).collect()
}

const PATIENT: Duration = Duration::from_secs(30);

#[tokio::test]
async fn every_message_arrives_on_its_topic_with_its_data_and_attributes() {
    let Some(mut server) = Pstest::start(&[REAP, EVENTS], Duration::ZERO) else { return };
    let publisher = publisher(&server.address, PATIENT).await;
    let event = Event {
        id: Uuid::now_v7(),
        tenant: TenantId(Uuid::now_v7()),
        kind: "seat.granted".into(),
        created_at: Clock::system().now(),
        payload: serde_json::json!({"seat": 3}),
    };

    publisher.publish(Topic::Reap, sweep()).await.unwrap();
    publisher.publish(Topic::Events, vec![Message::event(&event).unwrap()]).await.unwrap();

    let (events, reaps): (Vec<_>, Vec<_>) = server.messages().into_iter().partition(|m| m.topic == EVENTS);
    let read = |data: &[u8]| serde_json::from_slice::<SweepShare>(data).unwrap();
    let mut pools: Vec<_> = reaps.iter().flat_map(|m| read(&m.data()).pools).collect();
    pools.sort_unstable();
    assert_eq!(pools, (0..SHARES).flat_map(|n| share(n).pools).collect::<Vec<_>>());
    assert!(reaps.iter().all(|m| m.topic == REAP));
    let [published] = &events[..] else { panic!("one event, not {events:?}") };
    assert_eq!(serde_json::from_slice::<Event>(&published.data()).unwrap(), event);
    let attributes = published.attributes.clone().unwrap();
    assert_eq!(attributes["id"], event.id.to_string());
    assert_eq!(attributes["kind"], "seat.granted");
    assert_eq!(attributes["tenant"], event.tenant.to_string());
}

#[tokio::test]
async fn publish_returns_only_after_the_server_has_every_message() {
    let slow = Duration::from_millis(300);
    let Some(mut server) = Pstest::start(&[REAP], slow) else { return };
    let publisher = publisher(&server.address, PATIENT).await;
    let started = Instant::now();
    // Two requests: Pub/Sub takes at most 1,000 messages at once. The server works on one at a time.
    let messages: Vec<_> = sweep().into_iter().cycle().take(1_500).collect();
    publisher.publish(Topic::Reap, messages).await.unwrap();
    let took = started.elapsed();
    assert!(took >= 2 * slow, "it came back after {took:?}, before the server can have answered");
    assert_eq!(server.messages().len(), 1_500);
}

#[tokio::test]
async fn a_missing_topic_is_an_error_and_not_silence() {
    let Some(mut server) = Pstest::start(&[REAP], Duration::ZERO) else { return };
    let publisher = publisher(&server.address, PATIENT).await;
    let refused = publisher.publish(Topic::Events, vec![Message::tick(), Message::tick()]).await.unwrap_err();
    let PublishError::Unacknowledged { topic, missing: 2, of: 2, reason } = &refused else { panic!("{refused:?}") };
    assert_eq!(topic, EVENTS);
    let said = license_core::error::chain(reason).to_string();
    assert!(said.contains("NOT_FOUND"), "{said}");
    assert_eq!(server.messages().len(), 0);
}

#[tokio::test]
async fn one_publisher_serves_many_callers_at_once() {
    let Some(mut server) = Pstest::start(&[REAP], Duration::ZERO) else { return };
    let publisher = publisher(&server.address, PATIENT).await;
    let calls: Vec<_> = (0..20)
        .map(|_| {
            let publisher = publisher.clone();
            tokio::spawn(async move { publisher.publish(Topic::Reap, sweep()).await })
        })
        .collect();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!(server.messages().len(), 20 * SHARES as usize);
}

#[tokio::test]
async fn a_server_that_never_answers_is_an_error_when_the_deadline_is_over() {
    // Accepts connections (the kernel does) and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let publisher = publisher(&silent.local_addr().unwrap().to_string(), Duration::from_millis(300)).await;
    let started = Instant::now();
    let refused = publisher.publish(Topic::Reap, sweep()).await.unwrap_err();
    assert!(matches!(refused, PublishError::Unacknowledged { missing: 64, of: 64, .. }), "{refused:?}");
    assert!(started.elapsed() < Duration::from_secs(10), "took {:?}", started.elapsed());
}

#[tokio::test]
async fn nothing_to_publish_asks_no_server() {
    let publisher = publisher("127.0.0.1:1", PATIENT).await;
    publisher.publish(Topic::Events, Vec::new()).await.unwrap();
}
