//! The data directory of one machine: who may use it, which secrets it keeps, and how to throw it away.
//!
//! ```text
//! .local/lock                  held by the one process that uses the directory
//! .local/postgres/ redis/      the stores (see stores::place for when they are elsewhere)
//! .local/root.pem issuer.key   the root key clients pin; the demo issuer's key
//! .local/handle.key pepper.key what handles are signed and license keys hashed with
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

const FILES: [&str; 9] =
    ["root.pem", "issuer.key", "handle.key", "pepper.key", "bus.token", "license-key", "endpoints.json", "env", "lock"];

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

    /// A key of the service as its variable wants it: `<version>:<32 random bytes>`.
    pub(crate) fn service_key(&self, name: &str) -> io::Result<Secret<String>> {
        let draw = || Ok(format!("1:{}", BASE64_URL_SAFE_NO_PAD.encode(random::<32>())));
        secrets::kept(&self.path(name), draw).map(Secret::new)
    }

    /// What the bus knows its publishers by.
    pub(crate) fn bus_token(&self) -> io::Result<Secret<String>> {
        let draw = || Ok(BASE64_URL_SAFE_NO_PAD.encode(random::<32>()));
        secrets::kept(&self.path("bus.token"), draw).map(Secret::new)
    }
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
        let key = async |clean| Data::open(base.path(), clean).await.unwrap().service_key("handle.key").unwrap();
        let first = key(false).await;
        assert!(key(false).await == first);
        assert!(key(true).await != first);
        assert!(base.path().join("mine.txt").exists());
    }
}
