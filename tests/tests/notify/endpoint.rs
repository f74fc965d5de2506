//! notify over real stores, with receivers on this machine and an issuer of pushes of its own.

use crate::keys::{self, b64};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use axum::{Router, body::Body};
use http::Request;
use license_core::{
    domain::{
        event::Event,
        id::{TenantId, draw_uuid},
        secret::KeyRing,
        webhook::{EndpointRules, WebhookSecret},
    },
    identity::{IdentitySettings, IdentityVerifier},
    records::{DatabaseRole, Records},
    webhooks::{SenderSettings, WebhookSender},
};
use license_functions::{
    edge::{
        config::{LayersConfig, LogConfig},
        layers::LayerSettings,
        serve::layers,
    },
    notify::{self, Deliverer, NotifyService},
};
use license_pubsub::{
    Message, Topic,
    push::{Envelope, PushCheck, PushDelivery},
};
use license_tests::World;
use serde_json::{Value, json};
use sqlx::{Executor, PgConnection};
use std::{
    sync::OnceLock,
    time::{Duration, Instant},
};
use tower::ServiceExt;
use uuid::Uuid;
use wiremock::{Mock, MockServer, Request as Received, ResponseTemplate, matchers::method};

pub(crate) const AUDIENCE: &str = "https://notify.example";
pub(crate) const EMAIL: &str = "pusher@project.iam.gserviceaccount.com";
/// How long a test waits for what must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn key() -> &'static KeyPair {
    static KEY: OnceLock<KeyPair> = OnceLock::new();
    KEY.get_or_init(|| KeyPair::generate(KeySize::Rsa2048).unwrap())
}

pub(crate) fn webhook_keys() -> KeyRing {
    KeyRing::single(vec![7; 32])
}

/// A receiver that answers every request with this status.
pub(crate) async fn receiver(status: u16) -> MockServer {
    let server = MockServer::start().await;
    answering(&server, ResponseTemplate::new(status)).await;
    server
}

/// From now on the receiver answers with this.
pub(crate) async fn answering(server: &MockServer, answer: ResponseTemplate) {
    server.reset().await;
    Mock::given(method("POST")).respond_with(answer).mount(server).await;
}

/// A webhook of the world's organization.
pub(crate) struct Webhook {
    pub(crate) id: Uuid,
    pub(crate) secret: WebhookSecret,
}

/// A row of the deliveries.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) state: String,
    pub(crate) tries: i32,
    pub(crate) in_future: Option<bool>,
    pub(crate) attempts: Value,
}

impl Delivery {
    pub(crate) fn outcomes(&self) -> Vec<&str> {
        self.attempts.as_array().unwrap().iter().map(|attempt| attempt["outcome"].as_str().unwrap()).collect()
    }
}

pub(crate) struct Endpoint {
    pub(crate) world: World,
    pub(crate) records: Records,
    pub(crate) app: Router,
    issuer: MockServer,
}

impl Endpoint {
    pub(crate) async fn new() -> Self {
        Self::with_keys(webhook_keys()).await
    }

    /// Whose service has these keys.
    pub(crate) async fn with_keys(keys_of_webhooks: KeyRing) -> Self {
        keys::install_crypto();
        let (world, issuer) = (World::with_seats(2).await, MockServer::start().await);
        let published = ResponseTemplate::new(200).set_body_json(json!({ "keys": [keys::jwk(key(), "k")] }));
        Mock::given(wiremock::matchers::path("/certs")).respond_with(published).mount(&issuer).await;
        let records = Records::with(world.database.clone(), DatabaseRole::Notify, 4);
        let mut endpoint = Self { world, records, app: Router::new(), issuer };
        endpoint.app = endpoint.service(keys_of_webhooks, EndpointRules::LoopbackToo, PATIENCE);
        endpoint
    }

    /// The service over the same stores.
    pub(crate) fn service(&self, keys_of_webhooks: KeyRing, rules: EndpointRules, limit: Duration) -> Router {
        let jwks_url = format!("{}/certs", self.issuer.uri());
        let trust = IdentitySettings { jwks_url, ..IdentitySettings::google(AUDIENCE) };
        let clock = self.world.clock.clone();
        let push = PushCheck { verifier: IdentityVerifier::new(trust, clock.clone()), email: EMAIL.into() };
        let settings = SenderSettings { limit, ..SenderSettings::new(rules) };
        let sender = WebhookSender::new(settings).unwrap();
        let deliverer = Deliverer::new(self.records.clone(), Some(sender), keys_of_webhooks, rules, clock);
        let logging = LogConfig { filter: "info".into(), text: false, project: None };
        let settings = LayerSettings::new(&LayersConfig::default(), &logging);
        layers(notify::router(NotifyService::new(deliverer, push)), &settings)
    }

    pub(crate) fn tenant(&self) -> TenantId {
        self.world.license.tenant
    }

    pub(crate) fn token(&self, email: &str) -> String {
        let now = self.world.clock.now_seconds();
        let claims = json!({
            "iss": "https://accounts.google.com", "aud": AUDIENCE, "sub": "1", "azp": "1",
            "email": email, "email_verified": true, "iat": now, "exp": now + 3600,
        });
        let header = json!({ "alg": "RS256", "typ": "JWT", "kid": "k" });
        let input = format!("{}.{}", b64(header.to_string()), b64(claims.to_string()));
        format!("Bearer {input}.{}", b64(keys::rs256(key(), input.as_bytes())))
    }

    pub(crate) async fn send(&self, path: &str, authorization: Option<String>, body: Vec<u8>) -> u16 {
        let request = Request::post(path).header("content-type", "application/json");
        let request = authorization.into_iter().fold(request, |request, value| request.header("authorization", value));
        self.app.clone().oneshot(request.body(Body::from(body)).unwrap()).await.unwrap().status().as_u16()
    }

    pub(crate) async fn push(&self, path: &str, message: Message) -> u16 {
        let body = Envelope::write(&PushDelivery::new(Topic::Events, message, &self.world.clock));
        self.send(path, Some(self.token(EMAIL)), body).await
    }

    /// The request that pushes this to `/due`.
    pub(crate) fn body_of(&self, message: Message) -> Request<Body> {
        let body = Envelope::write(&PushDelivery::new(Topic::Events, message, &self.world.clock));
        let request = Request::post("/due").header("content-type", "application/json");
        request.header("authorization", self.token(EMAIL)).body(Body::from(body)).unwrap()
    }

    pub(crate) async fn tick(&self) {
        assert_eq!(self.push("/due", Message::tick()).await, 204);
    }

    pub(crate) async fn truth(&self) -> PgConnection {
        self.world.truth().await
    }

    /// A webhook of this address that wants every kind.
    pub(crate) async fn webhook(&self, url: &str) -> Webhook {
        let (id, secret) = (draw_uuid(), WebhookSecret::draw());
        let sealed = secret.seal(&webhook_keys(), id).unwrap();
        sqlx::query(
            "insert into webhooks (tenant_id, webhook_id, url, secret, created_by) values ($1, $2, $3, $4, 'a test')",
        )
        .bind(self.tenant().0)
        .bind(id)
        .bind(url)
        .bind(sealed)
        .execute(&mut self.truth().await)
        .await
        .unwrap();
        Webhook { id, secret }
    }

    /// Something happens: an event of the organization, as the outbox has it.
    pub(crate) async fn event(&self, payload: Value) -> Event {
        let row: (Uuid, time::OffsetDateTime) = sqlx::query_as(
            "insert into outbox (tenant_id, kind, payload) values ($1, 'license.changed', $2) returning id, created_at",
        )
        .bind(self.tenant().0)
        .bind(&payload)
        .fetch_one(&mut self.truth().await)
        .await
        .unwrap();
        Event { id: row.0, tenant: self.tenant(), kind: "license.changed".into(), created_at: row.1, payload }
    }

    /// An event of the organization is pushed.
    pub(crate) async fn push_event(&self, event: &Event) -> u16 {
        self.push("/events", Message::event(event).unwrap()).await
    }

    /// The deliveries of a webhook, in the order of their events.
    pub(crate) async fn deliveries(&self, webhook: &Webhook) -> Vec<Delivery> {
        let rows = sqlx::query_as::<_, (String, i32, Option<bool>, Value)>(
            "select state, tries, next_at > now(), attempts from webhook_deliveries
             where webhook_id = $1 order by event_id",
        );
        let rows = rows.bind(webhook.id).fetch_all(&mut self.truth().await).await.unwrap();
        let delivery = |(state, tries, in_future, attempts)| Delivery { state, tries, in_future, attempts };
        rows.into_iter().map(delivery).collect()
    }

    pub(crate) async fn delivery(&self, webhook: &Webhook) -> Delivery {
        let mut all = self.deliveries(webhook).await;
        assert_eq!(all.len(), 1, "{all:?}");
        all.remove(0)
    }

    /// As if the time of whatever waits had come.
    pub(crate) async fn make_due(&self) {
        let due = "update webhook_deliveries set next_at = now() where state = 'waiting'";
        self.truth().await.execute(due).await.unwrap();
    }

    /// How many events of this kind there are.
    pub(crate) async fn events(&self, kind: &str) -> i64 {
        let count = sqlx::query_scalar("select count(*) from outbox where kind = $1");
        count.bind(kind).fetch_one(&mut self.truth().await).await.unwrap()
    }

    /// Whether a webhook has one of its marks.
    pub(crate) async fn is_marked(&self, webhook: &Webhook, mark: &str) -> bool {
        let sql = format!("select {mark} is not null from webhooks where webhook_id = $1");
        let marked = sqlx::query_scalar(sqlx::AssertSqlSafe(sql));
        marked.bind(webhook.id).fetch_one(&mut self.truth().await).await.unwrap()
    }
}

pub(crate) async fn requests(server: &MockServer) -> Vec<Received> {
    server.received_requests().await.unwrap()
}

/// Waits until a receiver has had so many requests.
pub(crate) async fn had(server: &MockServer, count: usize) {
    let began = Instant::now();
    while requests(server).await.len() < count {
        assert!(began.elapsed() < PATIENCE, "{} of {count} requests came", requests(server).await.len());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
