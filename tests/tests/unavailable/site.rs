//! A site of its own: stores that a test may kill, every service built from configuration as its binary builds it, and a clock.

use super::keys;
use aws_lc_rs::digest::{Digest, SHA256};
use axum::{Router, body::Body};
use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use http::{HeaderMap, Request, header};
use http_body_util::BodyExt;
use license_core::{
    Clock,
    domain::{lease::LeaseTiming, secret::KeyRing},
    records::{self, DatabaseRole, Records},
};
use license_functions::{
    edge::{
        config::{Environment, LayersConfig, LogConfig},
        layers::LayerSettings,
        serve::app,
    },
    services::ServiceInputs,
};
use license_local::stores::{PostgresServer, RedisServer, RedisSettings};
use license_tests::{
    stores,
    world::{self, License, Shape},
};
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use std::{
    collections::BTreeMap,
    net::TcpListener,
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tower::ServiceExt;
use uuid::Uuid;
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{method, path},
};

pub(crate) const ACQUIRE: &str = "/api/v1/licenses/acquire";
pub(crate) const VALIDATE: &str = "/api/v1/licenses/validate";
pub(crate) const HEARTBEAT: &str = "/api/v1/licenses/heartbeat";
pub(crate) const RELEASE: &str = "/api/v1/licenses/release";
pub(crate) const REGISTER: &str = "/api/v1/auth/register";
pub(crate) const KEYS: &str = "/.well-known/license-keys";
/// The services that answer here.
pub(crate) const CLIENT_SERVICES: [&str; 4] = ["acquire", "heartbeat", "release", "register"];

const PEOPLE: &str = "https://id.example.com";
const VERSION: &str = "projects/p/locations/l/keyRings/r/cryptoKeys/root/cryptoKeyVersions/1";

pub(crate) struct Site {
    pub(crate) redis: RedisServer,
    pub(crate) postgres: PostgresServer,
    pub(crate) clock: Clock,
    pub(crate) license: License,
    people: MockServer,
    dir: TempDir,
}

impl Site {
    /// A license of so many seats; time stands still.
    pub(crate) async fn new(seats: u32) -> Self {
        keys::install_crypto();
        let redis = RedisServer::temporary(RedisSettings::default()).await.unwrap();
        let postgres = PostgresServer::temporary().await.unwrap();
        records::migrate(&postgres.superuser()).await.unwrap();
        let admin = Records::with(postgres.superuser(), DatabaseRole::Admin, 2);
        let shape = Shape { seats, ..Shape::default() };
        let license = world::register(&admin, &postgres.superuser(), &shape, "owner").await;
        let people = MockServer::start().await;
        let jwks = json!({ "keys": [keys::jwk(keys::root_pair(), "k")] });
        let jwks = ResponseTemplate::new(200).set_body_json(jwks);
        Mock::given(path("/keys")).respond_with(jwks).mount(&people).await;
        let dir = tempfile::tempdir().unwrap();
        write_closed(&dir.path().join("root.pem"), &keys::pkcs8_pem(keys::root_pair()));
        Self { redis, postgres, clock: Clock::fake(), license, people, dir }
    }

    /// Every service, signing under the key in a file.
    pub(crate) async fn services(&self) -> Services {
        self.services_over(&[]).await
    }

    /// The same with other ways to the stores.
    pub(crate) async fn services_over(&self, more: &[(&'static str, String)]) -> Services {
        let root = format!("local:{}", self.dir.path().join("root.pem").display());
        self.services_with(&[&[("ROOT_KEY", root)], more].concat()).await
    }

    /// Every service, signing under the same key in a Cloud KMS at `port` of this machine.
    pub(crate) async fn services_of_kms(&self, port: u16) -> Services {
        let here = format!("127.0.0.1:{port}");
        let more = [
            ("ROOT_KEY", format!("kms:{VERSION}")),
            ("KMS_ENDPOINT", format!("http://{here}")),
            ("GCE_METADATA_HOST", here),
        ];
        self.services_with(&more).await
    }

    async fn services_with(&self, more: &[(&str, String)]) -> Services {
        let key = |byte: u8| format!("1:{}", BASE64_URL_SAFE_NO_PAD.encode([byte; 32]));
        let mut values = BTreeMap::from([
            ("REDIS_URL".to_owned(), self.redis.url()),
            ("DATABASE_URL".into(), self.postgres.url("nobody")),
            ("HANDLE_KEY".into(), key(1)),
            ("LICENSE_PEPPER".into(), key(2)),
            ("WEBHOOK_KEY".into(), key(3)),
            ("TOKEN_ISSUER".into(), world::ISSUER.into()),
            ("IDENTITY_ISSUER".into(), PEOPLE.into()),
            ("IDENTITY_AUDIENCE".into(), "project".into()),
            ("IDENTITY_JWKS_URL".into(), format!("{}/keys", self.people.uri())),
        ]);
        values.extend(more.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        let (env, clock) = (Environment::map(values), || self.clock.clone());
        let layers = LayerSettings::new(
            &LayersConfig::default(),
            &LogConfig { filter: "info".into(), text: false, project: None },
        );
        let of = |service: Result<_, _>| app(service.unwrap(), &layers);
        let mut routers = BTreeMap::new();
        for service in license_functions::SERVICES.iter().filter(|service| CLIENT_SERVICES.contains(&service.name)) {
            let inputs = ServiceInputs::new(&env, clock());
            routers.insert(service.name, of(service.build(inputs).await));
        }
        assert_eq!(routers.len(), CLIENT_SERVICES.len(), "every one is in the table of services");
        Services {
            routers,
            inside: [self.redis.dir(), self.postgres.dir(), self.dir.path()]
                .map(|dir| dir.display().to_string())
                .into(),
        }
    }

    pub(crate) fn pass(&self, seconds: u64) {
        self.clock.advance_ms(seconds as i64 * 1000);
    }

    pub(crate) fn pass_ttl(&self) {
        self.pass(LeaseTiming::default().ttl.as_secs() + 1);
    }

    /// The body of an acquire for a process that just started on this machine.
    pub(crate) fn ask(&self, machine: &str) -> Value {
        json!({
            "license_key": self.license.key.reveal(), "hardware_id": format!("hardware-{machine}"),
            "attempt": Uuid::new_v4(), "client": { "product": "coditect", "hostname": machine },
        })
    }

    pub(crate) fn look(&self) -> Value {
        json!({ "license_key": self.license.key.reveal() })
    }

    /// An ID token of a person.
    pub(crate) fn person(&self, name: &str) -> String {
        let now = self.clock.now_seconds();
        let claims = json!({
            "iss": PEOPLE, "aud": "project", "sub": name, "iat": now, "exp": now + 3600,
            "email": format!("{name}@example.com"), "email_verified": true,
        });
        let header = json!({ "alg": "RS256", "typ": "JWT", "kid": "k" });
        let input = format!("{}.{}", keys::b64(header.to_string()), keys::b64(claims.to_string()));
        format!("{input}.{}", keys::b64(keys::rs256(keys::root_pair(), input.as_bytes())))
    }

    /// Every row that the operations write, as text: what is equal before and after was not touched.
    pub(crate) async fn written(&self) -> String {
        let mut truth = PgConnection::connect_with(&self.postgres.superuser()).await.unwrap();
        let all = "select string_agg(line, e'\n' order by line) from (
            select 'organization ' || o::text as line from organizations o union all select 'pool ' || p::text from pools p
            union all select 'seat ' || s::text from seats s union all select 'session ' || s::text from sessions s
            union all select 'license ' || l::text from licenses l union all select 'event ' || e::text from outbox e) all_rows";
        sqlx::query_scalar(all).fetch_one(&mut truth).await.unwrap()
    }

    /// Holders of seats, and sessions that are open.
    pub(crate) async fn held(&self) -> (i64, i64) {
        let mut truth = PgConnection::connect_with(&self.postgres.superuser()).await.unwrap();
        let both = "select (select count(*) from seats where holder is not null), (select count(*) from sessions where ended_at is null)";
        sqlx::query_as(both).fetch_one(&mut truth).await.unwrap()
    }

    async fn redis(&self) -> redis::aio::MultiplexedConnection {
        stores::redis_connection(&self.redis.url()).await.unwrap()
    }

    /// Loses keys of Redis.
    pub(crate) async fn forget(&self, which: impl Fn(&str) -> bool) {
        let keys: Vec<String> = self.kept().await.into_keys().filter(|key| which(key)).collect();
        redis::cmd("DEL").arg(keys).exec_async(&mut self.redis().await).await.unwrap();
    }

    /// How many holders Redis knows.
    pub(crate) async fn holders_in_redis(&self) -> usize {
        let key = format!("{{{}}}/{}:m", self.license.pool.license, self.license.pool.pool);
        redis::cmd("HLEN").arg(key).query_async(&mut self.redis().await).await.unwrap()
    }

    /// Every key in Redis with its value's bytes.
    pub(crate) async fn kept(&self) -> BTreeMap<String, Vec<u8>> {
        let mut connection = self.redis().await;
        let names: Vec<String> = redis::cmd("KEYS").arg("*").query_async(&mut connection).await.unwrap();
        let mut kept = BTreeMap::new();
        for name in names {
            let value = redis::cmd("DUMP").arg(&name).query_async(&mut connection).await.unwrap();
            kept.insert(name, value);
        }
        kept
    }
}

/// One instance of every service.
pub(crate) struct Services {
    routers: BTreeMap<&'static str, Router>,
    /// What no answer may show.
    inside: Vec<String>,
}

impl Services {
    pub(crate) async fn send(&self, service: &str, request: Request<Body>) -> Answer {
        let started = Instant::now();
        // On a busy machine a timer of the same length is as late as the answer. It has a thread of its own, so that a handler which holds
        // its thread does not hold the timer too.
        let (answered, waits) = std::sync::mpsc::channel::<()>();
        let timer = std::thread::spawn(move || {
            let _ = waits.recv_timeout(LeaseTiming::DEADLINE);
            started.elapsed()
        });
        let (parts, body) = self.routers[service].clone().oneshot(request).await.unwrap().into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let text = String::from_utf8_lossy(&bytes);
        assert!(self.inside.iter().all(|inside| !text.contains(inside)), "an answer shows the inside: {text}");
        let took = started.elapsed();
        drop(answered);
        if took >= LeaseTiming::DEADLINE {
            let rang = timer.join().unwrap();
            assert!(took < rang + Duration::from_secs(1), "answered after {took:?}, where a timer rang after {rang:?}");
        }
        Answer { status: parts.status.as_u16(), headers: parts.headers, body: serde_json::from_slice(&bytes).unwrap() }
    }

    pub(crate) async fn get(&self, service: &str, path: &str) -> Answer {
        self.send(service, Request::get(path).body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn post(&self, path: &str, bearer: Option<&str>, body: &Value) -> Answer {
        let mut request = Request::post(path).header(header::CONTENT_TYPE, "application/json");
        if let Some(bearer) = bearer {
            request = request.header(header::AUTHORIZATION, format!("Bearer {bearer}"));
        }
        self.send(service_of(path), request.body(body.to_string().into()).unwrap()).await
    }

    pub(crate) async fn acquire(&self, ask: &Value) -> Answer {
        self.post(ACQUIRE, None, ask).await
    }

    pub(crate) async fn beat(&self, seat: &Value) -> Answer {
        self.post(HEARTBEAT, seat["session"].as_str(), &json!({})).await
    }

    pub(crate) async fn release(&self, seat: &Value) -> Answer {
        self.post(RELEASE, seat["session"].as_str(), &json!({})).await
    }

    pub(crate) async fn register(&self, token: &str) -> Answer {
        self.post(REGISTER, Some(token), &json!({})).await
    }
}

/// Which service a path belongs to.
pub(crate) fn service_of(path: &str) -> &'static str {
    let word = path.rsplit('/').next().unwrap();
    CLIENT_SERVICES.into_iter().find(|service| *service == word).unwrap_or("acquire")
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    /// A refusal or error, dressed as every one of them is.
    #[track_caller]
    pub(crate) fn is(self, status: u16, code: &str) -> Self {
        assert_eq!((self.status, self.body["code"].as_str()), (status, Some(code)), "{}", self.body);
        assert_eq!(self.headers["content-type"], "application/problem+json");
        assert_eq!(self.body["request_id"], self.headers["x-request-id"].to_str().unwrap());
        assert_eq!(self.body["status"], status);
        self
    }

    /// 503 with this code and when to come again.
    #[track_caller]
    pub(crate) fn away(self, code: &str) {
        let answer = self.is(503, code);
        let seconds: u64 = answer.headers["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((1..=30).contains(&seconds), "{seconds}");
    }

    #[track_caller]
    pub(crate) fn ok(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        self.body
    }
}

/// Thirty heartbeats of a session are let through at once, and a token that was not had is asked for twice a second.
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// Asks again and again, as a client does that is told 503, until it is told something else.
///
/// # Panics
/// If that takes longer than a minute.
pub(crate) async fn until_known(ask: impl AsyncFn() -> Answer) -> Answer {
    known_after(ask).await.0
}

/// The same, and how often it asked.
pub(crate) async fn known_after(ask: impl AsyncFn() -> Answer) -> (Answer, usize) {
    let until = Instant::now() + Duration::from_secs(60);
    for asked in 1.. {
        let answer = ask().await;
        if answer.status != 503 {
            return (answer, asked);
        }
        assert!(Instant::now() < until, "it does not recover: {}", answer.body);
        tokio::time::sleep(ASK_AGAIN).await;
    }
    unreachable!("it asks for a minute at most")
}

/// A port of this machine where nobody listens.
pub(crate) fn closed_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Cloud KMS and the metadata server come up at `port`.
pub(crate) async fn kms_at(port: u16) -> MockServer {
    let server = MockServer::builder().listener(TcpListener::bind(("127.0.0.1", port)).unwrap()).start().await;
    let crc = |bytes: &[u8]| crc32c::crc32c(bytes).to_string();
    let token = json!({ "access_token": "t0k3n", "expires_in": 3599, "token_type": "Bearer" });
    let token = ResponseTemplate::new(200).set_body_json(token);
    let metadata = Mock::given(path("/computeMetadata/v1/instance/service-accounts/default/token"));
    metadata.respond_with(token).mount(&server).await;
    let pem = keys::public_pem(keys::root_pair());
    let public = json!({ "name": VERSION, "pem": pem, "pemCrc32c": crc(pem.as_bytes()), "algorithm": "RSA_SIGN_PKCS1_4096_SHA256" });
    let public = ResponseTemplate::new(200).set_body_json(public);
    Mock::given(path(format!("/v1/{VERSION}/publicKey"))).respond_with(public).mount(&server).await;
    let sign = move |request: &wiremock::Request| {
        let asked: Value = request.body_json().unwrap();
        let digest = BASE64_STANDARD.decode(asked["digest"]["sha256"].as_str().unwrap()).unwrap();
        let digest = Digest::import_less_safe(&digest, &SHA256).unwrap();
        let mut signature = vec![0; keys::root_pair().public_modulus_len()];
        keys::root_pair().sign_digest(&aws_lc_rs::signature::RSA_PKCS1_SHA256, &digest, &mut signature).unwrap();
        ResponseTemplate::new(200).set_body_json(json!({
            "name": VERSION, "signature": BASE64_STANDARD.encode(&signature), "signatureCrc32c": crc(&signature),
            "verifiedDigestCrc32c": true,
        }))
    };
    Mock::given(method("POST"))
        .and(path(format!("/v1/{VERSION}:asymmetricSign")))
        .respond_with(sign)
        .mount(&server)
        .await;
    server
}

/// A handle that no server made: one of its characters is another.
pub(crate) fn forged(seat: &Value) -> String {
    let handle = seat["session"].as_str().unwrap();
    format!("{}{}", if handle.starts_with('B') { 'A' } else { 'B' }, &handle[1..])
}

/// The peppers of the site, for keys that a test makes itself.
pub(crate) fn peppers() -> KeyRing {
    KeyRing::single(vec![2; 32])
}

fn write_closed(path: &std::path::Path, text: &str) {
    use std::{io::Write, os::unix::fs::OpenOptionsExt};
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}
