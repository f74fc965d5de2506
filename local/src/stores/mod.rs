//! Private PostgreSQL and Redis as children of this process: for `license-local`, and for tests on real stores.
//!
//! Both run without root on a Unix socket in a directory that only their account can enter, and die with this process
//! whichever way it goes (`keeper.sh`). A server of the system that is already running is neither used nor disturbed.
//!
//! [`PostgresServer`] and [`RedisServer`] are one server each; `keeper` starts and ends it; `account` and `place` find
//! who they run as and where.

mod account;
mod keeper;
mod place;
mod postgres;
mod redis;

pub use place::{clean, own_dir};
pub(crate) use postgres::connect;
pub use postgres::{DATABASE, PostgresServer, PostgresSettings};
pub use redis::{RedisServer, RedisSettings};

use std::{io, path::Path};

/// Shorthand for results that fail with [`StoreError`].
pub type StoreResult<T> = std::result::Result<T, StoreError>;

/// Why a store could not be started or kept. The text tells a person what happened and what to do; the cause is
/// underneath.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The server is not installed.
    #[error("{program} was not found; install it ({how}) and start again")]
    Missing {
        /// The program looked for.
        program: &'static str,
        /// What to type on the common systems.
        how: &'static str,
    },
    /// The operating system refused something.
    #[error("{what}")]
    Io {
        /// What was tried, with the path.
        what: String,
        /// Its answer.
        source: io::Error,
    },
    /// The server started and ended at once, or its directory is not as it must be; with the last lines of its log.
    #[error("{0}")]
    Failed(String),
    /// The server runs and does not answer as it should.
    #[error("{told}\nThe last question to it failed")]
    Unanswered {
        /// What happened, with the last lines of the server's log.
        told: String,
        /// How the last question to it failed.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Names what was tried for an [`io::Error`].
pub(crate) fn io_error(what: impl AsRef<str>, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    let what = format!("{} {}", what.as_ref(), path.display());
    move |source| StoreError::Io { what, source }
}
