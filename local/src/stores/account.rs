//! The account that the stores run as.
//!
//! PostgreSQL refuses to run as root. So if this program runs as root, both stores run as an account of their own,
//! which is made at the first start. An account that other programs use too, such as the system's `postgres` or
//! `nobody`, would give those programs access to the data.

use super::{StoreError, StoreResult};
use std::{
    fs::File,
    path::Path,
    process::{Command, Stdio},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// What the account is called.
const NAME: &str = "license-local";
/// How long another process may take to make the account.
const PATIENCE: Duration = Duration::from_secs(10);

/// What makes a system account that nobody logs in with: of shadow, which most systems have, and of BusyBox.
const MAKERS: [&[&str]; 2] = [
    &[
        "useradd",
        "--system",
        "--user-group",
        "--no-create-home",
        "--home-dir",
        "/nonexistent",
        "--shell",
        "/usr/sbin/nologin",
        NAME,
    ],
    &["adduser", "-S", "-D", "-H", "-h", "/nonexistent", "-s", "/sbin/nologin", NAME],
];

/// The account the stores run as when we are root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StoreAccount {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

impl StoreAccount {
    /// `None` for a normal user, who needs no other account. The first time on a machine the account is made.
    ///
    /// # Errors
    /// If we are root and the account can neither be found nor made.
    pub(super) fn find() -> StoreResult<Option<Self>> {
        static FOUND: Mutex<Option<StoreAccount>> = Mutex::new(None);
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        let mut found = FOUND.lock().unwrap_or_else(PoisonError::into_inner);
        if found.is_none() {
            *found = Some(Self::known().map_or_else(Self::made, Ok)?);
        }
        Ok(found.clone())
    }

    /// The name of the account.
    pub(super) fn name(&self) -> &'static str {
        NAME
    }

    /// Asks `id`, which knows every source of accounts, on Linux and macOS alike.
    fn known() -> Option<Self> {
        let ask = |option| {
            let answer = Command::new("id").args([option, NAME]).stderr(Stdio::null()).output().ok()?;
            let number: u32 = String::from_utf8(answer.stdout).ok()?.trim().parse().ok()?;
            Some(number).filter(|number| *number != 0)
        };
        Some(Self { uid: ask("-u")?, gid: ask("-g")? })
    }

    fn made() -> StoreResult<Self> {
        // Two that make it at once would each write another number into the list: who comes second finds it made.
        let list = File::open("/etc/passwd").ok().filter(locked);
        if let Some(account) = Self::known() {
            return Ok(account);
        }
        let mut said = String::new();
        for maker in MAKERS {
            // After a plain `su` the system's own programs are not on the path.
            let mut command = Command::new("sh");
            command.args(["-c", "PATH=$PATH:/usr/sbin:/sbin; exec \"$@\"", "maker"]).args(maker).stdin(Stdio::null());
            let output = command.output();
            if let Some(account) = Self::known() {
                drop(list);
                return Ok(account);
            }
            if let Ok(output) = output
                && output.status.code() != Some(127)
            {
                said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            }
        }
        Err(StoreError::Failed(format!(
            "PostgreSQL does not run as root, and the account {NAME} to run it as cannot be made ({said}). \
             Make it, a system account that nobody logs in with, and start again: {}",
            MAKERS[0].join(" ")
        )))
    }

    /// Whether this account can enter and write a directory. Tried, not computed: the whole path counts, and more than
    /// mode bits.
    pub(super) fn can_use(&self, dir: &Path) -> bool {
        self.can("cd -- \"$1\" && test -w .", dir)
    }

    /// Whether this account can pass through a directory to what is in it.
    pub(super) fn can_enter(&self, dir: &Path) -> bool {
        self.can("cd -- \"$1\"", dir)
    }

    fn can(&self, what: &str, dir: &Path) -> bool {
        use std::os::unix::process::CommandExt;
        let mut probe = Command::new("sh");
        probe.args(["-c", what, "probe"]).arg(dir).current_dir("/");
        probe.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        probe.uid(self.uid).gid(self.gid).status().is_ok_and(|status| status.success())
    }
}

/// Waits for the lock of a file. False: somebody else keeps it, which is no reason not to go on.
fn locked(file: &File) -> bool {
    let until = Instant::now() + PATIENCE;
    while file.try_lock().is_err() {
        if Instant::now() > until {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    true
}
