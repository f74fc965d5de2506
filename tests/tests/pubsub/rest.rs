//! Publishing by REST, as a reaper beside `license-local` does, and the endpoint of the bus that takes it.

use crate::{DATA_OF_7, share};
use axum::Router;
use license_core::domain::secret::Secret;
use license_local::bus::{PROJECT, router};
use license_pubsub::{
    Message, PublishError, Publisher, Topic, TopicNames,
    bus::{LocalBus, Subscription},
    push::{Envelope, PushDelivery},
    rest::{RestPublisher, RestSettings},
};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use tokio::net::TcpListener;
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{body_json, header, method, path},
};

const TOKEN: &str = "the-token-of-the-bus";

fn publisher(url: String) -> RestPublisher {
    crate::install_crypto();
    let (project, topics, token) = (PROJECT.into(), TopicNames::default(), Secret::new(TOKEN.into()));
    RestPublisher::new(RestSettings { url, project, topics, token, deadline: Duration::from_secs(10) }).unwrap()
}

fn reap(n: u128) -> Message {
    Message { attributes: [("who".into(), "test".into())].into(), ..Message::reap(&share(n)) }
}

async fn served(app: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(axum::serve(listener, app).into_future());
    format!("http://{address}")
}

/// A bus that pushes reap messages to the receiver, and its door.
async fn bus(receiver: &MockServer) -> (LocalBus, String) {
    crate::install_crypto();
    Mock::given(method("POST")).respond_with(ResponseTemplate::new(204)).mount(receiver).await;
    let subscription = Subscription { topic: Topic::Reap, push_url: receiver.uri() };
    let bus = LocalBus::new(vec![subscription], Arc::new(|| "push".to_owned())).unwrap();
    let door = served(router(bus.clone(), Secret::new(TOKEN.into()))).await;
    (bus, door)
}

async fn received(server: &MockServer) -> Vec<PushDelivery> {
    let requests = server.received_requests().await.unwrap();
    requests.iter().map(|request| Envelope::parse(&request.body).unwrap()).collect()
}

#[tokio::test]
async fn what_another_process_publishes_is_pushed_like_what_this_one_does() {
    let receiver = MockServer::start().await;
    let (bus, door) = bus(&receiver).await;
    publisher(door).publish(Topic::Reap, vec![reap(7)]).await.unwrap();
    bus.idle().await;
    let pushes = received(&receiver).await;
    assert_eq!(pushes.len(), 1);
    assert_eq!(pushes[0].share().unwrap(), share(7));
    assert_eq!(pushes[0].attributes["who"], "test");
}

#[tokio::test]
async fn the_call_is_cloud_pubsubs_and_needs_an_id_for_every_message() {
    let server = MockServer::start().await;
    // {"pools":[["00000000-0000-0000-0000-000000000007","00000000-0000-0000-0000-000000000007"]]}
    let data = DATA_OF_7;
    let asked = json!({ "messages": [{ "data": data, "attributes": { "who": "test" } }] });
    let call = || {
        Mock::given(method("POST"))
            .and(path("/v1/projects/local/topics/reap:publish"))
            .and(header("authorization", format!("Bearer {TOKEN}")))
            .and(body_json(&asked))
    };
    let publish = async || publisher(server.uri()).publish(Topic::Reap, vec![reap(7)]).await;
    let answers = [json!({ "messageIds": [] }), json!({}), json!("?")];
    for answer in answers {
        let _one =
            call().respond_with(ResponseTemplate::new(200).set_body_json(&answer)).mount_as_scoped(&server).await;
        let refused = publish().await;
        assert!(
            matches!(refused, Err(PublishError::Unacknowledged { missing: 1, of: 1, .. })),
            "{answer}: {refused:?}"
        );
    }
    let _one = call()
        .respond_with(ResponseTemplate::new(200).set_body_json(json!({ "messageIds": ["1"] })))
        .mount_as_scoped(&server)
        .await;
    publish().await.unwrap();
}

#[tokio::test]
async fn many_messages_go_in_several_requests_and_a_bus_that_stops_or_is_away_has_taken_none() {
    let receiver = MockServer::start().await;
    let (bus, door) = bus(&receiver).await;
    let too_many = (0..11).flat_map(|_| (0..1_000).map(|n| reap(n % 64))).collect::<Vec<_>>();
    publisher(door.clone()).publish(Topic::Events, too_many).await.expect("taken in several requests");
    bus.shutdown().await;
    let refused = publisher(door).publish(Topic::Reap, vec![reap(1), reap(2)]).await.unwrap_err();
    assert!(
        matches!(&refused, PublishError::Unacknowledged { missing: 2, of: 2, reason, .. }
        if reason.to_string().contains("503") && reason.to_string().contains("shutting down")),
        "{refused}"
    );
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert!(publisher(format!("http://{nobody}")).publish(Topic::Reap, vec![reap(1)]).await.is_err());
    publisher(format!("http://{nobody}")).publish(Topic::Reap, vec![]).await.unwrap();
}

#[tokio::test]
async fn nobody_publishes_without_the_token_and_a_strange_call_delivers_nothing() {
    let receiver = MockServer::start().await;
    let (bus, door) = bus(&receiver).await;
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
    let good = json!({ "messages": [{ "data": "e30=" }] }).to_string();
    let topics = format!("/v1/projects/{PROJECT}/topics");
    let bearer = format!("Bearer {TOKEN}");
    let cases = [
        (format!("{topics}/reap:publish"), None, good.clone(), 401),
        (format!("{topics}/reap:publish"), Some("Bearer another-token-of-bus".into()), good.clone(), 401),
        (format!("{topics}/reap:publish"), Some(bearer[..bearer.len() - 1].into()), good.clone(), 401),
        (format!("{topics}/reap:publish"), Some(bearer.replace("Bearer", "Basic")), good.clone(), 401),
        (format!("{topics}/other:publish"), Some(bearer.clone()), good.clone(), 404),
        (format!("{topics}/reap"), Some(bearer.clone()), good.clone(), 404),
        ("/v1/projects/another/topics/reap:publish".into(), Some(bearer.clone()), good.clone(), 404),
        (format!("{topics}/reap:publish"), Some(bearer.clone()), "not json".into(), 400),
        (format!("{topics}/reap:publish"), Some(bearer.clone()), r#"{"messages":[{"data":"?"}]}"#.into(), 400),
    ];
    for (path, authorization, body, status) in cases {
        let request = client.post(format!("{door}{path}")).body(body.clone());
        let request = authorization.iter().fold(request, |request, value| request.header("authorization", value));
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{path} {authorization:?} {body}");
        if !path.contains("another") {
            let said: Value = answer.json().await.unwrap();
            assert_eq!(said["error"]["code"], status);
        }
    }
    bus.idle().await;
    assert_eq!(received(&receiver).await, []);
}
