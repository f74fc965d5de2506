//! `license-local`, as a person starts it: the built binary, its own data directory, and what is left when it ends.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure is a panic with its place")]

use license_functions::SERVICES;
use license_tests::local::directory;
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, channel},
    time::{Duration, Instant},
};
use tempfile::TempDir;
use uuid::Uuid;

const PATIENCE: Duration = Duration::from_secs(60);

/// The binary beside this test's own, where cargo puts finished ones.
fn binary() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let binary = root.join("target/debug/license-local");
    assert!(binary.exists(), "{} is not built; ./dev test builds it first", binary.display());
    binary
}

/// A started `license-local` and what it says on standard error. Dropping it kills it, so that a failed test leaves nothing.
struct Machine {
    child: Child,
    said: Receiver<String>,
    dir: PathBuf,
}

impl Machine {
    fn start(data: &TempDir, more: &[&str]) -> Self {
        let dir = data.path().join("data");
        let mut child = Command::new(binary())
            .args(["--port", "0", "--data"])
            .arg(&dir)
            .args(more)
            .env("SEAT_TTL_SECONDS", "60")
            .stdout(std::fs::File::create(data.path().join("printed")).unwrap())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (tell, said) = channel();
        let errors = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || errors.lines().map_while(Result::ok).for_each(|line| _ = tell.send(line)));
        Self { child, said, dir }
    }

    /// Started, and answering.
    fn serving(data: &TempDir) -> Self {
        let _ = std::fs::remove_file(data.path().join("data/endpoints.json"));
        let mut machine = Self::start(data, &[]);
        machine.until("it has written its endpoints", |machine| machine.dir.join("endpoints.json").exists());
        machine
    }

    fn until(&mut self, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        let until = Instant::now() + PATIENCE;
        while !holds(self) {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "ended with {ended:?} before {what}: {:?}", self.said.iter().collect::<Vec<_>>());
            assert!(Instant::now() < until, "still not: {what}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn endpoints(&self) -> Value {
        serde_json::from_slice(&std::fs::read(self.dir.join("endpoints.json")).unwrap()).unwrap()
    }

    async fn post(&self, path: &str, handle: Option<&str>, body: Value) -> (u16, Value) {
        license_functions::edge::serve::install_tls();
        let client = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
        let url = format!("{}/api/v1/licenses/{path}", self.endpoints()["front"].as_str().unwrap());
        let until = Instant::now() + PATIENCE;
        loop {
            let mut request = client.post(&url).json(&body);
            if let Some(handle) = handle {
                request = request.bearer_auth(handle);
            }
            let answer = request.send().await.unwrap();
            let status = answer.status().as_u16();
            // 503: keep your lease and retry.
            if status != 503 || Instant::now() > until {
                return (status, answer.json().await.unwrap());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn acquire(&self, hardware: &str) -> (u16, Value) {
        let key = self.endpoints()["license_key"].clone();
        let wish = json!({ "license_key": key, "hardware_id": hardware, "attempt": Uuid::new_v4() });
        self.post("acquire", None, wish).await
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    fn ended(&mut self) -> ExitStatus {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < until, "still running");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits for a line on standard error.
    fn says(&self, words: &str) -> String {
        loop {
            let line = self.said.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("it never said {words:?}"));
            if line.contains(words) {
                return line;
            }
        }
    }

    /// The process at the head of its PostgreSQL.
    fn postmaster(&self) -> String {
        let file = std::fs::read_to_string(self.dir.join("postgres/data/postmaster.pid")).unwrap();
        file.lines().next().unwrap().to_owned()
    }

    fn redis(&self) -> String {
        let listed = processes_of(&self.dir.join("redis"));
        let server = listed.iter().find(|line| line.contains("redis-server") && !line.contains("keeper"));
        server.unwrap().split_whitespace().next().unwrap().to_owned()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        wait_until_gone(&self.dir);
    }
}

/// Processes whose command line names `dir`, or where links in it lead: under root the stores are elsewhere.
fn processes_of(dir: &Path) -> Vec<String> {
    let listed = Command::new("ps").args(["-A", "-ww", "-o", "pid=,args="]).output().unwrap();
    let mut dirs = vec![dir.display().to_string()];
    for link in ["postgres/data", "redis/redis.sock", "data", "redis.sock"] {
        let target = std::fs::read_link(dir.join(link)).ok();
        dirs.extend(target.and_then(|target| Some(target.parent()?.display().to_string())));
    }
    let text = String::from_utf8_lossy(&listed.stdout).into_owned();
    text.lines().filter(|line| dirs.iter().any(|dir| line.contains(dir))).map(String::from).collect()
}

fn wait_until_gone(dir: &Path) {
    let until = Instant::now() + PATIENCE;
    while !processes_of(dir).is_empty() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn once_checks_itself_and_its_exit_code_tells() {
    let data = directory();
    let mut machine = Machine::start(&data, &["--once"]);
    assert!(machine.ended().success(), "{:?}", machine.said.iter().collect::<Vec<_>>());
    assert_eq!(processes_of(&machine.dir), Vec::<String>::new());
}

#[test]
fn the_three_lines_work_as_printed() {
    let data = directory();
    let mut machine = Machine::serving(&data);
    let printed = data.path().join("printed");
    let text = || std::fs::read_to_string(&printed).unwrap();
    machine.until("it has printed the last line", |_| text().contains("/release "));
    let key = machine.endpoints()["license_key"].as_str().unwrap().to_owned();
    assert!(!text().contains(&key), "a file is no terminal: others may read it");
    assert!(text().contains(&format!("license key    in {}", machine.dir.join("license-key").display())));

    let lines: Vec<String> = text().lines().filter(|line| line.contains("curl ")).map(String::from).collect();
    let output = Command::new("sh").args(["-c", &lines.join("\n")]).output().unwrap();
    let answers = String::from_utf8(output.stdout).unwrap();
    let answers: Vec<Value> = answers.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let [acquired, kept, released] = answers.as_slice() else { panic!("three answers: {answers:?}") };
    assert_eq!(acquired["license"]["seats_total"], 5, "{acquired}");
    assert_eq!(kept["license"]["status"], "active", "{kept}");
    assert_eq!(released["session_id"], acquired["session_id"], "{released}");
}

#[tokio::test]
async fn a_second_start_finds_the_license_and_the_held_seats_of_the_first() {
    let data = directory();
    let mut first = Machine::serving(&data);
    let (status, seat) = first.acquire("machine-0001").await;
    assert_eq!(status, 201, "{seat}");
    let key = first.endpoints()["license_key"].clone();
    first.signal("INT");
    assert!(first.ended().success());

    let second = Machine::serving(&data);
    assert_eq!(second.endpoints()["license_key"], key);
    let (status, answer) = second.post("heartbeat", seat["session"].as_str(), json!({})).await;
    assert_eq!(status, 200, "{answer}");
}

#[tokio::test]
async fn killed_stores_are_started_again_and_seats_survive() {
    let data = directory();
    let machine = Machine::serving(&data);
    let (status, seat) = machine.acquire("machine-0001").await;
    assert_eq!(status, 201, "{seat}");
    for (name, pid) in [("Redis", machine.redis()), ("PostgreSQL", machine.postmaster())] {
        assert!(Command::new("kill").args(["-9", &pid]).status().unwrap().success());
        machine.says(&format!("{name} was killed by signal 9; starting it again"));
        machine.says(&format!("{name} is back"));
        let (status, answer) = machine.post("heartbeat", seat["session"].as_str(), json!({})).await;
        assert_eq!(status, 200, "after {name}: {answer}");
    }
}

#[test]
fn five_deaths_within_a_minute_stop_the_whole() {
    let data = directory();
    let mut machine = Machine::serving(&data);
    for _ in 0..4 {
        assert!(Command::new("kill").args(["-9", &machine.redis()]).status().unwrap().success());
        machine.says("Redis is back");
    }
    assert!(Command::new("kill").args(["-9", &machine.redis()]).status().unwrap().success());
    assert!(!machine.ended().success());
    machine.says("fifth death");
    assert_eq!(processes_of(&machine.dir), Vec::<String>::new());
}

#[test]
fn sigterm_stops_everything_and_leaves_no_process() {
    let data = directory();
    let mut machine = Machine::serving(&data);
    assert!(!processes_of(&machine.dir.join("postgres")).is_empty(), "the check below can see processes");
    machine.signal("TERM");
    assert!(machine.ended().success());
    assert_eq!(processes_of(&machine.dir), Vec::<String>::new());
}

#[test]
fn a_killed_parent_leaves_no_process_and_the_next_start_works() {
    let data = directory();
    let mut machine = Machine::serving(&data);
    machine.signal("KILL");
    machine.ended();
    // At once: the next one waits until nothing of the first is left.
    let mut next = Machine::serving(&data);
    next.signal("TERM");
    assert!(next.ended().success());
    assert_eq!(processes_of(&next.dir), Vec::<String>::new());
}

#[test]
fn a_second_process_on_the_same_data_is_refused_and_disturbs_nothing() {
    let data = directory();
    let mut first = Machine::serving(&data);
    let mut second = Machine::start(&data, &["--clean"]);
    assert!(!second.ended().success());
    second.says("already running");
    first.until("it answers", |first| !processes_of(&first.dir.join("postgres")).is_empty());
    // Its drop would wait for the first one's processes.
    std::mem::forget(second);
}

#[test]
fn bound_to_other_addresses_it_wants_a_real_identity_provider() {
    let data = directory();
    let mut machine = Machine::start(&data, &["--bind", "0.0.0.0"]);
    assert!(!machine.ended().success());
    machine.says("IDENTITY_ISSUER");
}

#[test]
fn where_other_machines_reach_it_it_does_not_start_with_the_demo_issuer() {
    for (name, value) in [
        ("PUBLIC_URL", "https://licenses.example.com"),
        ("TRUSTED_PROXIES", "1"),
        ("STAFF_IDENTITY_AUDIENCE", "staff"),
        ("K_SERVICE", "local"),
    ] {
        let data = directory();
        let dir = data.path().join("data");
        let started =
            Command::new(binary()).args(["--once", "--port", "0", "--data"]).arg(&dir).env(name, value).output();
        let output = started.unwrap();
        assert!(!output.status.success(), "{name}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("IDENTITY_ISSUER is not set"), "{name}: {said}");
        assert!(!dir.exists(), "it looks before it makes anything");
    }
}

#[tokio::test]
async fn every_listener_answers_this_machine_alone() {
    let data = directory();
    let machine = Machine::serving(&data);
    license_functions::edge::serve::install_tls();
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
    let endpoints = machine.endpoints();
    let listeners: Vec<_> = endpoints.as_object().unwrap().iter().filter(|(name, _)| *name != "license_key").collect();
    assert_eq!(listeners.len(), SERVICES.len() + 2, "the front, the services and the issuer: {listeners:?}");
    for (name, url) in listeners {
        let url = url.as_str().unwrap();
        for path in ["/token", "/api/v1/auth/register", "/health/live", "/.well-known/jwks.json", "/", "/tick"] {
            for method in [reqwest::Method::GET, reqwest::Method::POST, reqwest::Method::OPTIONS] {
                let asked = async |header: &str, value: &str| {
                    let request = client.request(method.clone(), format!("{url}{path}")).header(header, value);
                    request.json(&json!({ "email": "a@example.com" })).send().await.unwrap().status().as_u16()
                };
                assert_eq!(asked("host", "rebound.example:8080").await, 421, "{name} {method} {path}");
                assert_eq!(asked("origin", "http://rebound.example").await, 403, "{name} {method} {path}");
                let own = asked("origin", "http://localhost:3000").await;
                assert!(![421, 403].contains(&own), "{name} {method} {path}: {own}");
            }
        }
    }
}

#[tokio::test]
async fn a_token_of_staff_is_had_with_the_secret_of_the_data_directory_alone() {
    let data = directory();
    let mut machine = Machine::serving(&data);
    license_functions::edge::serve::install_tls();
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
    let issuer = format!("{}/token", machine.endpoints()["issuer"].as_str().unwrap());
    let asked = || client.post(&issuer).json(&json!({ "email": "staff@example.com", "staff": true }));
    assert_eq!(asked().send().await.unwrap().status(), 401);
    assert_eq!(asked().bearer_auth("x").send().await.unwrap().status(), 401);
    let secret = std::fs::read_to_string(machine.dir.join("staff.secret")).unwrap();
    // What is written for programs is there before what is printed for people.
    let printed = || std::fs::read_to_string(data.path().join("printed")).unwrap();
    machine.until("it has printed how", |_| printed().contains("staff.secret"));
    machine.until("it has printed all", |_| printed().contains("Take a seat, keep it, give it back"));
    assert!(!printed().contains(secret.trim()), "it prints how, and not the secret");
    let answer: Value = asked().bearer_auth(secret.trim()).send().await.unwrap().json().await.unwrap();
    let products = format!("{}/api/v1/staff/products", machine.endpoints()["front"].as_str().unwrap());
    let staff = client.get(products).bearer_auth(answer["id_token"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(staff.status(), 200);
}

#[test]
fn the_stores_run_as_an_account_that_nothing_else_of_the_system_runs_as() {
    let data = directory();
    let machine = Machine::serving(&data);
    let own = data.path().metadata().unwrap().uid();
    for pid in [machine.postmaster(), machine.redis()] {
        let told = Command::new("ps").args(["-o", "user:32=", "-p", &pid]).output().unwrap();
        let user = String::from_utf8(told.stdout).unwrap().trim().to_owned();
        if own == 0 {
            assert_eq!(user, "license-local");
        } else {
            assert!(!["root", "postgres", "redis", "nobody"].contains(&user.as_str()), "{user}");
        }
    }
    // Root reaches them through the data directory all the same, and nobody else does.
    for name in ["postgres/.s.PGSQL.5432", "redis/redis.sock"] {
        assert!(machine.dir.join(name).exists(), "{name}");
    }
}

#[test]
fn both_files_that_hold_keys_are_readable_by_their_owner_alone() {
    let data = directory();
    let machine = Machine::serving(&data);
    for file in [
        "endpoints.json",
        "env",
        "license-key",
        "root.pem",
        "issuer.key",
        "handle.key",
        "pepper.key",
        "bus.token",
        "staff.secret",
        "lock",
    ] {
        let mode =
            machine.dir.join(file).metadata().unwrap_or_else(|error| panic!("{file}: {error}")).permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    assert_eq!(machine.dir.metadata().unwrap().permissions().mode() & 0o7777, 0o700);
}
