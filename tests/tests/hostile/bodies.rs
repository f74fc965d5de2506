//! Request bodies, through the layers and handlers that clients meet. The stores are stopped: a correct request is
//! answered with 503, and everything else is refused before a store is asked.

use crate::{
    CASES,
    change::{changed, like, noise},
    json,
    memory::counted,
    property::hold,
};
use axum::{Router, body::Body};
use http::Request;
use http_body_util::BodyExt;
use license_core::{
    Clock,
    domain::{
        handle::SessionHandle,
        id::{Hw, LicenseNumber, PoolId, PoolName, SessionId, TenantId},
        key::LicenseKey,
        lease::LeaseTiming,
        secret::KeyRing,
    },
    protocol::{ProtocolSettings, SeatProtocol},
    records::{DatabaseRole, Records, RecordsAddress},
    seat_store::{ReplicationId, SeatStore},
    signer::{self, LeaseSigner},
};
use license_functions::{
    acquire,
    edge::{
        config::{LayersConfig, LogConfig},
        extract::MAX_BODY,
        layers::LayerSettings,
        rate::{ByAddress, NamedLimit},
        serve::layers,
    },
    heartbeat, release,
};
use proptest::{prelude::*, prop_assert};
use serde_json::{Value, json};
use std::sync::{Arc, LazyLock};
use tower::ServiceExt;
use uuid::Uuid;

/// Nobody listens there.
const NOBODY: &str = "127.0.0.1:1";

static HANDLE: LazyLock<String> = LazyLock::new(|| {
    let handle = SessionHandle {
        tenant: TenantId(Uuid::from_u128(1)),
        license: LicenseNumber(2),
        pool: PoolName::default_pool(),
        pool_id: PoolId(Uuid::from_u128(3)),
        seat: 4,
        session: SessionId(Uuid::from_u128(5)),
        hw: Hw([6; 32]),
    };
    handle.mint(&KeyRing::single(vec![1; 32]))
});

fn app() -> Router {
    let (clock, timing) = (Clock::fake(), LeaseTiming::default());
    let seats = SeatStore::new(&format!("redis://{NOBODY}"), ReplicationId::Script, timing, clock.clone()).unwrap();
    let address = RecordsAddress::new(&format!("postgres://nobody@{NOBODY}/nothing"), None, None).unwrap();
    let records = Records::new(address, DatabaseRole::Service, 1);
    let root = Arc::new(crate::keys::root().clone());
    let signer = LeaseSigner::new(root, signer::SignerSettings::new(crate::keys::ISSUER), clock.clone());
    let settings = ProtocolSettings {
        timing,
        clock,
        handles: KeyRing::single(vec![1; 32]),
        peppers: Some(KeyRing::single(vec![2; 32])),
    };
    let protocol = SeatProtocol::new(seats, records, signer, settings);
    let router = acquire::router(acquire::AcquireService {
        protocol: protocol.clone(),
        unknown_key_limit: ByAddress::new(NamedLimit::off(), 0),
    })
    .merge(heartbeat::router(heartbeat::HeartbeatService { protocol: protocol.clone() }))
    .merge(release::router((&protocol).into()));
    let logging = LogConfig { filter: "info".into(), text: false, project: None };
    layers(router, &LayerSettings::new(&LayersConfig::default(), &logging))
}

/// A path under `/api/v1/licenses/`, the credential, the body.
type Sent = (&'static str, String, Vec<u8>);

fn requests() -> impl Strategy<Value = Sent> {
    static KEY: LazyLock<String> = LazyLock::new(|| LicenseKey::draw(LicenseNumber(2)).reveal());
    static GOOD: LazyLock<Vec<String>> = LazyLock::new(|| {
        let who = json!({ "license_key": *KEY, "hardware_id": "hardware-1", "attempt": Uuid::nil() });
        vec![who.to_string(), json!({ "nonce": "0123456789abcdef" }).to_string(), "{}".into()]
    });
    let client =
        json::object(vec![("hostname", json::texts()), ("version", json::texts()), ("deployment", json::text("ci"))]);
    let acquire = json::object(vec![
        ("license_key", json::text(KEY.as_str())),
        ("hardware_id", json::text("hardware-1")),
        ("attempt", json::text(Uuid::nil().to_string())),
        ("instance_id", json::text("instance-1")),
        ("pool", json::text("default")),
        ("nonce", json::text("0123456789abcdef")),
        ("client", client),
    ]);
    let validate = json::object(vec![("license_key", json::text(KEY.as_str())), ("pool", json::text("default"))]);
    let beat = json::object(vec![("nonce", json::text("0123456789abcdef")), ("certificate_kid", json::texts())]);
    let to = |path: &'static str, body: json::Raw| (Just(path), body.prop_map(String::into_bytes));
    let any_path = proptest::sample::select(&["acquire", "validate", "heartbeat", "release"][..]);
    let bodies = prop_oneof![
        4 => to("acquire", acquire),
        1 => to("validate", validate),
        2 => to("heartbeat", beat),
        2 => (any_path.clone(), changed(&GOOD, 3)),
        1 => (any_path, noise(MAX_BODY)),
    ];
    let good = Just(HANDLE.clone());
    let credential = prop_oneof![4 => good, 1 => like("[A-Za-z0-9._~+/=-]{0,300}"), 1 => like("[ -~]{0,40}")];
    (bodies, credential).prop_map(|((path, body), credential)| (path, credential, body))
}

async fn answer(app: &Router, (path, credential, body): Sent) -> (u16, Value) {
    let request = Request::post(format!("/api/v1/licenses/{path}"))
        .header("content-type", "application/json")
        .header("authorization", format!("Bearer {credential}"));
    let (parts, body) = app.clone().oneshot(request.body(Body::from(body)).unwrap()).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (parts.status.as_u16(), serde_json::from_slice(&body).unwrap_or_default())
}

#[test]
fn no_body_brings_a_handler_down() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let app = runtime.block_on(async { app() });
    // The first good request has the instance's key certified, and that takes what it takes.
    runtime.block_on(answer(&app, ("heartbeat", HANDLE.clone(), Vec::new())));
    let tally = hold(CASES, requests(), |sent| {
        let long = sent.2.len() > MAX_BODY;
        let ((status, problem), held) = counted(|| runtime.block_on(answer(&app, sent)));
        prop_assert!(problem["code"].is_string() && problem["detail"].is_string(), "{} {}", status, problem);
        prop_assert!(held <= if long { MAX_BODY as u64 } else { 64 * MAX_BODY as u64 }, "held {} bytes", held);
        prop_assert!(!long || matches!(status, 413 | 401), "{} for a long body", status);
        match status {
            400 => Ok("not JSON"),
            401 => Ok("credential"),
            413 => Ok("too large"),
            422 => Ok("fields"),
            503 => Ok("asked a store"),
            _ => Err(TestCaseError::fail(format!("{status} {problem}"))),
        }
    });
    for outcome in ["not JSON", "credential", "too large", "fields", "asked a store"] {
        assert!(tally.of(outcome) > CASES / 1000, "{outcome} is tried: {tally:?}");
    }
}
