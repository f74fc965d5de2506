//! The data directory of one machine: who may use it, which secrets it keeps, and how to throw it away.
//!
//! ```text
//! .local/lock                  held by the one process that uses the directory
//! .local/postgres/ redis/      the stores (see stores::place for when they are elsewhere)
//! .local/root.pem issuer.key   the root key clients pin; the demo issuer's key
//! .local/root.next.pem root.previous.pem   while the root key is being replaced (rotate.rs)
//! .local/handle.key pepper.key what handles are signed and license keys hashed with; on a second line what is accepted beside it
//! .local/bus.token             what the bus knows its publishers by
//! .local/license-key           the demo license
//! .local/endpoints.json env    where everything is, while it runs
//! ```

use crate::{secrets, stores};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use license_core::domain::secret::{Secret, random};
use std::{
    fs::{self, DirBuilder, File, TryLockError},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

const FILES: [&str; 11] = [
    "root.pem",
    "root.next.pem",
    "root.previous.pem",
    "issuer.key",
    "handle.key",
    "pepper.key",
    "bus.token",
    "license-key",
    "endpoints.json",
    "env",
    "lock",
];

/// The data directory, locked for this process.
pub(crate) struct Data {
    dir: PathBuf,
    lock: File,
}

/// What may go wrong with it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("license-local is already running on {}; stop it first, or give this one another --data and --port", .0.display())]
    InUse(PathBuf),
    #[error("{}: {source}", dir.display())]
    Io { dir: PathBuf, source: io::Error },
    #[error(transparent)]
    Stores(#[from] stores::Error),
}

impl Data {
    /// Makes the directory, or with `clean` makes it anew, and locks it.
    pub(crate) async fn open(dir: &Path, clean: bool) -> Result<Self, Error> {
        let data = Self::lock(dir)?;
        if !clean {
            return Ok(data);
        }
        // Only what we made: somebody may have named a directory with more in it.
        for store in [data.postgres(), data.redis()] {
            stores::clean(&store).await?;
        }
        for file in FILES {
            let _ = fs::remove_file(data.dir.join(file));
        }
        drop(data);
        Self::lock(dir)
    }

    fn lock(dir: &Path) -> Result<Self, Error> {
        let failed = |source| Error::Io { dir: dir.to_owned(), source };
        // 0711: under root the stores' account passes through to their directories; every file in here is 0600.
        DirBuilder::new().recursive(true).mode(0o711).create(dir).map_err(failed)?;
        let dir = dir.canonicalize().map_err(failed)?;
        let lock = File::options().create(true).append(true).open(dir.join("lock")).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { dir, lock }),
            Err(TryLockError::WouldBlock) => Err(Error::InUse(dir)),
            Err(TryLockError::Error(source)) => Err(Error::Io { dir, source }),
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
    pub(crate) fn service_keys(&self, name: &str) -> io::Result<Ring> {
        let text = secrets::kept(&self.path(name), || Ok(draw(1)))?;
        let mut lines = text.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty());
        let (current, previous) = (lines.next().unwrap_or_default(), lines.next());
        if version(&current).is_none()
            || previous.as_deref().is_some_and(|key| version(key).is_none())
            || lines.next().is_some()
        {
            let what = format!(
                "{name} does not hold one key, or two: <version 1-255>:<32 random bytes as base64url>. Restore it from a backup"
            );
            return Err(io::Error::other(what));
        }
        Ok(Ring { current: Secret::new(current), previous: previous.map(Secret::new) })
    }

    /// Draws a new key of the service and accepts the present one beside it. Answers the new one's version.
    pub(crate) fn replace_service_key(&self, name: &str, ring: &Ring) -> io::Result<u8> {
        // 0 is no version.
        let next = ring.version().checked_add(1).unwrap_or(1);
        secrets::write(&self.path(name), &format!("{}\n{}\n", draw(next), ring.current.reveal()))?;
        Ok(next)
    }

    /// Accepts nothing beside the present key of the service any more.
    pub(crate) fn forget_service_key(&self, name: &str, ring: &Ring) -> io::Result<()> {
        secrets::write(&self.path(name), &format!("{}\n", ring.current.reveal()))
    }

    /// What the bus knows its publishers by.
    pub(crate) fn bus_token(&self) -> io::Result<Secret<String>> {
        let draw = || Ok(BASE64_URL_SAFE_NO_PAD.encode(random::<32>()));
        secrets::kept(&self.path("bus.token"), draw).map(Secret::new)
    }
}

/// A key of the service and, while it is being replaced, the one before, each as its variable wants it: `<version>:<32 random bytes>`.
pub(crate) struct Ring {
    pub(crate) current: Secret<String>,
    pub(crate) previous: Option<Secret<String>>,
}

impl Ring {
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

impl Drop for Data {
    /// Closing the file alone would leave the directory locked while a child that is just being started still has a copy of it.
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
        let first = Data::open(base.path(), false).await.unwrap();
        assert!(matches!(Data::open(base.path(), true).await, Err(Error::InUse(_))));
        drop(first);
        Data::open(base.path(), false).await.unwrap();
    }

    /// A child that is being started has a copy of every open file from its fork until its exec, and with it of the lock.
    #[tokio::test]
    async fn a_directory_is_free_at_once_however_many_copies_of_the_lock_a_fork_made() {
        let base = tempfile::tempdir().unwrap();
        let first = Data::open(base.path(), false).await.unwrap();
        let of_a_fork = first.lock.try_clone().unwrap();
        drop(first);
        let second = Data::open(base.path(), false).await;
        drop(of_a_fork);
        second.unwrap();
    }

    #[tokio::test]
    async fn keys_stay_the_same_until_clean_which_leaves_other_files_alone() {
        let base = tempfile::tempdir().unwrap();
        fs::write(base.path().join("mine.txt"), "mine").unwrap();
        let key =
            async |clean| Data::open(base.path(), clean).await.unwrap().service_keys("handle.key").unwrap().current;
        let first = key(false).await;
        assert!(key(false).await == first);
        assert!(key(true).await != first);
        assert!(base.path().join("mine.txt").exists());
    }

    #[tokio::test]
    async fn a_replaced_key_is_used_beside_the_one_before_until_that_is_forgotten() {
        let base = tempfile::tempdir().unwrap();
        let data = Data::open(base.path(), false).await.unwrap();
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
