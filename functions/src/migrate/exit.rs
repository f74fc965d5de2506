//! How `migrate` ends: each kind of failure has a number and says what to do.

use license_core::records::{SchemaError, SchemaErrorKind};
use std::error::Error;

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Done,
    Usage,
    /// The schema could not be read or changed.
    Schema(SchemaErrorKind),
    Pending,
    SeatStore,
}

impl Exit {
    /// Each with its number and what it means, as `--help` and docs/OPERATING.md list them.
    pub(crate) const ALL: [(Self, u8, &'static str); 15] = [
        (Self::Done, 0, "done, also where nothing was to do"),
        (Self::Schema(SchemaErrorKind::Failed), 1, "a statement failed; the message has the server's error"),
        (Self::Usage, 2, "the command line or a variable is wrong"),
        (Self::Schema(SchemaErrorKind::Unreachable), 3, "the database server does not answer"),
        (Self::Schema(SchemaErrorKind::LoginRefused), 4, "the server refuses the user or its password"),
        (
            Self::Schema(SchemaErrorKind::WrongDatabase),
            5,
            "the wrong database or project, or a server that cannot hold the schema",
        ),
        (Self::Schema(SchemaErrorKind::MissingRight), 6, "the user may not do this"),
        (Self::Schema(SchemaErrorKind::Edited), 7, "an applied migration is another file now"),
        (Self::Schema(SchemaErrorKind::Busy), 8, "another migrate was at work for a minute"),
        (Self::Schema(SchemaErrorKind::Locked), 9, "a lock was not had within 5 s beside other transactions"),
        (Self::Pending, 10, "status: migrations are not applied yet"),
        (Self::Schema(SchemaErrorKind::UnknownUser), 11, "DATABASE_GRANTS names a user that the server does not have"),
        (Self::Schema(SchemaErrorKind::ServicesRun), 12, "after-restore: services are still connected"),
        (Self::SeatStore, 13, "after-restore: Redis was not emptied"),
        (Self::Schema(SchemaErrorKind::UnfitUser), 14, "DATABASE_GRANTS names a user that no role limits, a superuser"),
    ];

    pub(crate) fn code(self) -> u8 {
        Self::ALL.iter().find(|(exit, ..)| *exit == self).map_or(1, |(_, code, _)| *code)
    }

    /// What to do, where the message does not say it already.
    fn advice(self) -> Option<&'static str> {
        match self {
            Self::Schema(SchemaErrorKind::Unreachable) => Some(
                "Look whether the address in DATABASE_URL is right, whether the server runs and whether this network \
                 reaches it; START_PATIENCE_SECONDS says for how long it is tried",
            ),
            Self::Schema(SchemaErrorKind::LoginRefused) => Some(
                "Look whether the user in DATABASE_URL exists in this server (is it the server of another project?) \
                 and whether its password or token is right",
            ),
            Self::Schema(SchemaErrorKind::MissingRight) => Some(
                "The user must be a superuser, a member of cloudsqlsuperuser, or a role that may make roles and owns \
                 the database; once the roles exist, a member of owner may apply migrations",
            ),
            Self::SeatStore => Some("Nothing was done to the database; run it again when Redis answers"),
            _ => None,
        }
    }
}

/// Why it did not end well.
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    error: Box<dyn Error + Send + Sync>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { exit, error: error.into() }
    }

    /// The whole chain of what happened, and what to do.
    pub(crate) fn message(&self) -> String {
        let said = license_core::error::chain(self.error.as_ref()).to_string();
        let said = said.trim_end_matches('.');
        self.exit.advice().map_or_else(|| format!("{said}."), |advice| format!("{said}. {advice}."))
    }
}

impl From<SchemaError> for Failure {
    fn from(error: SchemaError) -> Self {
        Self::new(Exit::Schema(error.kind), error)
    }
}
