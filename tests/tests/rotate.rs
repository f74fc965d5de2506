//! `license-local rotate`, as a person types it: keys are replaced, and clients, license keys and pinned root keys of
//! before stay valid.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure is a panic with its place")]

use license_core::{
    Clock,
    domain::{
        id::Hw,
        key::LicenseKey,
        token::{ExpectedToken, PublicKeySet, RootKey, verify},
    },
};
use license_tests::{
    local::{Local, directory},
    process::{binary, http},
};
use serde_json::{Value, json};
use std::{os::unix::fs::PermissionsExt, path::Path, process::Command};
use tempfile::TempDir;
use uuid::Uuid;

const ISSUER: &str = "https://licenses.example.com";

/// One machine's data, over several runs.
struct Site {
    dir: TempDir,
    client: reqwest::Client,
}

impl Site {
    fn new() -> Self {
        Self { dir: directory(), client: http() }
    }

    fn start(&self) -> Local {
        let variables = [
            ("TOKEN_ISSUER", ISSUER),
            ("REAPER_PERIOD_SECONDS", "3600"),
            ("RATE_ADMIN", "off"),
            ("RATE_PEOPLE", "off"),
        ];
        Local::start_in(&binary("license-local"), self.dir.path(), &variables)
    }

    fn file(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join("data").join(name)
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.file(name)).unwrap()
    }

    /// What `rotate` says, and whether it did anything.
    fn rotate(&self, words: &[&str]) -> Result<String, String> {
        let mut command = Command::new(binary("license-local"));
        let output =
            command.arg("rotate").args(words).arg("--data").arg(self.dir.path().join("data")).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
    }

    /// The step is refused, with these words, and no key has changed.
    #[track_caller]
    fn refused(&self, words: &[&str], says: &[&str]) {
        let kept = || ["pepper.key", "handle.key", "root.pem"].map(|name| self.text(name));
        let before = kept();
        let error = self.rotate(words).expect_err("it is refused");
        for word in says {
            assert!(error.contains(word), "{error}");
        }
        assert_eq!(kept(), before, "{words:?}");
    }

    async fn post(&self, local: &Local, path: &str, bearer: Option<&str>, body: Value) -> (u16, Value) {
        let mut request = self.client.post(format!("{}{path}", local.endpoint("front"))).json(&body);
        if let Some(bearer) = bearer {
            request = request.bearer_auth(bearer);
        }
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    async fn acquire(&self, local: &Local, key: &str, machine: &str) -> (u16, Value) {
        let wish = json!({ "license_key": key, "hardware_id": machine, "attempt": Uuid::new_v4() });
        self.post(local, "/api/v1/licenses/acquire", None, wish).await
    }

    /// A seat whose answer a client that pins `roots` believes.
    async fn believed(&self, local: &Local, machine: &str, roots: &[RootKey]) -> Result<(), String> {
        let key = local.endpoint("license_key");
        let (status, seat) = self.acquire(local, &key, machine).await;
        assert!([200, 201].contains(&status), "{seat}");
        let number = LicenseKey::parse(&key).unwrap().number();
        let expected = ExpectedToken {
            issuer: ISSUER,
            audience: "demo",
            nonce: None,
            hw: &Hw::of(number, &machine.parse().unwrap()),
        };
        let (token, certificate) = (seat["token"].as_str().unwrap(), seat["certificate"].as_str().unwrap());
        let believed = verify(token, certificate, roots, &expected, Clock::system().now_seconds());
        believed.map(drop).map_err(|error| error.to_string())
    }

    async fn roots(&self, local: &Local) -> Vec<RootKey> {
        let url = format!("{}/.well-known/license-keys", local.endpoint("front"));
        let keys: PublicKeySet = self.client.get(url).send().await.unwrap().json().await.unwrap();
        keys.keys
    }
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn license_keys_and_sessions_of_before_go_on_until_nothing_needs_the_old_pepper() {
    let site = Site::new();
    let local = site.start();
    let old_key = local.endpoint("license_key");
    let (_, seat) = site.acquire(&local, &old_key, "machine-one-0001").await;
    let session = seat["session"].as_str().unwrap().to_owned();
    site.refused(&["pepper"], &["already running", "stop it"]);
    site.refused(&["handle"], &["already running"]);
    site.refused(&["root"], &["already running"]);
    drop(local);
    site.refused(&["pepper", "--finish"], &["no rotation to end"]);

    let said = site.rotate(&["pepper"]).unwrap();
    assert!(said.contains("pepper 2") && said.contains("--finish"), "{said}");
    assert!(site.rotate(&["handle"]).unwrap().contains("handle 2"));
    assert_eq!((mode(&site.file("pepper.key")), mode(&site.file("handle.key"))), (0o600, 0o600));
    for name in ["pepper.key", "handle.key"] {
        let versions: Vec<_> = site.text(name).lines().map(|line| line.split_once(':').unwrap().0.to_owned()).collect();
        assert_eq!(versions, ["2", "1"], "{name}");
    }
    site.refused(&["pepper"], &["still accepted", "--finish"]);

    let local = site.start();
    assert_eq!(local.endpoint("license_key"), old_key, "the key that somebody copied yesterday is good");
    assert_eq!(site.acquire(&local, &old_key, "machine-two-0001").await.0, 201);
    let (beat, answer) = site.post(&local, "/api/v1/licenses/heartbeat", Some(&session), json!({})).await;
    assert_eq!(beat, 200, "a session of before goes on: {answer}");
    drop(local);

    let number = LicenseKey::parse(&old_key).unwrap().number().to_string();
    site.refused(&["pepper", "--finish"], &["still needed", &number, "rotate-key"]);
    std::fs::remove_file(site.file("license-key")).unwrap();
    let local = site.start();
    let new_key = local.endpoint("license_key");
    assert_ne!(new_key, old_key);
    assert_eq!(site.acquire(&local, &new_key, "machine-one-0001").await.0, 201);
    drop(local);
    assert!(site.rotate(&["pepper", "--finish"]).unwrap().contains("accepted no more"));
    assert!(site.rotate(&["handle", "--finish"]).unwrap().contains("acquire again"));
    assert_eq!((site.text("pepper.key").lines().count(), site.text("handle.key").lines().count()), (1, 1));

    let local = site.start();
    assert_eq!(local.endpoint("license_key"), new_key);
    assert_eq!(site.acquire(&local, &new_key, "machine-one-0001").await.0, 201);
    assert_eq!(site.acquire(&local, &old_key, "machine-one-0001").await.0, 401);
    assert_eq!(site.post(&local, "/api/v1/licenses/heartbeat", Some(&session), json!({})).await.0, 401);
    drop(local);
    assert!(site.rotate(&["pepper"]).unwrap().contains("pepper 3"), "the next rotation begins as the first did");
}

#[tokio::test]
async fn a_client_that_pins_both_roots_believes_before_and_after_the_switch() {
    let site = Site::new();
    let local = site.start();
    let old = site.roots(&local).await;
    assert_eq!(old.len(), 1);
    drop(local);
    site.refused(&["root", "--switch"], &["no next root key"]);
    site.refused(&["root", "--finish"], &["no rotation to end"]);

    let said = site.rotate(&["root"]).unwrap();
    assert_eq!(mode(&site.file("root.next.pem")), 0o600);
    assert_eq!(site.rotate(&["root"]).unwrap(), said, "asked again, the key that was drawn stays");
    site.refused(&["root", "--finish"], &["--switch"]);
    let local = site.start();
    let both = site.roots(&local).await;
    assert!(both.len() == 2 && both[0] == old[0] && said.contains(both[1].kid()), "the one that signs comes first");
    site.believed(&local, "machine-one-0001", &old).await.unwrap();
    site.believed(&local, "machine-two-0001", &both).await.unwrap();
    site.refused(&["root", "--switch"], &["already running"]);
    drop(local);

    // After a crash in the middle of a switch the old key has two names: it is done again from there.
    std::fs::hard_link(site.file("root.pem"), site.file("root.previous.pem")).unwrap();
    assert!(site.rotate(&["root", "--switch"]).unwrap().contains(both[1].kid()));
    assert!(!site.file("root.next.pem").exists());
    site.refused(&["root"], &["still published", "--finish"]);
    let local = site.start();
    let after = site.roots(&local).await;
    assert_eq!(after, [both[1].clone(), both[0].clone()]);
    site.believed(&local, "machine-one-0001", &both).await.unwrap();
    let told = site.believed(&local, "machine-two-0001", &old).await.unwrap_err();
    assert!(told.contains("not pinned"), "who never pinned the new one believes nothing new: {told}");
    drop(local);

    site.rotate(&["root", "--finish"]).unwrap();
    let local = site.start();
    assert_eq!(site.roots(&local).await, [both[1].clone()]);
    site.believed(&local, "machine-one-0001", &both).await.unwrap();
}

#[test]
fn a_directory_without_keys_is_not_made_one() {
    let site = Site::new();
    for words in [&["pepper"][..], &["handle"], &["root"], &["root", "--switch"]] {
        let error = site.rotate(words).unwrap_err();
        assert!(error.contains("is --data right?"), "{error}");
    }
    assert!(!site.file("").exists());
}
