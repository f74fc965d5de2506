//! What the driver of PostgreSQL would read of the environment past the configuration.

use super::env::{ConfigResult, Environment, wrong};

/// What the driver of PostgreSQL reads by itself and lets nobody unset.
///
/// That is sqlx 0.9, `PgConnectOptions::new_without_pgpass` and `apply_pgpass`. Services and `migrate` are told by
/// `DATABASE_URL`, `DATABASE_CA` and `DATABASE_AUTH` how to connect, and by nothing else: where one of these is set,
/// they do not start.
pub const REFUSED_VARIABLES: &[&str] = &[
    "PGHOST",
    "PGHOSTADDR",
    "PGPORT",
    "PGUSER",
    "PGDATABASE",
    "PGPASSWORD",
    "PGPASSFILE",
    "PGSSLMODE",
    "PGSSLROOTCERT",
    "PGSSLCERT",
    "PGSSLKEY",
    "PGAPPNAME",
    "PGOPTIONS",
];

/// Refuses variables that the driver would read by itself, past the configuration.
pub fn unmoved_by_the_driver(env: &Environment, names: &[&'static str]) -> ConfigResult<()> {
    let Some(&name) = names.iter().find(|name| env.has(name)) else { return Ok(()) };
    wrong(name, "is set, and would change how PostgreSQL is connected to beside DATABASE_URL: unset it")
}
