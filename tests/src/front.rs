//! The services behind their layers, over a world's stores: a request takes the same way as one of a client, except for
//! the network.

use crate::World;
use axum::{Router, body::Body};
use http::{HeaderMap, Request};
use http_body_util::BodyExt;
use license_core::{domain::token::PublicKeySet, protocol::SeatProtocol};
use license_functions::{
    acquire,
    edge::{
        config::{LayersConfig, LogConfig},
        layers::LayerSettings,
        rate::{ByAddress, NamedLimit},
        serve::layers,
    },
    heartbeat, release,
};
use serde_json::{Value, json};
use tower::ServiceExt;
use uuid::Uuid;

pub const ACQUIRE: &str = "/api/v1/licenses/acquire";
pub const VALIDATE: &str = "/api/v1/licenses/validate";
pub const HEARTBEAT: &str = "/api/v1/licenses/heartbeat";
pub const RELEASE: &str = "/api/v1/licenses/release";

pub struct Front {
    pub world: World,
    pub app: Router,
}

pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Value,
}

impl Answer {
    #[track_caller]
    pub fn is(self, status: u16, code: &str) -> Self {
        assert_eq!((self.status, self.body["code"].as_str()), (status, Some(code)), "{}", self.body);
        assert_eq!(self.headers["content-type"], "application/problem+json");
        assert_eq!(self.body["request_id"], self.headers["x-request-id"].to_str().unwrap());
        self
    }

    #[track_caller]
    pub fn ok(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        self.body
    }
}

impl Front {
    pub async fn new() -> Self {
        Self::over(World::new().await)
    }

    pub fn over(world: World) -> Self {
        let protocol = world.protocol.clone();
        Self::with(world, protocol)
    }

    /// The same before another instance's protocol.
    pub fn with(world: World, protocol: SeatProtocol) -> Self {
        let router = acquire::router(acquire::AcquireService {
            protocol: protocol.clone(),
            unknown_key_limit: ByAddress::new(NamedLimit::off(), 0),
        })
        .merge(heartbeat::router(heartbeat::HeartbeatService { protocol: protocol.clone() }))
        .merge(release::router((&protocol).into()));
        let logging = LogConfig { filter: "info".into(), text: false, project: None };
        let app = layers(router, &LayerSettings::new(&LayersConfig::default(), &logging));
        Self { world, app }
    }

    pub async fn send(&self, request: Request<Body>) -> Answer {
        Self::send_to(self.app.clone(), request).await
    }

    /// The same to another router than its own.
    pub async fn send_to(app: Router, request: Request<Body>) -> Answer {
        let (parts, body) = app.oneshot(request).await.unwrap().into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let body = serde_json::from_slice(&bytes).unwrap();
        Answer { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        Self::post_to(self.app.clone(), path, body).await
    }

    /// The same from a task of its own.
    pub async fn post_to(app: Router, path: &str, body: &Value) -> Answer {
        let request = Request::post(path).header("content-type", "application/json");
        Self::send_to(app, request.body(body.to_string().into()).unwrap()).await
    }

    pub async fn post_as(&self, path: &str, bearer: &Value, body: &Value) -> Answer {
        let request = Request::post(path).header("authorization", format!("Bearer {}", bearer.as_str().unwrap()));
        self.send(request.body(body.to_string().into()).unwrap()).await
    }

    pub fn ask(&self, machine: &str) -> Value {
        json!({
            "license_key": self.world.license.key.reveal(),
            "hardware_id": format!("hardware-{machine}"),
            "attempt": Uuid::new_v4(),
            "client": { "product": "coditect", "version": "1.2.3", "platform": "linux-x86_64", "hostname": machine },
        })
    }

    pub async fn seated(&self, machine: &str) -> Value {
        self.post(ACQUIRE, &self.ask(machine)).await.ok(201)
    }

    pub async fn roots(&self) -> Vec<license_core::signer::RootKey> {
        let answer = self.send(Request::get("/.well-known/license-keys").body(Body::empty()).unwrap()).await;
        assert_eq!(answer.headers["cache-control"], "public, max-age=300");
        serde_json::from_value::<PublicKeySet>(answer.ok(200)).unwrap().keys
    }
}
