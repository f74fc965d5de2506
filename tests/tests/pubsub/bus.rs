//! The bus of one machine.

use crate::{DATA_OF_7, share};
use license_core::Clock;
use license_pubsub::{
    Message, PublishError, Publisher, Topic,
    bus::{BusError, BusLimits, LocalBus, Subscription, deliver_once},
    push::{Envelope, PushDelivery},
};
use std::{sync::Arc, time::Duration};
use tokio::{io::AsyncWriteExt, net::TcpListener};
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::method};

/// Answers with these statuses in turn, then with 204.
async fn receiver(first: &[u16]) -> MockServer {
    let server = MockServer::start().await;
    for status in first {
        Mock::given(method("POST"))
            .respond_with(ResponseTemplate::new(*status))
            .up_to_n_times(1)
            .with_priority(1)
            .mount(&server)
            .await;
    }
    Mock::given(method("POST")).respond_with(ResponseTemplate::new(204)).mount(&server).await;
    server
}

fn bus(push_url: String, limits: BusLimits) -> LocalBus {
    crate::install_crypto();
    let subscription = Subscription { topic: Topic::Reap, push_url };
    LocalBus::with_limits(vec![subscription], Arc::new(|| "the-token".to_owned()), limits).unwrap()
}

/// Short pauses, so that a test ends soon.
fn hasty() -> BusLimits {
    BusLimits { first_backoff: Duration::from_millis(1), max_backoff: Duration::from_millis(4), ..BusLimits::default() }
}

fn reap(n: u128) -> Message {
    Message { attributes: [("who".into(), "test".into())].into(), ..Message::reap(&share(n)) }
}

async fn received(server: &MockServer) -> Vec<PushDelivery> {
    let requests = server.received_requests().await.unwrap();
    requests.iter().map(|request| Envelope::parse(&request.body).unwrap()).collect()
}

fn nobody() -> String {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    format!("http://127.0.0.1:{port}/reap")
}

#[tokio::test]
async fn a_message_is_posted_as_the_envelope_of_cloud_pubsub_with_a_bearer_token() {
    let server = receiver(&[]).await;
    let bus = bus(format!("{}/reap", server.uri()), hasty());
    bus.publish(Topic::Reap, vec![reap(7)]).await.unwrap();
    bus.idle().await;

    let [request] = &server.received_requests().await.unwrap()[..] else { panic!("one request") };
    assert_eq!(request.url.path(), "/reap");
    assert_eq!(request.headers["authorization"], "Bearer the-token");
    assert_eq!(request.headers["content-type"], "application/json");
    let body: serde_json::Value = request.body_json().unwrap();
    assert_eq!(body["message"]["data"], DATA_OF_7);
    assert_eq!(body["message"]["attributes"]["who"], "test");
    assert_eq!(body["message"]["messageId"], body["message"]["message_id"]);
    assert_eq!(body["message"]["publishTime"], body["message"]["publish_time"]);
    assert_eq!(body["subscription"], "projects/local/subscriptions/reap");
    assert_eq!(body["deliveryAttempt"], 1);

    let push = Envelope::parse(&request.body).unwrap();
    assert_eq!(push.share().unwrap(), share(7));
    assert_eq!(push.attributes["who"], "test");
    assert_eq!(push.message_id, body["message"]["messageId"].as_str().unwrap());
    assert!(push.publish_time.is_some());
}

#[tokio::test]
async fn a_message_is_delivered_again_under_its_id_until_it_is_acknowledged() {
    // None of these acknowledges: a redirect is not followed, and a refusal is no reason to forget.
    let statuses = [500, 503, 429, 400, 401, 302, 203, 206];
    let server = receiver(&statuses).await;
    let bus = bus(server.uri(), hasty());
    bus.publish(Topic::Reap, vec![reap(1)]).await.unwrap();
    bus.idle().await;

    let pushes = received(&server).await;
    let attempts: Vec<_> = pushes.iter().filter_map(|push| push.delivery_attempt).collect();
    assert_eq!(attempts, (1..=9).collect::<Vec<_>>());
    assert!(pushes.iter().all(|push| push.message_id == pushes[0].message_id && push.data == reap(1).data));
    assert_eq!(bus.dead_letters(), 0);
}

#[tokio::test]
async fn every_acknowledging_status_ends_the_delivery() {
    for status in [200, 201, 202, 204] {
        let server = receiver(&[status, 500]).await;
        let bus = bus(server.uri(), hasty());
        bus.publish(Topic::Reap, vec![reap(1)]).await.unwrap();
        bus.idle().await;
        assert_eq!(received(&server).await.len(), 1, "{status}");
    }
}

#[tokio::test]
async fn a_message_nobody_acknowledges_is_given_up_after_the_last_attempt_and_counted() {
    let server = receiver(&[500; 3]).await;
    let bus = bus(server.uri(), BusLimits { attempts: 3, ..hasty() });
    bus.publish(Topic::Reap, vec![reap(1)]).await.unwrap();
    bus.idle().await;
    assert_eq!((received(&server).await.len(), bus.dead_letters()), (3, 1));
    // The receiver is well again, and so is the bus.
    bus.publish(Topic::Reap, vec![reap(2)]).await.unwrap();
    bus.idle().await;
    assert_eq!((received(&server).await.len(), bus.dead_letters()), (4, 1));
}

#[tokio::test]
async fn a_receiver_that_is_not_there_is_tried_as_often_as_one_that_fails() {
    let bus = bus(nobody(), BusLimits { attempts: 4, ..hasty() });
    bus.publish(Topic::Reap, vec![reap(1), reap(2)]).await.unwrap();
    bus.idle().await;
    assert_eq!(bus.dead_letters(), 2);
}

#[tokio::test]
async fn a_whole_sweep_arrives_once_each() {
    let server = receiver(&[]).await;
    let bus = bus(server.uri(), hasty());
    bus.publish(Topic::Reap, (0..64).map(reap).collect()).await.unwrap();
    bus.idle().await;
    let mut pools: Vec<_> = received(&server).await.iter().flat_map(|push| push.share().unwrap().pools).collect();
    pools.sort_unstable();
    assert_eq!(pools, (0..64).flat_map(|n| share(n).pools).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_full_bus_accepts_none_of_the_messages_and_says_so() {
    let server = receiver(&[]).await;
    let bus = bus(server.uri(), BusLimits { queue: 2, ..hasty() });
    let refused = bus.publish(Topic::Reap, vec![reap(1), reap(2), reap(3)]).await;
    assert!(matches!(refused, Err(PublishError::Full { waiting: 0 })), "{refused:?}");
    bus.publish(Topic::Reap, vec![reap(4), reap(5)]).await.unwrap();
    bus.idle().await;
    assert_eq!(received(&server).await.len(), 2);
}

#[tokio::test]
async fn every_subscription_of_a_topic_gets_its_messages_and_no_other_topic_s() {
    crate::install_crypto();
    let (one, two) = (receiver(&[500]).await, receiver(&[]).await);
    let to = |topic, server: &MockServer| Subscription { topic, push_url: server.uri() };
    let subscriptions = vec![to(Topic::Tick, &one), to(Topic::Tick, &two), to(Topic::Reap, &two)];
    let bus = LocalBus::with_limits(subscriptions, Arc::new(String::new), hasty()).unwrap();
    bus.publish(Topic::Tick, vec![Message::tick()]).await.unwrap();
    bus.publish(Topic::Reap, vec![reap(1)]).await.unwrap();
    bus.publish(Topic::Events, vec![reap(2)]).await.unwrap();
    bus.idle().await;
    assert_eq!((received(&one).await.len(), received(&two).await.len()), (2, 2));
}

/// Takes connections and answers none of them.
async fn silent() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    (listener, url)
}

#[tokio::test]
async fn a_receiver_that_never_answers_delays_no_other_subscription() {
    crate::install_crypto();
    let (quick, (listener, slow)) = (receiver(&[]).await, silent().await);
    let to = |push_url: &str| Subscription { topic: Topic::Reap, push_url: push_url.to_owned() };
    let limits = BusLimits { concurrency: 2, ..hasty() };
    let bus = LocalBus::with_limits(vec![to(&slow), to(&quick.uri())], Arc::new(String::new), limits).unwrap();
    // As many as wait for the slow one would have used up what both shared.
    for number in 0..20 {
        bus.publish(Topic::Reap, vec![reap(number)]).await.unwrap();
    }
    let all = async {
        while received(&quick).await.len() < 20 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), all).await.expect("the other receiver has all of them");
    drop(listener);
}

#[tokio::test]
async fn a_full_subscription_loses_a_message_that_another_one_takes() {
    crate::install_crypto();
    let quick = receiver(&[]).await;
    let (_listener, slow) = silent().await;
    let to = |topic, push_url: &str| Subscription { topic, push_url: push_url.to_owned() };
    let subscriptions = vec![to(Topic::Tick, &slow), to(Topic::Reap, &slow), to(Topic::Reap, &quick.uri())];
    let limits = BusLimits { queue: 1, ..hasty() };
    let bus = LocalBus::with_limits(subscriptions, Arc::new(String::new), limits).unwrap();
    for number in 0..3 {
        bus.publish(Topic::Reap, vec![reap(number)]).await.unwrap();
        let arrived = async {
            while received(&quick).await.len() <= number as usize {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), arrived).await.expect("the message arrives");
        // Its place is free once its answer was read, a moment later.
        let free = async {
            while bus.pending(Topic::Reap) > 1 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), free).await.expect("the place is free again");
    }
    assert_eq!(bus.dead_letters(), 2, "the slow one took the first and lost two");
    // Another topic is not concerned.
    bus.publish(Topic::Tick, vec![Message::tick()]).await.unwrap();
    assert!(matches!(bus.publish(Topic::Tick, vec![Message::tick()]).await, Err(PublishError::Full { waiting: 1 })));
}

#[tokio::test]
async fn events_that_nobody_has_room_for_are_accepted_since_their_deliveries_are_in_the_records() {
    crate::install_crypto();
    let (_listener, slow) = silent().await;
    let subscription = Subscription { topic: Topic::Events, push_url: slow };
    let limits = BusLimits { queue: 1, ..hasty() };
    let bus = LocalBus::with_limits(vec![subscription], Arc::new(String::new), limits).unwrap();
    for number in 0..3 {
        bus.publish(Topic::Events, vec![reap(number)]).await.unwrap();
    }
    assert_eq!((bus.pending(Topic::Events), bus.dead_letters()), (1, 2));
}

#[tokio::test]
async fn shutdown_does_not_wait_for_a_receiver_that_is_away_and_accepts_nothing_more() {
    let hour = Duration::from_secs(3600);
    let bus = bus(nobody(), BusLimits { first_backoff: hour, max_backoff: hour, ..BusLimits::default() });
    bus.publish(Topic::Reap, vec![reap(1); 100]).await.unwrap();
    tokio::time::timeout(Duration::from_secs(20), bus.shutdown()).await.expect("shutdown ends");
    assert!(matches!(bus.publish(Topic::Reap, vec![reap(2)]).await, Err(PublishError::Closed)));
}

#[tokio::test]
async fn shutdown_lets_a_push_that_is_under_way_end() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let bus = bus(format!("http://{}/", listener.local_addr().unwrap()), hasty());
    bus.publish(Topic::Reap, vec![reap(1)]).await.unwrap();
    let (mut connection, _) = listener.accept().await.unwrap();
    let mut shutdown = Box::pin(bus.shutdown());
    let early = tokio::time::timeout(Duration::from_millis(100), &mut shutdown).await;
    assert!(early.is_err(), "the push has no answer yet");
    connection.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
    tokio::time::timeout(Duration::from_secs(20), shutdown).await.expect("shutdown ends with the push");
}

#[tokio::test]
async fn a_test_can_deliver_one_message_twice() {
    crate::install_crypto();
    let server = receiver(&[500]).await;
    let push = PushDelivery::new(Topic::Reap, reap(3), &Clock::system());
    assert_eq!(deliver_once(&server.uri(), &push, "t").await.unwrap(), 500);
    assert_eq!(deliver_once(&server.uri(), &push, "t").await.unwrap(), 204);
    assert_eq!(received(&server).await, [push.clone(), push]);
}

#[test]
fn an_address_that_cannot_be_pushed_to_is_refused_at_the_start() {
    crate::install_crypto();
    for url in ["", "localhost", "/reap", "ftp://127.0.0.1/", "https://127.0.0.1/"] {
        let subscription = Subscription { topic: Topic::Reap, push_url: url.into() };
        let made = LocalBus::new(vec![subscription], Arc::new(String::new));
        assert!(matches!(made.map(|_| ()), Err(BusError::PushUrl(named)) if named == url), "{url}");
    }
}
