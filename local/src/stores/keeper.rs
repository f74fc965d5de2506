//! One server under `keeper.sh`: started, signalled, waited for, stopped; gone when this process is gone.

use super::{StoreError, StoreResult, account::StoreAccount, io_error};
use license_core::error::chain;
use rustix::fs::OFlags;
use std::{
    fs::{File, OpenOptions, TryLockError},
    io::Write,
    os::unix::{fs::OpenOptionsExt, process::ExitStatusExt},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::{Duration, Instant},
};
use tokio::process::{Child, Command};

/// The file a server's output goes to, in its directory.
const LOG: &str = "log";
const KEEPER: &str = include_str!("keeper.sh");
/// The variable that has the script, and what runs it: the server does not inherit it.
const KEEPER_SCRIPT: &str = "LICENSE_KEEPER";
const RUN_KEEPER: &str = r#"script=$LICENSE_KEEPER; unset LICENSE_KEEPER; eval "$script""#;

/// What to start, and how to stop it.
pub(super) struct ServerSpec<'a> {
    /// The program and its arguments.
    pub(super) command: Vec<String>,
    /// The account it runs as; `None`: the account of this process.
    pub(super) account: Option<&'a StoreAccount>,
    /// Where it runs, and where its output is appended to `log`.
    pub(super) dir: &'a Path,
    /// The signal for a clean stop.
    pub(super) stop: &'static str,
    /// The signal for a quick end, by which data may be lost.
    pub(super) quick: &'static str,
    /// Deleted by the keeper if this process dies without stopping the server.
    pub(super) remove: Option<&'a Path>,
}

/// A running server. Dropping it ends the server quickly and waits until it is gone.
pub(super) struct KeptServer {
    child: Child,
    /// The pipe whose end stops the server. `None` once closed.
    orders: Option<File>,
    quick: &'static str,
    log: PathBuf,
}

/// How long a server may take to stop cleanly.
const GRACE: Duration = Duration::from_secs(20);
/// How long a server may take to end when told to drop everything.
const QUICK: Duration = Duration::from_secs(5);

/// How long an earlier server in the same directory may take to go.
const HANDOVER: Duration = Duration::from_secs(30);
/// A log longer than this begins anew at the next start, in bytes.
const LONG_LOG: u64 = 1 << 20;

impl KeptServer {
    /// Starts the server once nothing of an earlier one in the same directory is left.
    pub(super) async fn start(spec: &ServerSpec<'_>) -> StoreResult<Self> {
        let log = spec.dir.join(LOG);
        let out = take_log(spec.dir).await?;
        let errors = out.try_clone().map_err(io_error("cannot write", &log))?;
        let remove = spec.remove.map(|dir| dir.display().to_string()).unwrap_or_default();
        let mut command = Command::new("sh");
        command
            // The script is in the environment: among the arguments it would fill the screen of whoever lists processes.
            .args(["-c", RUN_KEEPER, "keeper", spec.stop, &GRACE.as_secs().to_string(), &remove])
            .args(&spec.command)
            .current_dir(spec.dir)
            // A process group of its own: Ctrl-C in the terminal reaches us, who stop everything in order, and not the
            // server.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(out)
            .stderr(errors)
            .env(KEEPER_SCRIPT, KEEPER)
            .env("LC_ALL", "C")
            .env("TZ", "UTC");
        for name in ["PGDATA", "PGPORT", "PGHOST", "PGUSER", "PGDATABASE", "PGOPTIONS", "PGTZ"] {
            command.env_remove(name);
        }
        if let Some(account) = spec.account {
            // Also drops root's supplementary groups (std::os::unix::process::CommandExt::uid).
            command.uid(account.uid).gid(account.gid);
        }
        let mut child = command.spawn().map_err(io_error("cannot start a server in", spec.dir))?;
        let pipe = child.stdin.take().and_then(|stdin| stdin.into_owned_fd().ok());
        Ok(Self { child, orders: pipe.map(File::from), quick: spec.quick, log })
    }

    /// Sends a signal, named as `kill -s` wants it, to the server alone. A server that is gone is no error.
    pub(super) fn signal(&mut self, name: &str) {
        if let Some(orders) = &mut self.orders {
            let _ = orders.write_all(format!("{name}\n").as_bytes());
        }
    }

    /// Waits until the server has ended, whoever ended it. May be dropped and called again.
    pub(super) async fn ended(&mut self) -> String {
        match self.child.wait().await {
            Ok(status) => describe(status),
            Err(error) => format!("ended in a way that could not be observed ({})", chain(&error)),
        }
    }

    /// The server is asked to stop cleanly, and killed when it takes longer than its grace. Its directory stays: it may
    /// be started again.
    pub(super) async fn stop(&mut self) {
        self.signal("END");
        self.orders = None;
        let _ = tokio::time::timeout(GRACE + QUICK, self.child.wait()).await;
    }

    /// Kills the server as a crash of the machine would, and waits until it is gone.
    pub(super) async fn kill(&mut self) {
        self.signal("KILL");
        let _ = self.child.wait().await;
    }

    /// True once the server has ended.
    pub(super) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// An error that tells what happened to this server and shows the end of its log.
    pub(super) fn failed(&self, what: &str) -> StoreError {
        StoreError::Failed(self.told(what))
    }

    /// The same of a server that runs, with how the last question to it failed.
    pub(super) fn unanswered(&self, what: &str, source: impl std::error::Error + Send + Sync + 'static) -> StoreError {
        StoreError::Unanswered { told: self.told(what), source: Box::new(source) }
    }

    fn told(&self, what: &str) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        let tail = lines[lines.len().saturating_sub(10)..].join("\n  ");
        format!("{what}; the end of {}:\n  {tail}", self.log.display())
    }
}

/// Opens the log and locks it. The lock belongs to the open file, which every process of the server inherits as its
/// output: it is free again when the last of them is gone, whoever killed the others. So a new server never meets the
/// rest of an old one, which might hold the data or remove the new one's socket.
pub(super) async fn take_log(dir: &Path) -> StoreResult<File> {
    let log = &dir.join(LOG);
    // The directory is the servers' account's: whoever took a server over could have put a link there, for root to
    // follow.
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits() as i32;
    let opened = OpenOptions::new().create(true).append(true).custom_flags(flags).open(log);
    let file = opened.map_err(io_error("cannot write", log))?;
    if !file.metadata().is_ok_and(|meta| meta.is_file()) {
        return Err(StoreError::Failed(format!("{} is no file; remove it and start again", log.display())));
    }
    let until = Instant::now() + HANDOVER;
    while let Err(error) = file.try_lock() {
        match error {
            TryLockError::WouldBlock if Instant::now() < until => tokio::time::sleep(Duration::from_millis(10)).await,
            TryLockError::WouldBlock => {
                return Err(StoreError::Failed(format!(
                    "another server is running in {}; stop it first",
                    dir.display()
                )));
            }
            TryLockError::Error(error) => return Err(io_error("cannot lock", log)(error)),
        }
    }
    if file.metadata().is_ok_and(|meta| meta.len() > LONG_LOG) {
        file.set_len(0).map_err(io_error("cannot write", log))?;
    }
    Ok(file)
}

/// Declares the methods that end a store, for a type whose field `kept` is its [`KeptServer`]: `ended`, and `stop` and
/// `kill` with what they mean for this store.
macro_rules! end_of_server {
    ($(#[$about_stop:meta])* stop, $(#[$about_kill:meta])* kill,) => {
        /// Waits until the server has ended, whoever ended it, and tells how. May be dropped and called again.
        pub async fn ended(&mut self) -> String {
            self.kept.ended().await
        }

        $(#[$about_stop])*
        pub async fn stop(&mut self) {
            self.kept.stop().await;
        }

        $(#[$about_kill])*
        pub async fn kill(&mut self) {
            self.kept.kill().await;
        }
    };
}
pub(super) use end_of_server;

impl Drop for KeptServer {
    /// Nobody waits for a clean shutdown any more: end it at once, but be sure that it ended, since its directory may
    /// be removed next.
    fn drop(&mut self) {
        self.signal(self.quick);
        self.signal("CONT");
        let until = Instant::now() + QUICK;
        while !self.has_ended() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(2));
        }
        if !self.has_ended() {
            self.signal("KILL");
            while !self.has_ended() && Instant::now() < until + QUICK {
                std::thread::sleep(Duration::from_millis(2));
            }
        }
    }
}

fn describe(status: ExitStatus) -> String {
    // A shell reports a child that died by signal n as 128 + n.
    match (status.code(), status.signal()) {
        (Some(0), _) => "ended".to_owned(),
        (Some(code), _) if code > 128 => format!("was killed by signal {}", code - 128),
        (Some(code), _) => format!("ended with status {code}"),
        (None, Some(signal)) => format!("was killed by signal {signal} together with its keeper"),
        (None, None) => "ended".to_owned(),
    }
}
