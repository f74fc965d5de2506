//! What can be wrong with a change of the schema, by what a person has to do about it.

use crate::{Error, error::ErrorContext};
use std::{borrow::Cow, fmt};

/// What a person has to do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SchemaErrorKind {
    /// Nobody answers at the address.
    Unreachable,
    /// The server does not know the user, or does not take its password.
    LoginRefused,
    /// There is no such database, it belongs to something else, or the server cannot hold it.
    WrongDatabase,
    /// The user may log in, and not do this.
    MissingRight,
    /// An applied migration is another text now.
    Edited,
    /// Another `migrate` is at work.
    Busy,
    /// A lock was not had beside other transactions.
    Locked,
    /// Grants name a user that the server does not have.
    UnknownUser,
    /// Grants name a user that no role limits.
    UnfitUser,
    /// Services are connected where none may be.
    ServicesRun,
    /// Anything else: the statement failed.
    Failed,
}

/// A change of the schema that failed: its kind, what was done, and the server's error underneath.
#[derive(Clone, Debug)]
pub struct SchemaError {
    /// What a person has to do about it.
    pub kind: SchemaErrorKind,
    context: ErrorContext,
}

impl SchemaError {
    pub(super) fn new(kind: SchemaErrorKind, what: impl Into<Cow<'static, str>>) -> Self {
        let context = match what.into() {
            Cow::Borrowed(text) => text.into(),
            Cow::Owned(text) => text.into(),
        };
        Self { kind, context }
    }

    /// The same with the error underneath.
    pub(super) fn caused(kind: SchemaErrorKind, what: &'static str, error: Error) -> Self {
        Self { kind, context: ErrorContext::new(what, error) }
    }

    /// What was done when the server's error arose, which says the kind.
    pub(super) fn of(what: impl Into<Cow<'static, str>>, error: sqlx::Error) -> Self {
        Self { kind: kind(&error), context: ErrorContext::new(what, error) }
    }
}

fn kind(error: &sqlx::Error) -> SchemaErrorKind {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::PoolTimedOut => SchemaErrorKind::Unreachable,
        sqlx::Error::Database(error) => match error.code().as_deref() {
            // Shutting down, starting up, no connection left.
            Some("57P01" | "57P02" | "57P03" | "53300") => SchemaErrorKind::Unreachable,
            Some("28000" | "28P01") => SchemaErrorKind::LoginRefused,
            Some("3D000") => SchemaErrorKind::WrongDatabase,
            Some("42501") => SchemaErrorKind::MissingRight,
            Some("55P03") => SchemaErrorKind::Locked,
            _ => SchemaErrorKind::Failed,
        },
        _ => SchemaErrorKind::Failed,
    }
}

impl fmt::Display for SchemaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.context)
    }
}

impl std::error::Error for SchemaError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.context.source()
    }
}

impl From<SchemaError> for Error {
    fn from(error: SchemaError) -> Self {
        Self::records("the schema could not be changed", error)
    }
}
