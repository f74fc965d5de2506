//! What a receiver gets, what is written of its answers, and who waits for whom.

use crate::endpoint::{Endpoint, PATIENCE, answering, had, receiver, requests, webhook_keys};
use license_core::domain::{
    secret::KeyRing,
    webhook::{EndpointRules, WebhookSecret, schedule::MAX_TRIES},
};
use license_pubsub::Message;
use serde_json::{Value, json};
use sqlx::Executor;
use std::time::Duration;
use wiremock::ResponseTemplate;

#[tokio::test]
async fn an_event_is_delivered_with_a_signature_that_its_receiver_can_check() {
    let (endpoint, server) = (Endpoint::new().await, receiver(200).await);
    let webhook = endpoint.webhook(&format!("{}/hook?token=1", server.uri())).await;
    let event = endpoint.event(json!({ "license": "0123456789ABC" })).await;
    assert_eq!(endpoint.push_event(&event).await, 204);

    let [request] = &requests(&server).await[..] else { panic!("one request") };
    let header = |name: &str| request.headers[name].to_str().unwrap().to_owned();
    assert_eq!((request.url.path(), request.url.query()), ("/hook", Some("token=1")));
    assert_eq!(header("webhook-id"), event.id.to_string());
    assert_eq!(header("content-type"), "application/json");
    let timestamp: i64 = header("webhook-timestamp").parse().unwrap();
    assert_eq!(timestamp, endpoint.world.clock.now_seconds());
    let signature = webhook.secret.sign(&event.id.to_string(), timestamp, &request.body);
    assert_eq!(header("webhook-signature"), signature);

    let body: Value = request.body_json().unwrap();
    let written: Value = serde_json::from_slice(&Message::event(&event).unwrap().data).unwrap();
    assert_eq!(
        body,
        json!({
            "id": event.id, "type": "license.changed", "version": 1, "timestamp": written["created_at"],
            "organization_id": endpoint.tenant(), "data": { "license": "0123456789ABC" },
        })
    );
    let delivery = endpoint.delivery(&webhook).await;
    assert_eq!((delivery.state.as_str(), delivery.tries, delivery.in_future), ("delivered", 1, None));
    assert_eq!((delivery.outcomes(), &delivery.attempts[0]["status"]), (vec!["delivered"], &json!(200)));
}

#[tokio::test]
async fn while_a_secret_is_replaced_a_request_has_both_signatures() {
    let (endpoint, server) = (Endpoint::new().await, receiver(204).await);
    let webhook = endpoint.webhook(&server.uri()).await;
    let old = WebhookSecret::draw();
    sqlx::query(
        "update webhooks set previous_secret = $2, previous_until = now() + interval '1 hour' where webhook_id = $1",
    )
    .bind(webhook.id)
    .bind(old.seal(&webhook_keys(), webhook.id).unwrap())
    .execute(&mut endpoint.truth().await)
    .await
    .unwrap();
    let event = endpoint.event(json!({})).await;
    assert_eq!(endpoint.push_event(&event).await, 204);
    let [request] = &requests(&server).await[..] else { panic!("one request") };
    let at = request.headers["webhook-timestamp"].to_str().unwrap().parse().unwrap();
    let sign = |secret: &WebhookSecret| secret.sign(&event.id.to_string(), at, &request.body);
    assert_eq!(request.headers["webhook-signature"], format!("{} {}", sign(&webhook.secret), sign(&old)));
}

#[tokio::test]
async fn a_receiver_that_fails_is_tried_again_later_and_the_push_is_acknowledged() {
    let (endpoint, server) = (Endpoint::new().await, receiver(500).await);
    answering(&server, ResponseTemplate::new(500).set_body_string("down\nfor repairs")).await;
    let webhook = endpoint.webhook(&server.uri()).await;
    assert_eq!(endpoint.push_event(&endpoint.event(json!({})).await).await, 204);
    let delivery = endpoint.delivery(&webhook).await;
    assert_eq!((delivery.state.as_str(), delivery.tries, delivery.in_future), ("waiting", 1, Some(true)));
    let attempt = &delivery.attempts[0];
    assert_eq!((&attempt["outcome"], &attempt["status"]), (&json!("refused"), &json!(500)));
    assert_eq!(attempt["answer"], "down for repairs");
    assert!(endpoint.is_marked(&webhook, "failing_since").await);

    // Before its time nothing is sent.
    endpoint.tick().await;
    assert_eq!(requests(&server).await.len(), 1);
    answering(&server, ResponseTemplate::new(200)).await;
    endpoint.make_due().await;
    endpoint.tick().await;
    let delivery = endpoint.delivery(&webhook).await;
    assert_eq!((delivery.state.as_str(), delivery.tries), ("delivered", 2));
    assert_eq!(delivery.outcomes(), ["refused", "delivered"]);
    assert!(!endpoint.is_marked(&webhook, "failing_since").await);
}

#[tokio::test]
async fn a_receiver_that_is_not_there_is_tried_until_the_tries_are_used_up() {
    let endpoint = Endpoint::new().await;
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let webhook = endpoint.webhook(&format!("http://127.0.0.1:{port}/")).await;
    assert_eq!(endpoint.push_event(&endpoint.event(json!({})).await).await, 204);
    for tries in 1..MAX_TRIES {
        let delivery = endpoint.delivery(&webhook).await;
        assert_eq!((delivery.state.as_str(), delivery.tries), ("waiting", tries as i32));
        endpoint.make_due().await;
        endpoint.tick().await;
    }
    let delivery = endpoint.delivery(&webhook).await;
    assert_eq!((delivery.state.as_str(), delivery.in_future), ("failed", None));
    assert!(delivery.outcomes().iter().all(|outcome| *outcome == "unreachable"), "{delivery:?}");
}

#[tokio::test]
async fn a_receiver_that_is_gone_is_sent_nothing_more() {
    let (endpoint, server) = (Endpoint::new().await, receiver(410).await);
    let webhook = endpoint.webhook(&server.uri()).await;
    assert_eq!(endpoint.push_event(&endpoint.event(json!({})).await).await, 204);
    let delivery = endpoint.delivery(&webhook).await;
    assert_eq!((delivery.state.as_str(), delivery.outcomes()), ("failed", vec!["gone"]));
    assert!(endpoint.is_marked(&webhook, "disabled_at").await);
    assert_eq!(endpoint.events("webhook.disabled").await, 1);
    assert_eq!(endpoint.push_event(&endpoint.event(json!({})).await).await, 204);
    assert_eq!((requests(&server).await.len(), endpoint.deliveries(&webhook).await.len()), (1, 1));
}

#[tokio::test]
async fn a_webhook_that_fails_for_five_days_is_paused_and_an_event_says_so() {
    let (endpoint, server) = (Endpoint::new().await, receiver(503).await);
    let webhook = endpoint.webhook(&server.uri()).await;
    assert_eq!(endpoint.push_event(&endpoint.event(json!({})).await).await, 204);
    assert!(!endpoint.is_marked(&webhook, "paused_at").await);
    let days = "update webhooks set failing_since = failing_since - interval '5 days'";
    endpoint.truth().await.execute(days).await.unwrap();
    endpoint.make_due().await;
    endpoint.tick().await;
    assert!(endpoint.is_marked(&webhook, "paused_at").await);
    assert_eq!(endpoint.events("webhook.paused").await, 1);
    // What waits for it is not tried any more.
    endpoint.make_due().await;
    endpoint.tick().await;
    assert_eq!(endpoint.delivery(&webhook).await.state, "skipped");
    assert_eq!(requests(&server).await.len(), 2);
}

#[tokio::test]
async fn a_secret_that_was_sealed_with_another_key_is_said_and_nothing_is_sent() {
    let (endpoint, server) = (Endpoint::with_keys(KeyRing::single(vec![8; 32])).await, receiver(200).await);
    let webhook = endpoint.webhook(&server.uri()).await;
    assert_eq!(endpoint.push_event(&endpoint.event(json!({})).await).await, 204);
    let delivery = endpoint.delivery(&webhook).await;
    assert_eq!((delivery.state.as_str(), delivery.outcomes()), ("waiting", vec!["secret_unreadable"]));
    assert!(!endpoint.is_marked(&webhook, "failing_since").await, "the receiver has failed in nothing");
    assert_eq!(requests(&server).await.len(), 0);
}

#[tokio::test]
async fn an_address_that_is_not_allowed_any_more_is_sent_nothing() {
    let (mut endpoint, server) = (Endpoint::new().await, receiver(200).await);
    endpoint.app = endpoint.service(webhook_keys(), EndpointRules::Public, PATIENCE);
    let webhook = endpoint.webhook(&server.uri()).await;
    assert_eq!(endpoint.push_event(&endpoint.event(json!({})).await).await, 204);
    let delivery = endpoint.delivery(&webhook).await;
    assert_eq!((delivery.state.as_str(), delivery.outcomes()), ("waiting", vec!["not_allowed"]));
    assert_eq!(requests(&server).await.len(), 0);
}

#[tokio::test]
async fn a_tick_sends_everything_that_is_due() {
    let (endpoint, server) = (Endpoint::new().await, receiver(200).await);
    let webhook = endpoint.webhook(&server.uri()).await;
    for number in 0..30 {
        let event = endpoint.event(json!({ "number": number })).await;
        assert_eq!(endpoint.records.enqueue_deliveries(&event).await.unwrap(), Some(1));
    }
    endpoint.tick().await;
    let all = endpoint.deliveries(&webhook).await;
    assert!(all.len() == 30 && all.iter().all(|delivery| delivery.state == "delivered"), "{all:?}");
    assert_eq!(requests(&server).await.len(), 30);
}

#[tokio::test]
async fn a_thousand_deliveries_to_a_slow_receiver_do_not_keep_another_webhook_waiting() {
    let (mut endpoint, slow, quick) = (Endpoint::new().await, receiver(200).await, receiver(200).await);
    // No request to the slow one ends within this test.
    endpoint.app = endpoint.service(webhook_keys(), EndpointRules::LoopbackToo, Duration::from_secs(600));
    answering(&slow, ResponseTemplate::new(200).set_delay(Duration::from_secs(600))).await;
    let crowded = endpoint.webhook(&slow.uri()).await;
    let event = endpoint.event(json!({})).await;
    let other = endpoint.webhook(&quick.uri()).await;
    // Due for longer than the other one's.
    let thousand = "insert into webhook_deliveries (tenant_id, webhook_id, event_id, at, kind, state, next_at)
         select $1, $2, gen_random_uuid(), $3, 'license.changed', 'waiting', now() - interval '1 hour'
         from generate_series(1, 1000)";
    // Their payload is that of an event of their own each.
    let events = "insert into outbox (tenant_id, id, kind, payload, created_at)
         select tenant_id, event_id, kind, '{}', at from webhook_deliveries where webhook_id = $1";
    let mut truth = endpoint.truth().await;
    let inserted = sqlx::query(thousand).bind(endpoint.tenant().0).bind(crowded.id).bind(event.created_at);
    inserted.execute(&mut truth).await.unwrap();
    sqlx::query(events).bind(crowded.id).execute(&mut truth).await.unwrap();
    assert_eq!(endpoint.records.enqueue_deliveries(&event).await.unwrap(), Some(2));

    let delivered = async {
        had(&quick, 1).await;
        while endpoint.delivery(&other).await.state != "delivered" {
            tokio::task::yield_now().await;
        }
        // The slow one was asked, and no more often at once than a turn allows.
        had(&slow, 1).await;
        requests(&slow).await.len()
    };
    let asked = tokio::select! {
        () = endpoint.tick() => panic!("the tick waits for the slow receiver"),
        asked = delivered => asked,
    };
    assert!(asked <= 8, "{asked} requests were under way to the slow receiver");
}
