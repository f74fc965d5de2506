//! The management API behind its layers over real stores, with an identity provider whose keys are ours.

use crate::keys::{self, b64};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use axum::{Router, body::Body};
use http::{HeaderMap, Request};
use http_body_util::BodyExt;
use license_core::{
    domain::{
        access::{PersonRole, Scope, VendorScope},
        id::{TenantId, UserId},
        opaque::{OpaqueSecret, SecretKind},
        rate::RateLimit,
        secret::KeyRing,
        webhook::EndpointRules,
    },
    identity::{IdentitySettings, IdentityVerifier, LONGEST_LIFE},
    protocol::publish::drain,
};
use license_functions::{
    acquire, admin,
    edge::{
        config::{LayersConfig, LogConfig, StaffRules},
        credential_guesses::CredentialGuesses,
        layers::LayerSettings,
        rate::{ByAddress, NamedLimit},
        serve::{Service, app},
    },
    heartbeat, register, release,
};
use license_tests::{
    World,
    world::{License, Shape, register as found},
};
use serde_json::{Value, json};
use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};
use tower::ServiceExt;
use uuid::Uuid;
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::path};

/// As the worlds' organizations were registered by.
const ISSUER: &str = "https://id.example.com";
const AUDIENCE: &str = "customers";
const STAFF: &str = "staff";
/// The webhook that [`Desk::deliver`] makes.
pub(crate) const WEBHOOK: &str = "01970000-eeee-7000-8000-000000000000";

fn key() -> &'static KeyPair {
    static KEY: OnceLock<KeyPair> = OnceLock::new();
    KEY.get_or_init(|| KeyPair::generate(KeySize::Rsa2048).unwrap())
}

/// The services over one world.
pub(crate) struct Desk {
    pub(crate) world: World,
    app: Router,
    _issuer: MockServer,
}

/// What a request was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    /// The body of an answer with this status.
    #[track_caller]
    pub(crate) fn ok(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        self.body
    }

    /// A refusal with this status and code.
    #[track_caller]
    pub(crate) fn is(self, status: u16, code: &str) -> Value {
        assert_eq!((self.status, self.body["code"].as_str()), (status, Some(code)), "{}", self.body);
        assert_eq!(self.headers["content-type"], "application/problem+json");
        self.body
    }

    /// The fields that a 422 names, in its order.
    #[track_caller]
    pub(crate) fn wrong(self) -> Vec<String> {
        let body = self.is(422, "invalid_request");
        let errors = body["errors"].as_array().unwrap();
        assert!(errors.iter().all(|error| !error["problem"].as_str().unwrap().is_empty()), "{body}");
        errors.iter().map(|error| error["field"].as_str().unwrap().to_owned()).collect()
    }

    /// The version to send as `If-Match`.
    pub(crate) fn etag(&self) -> String {
        self.headers["etag"].to_str().unwrap().to_owned()
    }
}

/// A request under construction.
pub(crate) struct Call<'a> {
    desk: &'a Desk,
    request: http::request::Builder,
    body: Body,
}

impl Call<'_> {
    /// With a credential.
    pub(crate) fn by(self, bearer: &str) -> Self {
        self.header("authorization", &format!("Bearer {bearer}"))
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.request = self.request.header(name, value);
        self
    }

    pub(crate) fn json(mut self, body: &Value) -> Self {
        self.body = body.to_string().into();
        self.header("content-type", "application/json")
    }

    /// The answer with its body as a text, whatever it is.
    pub(crate) async fn text(self) -> Answer {
        let request = self.request.body(self.body).unwrap();
        let (parts, body) = self.desk.app.clone().oneshot(request).await.unwrap().into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let body = Value::String(String::from_utf8(bytes.into()).unwrap());
        Answer { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    pub(crate) async fn send(self) -> Answer {
        let request = self.request.body(self.body).unwrap();
        let (parts, body) = self.desk.app.clone().oneshot(request).await.unwrap().into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let body = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).unwrap() };
        Answer { status: parts.status.as_u16(), headers: parts.headers, body }
    }
}

impl Desk {
    pub(crate) async fn new() -> Self {
        Self::over(World::new().await).await
    }

    pub(crate) async fn over(world: World) -> Self {
        Self::limited(world, None).await
    }

    /// With this limit on everything that has one.
    pub(crate) async fn limited(world: World, rate: Option<RateLimit>) -> Self {
        Self::guarded(world, rate, StaffRules::default()).await
    }

    /// With this demanded of staff.
    pub(crate) async fn guarded(world: World, rate: Option<RateLimit>, staff_rules: StaffRules) -> Self {
        keys::install_crypto();
        let issuer = MockServer::start().await;
        let published = ResponseTemplate::new(200).set_body_json(json!({ "keys": [keys::jwk(key(), "k")] }));
        Mock::given(path("/keys")).respond_with(published).mount(&issuer).await;
        let verifier = |audience: &str| {
            let jwks_url = format!("{}/keys", issuer.uri());
            let settings = IdentitySettings {
                issuer: ISSUER.into(),
                audience: audience.into(),
                jwks_url,
                longest_life: LONGEST_LIFE,
            };
            IdentityVerifier::new(settings, world.clock.clone())
        };
        let peppers = Arc::new(KeyRing::single(vec![2; 32]));
        let limit = |name| NamedLimit::new(name, rate, world.seats());
        let by_address = |name| ByAddress::new(limit(name), 1);
        let (protocol, records) = (world.protocol.clone(), world.admin.clone());
        let router = admin::router(admin::AdminService {
            records: records.clone(),
            management: world.management.clone(),
            seat_management: world.seat_management.clone(),
            people: verifier(AUDIENCE),
            staff: Some(verifier(STAFF)),
            staff_rules: Arc::new(staff_rules),
            peppers: peppers.clone(),
            webhook_keys: Arc::new(KeyRing::single(vec![3; 32])),
            webhook_rules: EndpointRules::Public,
            proxies: 1,
            token_days: 30,
            clock: world.clock.clone(),
            token_limit: limit("admin"),
            vendor_limit: limit("vendor"),
            people_limit: limit("people"),
            credential_guesses: CredentialGuesses::new(by_address("credentials"), world.seats(), world.clock.clone()),
        })
        .merge(register::router(register::RegisterService {
            records,
            management: world.management.clone(),
            verifier: verifier(AUDIENCE),
            peppers,
            limit: by_address("register"),
            credential_guesses: CredentialGuesses::new(by_address("credentials"), world.seats(), world.clock.clone()),
        }))
        .merge(acquire::router(acquire::AcquireService {
            protocol: protocol.clone(),
            unknown_key_limit: by_address("unknown-keys"),
        }))
        .merge(heartbeat::router(heartbeat::HeartbeatService { protocol: protocol.clone() }))
        .merge(release::router((&protocol).into()));
        let logging = LogConfig { filter: "info".into(), text: false, project: None };
        // No test here judges the deadline, and a busy machine takes longer for a thousand rows.
        let layers = LayerSettings::new(&LayersConfig::default(), &logging).with_deadline(Duration::from_secs(30));
        let app = app(Service { router, checks: Vec::new() }, &layers);
        Self { world, app, _issuer: issuer }
    }

    /// The world's own organization, whose owner is `owner`.
    pub(crate) fn tenant(&self) -> TenantId {
        self.world.license.tenant
    }

    /// A path below the world's own organization.
    pub(crate) fn at(&self, rest: &str) -> String {
        format!("/api/v1/organizations/{}{rest}", self.tenant())
    }

    /// Another organization with a license, whose owner is `subject`.
    pub(crate) async fn other(&self, subject: &str) -> License {
        found(&self.world.admin, &self.world.database, &Shape::default(), subject).await
    }

    /// The ID token of a person, whose address is `<subject>@example.com`.
    pub(crate) fn person(&self, subject: &str) -> String {
        self.id_token(AUDIENCE, subject)
    }

    /// The ID token of somebody of the vendor.
    pub(crate) fn staff(&self, subject: &str) -> String {
        self.id_token(STAFF, subject)
    }

    fn id_token(&self, audience: &str, subject: &str) -> String {
        self.claims(audience, subject, |_| ())
    }

    /// An ID token spoilt by `spoil`.
    pub(crate) fn claims(&self, audience: &str, subject: &str, spoil: impl FnOnce(&mut Value)) -> String {
        let now = self.world.clock.now_seconds();
        let mut claims = json!({
            "iss": ISSUER, "aud": audience, "sub": subject, "iat": now, "exp": now + 3600, "auth_time": now,
            "email": format!("{subject}@example.com"), "email_verified": true, "name": subject,
        });
        spoil(&mut claims);
        let header = json!({ "alg": "RS256", "typ": "JWT", "kid": "k" });
        let input = format!("{}.{}", b64(header.to_string()), b64(claims.to_string()));
        format!("{input}.{}", b64(keys::rs256(key(), input.as_bytes())))
    }

    /// Puts a person into an organization without asking anybody, and answers their ID.
    pub(crate) async fn join(&self, tenant: TenantId, subject: &str, role: PersonRole) -> UserId {
        let mut truth = self.world.truth().await;
        let user: Uuid = sqlx::query_scalar("select directory.enter_identity($1, $2, $3)")
            .bind(ISSUER)
            .bind(subject)
            .bind(Uuid::now_v7())
            .fetch_one(&mut truth)
            .await
            .unwrap();
        sqlx::query("select directory.enter_tenant($1, $2, $3)")
            .bind(ISSUER)
            .bind(subject)
            .bind(tenant.0)
            .execute(&mut truth)
            .await
            .unwrap();
        sqlx::query("insert into users (tenant_id, user_id, email, address, role) values ($1, $2, $3, $3, $4)")
            .bind(tenant.0)
            .bind(user)
            .bind(format!("{subject}@example.com"))
            .bind(role.as_str())
            .execute(&mut truth)
            .await
            .unwrap();
        UserId(user)
    }

    /// An API token of an organization with these scopes, made without asking anybody.
    pub(crate) async fn api_token(&self, tenant: TenantId, scopes: &[Scope]) -> String {
        let token = OpaqueSecret::draw(SecretKind::ApiToken, tenant);
        let words: Vec<&str> = scopes.iter().map(|scope| scope.as_str()).collect();
        let sql = "insert into api_tokens (tenant_id, token_id, name, secret_hash, scopes, created_by) values ($1, $2, 'a script', $3, $4, 'a test')";
        sqlx::query(sql)
            .bind(tenant.0)
            .bind(token.id)
            .bind(token.hash())
            .bind(words)
            .execute(&mut self.world.truth().await)
            .await
            .unwrap();
        token.reveal()
    }

    /// A vendor token with these scopes, made without asking anybody.
    pub(crate) async fn vendor_token(&self, scopes: &[VendorScope]) -> String {
        let token = OpaqueSecret::draw(SecretKind::VendorToken, TenantId::VENDOR);
        let words: Vec<&str> = scopes.iter().map(|scope| scope.as_str()).collect();
        let sql = "insert into catalog.staff_api_tokens (token_id, name, secret_hash, scopes, created_by, expires_at)
            values ($1, 'the shop', $2, $3, 'a test', now() + interval '1 day')";
        let query = sqlx::query(sql).bind(token.id).bind(token.hash()).bind(words);
        query.execute(&mut self.world.truth().await).await.unwrap();
        token.reveal()
    }

    /// Marks every waiting event published, as the reaper does.
    pub(crate) async fn publish(&self) {
        let reaper = &self.world.reaper;
        drain(reaper.records(), reaper.steps(), |_| async { Ok(()) }).await.unwrap();
    }

    /// The webhook [`WEBHOOK`] with a delivery that waits and one that is over, and another one, made without asking
    /// anybody.
    pub(crate) async fn deliver(&self) {
        let sql = "with made as (
              insert into webhooks (tenant_id, webhook_id, url, description, secret, created_by)
              values ($1, $2::uuid, 'https://hooks.example.com/', '=chat', 'sealed', 'a test'),
                ($1, uuid_v7(), 'https://hooks.example.com/other', '', 'sealed', 'a test') returning tenant_id, webhook_id)
            insert into webhook_deliveries (tenant_id, webhook_id, event_id, at, kind, state, next_at, finished_at)
            select m.tenant_id, m.webhook_id, uuid_v7(), now(), 'seat.denied', s.state,
              case when s.state = 'waiting' then now() end, case when s.state <> 'waiting' then now() end
            from made m, unnest(array['waiting', 'delivered']) s (state) where m.webhook_id = $2::uuid";
        sqlx::query(sql).bind(self.tenant().0).bind(WEBHOOK).execute(&mut self.world.truth().await).await.unwrap();
    }

    /// An alert that is open, made without asking anybody, and its id.
    pub(crate) async fn raise(&self, tenant: TenantId) -> String {
        let sql = "insert into alerts (tenant_id, rule_id, kind, subject, license_id, number, product, since, value, threshold)
            select r.tenant_id, r.rule_id, r.kind, uuid_v7(), l.license_id, l.number, l.product, now(), 3, 7
            from alert_rules r join licenses l on l.tenant_id = r.tenant_id
            where r.tenant_id = $1 and r.kind = 'license_ends' limit 1 returning alert_id::text";
        sqlx::query_scalar(sql).bind(tenant.0).fetch_one(&mut self.world.truth().await).await.unwrap()
    }

    /// Where in the database a text is found: of every table every row, as text.
    pub(crate) async fn found_in_the_records(&self, text: &str) -> Vec<String> {
        let mut truth = self.world.truth().await;
        let sql = "select oid::regclass::text from pg_class where relkind = 'r'
                   and relnamespace in ('public'::regnamespace, 'directory'::regnamespace, 'catalog'::regnamespace) order by 1";
        let tables: Vec<String> = sqlx::query_scalar(sql).fetch_all(&mut truth).await.unwrap();
        assert!(tables.len() > 10, "{tables:?}");
        let mut found = Vec::new();
        for table in tables {
            let sql = format!("select count(*) from {table} t where strpos(lower(t::text), lower($1)) > 0");
            let rows: i64 =
                sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).bind(text).fetch_one(&mut truth).await.unwrap();
            found.extend((rows > 0).then_some(table));
        }
        found
    }

    pub(crate) fn call(&self, method: &str, path: &str) -> Call<'_> {
        Call { desk: self, request: Request::builder().method(method).uri(path), body: Body::empty() }
    }

    pub(crate) fn get(&self, path: &str) -> Call<'_> {
        self.call("GET", path)
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Call<'_> {
        self.call("POST", path).json(body)
    }

    pub(crate) fn delete(&self, path: &str) -> Call<'_> {
        self.call("DELETE", path)
    }

    /// Registers as somebody.
    pub(crate) fn register(&self, bearer: &str, body: &Value) -> Call<'_> {
        self.post("/api/v1/auth/register", body).by(bearer)
    }

    pub(crate) fn patch(&self, path: &str, body: &Value) -> Call<'_> {
        self.call("PATCH", path).json(body)
    }

    /// The changes that the audit log of the world's organization tells since it was registered, the oldest first, each with who and what.
    pub(crate) async fn audited(&self) -> Vec<(String, String, String)> {
        let sql = "select action, actor_kind || ' ' || actor_name, target from audit_log where tenant_id = $1 and action not in ('organization.created', 'staff.read') order by id";
        sqlx::query_as(sql).bind(self.tenant().0).fetch_all(&mut self.world.truth().await).await.unwrap()
    }
}
