//! The functions as processes of their own, as in the cloud: started on a free port over a world's stores, stopped when dropped.

use crate::world::World;
use license_core::signer::local::LocalRoot;
use std::{
    collections::BTreeMap,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant, SystemTime},
};
use tokio::process::{Child, Command};

/// A running function.
pub struct Function {
    child: Child,
    /// `http://127.0.0.1:<port>`.
    pub url: String,
    log: PathBuf,
}

/// Where `cargo build --workspace --bins` puts a finished binary.
///
/// # Panics
/// If it is not there, or older than what it is made of: a test would then speak of code that is gone.
pub fn binary(name: &str) -> PathBuf {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let path = root.join("target/debug").join(name);
    assert!(path.exists(), "{} is not built: ./dev test builds it (cargo build --workspace --bins)", path.display());
    let (sources, age) = (made_of(&path).iter().filter_map(|source| changed(source)).max(), changed(&path));
    assert!(
        age >= sources,
        "{} is older than its sources: ./dev test builds it anew (cargo build --bins)",
        path.display()
    );
    path
}

/// The files that a binary is made of, as cargo wrote them down beside it (`<binary>.d`). Those of a feature that it is built without are none:
/// when they change, cargo builds nothing.
fn made_of(binary: &Path) -> Vec<PathBuf> {
    let listed = std::fs::read_to_string(binary.with_extension("d")).expect("cargo lists what a binary is made of");
    let files = listed.split_once(": ").expect("a rule of make").1.replace("\\ ", "\0");
    files.split_whitespace().map(|file| PathBuf::from(file.replace('\0', " "))).collect()
}

#[test]
fn a_binary_is_made_of_what_it_is_built_with_and_of_nothing_else() {
    let made_of = made_of(&PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/debug/acquire"));
    let names = |part: &str| made_of.iter().any(|file| file.ends_with(part));
    assert!(names("core/src/lib.rs") && names("functions/src/acquire/mod.rs") && names("migrations/0001_schemas.sql"));
    assert!(!names("pubsub/src/cloud.rs"), "the client for Cloud Pub/Sub is not in it");
}

fn changed(file: &Path) -> Option<SystemTime> {
    file.metadata().and_then(|meta| meta.modified()).ok()
}

/// What every function needs to run over a world's stores, with the keys of the seat protocol of that world.
pub async fn variables(world: &World, dir: &std::path::Path) -> BTreeMap<String, String> {
    use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
    let root = dir.join("root.pem");
    LocalRoot::open(&root).await.expect("the root key is made");
    let key = |byte: u8| format!("1:{}", BASE64_URL_SAFE_NO_PAD.encode([byte; 32]));
    let socket = world.database.get_socket().expect("a Unix socket").display().to_string().replace('/', "%2F");
    let database = world.database.get_database().expect("a database");
    BTreeMap::from([
        ("REDIS_URL".into(), world.redis.url()),
        ("DATABASE_URL".into(), format!("postgres://{socket}/{database}?sslmode=disable")),
        ("HANDLE_KEY".into(), key(1)),
        ("LICENSE_PEPPER".into(), key(2)),
        ("WEBHOOK_KEY".into(), key(3)),
        ("ROOT_KEY".into(), format!("local:{}", root.display())),
        // Crowds of one machine and clients that are never idle are what tests are made of.
        ("RATE_ACQUIRE".into(), "off".into()),
        ("RATE_HEARTBEAT".into(), "off".into()),
        ("TOKEN_ISSUER".into(), crate::world::ISSUER.into()),
        ("SEAT_TTL_SECONDS".into(), world.timing.ttl.as_secs().to_string()),
        ("SEAT_DRAIN_SECONDS".into(), world.timing.drain.as_secs().to_string()),
    ])
}

impl Function {
    /// Starts a function and waits until it is ready. Its log is kept in `dir`.
    ///
    /// # Panics
    /// If it is not ready within 20 seconds.
    pub async fn start(name: &str, variables: &BTreeMap<String, String>, dir: &std::path::Path) -> Self {
        let function = Self::launch(name, variables, dir);
        function.ready().await;
        function
    }

    /// The same without waiting: its stores may be away.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn launch(name: &str, variables: &BTreeMap<String, String>, dir: &std::path::Path) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let log = dir.join(format!("{name}-{port}.log"));
        let out = std::fs::File::create(&log).unwrap();
        let child = Command::new(binary(name))
            .env_clear()
            .envs(variables)
            .env("PORT", port.to_string())
            .stdin(Stdio::null())
            .stderr(out.try_clone().unwrap())
            .stdout(out)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Self { child, url: format!("http://127.0.0.1:{port}"), log }
    }

    async fn ready(&self) {
        let client = http();
        let until = Instant::now() + Duration::from_secs(20);
        loop {
            let answer = client.get(format!("{}/health/ready", self.url)).send().await;
            if answer.is_ok_and(|a| a.status().is_success()) {
                return;
            }
            assert!(Instant::now() < until, "the function is not ready:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Everything it printed so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// Asks it to stop (SIGTERM) and waits; tells whether it stopped well.
    pub async fn stop(mut self) -> bool {
        let stopped = Command::new("kill").arg(self.id().to_string()).status().await.unwrap();
        assert!(stopped.success());
        self.child.wait().await.unwrap().success()
    }
}

/// A client for loopback: no proxy, no certificates.
///
/// # Panics
/// If it cannot be made.
pub fn http() -> reqwest::Client {
    // Whoever comes first installs it; the others find it installed.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    reqwest::Client::builder().no_proxy().tls_certs_only([]).timeout(Duration::from_secs(30)).build().unwrap()
}
