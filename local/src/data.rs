//! The data directory of one machine: who may use it, which secrets it keeps, and how to throw it away.
//!
//! ```text
//! .local/lock                              held by the one process that uses the directory
//! .local/postgres/, redis/                 the stores (`stores/place.rs`: when they are elsewhere)
//! .local/root.pem                          the root key, whose public half clients pin
//! .local/root.next.pem, root.previous.pem  while the root key is being replaced (`rotate.rs`)
//! .local/issuer.key                        the key of the demo identity provider
//! .local/handle.key, pepper.key            the key of handles and the pepper; a second line is the one before, which is
//!                                          still accepted
//! .local/webhook.key                       the same of what the secrets of webhooks are sealed with
//! .local/bus.token                         the secret that services show to the bus
//! .local/staff.secret                      the secret for which the demo identity provider makes tokens of staff
//! .local/license-key                       the key of the demo license
//! .local/endpoints.json, env               the addresses and the variables, while it runs
//! ```

use crate::{secrets, stores};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use license_core::domain::secret::{Secret, random};
use rustix::{fs::OFlags, process::geteuid};
use std::{
    fs::{self, DirBuilder, File, Permissions, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

const FILES: [&str; 13] = [
    "root.pem",
    "root.next.pem",
    "root.previous.pem",
    "issuer.key",
    "handle.key",
    "pepper.key",
    "webhook.key",
    "bus.token",
    "staff.secret",
    "license-key",
    "endpoints.json",
    "env",
    "lock",
];

/// The data directory, locked for this process.
pub(crate) struct DataDirectory {
    dir: PathBuf,
    lock: File,
}

/// What may go wrong with it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DataError {
    #[error(
        "license-local is already running on {}; stop it first, or give this one another --data and --port",
        .0.display()
    )]
    InUse(PathBuf),
    #[error("{} cannot be used", dir.display())]
    Io { dir: PathBuf, source: io::Error },
    #[error(
        "{} belongs to another account (uid {owner}), who could put other keys there; name a directory of your own \
         with --data, or start as that account",
        dir.display()
    )]
    Foreign { dir: PathBuf, owner: u32 },
    #[error(
        "{} is open to others (mode {mode:o}) and holds what may not be ours; \
         close it (chmod 700) if nobody else has written there, or name another with --data",
        dir.display()
    )]
    Open { dir: PathBuf, mode: u32 },
    #[error("{} is no file of our own; remove it and start again", .0.display())]
    Lock(PathBuf),
    #[error(transparent)]
    Stores(#[from] stores::StoreError),
}

impl DataDirectory {
    /// Makes the directory, or with `clean` makes it anew, and locks it.
    pub(crate) async fn open(dir: &Path, clean: bool) -> Result<Self, DataError> {
        let data = Self::lock(dir)?;
        if !clean {
            return Ok(data);
        }
        // Only files that this program made: the directory that was named may have others in it.
        for store in [data.postgres(), data.redis()] {
            stores::clean(&store).await?;
        }
        for file in FILES {
            let _ = fs::remove_file(data.dir.join(file));
        }
        drop(data);
        Self::lock(dir)
    }

    fn lock(dir: &Path) -> Result<Self, DataError> {
        let failed = |source| DataError::Io { dir: dir.to_owned(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed)?;
        let dir = dir.canonicalize().map_err(failed)?;
        close(&dir)?;
        let lock = own_lock(&dir)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { dir, lock }),
            Err(TryLockError::WouldBlock) => Err(DataError::InUse(dir)),
            Err(TryLockError::Error(source)) => Err(DataError::Io { dir, source }),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    pub(crate) fn postgres(&self) -> PathBuf {
        self.path("postgres")
    }

    pub(crate) fn redis(&self) -> PathBuf {
        self.path("redis")
    }

    /// A key of the service, drawn at the first start, and what is accepted beside it.
    pub(crate) fn service_keys(&self, name: &str) -> io::Result<KeyVersions> {
        let text = secrets::kept(&self.path(name), || Ok(draw(1)))?;
        let mut lines = text.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty());
        let (current, previous) = (lines.next().unwrap_or_default(), lines.next());
        if version(&current).is_none()
            || previous.as_deref().is_some_and(|key| version(key).is_none())
            || lines.next().is_some()
        {
            let what = format!(
                "{name} does not hold one key, or two: <version 1-255>:<32 random bytes as base64url>. \
                 Restore it from a backup"
            );
            return Err(io::Error::other(what));
        }
        Ok(KeyVersions { current: Secret::new(current), previous: previous.map(Secret::new) })
    }

    /// Draws a new key of the service and accepts the present one beside it. Answers the new one's version.
    pub(crate) fn replace_service_key(&self, name: &str, ring: &KeyVersions) -> io::Result<u8> {
        // 0 is no version.
        let next = ring.version().checked_add(1).unwrap_or(1);
        secrets::write(&self.path(name), &format!("{}\n{}\n", draw(next), ring.current.reveal()))?;
        Ok(next)
    }

    /// Accepts nothing beside the present key of the service any more.
    pub(crate) fn forget_service_key(&self, name: &str, ring: &KeyVersions) -> io::Result<()> {
        secrets::write(&self.path(name), &format!("{}\n", ring.current.reveal()))
    }

    /// The secret that services show to the bus when they publish.
    pub(crate) fn bus_token(&self) -> io::Result<Secret<String>> {
        let draw = || Ok(BASE64_URL_SAFE_NO_PAD.encode(random::<32>()));
        secrets::kept(&self.path("bus.token"), draw).map(Secret::new)
    }

    /// The secret for which the demo identity provider makes tokens of staff.
    pub(crate) fn staff_secret(&self) -> io::Result<Secret<String>> {
        let draw = || Ok(BASE64_URL_SAFE_NO_PAD.encode(random::<32>()));
        secrets::kept(&self.path("staff.secret"), draw).map(Secret::new)
    }
}

/// Closes the directory to all other accounts. If it was open to them, it is used only if none of them can have put a
/// file into it: it is empty, or it is a data directory that others could only read.
fn close(dir: &Path) -> Result<(), DataError> {
    let failed = |source| DataError::Io { dir: dir.to_owned(), source };
    let meta = fs::metadata(dir).map_err(failed)?;
    if meta.uid() != geteuid().as_raw() {
        return Err(DataError::Foreign { dir: dir.to_owned(), owner: meta.uid() });
    }
    let mode = meta.mode() & 0o7777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    let empty = fs::read_dir(dir).map_err(failed)?.next().is_none();
    let ours = mode & 0o022 == 0 && fs::symlink_metadata(dir.join("lock")).is_ok_and(|lock| lock.is_file());
    if !empty && !ours {
        return Err(DataError::Open { dir: dir.to_owned(), mode });
    }
    fs::set_permissions(dir, Permissions::from_mode(0o700)).map_err(failed)?;
    eprintln!("{} was open to others (mode {mode:o}): it is closed to them now", dir.display());
    Ok(())
}

/// The file whose lock says that the directory is in use. An account that can open a file can lock it, so only this
/// account may open this one.
fn own_lock(dir: &Path) -> Result<File, DataError> {
    let path = dir.join("lock");
    // A link could lead to a file that another account chose, and opening a pipe would wait.
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits() as i32;
    let opened = File::options().create(true).append(true).mode(0o600).custom_flags(flags).open(&path);
    let lock = opened.map_err(|_| DataError::Lock(path.clone()))?;
    let failed = |source| DataError::Io { dir: dir.to_owned(), source };
    let meta = lock.metadata().map_err(failed)?;
    if !meta.is_file() || meta.uid() != geteuid().as_raw() || meta.nlink() != 1 {
        return Err(DataError::Lock(path));
    }
    lock.set_permissions(Permissions::from_mode(0o600)).map_err(failed)?;
    Ok(lock)
}

/// A key of the service and, while it is being replaced, the one before, each as its variable wants it: `<version>:<32
/// random bytes>`.
pub(crate) struct KeyVersions {
    pub(crate) current: Secret<String>,
    pub(crate) previous: Option<Secret<String>>,
}

impl KeyVersions {
    /// The version of the key that is used.
    pub(crate) fn version(&self) -> u8 {
        version(self.current.reveal()).unwrap_or(1)
    }

    /// The version of the key that is accepted beside it.
    pub(crate) fn previous_version(&self) -> Option<u8> {
        self.previous.as_ref().and_then(|key| version(key.reveal()))
    }
}

fn draw(version: u8) -> String {
    format!("{version}:{}", BASE64_URL_SAFE_NO_PAD.encode(random::<32>()))
}

fn version(key: &str) -> Option<u8> {
    key.split_once(':')?.0.parse().ok().filter(|&version| version > 0)
}

impl Drop for DataDirectory {
    /// Closing the file alone would leave the directory locked while a child that is just being started still has a
    /// copy of it.
    fn drop(&mut self) {
        let _ = self.lock.unlock();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn two_processes_never_share_a_data_directory() {
        let base = tempfile::tempdir().unwrap();
        let first = DataDirectory::open(base.path(), false).await.unwrap();
        assert!(matches!(DataDirectory::open(base.path(), true).await, Err(DataError::InUse(_))));
        drop(first);
        DataDirectory::open(base.path(), false).await.unwrap();
    }

    /// A child that is being started has a copy of every open file from its fork until its exec, and with it of the
    /// lock.
    #[tokio::test]
    async fn a_directory_is_free_at_once_however_many_copies_of_the_lock_a_fork_made() {
        let base = tempfile::tempdir().unwrap();
        let first = DataDirectory::open(base.path(), false).await.unwrap();
        let of_a_fork = first.lock.try_clone().unwrap();
        drop(first);
        let second = DataDirectory::open(base.path(), false).await;
        drop(of_a_fork);
        second.unwrap();
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    async fn opened(dir: &Path) -> Result<DataDirectory, DataError> {
        DataDirectory::open(dir, false).await
    }

    #[tokio::test]
    async fn nobody_else_enters_the_directory_or_locks_it() {
        let base = tempfile::tempdir().unwrap();
        let dir = base.path().join("deep/.local");
        drop(opened(&dir).await.unwrap());
        assert_eq!((mode(&dir), mode(&dir.join("lock"))), (0o700, 0o600));
        // As an earlier version left it.
        for (before, lock) in [(0o711, 0o644), (0o755, 0o666), (0o750, 0o600)] {
            set_mode(&dir, before);
            set_mode(&dir.join("lock"), lock);
            drop(opened(&dir).await.unwrap());
            assert_eq!((mode(&dir), mode(&dir.join("lock"))), (0o700, 0o600));
        }
    }

    #[tokio::test]
    async fn a_directory_that_others_may_have_filled_is_refused_and_left_as_it_is() {
        let base = tempfile::tempdir().unwrap();
        let dir = base.path().join("data");
        for before in [0o777, 0o1777, 0o775, 0o733, 0o755] {
            fs::create_dir(&dir).unwrap();
            fs::write(dir.join("theirs"), "theirs").unwrap();
            if before & 0o022 != 0 {
                fs::write(dir.join("lock"), "").unwrap();
            }
            set_mode(&dir, before);
            assert!(matches!(opened(&dir).await, Err(DataError::Open { .. })), "{before:o}");
            assert_eq!(mode(&dir), before & 0o777);
            fs::remove_dir_all(&dir).unwrap();
            // An empty one is nobody's.
            fs::create_dir(&dir).unwrap();
            set_mode(&dir, before);
            drop(opened(&dir).await.unwrap());
            assert_eq!(mode(&dir), 0o700);
            fs::remove_dir_all(&dir).unwrap();
        }
    }

    #[tokio::test]
    async fn a_directory_of_another_account_is_refused() {
        if !geteuid().is_root() {
            // Only root can give one away; what everybody sees of another account's is `/`.
            assert!(matches!(close(Path::new("/")), Err(DataError::Foreign { .. })));
            return;
        }
        let base = tempfile::tempdir().unwrap();
        std::os::unix::fs::chown(base.path(), Some(12_345), None).unwrap();
        assert!(matches!(opened(base.path()).await, Err(DataError::Foreign { owner: 12_345, .. })));
    }

    #[tokio::test]
    async fn a_lock_that_is_no_file_of_our_own_is_refused() {
        let base = tempfile::tempdir().unwrap();
        let (dir, theirs) = (base.path().join("data"), base.path().join("theirs"));
        fs::write(&theirs, "theirs").unwrap();
        fs::create_dir(&dir).unwrap();
        set_mode(&dir, 0o700);
        let lock = dir.join("lock");
        let refused = async |what: &str| {
            assert!(matches!(opened(&dir).await, Err(DataError::Lock(_))), "{what}");
            fs::remove_file(&lock).or_else(|_| fs::remove_dir(&lock)).unwrap();
        };
        std::os::unix::fs::symlink(&theirs, &lock).unwrap();
        refused("a link").await;
        std::os::unix::fs::symlink(base.path().join("nothing"), &lock).unwrap();
        refused("a link to nothing").await;
        fs::hard_link(&theirs, &lock).unwrap();
        refused("another name of a file elsewhere").await;
        fs::create_dir(&lock).unwrap();
        refused("a directory").await;
        assert!(std::process::Command::new("mkfifo").arg(&lock).status().unwrap().success());
        refused("a pipe").await;
        assert!(!base.path().join("nothing").exists());
        assert_eq!(fs::read_to_string(&theirs).unwrap(), "theirs");
        drop(opened(&dir).await.unwrap());
    }

    #[tokio::test]
    async fn keys_stay_the_same_until_clean_which_leaves_other_files_alone() {
        let base = tempfile::tempdir().unwrap();
        set_mode(base.path(), 0o700);
        fs::write(base.path().join("mine.txt"), "mine").unwrap();
        let key = async |clean| {
            DataDirectory::open(base.path(), clean).await.unwrap().service_keys("handle.key").unwrap().current
        };
        let first = key(false).await;
        assert!(key(false).await == first);
        assert!(key(true).await != first);
        assert!(base.path().join("mine.txt").exists());
    }

    #[tokio::test]
    async fn a_replaced_key_is_used_beside_the_one_before_until_that_is_forgotten() {
        let base = tempfile::tempdir().unwrap();
        let data = DataDirectory::open(base.path(), false).await.unwrap();
        let first = data.service_keys("pepper.key").unwrap();
        assert_eq!((first.version(), first.previous_version()), (1, None));
        assert_eq!(data.replace_service_key("pepper.key", &first).unwrap(), 2);
        let both = data.service_keys("pepper.key").unwrap();
        assert_eq!((both.version(), both.previous_version()), (2, Some(1)));
        assert!(both.previous.as_ref().unwrap() == &first.current && both.current != first.current);
        data.forget_service_key("pepper.key", &both).unwrap();
        let last = data.service_keys("pepper.key").unwrap();
        assert!(last.current == both.current && last.previous.is_none());
        // After the 255th comes the first again: by then nothing carries it.
        secrets::write(&data.path("handle.key"), "255:AAAA\n").unwrap();
        let old = data.service_keys("handle.key").unwrap();
        assert_eq!(data.replace_service_key("handle.key", &old).unwrap(), 1);
        for damaged in ["", "AAAA", "0:AAAA", "256:AAAA", "2:A\n1:B\n3:C", "2:A\nB"] {
            secrets::write(&data.path("handle.key"), damaged).unwrap();
            assert!(data.service_keys("handle.key").is_err(), "{damaged:?}");
        }
    }
}
