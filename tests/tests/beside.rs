//! Every service as a process of its own beside `license-local`, with nothing but the variables that `license-local`
//! wrote into `.local/env` and a port.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure is a panic with its place")]

use license_core::{Clock, domain::event::SweepShare};
use license_pubsub::{
    Message, Topic,
    push::{Envelope, PushDelivery},
};
use license_tests::{
    local::Local,
    process::{Function, binary, http},
};
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};
use std::time::{Duration, Instant};
use uuid::Uuid;

struct Beside {
    local: Local,
    client: reqwest::Client,
}

impl Beside {
    /// The scheduler's first tick comes at the start; the next long after the test.
    fn start() -> Self {
        let variables = [("SEAT_TTL_SECONDS", "4"), ("REAPER_PERIOD_SECONDS", "3600")];
        Self { local: Local::start(&binary("license-local"), &variables), client: http() }
    }

    async fn function(&self, name: &str) -> Function {
        Function::start(name, &self.local.variables(), self.local.beside()).await
    }

    async fn answer(&self, request: reqwest::RequestBuilder, status: u16) -> Value {
        let answer = request.send().await.unwrap();
        let (said, text) = (answer.status().as_u16(), answer.text().await.unwrap());
        assert_eq!(said, status, "{text}");
        if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() }
    }

    async fn acquire(&self, acquire: &Function, machine: &str) -> String {
        let key = self.local.endpoint("license_key");
        let wish = json!({ "license_key": key, "hardware_id": machine, "attempt": Uuid::new_v4() });
        let request = self.client.post(format!("{}/api/v1/licenses/acquire", acquire.url)).json(&wish);
        self.answer(request, 201).await["session"].as_str().unwrap().to_owned()
    }

    async fn push(&self, reaper: &Function, path: &str, message: Message) {
        let push = PushDelivery::new(Topic::Tick, message, &Clock::system());
        let request = self.client.post(format!("{}{path}", reaper.url)).bearer_auth(self.local.push_token());
        self.answer(request.header("content-type", "application/json").body(Envelope::write(&push)), 204).await;
    }

    /// As the owner of the records, for looking at what is true.
    async fn count(&self, sql: &'static str) -> i64 {
        let options: PgConnectOptions = self.local.variables()["DATABASE_URL"].parse().unwrap();
        let mut truth = PgConnection::connect_with(&options.username("postgres")).await.unwrap();
        sqlx::query_scalar(sql).fetch_one(&mut truth).await.unwrap()
    }
}

#[tokio::test]
async fn clients_are_served_by_functions_started_from_the_env_file_alone() {
    let beside = Beside::start();
    let (acquire, heartbeat) = (beside.function("acquire").await, beside.function("heartbeat").await);
    let (release, register) = (beside.function("release").await, beside.function("register").await);
    let handle = beside.acquire(&acquire, "machine-0001").await;
    let call = |function: &Function, path: &str| beside.client.post(format!("{}/api/v1/{path}", function.url));
    beside.answer(call(&heartbeat, "licenses/heartbeat").bearer_auth(&handle).json(&json!({})), 200).await;
    beside.answer(call(&release, "licenses/release").bearer_auth(&handle), 200).await;
    let person = json!({ "email": "ada@example.com", "name": "Ada", "provider": "google.com" });
    let token = beside.client.post(format!("{}/token", beside.local.endpoint("issuer"))).json(&person);
    let token = beside.answer(token, 200).await["id_token"].as_str().unwrap().to_owned();
    let registered = call(&register, "auth/register").bearer_auth(token).json(&json!({}));
    let registered = beside.answer(registered, 201).await;
    assert!(registered.to_string().contains("CODI-"), "a license key: {registered}");
    for function in [acquire, heartbeat, release, register] {
        assert!(function.stop().await);
    }
}

#[tokio::test]
async fn a_reaper_beside_it_publishes_to_its_bus_and_closes_a_vanished_holder() {
    const EXPIRED: &str = "select count(*) from sessions where end_reason = 'expired'";
    let beside = Beside::start();
    let (acquire, reaper) = (beside.function("acquire").await, beside.function("reaper").await);
    beside.acquire(&acquire, "machine-0001").await;
    beside.push(&reaper, "/reap", Message::reap(&SweepShare::default())).await;
    let granted = "select count(*) from outbox where kind = 'seat.granted' and published_at is not null";
    assert_eq!(beside.count(granted).await, 1, "its own sweep published what happened");

    // Its tick becomes messages on the bus, and these a sweep by whichever reaper the bus pushes to.
    let until = Instant::now() + Duration::from_secs(30);
    while beside.count(EXPIRED).await == 0 {
        assert!(Instant::now() < until, "nobody closed the vanished holder: {}", reaper.log());
        beside.push(&reaper, "/tick", Message::tick()).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!(reaper.stop().await && acquire.stop().await);
}

#[tokio::test]
async fn a_reaper_that_could_publish_nowhere_refuses_to_start_and_says_what_is_missing() {
    let beside = Beside::start();
    let mut variables = beside.local.variables();
    variables.remove("PUBSUB_BUS_URL");
    let run = tokio::process::Command::new(binary("reaper")).env_clear().envs(&variables).env("PORT", "0").output();
    let output = tokio::time::timeout(Duration::from_secs(20), run).await.expect("it ends").unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("PUBSUB_BUS_URL is not set") && said.contains("--features cloud"), "{said}");
}
