//! Where a store lives and under which account (`account.rs`).
//!
//! Two things can be wrong with the directory that was asked for, and both have the same answer, a directory of our own
//! that is entered by its owner alone:
//!
//! * the account cannot reach it, as with every data directory of root's, which is closed to everybody else: the data
//!   goes beside that directory, or where that is closed too (a clone below root's home) to `/var/lib/license-local`.
//!   Links in the directory that was asked for lead there;
//! * its path is too long for a Unix socket (`sockaddr_un` holds 108 bytes on Linux, 104 on macOS): the socket, and
//!   only that, goes to the system's temporary directory.
//!
//! The name of such a directory derives from the path that was asked for, so the next start finds it again. Anybody may
//! create names below a temporary directory, so one that exists is used only if it is a real directory, owned by the
//! account (or root), and closed to everybody else.

use super::{StoreError, StoreResult, account::StoreAccount, io_error, keeper::take_log};
use aws_lc_rs::digest;
use std::{
    fs::{self, DirBuilder, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown, symlink},
    path::{Path, PathBuf},
};
use tempfile::TempDir;

/// The longest path of a socket we use: 103 bytes and a terminating zero fit everywhere.
const LONGEST_SOCKET: usize = 100;
/// The longest file name a store gives its socket.
const SOCKET_NAME: usize = "/.s.PGSQL.5432".len();

/// The directories of one store.
pub(super) struct SocketPlace {
    pub(super) account: Option<StoreAccount>,
    /// Data and log.
    pub(super) dir: PathBuf,
    /// The socket; usually the same.
    pub(super) sockets: PathBuf,
    /// Removed when dropped (tests).
    temporary: Option<TempDir>,
}

impl SocketPlace {
    /// Makes `wanted`, or what stands in for it, ready for a store whose files are called so.
    pub(super) async fn lasting(wanted: &Path, files: &[&str]) -> StoreResult<Self> {
        let account = StoreAccount::find()?;
        let fresh = !wanted.exists();
        fs::create_dir_all(wanted).map_err(io_error("cannot create", wanted))?;
        let wanted = wanted.canonicalize().map_err(io_error("cannot find", wanted))?;
        if fresh {
            // Somebody deleted the directory by hand: what stood in for it goes, too, or old data would come back.
            remove_stand_ins(&wanted, account.as_ref()).await?;
        }
        give(&wanted, account.as_ref())?;
        let dir = match &account {
            Some(account) if !account.can_use(&wanted) => stand_in_for(&wanted, account)?,
            _ => wanted.clone(),
        };
        let sockets = if dir.as_os_str().len() + SOCKET_NAME > LONGEST_SOCKET {
            let sockets = own_dir_for(&short_base(), &wanted, account.as_ref())?;
            eprintln!("{} is too long for a socket's path: the socket is in {}", dir.display(), sockets.display());
            sockets
        } else {
            dir.clone()
        };
        if dir != wanted {
            link(&wanted, &dir, &sockets, files)?;
        }
        Ok(Self { account, dir, sockets, temporary: None })
    }

    /// A directory of its own in memory where the system has that, gone when dropped: for tests.
    pub(super) fn temporary() -> StoreResult<Self> {
        let account = StoreAccount::find()?;
        let usable = |base: &&PathBuf| base.is_dir() && account.as_ref().is_none_or(|account| account.can_use(base));
        let bases = [PathBuf::from("/dev/shm"), std::env::temp_dir(), PathBuf::from("/tmp")];
        let base =
            bases.iter().find(usable).ok_or_else(|| StoreError::Failed("no temporary directory can be used".into()))?;
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
fn give(dir: &Path, account: Option<&StoreAccount>) -> StoreResult<()> {
    if let Some(account) = account {
        chown(dir, Some(account.uid), Some(account.gid)).map_err(io_error("cannot give away", dir))?;
    }
    fs::set_permissions(dir, Permissions::from_mode(0o700)).map_err(io_error("cannot close", dir))
}

/// The directory below `base` that stands in for `wanted`, made if it is not there, refused if it may be somebody
/// else's.
///
/// # Errors
/// If a file, a link or somebody else's directory has its name.
pub fn own_dir(base: &Path, wanted: &Path) -> StoreResult<PathBuf> {
    own_dir_for(base, wanted, StoreAccount::find()?.as_ref())
}

fn own_dir_for(base: &Path, wanted: &Path, account: Option<&StoreAccount>) -> StoreResult<PathBuf> {
    let dir = base.join(stand_in(wanted));
    match DirBuilder::new().mode(0o700).create(&dir) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => check_own(&dir, account)?,
        Err(error) => return Err(io_error("cannot create", &dir)(error)),
    }
    give(&dir, account)?;
    Ok(dir)
}

fn check_own(dir: &Path, account: Option<&StoreAccount>) -> StoreResult<()> {
    let meta = fs::symlink_metadata(dir).map_err(io_error("cannot look at", dir))?;
    let us = rustix::process::geteuid().as_raw();
    let ours = meta.uid() == us || account.is_some_and(|account| meta.uid() == account.uid);
    if meta.is_dir() && ours && meta.mode() & 0o077 == 0 {
        return Ok(());
    }
    Err(StoreError::Failed(format!("{} is not a closed directory of ours; remove it and start again", dir.display())))
}

fn stand_in(wanted: &Path) -> String {
    let hash = digest::digest(&digest::SHA256, wanted.as_os_str().as_encoded_bytes());
    let name: String = hash.as_ref()[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("license-local-{name}")
}

/// A directory in the account's reach for what cannot be where it was asked for.
fn stand_in_for(wanted: &Path, account: &StoreAccount) -> StoreResult<PathBuf> {
    let base = data_parent(wanted).filter(|base| account.can_enter(base)).unwrap_or_else(durable_base);
    let dir = own_dir_for(&base, wanted, Some(account))?;
    // Before a version of this that gave the stores an account of their own they ran as another one, with the data
    // elsewhere.
    let before = [wanted.to_owned(), PathBuf::from("/var/tmp").join(stand_in(wanted))].map(|dir| dir.join("data"));
    let real = |data: &&PathBuf| fs::symlink_metadata(data).is_ok_and(|meta| meta.is_dir());
    if let Some(data) = before.iter().find(real)
        && !data.starts_with(&dir)
        && !dir.join("data").exists()
    {
        let (from, to, name) = (data.display(), dir.join("data"), account.name());
        return Err(StoreError::Failed(format!(
            "{from} is the data of an earlier version, which ran the stores as another account. Keep it: \
             mv {from} {to} && chown -R {name}: {to}. Or throw it away: start with --clean",
            to = to.display()
        )));
    }
    // Nothing but links is left in here, which are ours.
    chown(wanted, Some(0), Some(0)).map_err(io_error("cannot take back", wanted))?;
    eprintln!(
        "{} is closed to the account {}, which the stores run as under root: its data is in {}",
        wanted.display(),
        account.name(),
        dir.display()
    );
    Ok(dir)
}

/// Where the data directory is, whose store's directory is `wanted`: as lasting as that. Not where everybody may rename
/// what is ours.
fn data_parent(wanted: &Path) -> Option<PathBuf> {
    let base = wanted.parent()?.parent()?;
    let mode = fs::metadata(base).ok()?.mode();
    let safe = mode & 0o022 == 0 || mode & 0o1000 != 0;
    (safe && base.parent().is_some()).then(|| base.to_owned())
}

/// Lets the names of a store's files in `wanted` lead to where they are.
fn link(wanted: &Path, dir: &Path, sockets: &Path, files: &[&str]) -> StoreResult<()> {
    for file in files {
        let (name, base) =
            (wanted.join(file), if file.contains("sock") || file.starts_with('.') { sockets } else { dir });
        match fs::remove_file(&name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(io_error("cannot replace", &name)(error));
            }
            _ => symlink(base.join(file), &name).map_err(io_error("cannot link", &name))?,
        }
    }
    Ok(())
}

/// Where services keep their data, for root alone to make.
fn durable_base() -> PathBuf {
    let base = PathBuf::from("/var/lib/license-local");
    let _ = DirBuilder::new().mode(0o711).create(&base);
    let root = |meta: fs::Metadata| meta.is_dir() && meta.uid() == 0 && meta.mode() & 0o022 == 0;
    if fs::symlink_metadata(&base).is_ok_and(root) { base } else { PathBuf::from("/var/tmp") }
}

fn short_base() -> PathBuf {
    let usual = std::env::temp_dir();
    // A test or a user may have pointed TMPDIR somewhere deep or closed; /tmp is neither.
    let deep = usual.as_os_str().len() > 60;
    let closed = || StoreAccount::find().is_ok_and(|account| account.is_some_and(|account| !account.can_use(&usual)));
    if deep || closed() { PathBuf::from("/tmp") } else { usual }
}

/// Deletes a store's directory and what stands in for it, once no server runs there any more.
///
/// # Errors
/// If something is there and cannot be deleted, or a server goes on running there.
pub async fn clean(wanted: &Path) -> StoreResult<()> {
    let Ok(wanted) = wanted.canonicalize() else { return Ok(()) };
    remove_stand_ins(&wanted, StoreAccount::find()?.as_ref()).await?;
    remove(&wanted).await
}

async fn remove_stand_ins(wanted: &Path, account: Option<&StoreAccount>) -> StoreResult<()> {
    for base in [data_parent(wanted), account.map(|_| durable_base()), Some(short_base())].into_iter().flatten() {
        let dir = base.join(stand_in(wanted));
        if fs::symlink_metadata(&dir).is_ok() {
            check_own(&dir, account)?;
            remove(&dir).await?;
        }
    }
    // Where an earlier version kept them under root, as another account.
    let earlier = Path::new("/var/tmp").join(stand_in(wanted));
    if account.is_some() && fs::symlink_metadata(&earlier).is_ok_and(|meta| meta.is_dir()) {
        fs::remove_dir_all(&earlier).map_err(io_error("cannot remove", &earlier))?;
    }
    Ok(())
}

async fn remove(dir: &Path) -> StoreResult<()> {
    let lock = take_log(dir).await?;
    fs::remove_dir_all(dir).map_err(io_error("cannot remove", dir))?;
    drop(lock);
    Ok(())
}
