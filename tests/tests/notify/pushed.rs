//! Which pushes are accepted, and what becomes of one that comes again, or whose process died.

use crate::endpoint::{EMAIL, Endpoint, PATIENCE, receiver, requests, webhook_keys};
use license_core::{
    domain::{delivery::DeliveryState, id::draw_uuid, webhook::EndpointRules},
    records::{DatabaseRole, DeliveryAttempt, Records, TakeFrom},
};
use license_pubsub::{
    Message, Topic,
    push::{Envelope, PushDelivery},
};
use serde_json::json;
use std::time::Duration;

#[tokio::test]
async fn an_event_that_is_pushed_again_is_one_delivery_and_sent_once() {
    let (endpoint, server) = (Endpoint::new().await, receiver(200).await);
    let webhook = endpoint.webhook(&server.uri()).await;
    let event = endpoint.event(json!({})).await;
    for _ in 0..3 {
        assert_eq!(endpoint.push_event(&event).await, 204);
    }
    endpoint.tick().await;
    assert_eq!(endpoint.delivery(&webhook).await.tries, 1);
    assert_eq!(requests(&server).await.len(), 1);
}

#[tokio::test]
async fn a_push_that_nobody_signed_or_another_account_changes_nothing() {
    let (endpoint, server) = (Endpoint::new().await, receiver(200).await);
    endpoint.webhook(&server.uri()).await;
    let event = endpoint.event(json!({})).await;
    let message = || Message::event(&event).unwrap();
    let body = || Envelope::write(&PushDelivery::new(Topic::Events, message(), &endpoint.world.clock));
    for path in ["/events", "/due"] {
        assert_eq!(endpoint.send(path, None, body()).await, 401);
        assert_eq!(endpoint.send(path, Some("Bearer nonsense".into()), body()).await, 401);
        assert_eq!(endpoint.send(path, Some(endpoint.token("somebody@example.com")), body()).await, 401);
    }
    assert_eq!(requests(&server).await.len(), 0);
}

#[tokio::test]
async fn a_message_that_is_no_event_or_of_none_that_happened_is_acknowledged() {
    let (endpoint, server) = (Endpoint::new().await, receiver(200).await);
    endpoint.webhook(&server.uri()).await;
    assert_eq!(endpoint.push("/events", Message::tick()).await, 204);
    assert_eq!(endpoint.send("/events", Some(endpoint.token(EMAIL)), b"no push".to_vec()).await, 204);
    // Whoever could publish to the topic could invent events: the outbox decides.
    let mut invented = endpoint.event(json!({})).await;
    invented.id = draw_uuid();
    assert_eq!(endpoint.push_event(&invented).await, 204);
    assert_eq!(requests(&server).await.len(), 0);
}

#[tokio::test]
async fn while_postgresql_is_away_a_push_is_not_acknowledged() {
    let mut endpoint = Endpoint::new().await;
    let event = endpoint.event(json!({})).await;
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let nobody = sqlx::postgres::PgConnectOptions::new().host("127.0.0.1").port(port).database("license");
    endpoint.records = Records::with(nobody, DatabaseRole::Notify, 1);
    endpoint.app = endpoint.service(webhook_keys(), EndpointRules::LoopbackToo, PATIENCE);
    assert_eq!(endpoint.push_event(&event).await, 503);
    assert_eq!(endpoint.push("/due", Message::tick()).await, 503);
}

#[tokio::test]
async fn an_event_that_was_taken_by_a_process_that_died_comes_again() {
    let (endpoint, server) = (Endpoint::new().await, receiver(200).await);
    let webhook = endpoint.webhook(&server.uri()).await;
    let event = endpoint.event(json!({})).await;
    assert_eq!(endpoint.records.enqueue_deliveries(&event).await.unwrap(), Some(1));
    let taken = endpoint.records.take_deliveries(endpoint.tenant(), TakeFrom::Event(event.id), 50).await.unwrap();
    assert_eq!(taken.len(), 1);
    // Nobody else has it while it is held.
    endpoint.tick().await;
    assert_eq!((requests(&server).await.len(), endpoint.delivery(&webhook).await.in_future), (0, Some(true)));
    endpoint.make_due().await;
    endpoint.tick().await;
    let delivery = endpoint.delivery(&webhook).await;
    assert_eq!((delivery.state.as_str(), delivery.tries), ("delivered", 2));
    // If it was only slow, what it says of its own try does not count any more.
    let late = DeliveryAttempt { outcome: "timed_out", status: None, answer: None, took: Duration::from_secs(70) };
    let next = Some(Duration::from_secs(60));
    assert_eq!(endpoint.records.finish_delivery(&taken[0], &late, next).await.unwrap(), None);
    assert_eq!(endpoint.delivery(&webhook).await.state, "delivered");
}

#[tokio::test]
async fn what_an_address_answered_that_was_replaced_meanwhile_says_nothing_about_the_webhook() {
    let (endpoint, server) = (Endpoint::new().await, receiver(200).await);
    let webhook = endpoint.webhook("http://127.0.0.1:1/old").await;
    let event = endpoint.event(json!({})).await;
    let next = Some(Duration::from_secs(60));
    let tries = [
        ("gone", Some(410), DeliveryState::Waiting, false),
        ("refused", Some(500), DeliveryState::Waiting, false),
        // The new address has failed since; that the old one took something is no success of it.
        ("delivered", Some(200), DeliveryState::Delivered, true),
    ];
    for (outcome, status, became, failing) in tries {
        endpoint.records.enqueue_deliveries(&event).await.unwrap();
        endpoint.make_due().await;
        let taken = endpoint.records.take_deliveries(endpoint.tenant(), TakeFrom::Event(event.id), 50).await.unwrap();
        let since = if failing { "now()" } else { "null" };
        let new = format!("update webhooks set url = '{}/{outcome}', failing_since = {since}", server.uri());
        sqlx::query(sqlx::AssertSqlSafe(new)).execute(&mut endpoint.truth().await).await.unwrap();
        let attempt = DeliveryAttempt { outcome, status, answer: None, took: Duration::from_secs(1) };
        let state = endpoint.records.finish_delivery(&taken[0], &attempt, next).await.unwrap();
        assert_eq!(state, Some(became), "{outcome}");
        assert!(!endpoint.is_marked(&webhook, "disabled_at").await, "{outcome}");
        assert_eq!(endpoint.is_marked(&webhook, "failing_since").await, failing, "{outcome}");
    }
    assert_eq!(endpoint.events("webhook.disabled").await, 0);
    let delivery = endpoint.delivery(&webhook).await;
    assert_eq!((delivery.state.as_str(), delivery.outcomes()), ("delivered", vec!["gone", "refused", "delivered"]));
    assert_eq!(endpoint.push_event(&endpoint.event(json!({})).await).await, 204);
    assert_eq!(requests(&server).await.len(), 1, "the next event goes to the new address");
    assert!(!endpoint.is_marked(&webhook, "failing_since").await);
}
