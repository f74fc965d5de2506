//! `license-local` as a person starts it, for what runs beside it.

use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs::{File, Permissions, read_to_string},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(300);

/// A directory for the data of a `license-local`, in memory where `./dev` has found room there: its stores wait for the
/// disk at every commit, which takes seconds where others write to that disk.
///
/// # Panics
/// If it cannot be made.
pub fn directory() -> TempDir {
    // The stores' own account, where this one is root, must pass through.
    let open = Permissions::from_mode(0o755);
    let in_memory = Path::new("/dev/shm");
    let base = if std::env::temp_dir().starts_with(in_memory) { in_memory } else { Path::new("/tmp") };
    tempfile::Builder::new().prefix("license-test-").permissions(open).tempdir_in(base).unwrap()
}

/// A running `license-local` on data of its own, stopped when dropped.
pub struct Local {
    child: Child,
    /// Holds the data directory and what it said.
    dir: PathBuf,
    _own: Option<TempDir>,
}

impl Local {
    /// Starts it with these variables and waits until it serves.
    ///
    /// # Panics
    /// If it does not within five minutes; with what it said.
    pub fn start(binary: &Path, variables: &[(&str, &str)]) -> Self {
        Self::run(Command::new(binary), variables)
    }

    /// The same where neither it nor its stores may open more than so many files each, which they cannot raise.
    ///
    /// # Panics
    /// As [`Local::start`].
    pub fn limited(binary: &Path, variables: &[(&str, &str)], files: u32) -> Self {
        let mut shell = Command::new("sh");
        shell.args(["-c", "ulimit -n \"$0\" && exec \"$@\"", &files.to_string()]).arg(binary);
        Self::run(shell, variables)
    }

    fn run(command: Command, variables: &[(&str, &str)]) -> Self {
        let data = directory();
        let mut local = Self::begin(command, data.path(), variables);
        local._own = Some(data);
        local
    }

    /// The same with its data below `dir`, which stays when it is dropped.
    ///
    /// # Panics
    /// As [`Local::start`].
    pub fn start_in(binary: &Path, dir: &Path, variables: &[(&str, &str)]) -> Self {
        Self::begin(Command::new(binary), dir, variables)
    }

    fn begin(mut command: Command, dir: &Path, variables: &[(&str, &str)]) -> Self {
        let _ = std::fs::remove_file(dir.join("data/endpoints.json"));
        let said = File::create(dir.join("said")).unwrap();
        let child = command
            .args(["--port", "0", "--data"])
            .arg(dir.join("data"))
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(said.try_clone().unwrap())
            .stderr(said)
            .spawn()
            .unwrap();
        let mut local = Self { child, dir: dir.to_owned(), _own: None };
        let until = Instant::now() + PATIENCE;
        while !local.path("endpoints.json").exists() {
            let ended = local.child.try_wait().unwrap();
            let said = local.said();
            assert!(ended.is_none() && Instant::now() < until, "license-local does not serve: {said}");
            std::thread::sleep(Duration::from_millis(10));
        }
        local
    }

    /// Everything it said so far, its log lines too.
    pub fn said(&self) -> String {
        read_to_string(self.dir.join("said")).unwrap_or_default()
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// A file of its data directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join("data").join(name)
    }

    /// Where a function that runs beside it may write.
    pub fn beside(&self) -> &Path {
        &self.dir
    }

    /// What `endpoints.json` says of a name.
    pub fn endpoint(&self, name: &str) -> String {
        let all: Value = serde_json::from_slice(&std::fs::read(self.path("endpoints.json")).unwrap()).unwrap();
        all[name].as_str().expect("an endpoint of that name").to_owned()
    }

    /// The variables in its `env`, read as a shell would.
    pub fn variables(&self) -> BTreeMap<String, String> {
        let text = read_to_string(self.path("env")).unwrap();
        let lines = text.lines().filter(|line| !line.starts_with('#')).map(|line| line.split_once('=').unwrap());
        let plain = |value: &str| value.strip_prefix('\'').unwrap().strip_suffix('\'').unwrap().replace(r"'\''", "'");
        lines.map(|(name, value)| (name.to_owned(), plain(value))).collect()
    }

    /// What it reads a push by: a token of its own issuer for the reaper.
    pub fn push_token(&self) -> String {
        let issuer = license_local::issuer::DemoIssuer::open(&self.path("issuer.key"), license_core::Clock::system());
        issuer.and_then(|issuer| issuer.push_token(&self.variables()["PUSH_AUDIENCE"])).expect("its issuer signs")
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        // In good order first: its stores end before their directory goes.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let until = Instant::now() + Duration::from_secs(20);
        while Instant::now() < until && self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
