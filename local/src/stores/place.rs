//! Where a store lives and who it runs as.
//!
//! PostgreSQL refuses to run as root, so under root both stores run as `postgres`, or `nobody` where that account does not exist.
//! Two things can then be wrong with the directory that was asked for, and both have the same answer, a directory of our own that is
//! entered by its owner alone:
//!
//! * the account cannot reach it (a clone below root's home, which is 0700): the data goes to `/var/tmp` (kept across restarts of the
//!   machine) or the system's temporary directory;
//! * its path is too long for a Unix socket (`sockaddr_un` holds 108 bytes on Linux, 104 on macOS): the socket, and only that, goes to
//!   the system's temporary directory.
//!
//! The name of such a directory derives from the path that was asked for, so the next start finds it again. Anybody may create names
//! below a temporary directory, so one that exists is used only if it is a real directory, owned by the account (or root), and closed
//! to everybody else.

use super::{Error, Result, io_error, keeper::take_log};
use aws_lc_rs::digest;
use std::{
    fs::{self, DirBuilder, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};
use tempfile::TempDir;

/// The longest path of a socket we use: 103 bytes and a terminating zero fit everywhere.
const LONGEST_SOCKET: usize = 100;
/// The longest file name a store gives its socket.
const SOCKET_NAME: usize = "/.s.PGSQL.5432".len();

/// The account the stores run as when we are root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) uid: u32,
    pub(super) gid: u32,
    name: &'static str,
}

impl Account {
    /// `None` for a normal user, who needs no other account.
    ///
    /// # Errors
    /// If we are root and there is no other account.
    pub(super) fn find() -> Result<Option<Self>> {
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        let account = ["postgres", "nobody"].into_iter().find_map(Self::named);
        let none =
            || Error::Failed("PostgreSQL does not run as root, and there is no account `nobody` to run it as".into());
        account.map(Some).ok_or_else(none)
    }

    /// Asks `id`, which knows every source of accounts, on Linux and macOS alike.
    fn named(name: &'static str) -> Option<Self> {
        let ask = |option| {
            let answer = Command::new("id").args([option, name]).stderr(Stdio::null()).output().ok()?;
            // macOS prints `nobody` as -2.
            let number: i64 = String::from_utf8(answer.stdout).ok()?.trim().parse().ok()?;
            Some(number as u32)
        };
        Some(Self { uid: ask("-u")?, gid: ask("-g")?, name })
    }

    /// Whether this account can enter and write a directory. Tried, not computed: the whole path counts, and more than mode bits.
    fn can_use(&self, dir: &Path) -> bool {
        use std::os::unix::process::CommandExt;
        let mut probe = Command::new("sh");
        probe.args(["-c", "cd -- \"$1\" && test -w .", "probe"]).arg(dir).current_dir("/");
        probe.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        probe.uid(self.uid).gid(self.gid).status().is_ok_and(|status| status.success())
    }
}

/// The directories of one store.
pub(super) struct Place {
    pub(super) account: Option<Account>,
    /// Data and log.
    pub(super) dir: PathBuf,
    /// The socket; usually the same.
    pub(super) sockets: PathBuf,
    /// Removed when dropped (tests).
    temporary: Option<TempDir>,
}

impl Place {
    /// Makes `wanted`, or what stands in for it, ready for a store.
    pub(super) async fn lasting(wanted: &Path) -> Result<Self> {
        let account = Account::find()?;
        let fresh = !wanted.exists();
        fs::create_dir_all(wanted).map_err(io_error("cannot create", wanted))?;
        let wanted = wanted.canonicalize().map_err(io_error("cannot find", wanted))?;
        if fresh {
            // Somebody deleted the directory by hand: what stood in for it goes, too, or old data would come back.
            remove_stand_ins(&wanted, account.as_ref()).await?;
        }
        give(&wanted, account.as_ref())?;
        let dir = match &account {
            Some(account) if !account.can_use(&wanted) => {
                let dir = own_dir_for(&durable_base(), &wanted, Some(account))?;
                eprintln!(
                    "{} is out of reach for the account {}, which the stores run as under root: its data is in {}",
                    wanted.display(),
                    account.name,
                    dir.display()
                );
                dir
            }
            _ => wanted.clone(),
        };
        let sockets = if dir.as_os_str().len() + SOCKET_NAME > LONGEST_SOCKET {
            let sockets = own_dir_for(&short_base(), &wanted, account.as_ref())?;
            eprintln!("{} is too long for a socket's path: the socket is in {}", dir.display(), sockets.display());
            sockets
        } else {
            dir.clone()
        };
        Ok(Self { account, dir, sockets, temporary: None })
    }

    /// A directory of its own in memory where the system has that, gone when dropped: for tests.
    pub(super) fn temporary() -> Result<Self> {
        let account = Account::find()?;
        let usable = |base: &&PathBuf| base.is_dir() && account.as_ref().is_none_or(|account| account.can_use(base));
        let bases = [PathBuf::from("/dev/shm"), std::env::temp_dir(), PathBuf::from("/tmp")];
        let base =
            bases.iter().find(usable).ok_or_else(|| Error::Failed("no temporary directory can be used".into()))?;
        let closed = Permissions::from_mode(0o700);
        let made = tempfile::Builder::new().prefix("license-").permissions(closed).tempdir_in(base);
        let temporary = made.map_err(io_error("cannot create a directory in", base))?;
        let dir = temporary.path().to_owned();
        give(&dir, account.as_ref())?;
        Ok(Self { account, sockets: dir.clone(), dir, temporary: Some(temporary) })
    }

    /// What a keeper removes if we die before [`TempDir`] can.
    pub(super) fn removed_if_orphaned(&self) -> Option<&Path> {
        self.temporary.as_ref().map(TempDir::path)
    }
}

/// Gives a directory to the account and closes it to everybody else.
fn give(dir: &Path, account: Option<&Account>) -> Result<()> {
    if let Some(account) = account {
        chown(dir, Some(account.uid), Some(account.gid)).map_err(io_error("cannot give away", dir))?;
    }
    fs::set_permissions(dir, Permissions::from_mode(0o700)).map_err(io_error("cannot close", dir))
}

/// The directory below `base` that stands in for `wanted`, made if it is not there, refused if it may be somebody else's.
///
/// # Errors
/// If a file, a link or somebody else's directory has its name.
pub fn own_dir(base: &Path, wanted: &Path) -> Result<PathBuf> {
    own_dir_for(base, wanted, Account::find()?.as_ref())
}

fn own_dir_for(base: &Path, wanted: &Path, account: Option<&Account>) -> Result<PathBuf> {
    let dir = base.join(stand_in(wanted));
    match DirBuilder::new().mode(0o700).create(&dir) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => check_own(&dir, account)?,
        Err(error) => return Err(io_error("cannot create", &dir)(error)),
    }
    give(&dir, account)?;
    Ok(dir)
}

fn check_own(dir: &Path, account: Option<&Account>) -> Result<()> {
    let meta = fs::symlink_metadata(dir).map_err(io_error("cannot look at", dir))?;
    let us = rustix::process::geteuid().as_raw();
    let ours = meta.uid() == us || account.is_some_and(|account| meta.uid() == account.uid);
    if meta.is_dir() && ours && meta.mode() & 0o077 == 0 {
        return Ok(());
    }
    Err(Error::Failed(format!("{} is not a closed directory of ours; remove it and start again", dir.display())))
}

fn stand_in(wanted: &Path) -> String {
    let hash = digest::digest(&digest::SHA256, wanted.as_os_str().as_encoded_bytes());
    let name: String = hash.as_ref()[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("license-local-{name}")
}

fn durable_base() -> PathBuf {
    let durable = PathBuf::from("/var/tmp");
    if durable.is_dir() { durable } else { short_base() }
}

fn short_base() -> PathBuf {
    let usual = std::env::temp_dir();
    // A test or a user may have pointed TMPDIR somewhere deep or closed; /tmp is neither.
    let deep = usual.as_os_str().len() > 60;
    let closed = || Account::find().is_ok_and(|account| account.is_some_and(|account| !account.can_use(&usual)));
    if deep || closed() { PathBuf::from("/tmp") } else { usual }
}

/// Deletes a store's directory and what stands in for it, once no server runs there any more.
///
/// # Errors
/// If something is there and cannot be deleted, or a server goes on running there.
pub async fn clean(wanted: &Path) -> Result<()> {
    let Ok(wanted) = wanted.canonicalize() else { return Ok(()) };
    remove_stand_ins(&wanted, Account::find()?.as_ref()).await?;
    remove(&wanted).await
}

async fn remove_stand_ins(wanted: &Path, account: Option<&Account>) -> Result<()> {
    for base in [durable_base(), short_base()] {
        let dir = base.join(stand_in(wanted));
        if fs::symlink_metadata(&dir).is_ok() {
            check_own(&dir, account)?;
            remove(&dir).await?;
        }
    }
    Ok(())
}

async fn remove(dir: &Path) -> Result<()> {
    let lock = take_log(dir).await?;
    fs::remove_dir_all(dir).map_err(io_error("cannot remove", dir))?;
    drop(lock);
    Ok(())
}
