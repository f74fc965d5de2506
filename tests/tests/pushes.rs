//! The endpoints of the reaper: which pushes are accepted, what a push does, and that any other request changes
//! nothing.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure is a panic with its place")]

mod keys;

use aws_lc_rs::rsa::{KeyPair, KeySize};
use axum::{Router, body::Body};
use http::Request;
use keys::b64;
use license_core::{
    domain::event::{Event, SweepShare},
    identity::{IdentitySettings, IdentityVerifier},
};
use license_functions::{
    edge::{
        config::{LayersConfig, LogConfig},
        layers::LayerSettings,
        serve::layers,
    },
    reaper,
};
use license_pubsub::{
    Message, PublishError, PublishFuture, Publisher, Topic,
    push::{Envelope, PushCheck, PushDelivery},
};
use license_tests::World;
use serde_json::json;
use std::{
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tower::ServiceExt;
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::path};

const AUDIENCE: &str = "https://reaper.example";
const EMAIL: &str = "pusher@project.iam.gserviceaccount.com";

fn key() -> &'static KeyPair {
    static KEY: OnceLock<KeyPair> = OnceLock::new();
    KEY.get_or_init(|| KeyPair::generate(KeySize::Rsa2048).unwrap())
}

/// A publisher that keeps what was published, or refuses it as one that cannot be reached.
#[derive(Default)]
struct Kept {
    messages: Mutex<Vec<(Topic, Message)>>,
    away: AtomicBool,
}

impl Publisher for Kept {
    fn publish(&self, topic: Topic, messages: Vec<Message>) -> PublishFuture<'_, Result<(), PublishError>> {
        Box::pin(async move {
            if self.away.load(Ordering::SeqCst) {
                return Err(PublishError::Closed);
            }
            self.messages.lock().unwrap().extend(messages.into_iter().map(|message| (topic, message)));
            Ok(())
        })
    }
}

struct Endpoint {
    world: World,
    published: Arc<Kept>,
    app: Router,
    _issuer: MockServer,
}

impl Endpoint {
    async fn new() -> Self {
        keys::install_crypto();
        let (world, issuer) = (World::with_seats(2).await, MockServer::start().await);
        let keys = ResponseTemplate::new(200).set_body_json(json!({ "keys": [keys::jwk(key(), "k")] }));
        Mock::given(path("/certs")).respond_with(keys).mount(&issuer).await;
        let settings =
            IdentitySettings { jwks_url: format!("{}/certs", issuer.uri()), ..IdentitySettings::google(AUDIENCE) };
        let push = PushCheck { verifier: IdentityVerifier::new(settings, world.clock.clone()), email: EMAIL.into() };
        let published = Arc::new(Kept::default());
        let state = reaper::ReaperService { reaper: world.reaper.clone(), publisher: published.clone(), push };
        let logging = LogConfig { filter: "info".into(), text: false, project: None };
        let app = layers(reaper::router(state), &LayerSettings::new(&LayersConfig::default(), &logging));
        Self { world, published, app, _issuer: issuer }
    }

    fn token(&self, email: &str) -> String {
        let now = self.world.clock.now_seconds();
        let claims = json!({
            "iss": "https://accounts.google.com", "aud": AUDIENCE, "sub": "1", "azp": "1",
            "email": email, "email_verified": true, "iat": now, "exp": now + 3600,
        });
        let header = json!({ "alg": "RS256", "typ": "JWT", "kid": "k" });
        let input = format!("{}.{}", b64(header.to_string()), b64(claims.to_string()));
        format!("Bearer {input}.{}", b64(keys::rs256(key(), input.as_bytes())))
    }

    async fn send(&self, path: &str, authorization: Option<String>, body: Vec<u8>) -> u16 {
        let request = Request::post(path).header("content-type", "application/json");
        let request = authorization.into_iter().fold(request, |request, value| request.header("authorization", value));
        self.app.clone().oneshot(request.body(Body::from(body)).unwrap()).await.unwrap().status().as_u16()
    }

    async fn push(&self, path: &str, message: Message) -> u16 {
        let body = Envelope::write(&PushDelivery::new(Topic::Reap, message, &self.world.clock));
        self.send(path, Some(self.token(EMAIL)), body).await
    }

    async fn reap(&self) -> u16 {
        self.push("/reap", Message::reap(&self.world.share())).await
    }

    fn published(&self, topic: Topic) -> Vec<Message> {
        let messages = self.published.messages.lock().unwrap();
        messages.iter().filter(|(to, _)| *to == topic).map(|(_, message)| message.clone()).collect()
    }

    fn events(&self) -> Vec<Event> {
        self.published(Topic::Events).iter().map(|message| serde_json::from_slice(&message.data).unwrap()).collect()
    }
}

#[tokio::test]
async fn a_tick_asks_for_no_more_than_there_is_to_do() {
    let endpoint = Endpoint::new().await;
    let tick = async || {
        endpoint.published.messages.lock().unwrap().clear();
        assert_eq!(endpoint.push("/tick", Message::tick()).await, 204);
        let asked = endpoint.published(Topic::Reap);
        asked.iter().map(|message| serde_json::from_slice::<SweepShare>(&message.data).unwrap()).collect::<Vec<_>>()
    };
    sqlx::Executor::execute(&mut endpoint.world.truth().await, "update pools set changed_at = null").await.unwrap();
    // No seat is held, but the event that the organization was created waits to be published.
    assert_eq!(tick().await, [SweepShare::default()]);
    assert_eq!(endpoint.push("/reap", Message::reap(&SweepShare::default())).await, 204);
    assert!(endpoint.events().iter().any(|event| event.kind == "organization.created"));
    // No seat is held and no event waits.
    assert_eq!(tick().await, []);
    let seat = endpoint.world.machine("a").seated(&endpoint.world.protocol).await;
    assert_eq!(tick().await, [endpoint.world.share()]);
    license_tests::client::release(&endpoint.world.protocol, &seat).await;
    endpoint.world.pass(Duration::from_secs(60));
    // The most seats that were held in the last minute are told although no seat is held any more.
    assert_eq!(endpoint.reap().await, 204);
    let usage: Vec<Event> = endpoint.events().into_iter().filter(|event| event.kind == "usage").collect();
    assert_eq!(usage.iter().map(|event| &event.payload["peak"]).collect::<Vec<_>>(), [1]);
}

#[tokio::test]
async fn a_share_ends_what_lapsed_and_publishes_what_happened_each_event_once() {
    let endpoint = Endpoint::new().await;
    endpoint.world.machine("a").seated(&endpoint.world.protocol).await;
    endpoint.world.pass_ttl();
    assert_eq!(endpoint.reap().await, 204);
    assert_eq!(endpoint.world.held().await, []);
    let kinds: Vec<String> = endpoint.events().into_iter().map(|event| event.kind).collect();
    for kind in ["organization.created", "license.created", "seat.granted", "seat.freed"] {
        assert_eq!(kinds.iter().filter(|k| *k == kind).count(), 1, "{kind} in {kinds:?}");
    }
    assert_eq!(endpoint.world.count("select count(*) from outbox where published_at is null").await, 0);
}

#[tokio::test]
async fn duplicate_late_and_shuffled_pushes_change_nothing_more() {
    let endpoint = Endpoint::new().await;
    let a = endpoint.world.machine("a");
    a.seated(&endpoint.world.protocol).await;
    endpoint.world.pass_ttl();
    let late =
        Envelope::write(&PushDelivery::new(Topic::Reap, Message::reap(&endpoint.world.share()), &endpoint.world.clock));
    assert_eq!(endpoint.reap().await, 204);
    // Each sweep publishes how a pool was used. A minute is in one event only, which may come more than once.
    let happened = |kind: &String| kind != "usage";
    let kinds = || endpoint.events().into_iter().map(|event| event.kind).filter(happened).collect::<Vec<_>>();
    let once = kinds();
    for _ in 0..10 {
        assert_eq!(endpoint.push("/tick", Message::tick()).await, 204);
        assert_eq!(endpoint.send("/reap", Some(endpoint.token(EMAIL)), late.clone()).await, 204);
    }
    assert_eq!(kinds(), once, "no event was written twice");
    let seat = a.restarted().seated(&endpoint.world.protocol).await;
    assert_eq!(endpoint.send("/reap", Some(endpoint.token(EMAIL)), late).await, 204);
    license_tests::client::alive(&endpoint.world.protocol, &seat).await;
}

#[tokio::test]
async fn nobody_but_our_subscriptions_may_push() {
    let endpoint = Endpoint::new().await;
    endpoint.world.machine("a").seated(&endpoint.world.protocol).await;
    endpoint.world.pass_ttl();
    let body =
        Envelope::write(&PushDelivery::new(Topic::Reap, Message::reap(&endpoint.world.share()), &endpoint.world.clock));
    let own = endpoint.token(EMAIL);
    // As Cloud Run hands on a token that it has checked itself. Nobody signed it, so anybody may have written it.
    let unsigned = format!("{}.SIGNATURE_REMOVED_BY_GOOGLE", own.rsplit_once('.').unwrap().0);
    let somebody = endpoint.token("somebody@example.com");
    for authorization in [None, Some("Bearer x".into()), Some(somebody), Some(unsigned)] {
        for path in ["/reap", "/tick"] {
            assert_eq!(endpoint.send(path, authorization.clone(), body.clone()).await, 401);
        }
    }
    assert_eq!(endpoint.world.held().await.len(), 1);
    assert!(endpoint.published(Topic::Reap).is_empty());
    assert_eq!(endpoint.send("/tick", Some(own), body).await, 204, "with its signature the same token is believed");
}

#[tokio::test]
async fn a_poison_message_is_acknowledged_and_changes_nothing() {
    let endpoint = Endpoint::new().await;
    endpoint.world.machine("a").seated(&endpoint.world.protocol).await;
    endpoint.world.pass_ttl();
    let envelope = |data: &str| {
        let message = Message { data: data.as_bytes().to_vec(), ..Message::default() };
        Envelope::write(&PushDelivery::new(Topic::Reap, message, &endpoint.world.clock))
    };
    for body in [b"not json".to_vec(), b"{}".to_vec(), envelope("{}"), envelope(r#"{"bucket":63}"#), envelope("?")] {
        assert_eq!(endpoint.send("/reap", Some(endpoint.token(EMAIL)), body).await, 204);
    }
    assert_eq!(endpoint.world.held().await.len(), 1);
}

#[tokio::test]
async fn with_the_publisher_away_a_push_is_not_acknowledged_and_events_wait() {
    let endpoint = Endpoint::new().await;
    endpoint.world.machine("a").seated(&endpoint.world.protocol).await;
    endpoint.published.away.store(true, Ordering::SeqCst);
    assert_eq!(endpoint.push("/tick", Message::tick()).await, 503);
    assert_eq!(endpoint.reap().await, 503);
    endpoint.published.away.store(false, Ordering::SeqCst);
    assert_eq!(endpoint.reap().await, 204);
    assert!(endpoint.events().iter().any(|event| event.kind == "seat.granted"));
}

#[tokio::test]
async fn with_redis_away_a_share_is_not_acknowledged() {
    let mut endpoint = Endpoint::new().await;
    endpoint.world.machine("a").seated(&endpoint.world.protocol).await;
    endpoint.world.redis.kill().await;
    assert!(endpoint.reap().await >= 500);
}

#[tokio::test]
async fn a_share_that_cannot_be_swept_keeps_no_event_from_being_published() {
    let endpoint = Endpoint::new().await;
    endpoint.world.machine("a").seated(&endpoint.world.protocol).await;
    let mut truth = endpoint.world.truth().await;
    // PostgreSQL answers, but not the question which pools there are.
    sqlx::Executor::execute(&mut truth, "revoke select on licenses from reaper").await.unwrap();
    assert_eq!(endpoint.reap().await, 503, "the push is not acknowledged, so it comes again");
    assert!(endpoint.events().iter().any(|event| event.kind == "seat.granted"));
    assert_eq!(endpoint.world.count("select count(*) from outbox where published_at is null").await, 0);
}
