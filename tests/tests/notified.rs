//! Webhooks on one machine: an event reaches a program beside `license-local`, signed with the secret that it knows, also
//! after the key was replaced by which secrets are sealed.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure is a panic with its place")]

use license_core::domain::{id::draw_uuid, secret::KeyRing, webhook::WebhookSecret};
use license_functions::edge::config::{Environment, webhook_keys};
use license_tests::{
    local::{Local, directory},
    process::{binary, http},
};
use serde_json::json;
use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};
use std::{
    process::Command,
    time::{Duration, Instant},
};
use tempfile::TempDir;
use uuid::Uuid;
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::method};

const PATIENCE: Duration = Duration::from_secs(120);

struct Site {
    dir: TempDir,
    client: reqwest::Client,
}

impl Site {
    fn start(&self) -> Local {
        Local::start_in(&binary("license-local"), self.dir.path(), &[("REAPER_PERIOD_SECONDS", "1")])
    }

    fn rotate(&self, words: &[&str]) -> String {
        let mut command = Command::new(binary("license-local"));
        command.arg("rotate").args(words).arg("--data").arg(self.dir.path().join("data"));
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// A machine takes a seat, which is an event.
    async fn take_a_seat(&self, local: &Local, machine: &str) {
        let wish = json!({
            "license_key": local.endpoint("license_key"), "hardware_id": machine, "attempt": Uuid::new_v4(),
        });
        let url = format!("{}/api/v1/licenses/acquire", local.endpoint("front"));
        let answer = self.client.post(url).json(&wish).send().await.unwrap();
        assert_eq!(answer.status(), 201);
    }
}

fn keys(local: &Local) -> KeyRing {
    webhook_keys(&Environment::map(local.variables())).unwrap()
}

async fn truth(local: &Local) -> PgConnection {
    let options: PgConnectOptions = local.variables()["DATABASE_URL"].parse().unwrap();
    PgConnection::connect_with(&options.username("postgres")).await.unwrap()
}

/// Registers a webhook of the demo organization.
async fn register(local: &Local, url: &str) -> (Uuid, WebhookSecret) {
    let (id, secret) = (draw_uuid(), WebhookSecret::draw());
    sqlx::query(
        "insert into webhooks (tenant_id, webhook_id, url, kinds, secret, created_by)
         select tenant_id, $1, $2, '{seat.granted}', $3, 'a test' from organizations",
    )
    .bind(id)
    .bind(url)
    .bind(secret.seal(&keys(local), id).unwrap())
    .execute(&mut truth(local).await)
    .await
    .unwrap();
    (id, secret)
}

/// Waits for so many requests; each is signed with the secret.
async fn heard(receiver: &MockServer, count: usize, secret: &WebhookSecret) {
    let began = Instant::now();
    let requests = loop {
        let requests = receiver.received_requests().await.unwrap();
        if requests.len() >= count {
            break requests;
        }
        assert!(began.elapsed() < PATIENCE, "{} of {count} requests came", requests.len());
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    for request in requests {
        let header = |name: &str| request.headers[name].to_str().unwrap().to_owned();
        let timestamp = header("webhook-timestamp").parse().unwrap();
        assert_eq!(header("webhook-signature"), secret.sign(&header("webhook-id"), timestamp, &request.body));
        assert_eq!(request.body_json::<serde_json::Value>().unwrap()["type"], "seat.granted");
    }
}

#[tokio::test]
async fn an_event_reaches_a_program_of_this_machine_also_after_the_key_was_replaced() {
    let site = Site { dir: directory(), client: http() };
    let receiver = MockServer::start().await;
    Mock::given(method("POST")).respond_with(ResponseTemplate::new(200)).mount(&receiver).await;
    let local = site.start();
    let (id, secret) = register(&local, &receiver.uri()).await;
    site.take_a_seat(&local, "machine-one-0001").await;
    heard(&receiver, 1, &secret).await;
    drop(local);

    assert!(site.rotate(&["webhook"]).contains("webhook 2"));
    let local = site.start();
    site.take_a_seat(&local, "machine-two-0001").await;
    heard(&receiver, 2, &secret).await;
    drop(local);

    assert!(site.rotate(&["webhook", "--finish"]).contains("accepted no more"));
    let local = site.start();
    assert!(keys(&local).previous.is_none());
    let sealed: String = sqlx::query_scalar("select secret from webhooks where webhook_id = $1")
        .bind(id)
        .fetch_one(&mut truth(&local).await)
        .await
        .unwrap();
    assert!(sealed.starts_with("2."), "the secret was sealed anew");
    site.take_a_seat(&local, "machine-three-01").await;
    heard(&receiver, 3, &secret).await;
}
