//! `license-local` under attack: a thousand connections where 300 files may be open, and every method on every path.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure is a panic with its place")]

use license_functions::edge::connection_limit::ConnectionSlots;
use license_tests::{
    local::Local,
    process::{binary, http},
};
use serde_json::{Value, json};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    runtime::{Builder, Runtime},
};
use uuid::Uuid;

const FILES: u32 = 300;
const CROWD: usize = 1000;
/// What the server may take more for all of them: of 225 connections each has a buffer of 64 KiB and a body of 64 KiB at most.
const MEMORY_KIB: u64 = 2 * 225 * 64;

/// One of the crowd: as soon as it is closed it comes again.
///
/// It names this machine as the host. For any other name each request is refused with a short answer before its body is
/// read: then no half body is waited for, and thousands of answers fit where a few documents fill the connection.
async fn hostile(address: String, kind: usize, connections: Arc<AtomicUsize>) {
    let half_a_body = format!(
        "POST /api/v1/licenses/acquire HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 65000\r\n\r\n{{\"a\": \"{}",
        "a".repeat(50_000)
    );
    let half_a_head = format!("GET /health/live HTTP/1.1\r\nhost: localhost\r\nx-a: {}", "a".repeat(20_000));
    loop {
        let Ok(mut stream) = TcpStream::connect(&address).await else { continue };
        connections.fetch_add(1, Ordering::Relaxed);
        let sent = match kind % 4 {
            0 => Ok(()),
            1 => stream.write_all(half_a_head.as_bytes()).await,
            2 => stream.write_all(half_a_body.as_bytes()).await,
            // Asks, and takes nothing of the answers, until it is closed.
            _ => loop {
                let get = b"GET /openapi.json HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(50);
                if let Err(error) = stream.write_all(&get).await {
                    break Err(error);
                }
            },
        };
        if sent.is_ok() {
            let _ = stream.read_to_end(&mut Vec::new()).await;
        }
    }
}

/// A runtime that may be dropped anywhere, and with it everybody on it.
struct Crowd(Option<Runtime>);

impl Crowd {
    fn new() -> Self {
        Self(Some(Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()))
    }

    fn runtime(&self) -> &Runtime {
        self.0.as_ref().unwrap()
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.0.take().into_iter().for_each(Runtime::shutdown_background);
    }
}

/// The most memory that a process held in RAM so far, in KiB.
fn most_memory(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

struct Honest {
    client: reqwest::Client,
    front: String,
    key: String,
    /// How often a connection of its own was closed for others.
    again: AtomicUsize,
}

impl Honest {
    fn of(local: &Local) -> Self {
        // Each request over a connection of its own: it must be let in.
        let _ = http();
        let client = reqwest::Client::builder().no_proxy().tls_certs_only([]).pool_max_idle_per_host(0);
        let client = client.timeout(Duration::from_secs(30)).build().unwrap();
        Self { client, front: local.endpoint("front"), key: local.endpoint("license_key"), again: AtomicUsize::new(0) }
    }

    /// The answer at the tenth attempt at the latest: where this process got no turn for a quarter of a second, its connection is closed like
    /// those of the crowd, and it asks again as every client does.
    async fn answered(&self, request: reqwest::RequestBuilder, statuses: &[u16]) -> Value {
        let mut attempts = 0;
        let (said, text) = loop {
            attempts += 1;
            match request.try_clone().unwrap().send().await {
                Ok(answer) => break (answer.status().as_u16(), answer.text().await.unwrap()),
                Err(error) => assert!(attempts < 10 && error.is_request(), "{error:?}"),
            }
        };
        self.again.fetch_add(attempts - 1, Ordering::Relaxed);
        assert!(statuses.contains(&said), "{said}: {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// One look at its health, and one seat taken and given back.
    async fn turn(&self) {
        self.answered(self.client.get(format!("{}/health/live", self.front)), &[200]).await;
        let wish = json!({ "license_key": self.key, "hardware_id": "an-honest-machine", "attempt": Uuid::new_v4() });
        let acquire = self.client.post(format!("{}/api/v1/licenses/acquire", self.front)).json(&wish);
        let seat = self.answered(acquire, &[200, 201]).await;
        let release = self.client.post(format!("{}/api/v1/licenses/release", self.front));
        self.answered(release.bearer_auth(seat["session"].as_str().unwrap()), &[200]).await;
    }
}

#[tokio::test]
async fn a_thousand_hostile_connections_at_300_files_switch_nothing_off_and_one_line_says_why() {
    // This process must be able to be the crowd: it raises its own limit as every service does.
    ConnectionSlots::of_process(0);
    let variables = [("RATE_ACQUIRE", "off"), ("REAPER_PERIOD_SECONDS", "3600")];
    let local = Local::limited(&binary("license-local"), &variables, FILES);
    let (began, honest) = (Instant::now(), Honest::of(&local));
    honest.turn().await;
    let before = most_memory(local.id());
    let address = honest.front.trim_start_matches("http://").to_owned();
    let connections = Arc::<AtomicUsize>::default();
    // On threads of its own: who means it well must not wait for it in this process already.
    let crowd = Crowd::new();
    for kind in 0..CROWD {
        crowd.runtime().spawn(hostile(address.clone(), kind, Arc::clone(&connections)));
    }
    let mut turns = 0;
    // Until every one of the crowd was there three times over, and at least so many turns.
    while connections.load(Ordering::Relaxed) < 3 * CROWD || turns < 5 {
        honest.turn().await;
        turns += 1;
    }
    let grown = most_memory(local.id()).saturating_sub(before);
    let (came, again) = (connections.load(Ordering::Relaxed), honest.again.load(Ordering::Relaxed));
    println!("{turns} turns beside {came} connections, {again} of their requests asked again, {grown} KiB more");
    assert!(grown < MEMORY_KIB, "{grown} KiB");
    drop(crowd);
    let said = local.said();
    let lines = said.lines().filter(|line| line.contains("no room for another connection")).count();
    let minutes = began.elapsed().as_secs() as usize / 60;
    assert!((1..=1 + minutes).contains(&lines), "{lines} lines:\n{said}");
    assert!(!said.contains("ERROR"), "{said}");
    honest.turn().await;
}

/// Sends one request and answers its status and what came behind the head.
async fn raw(address: &str, method: &str, target: &str) -> (u16, String, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request =
        format!("{method} {target} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut said = Vec::new();
    stream.read_to_end(&mut said).await.unwrap();
    let said = String::from_utf8_lossy(&said).into_owned();
    let (head, body) = said.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{method} {target}: {said:?}"));
    (head.split(' ').nth(1).unwrap().parse().unwrap(), head.to_lowercase(), body.to_owned())
}

#[tokio::test]
async fn every_method_on_every_path_of_every_service_has_an_answer_that_is_no_fault_of_ours() {
    let local = Local::start(&binary("license-local"), &[("REAPER_PERIOD_SECONDS", "3600")]);
    let document: Value = serde_json::from_str(include_str!("../../openapi.json")).unwrap();
    let mut targets: Vec<String> = document["paths"].as_object().unwrap().keys().cloned().collect();
    for path in &mut targets {
        while let (Some(start), Some(end)) = (path.find('{'), path.find('}')) {
            path.replace_range(start..=end, &Uuid::new_v4().to_string());
        }
    }
    let more = [
        "/",
        "//",
        "/nowhere",
        "/tick",
        "/reap",
        "/events",
        "/due",
        "/openapi.json",
        "/docs",
        "/docs/page.js",
        "/docs/page.css",
        "*",
        "/%00",
    ];
    targets.extend(more.map(String::from));
    targets.extend(["x:443".to_owned(), "http://x/health/live".to_owned(), "/token".to_owned()]);
    targets.extend(["/.well-known/jwks.json".to_owned(), "/.well-known/openid-configuration".to_owned()]);
    let methods =
        ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "get", "M-SEARCH"];
    for service in ["front", "issuer", "reaper", "notify", "admin"] {
        let address = local.endpoint(service).trim_start_matches("http://").to_owned();
        for target in &targets {
            for method in methods {
                let (status, head, body) = raw(&address, method, target).await;
                let name = format!("{method} {target} of {service}: {head}\n{body}");
                assert!((200..500).contains(&status), "{name}");
                assert!(!(200..300).contains(&status) || ["GET", "HEAD"].contains(&method), "{name}");
                assert!(method != "HEAD" || body.is_empty(), "{name}");
                assert!(status != 405 || head.contains("\r\nallow: "), "{name}");
            }
            let (get, head) = (raw(&address, "GET", target).await, raw(&address, "HEAD", target).await);
            assert!(get.0 == head.0 || head.0 == 405, "{target} of {service}: {} and {}", get.0, head.0);
        }
    }
    assert!(!local.said().contains("ERROR"), "{}", local.said());
}
