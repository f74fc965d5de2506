//! Schema and roles. From the first release on, migrations are only ever added.

use crate::{Error, Result};
use sqlx::{
    Connection, Executor, PgConnection,
    migrate::{Migration, MigrationType, Migrator},
    postgres::PgConnectOptions,
};

macro_rules! migrations {
    ($($version:literal $name:literal)*) => {
        vec![$(Migration::new(
            $version,
            $name.into(),
            MigrationType::Simple,
            sqlx::SqlStr::from_static(include_str!(concat!("../../../migrations/", $name, ".sql"))),
            false,
        )),*]
    };
}

fn migrator() -> Migrator {
    Migrator::with_migrations(migrations! {
        1 "0001_schemas"
        2 "0002_catalog"
        3 "0003_directory"
        4 "0004_tenants"
        5 "0005_seats"
        6 "0006_rights"
        7 "0007_management"
        10 "0010_find_license"
        11 "0011_grant_seat"
        12 "0012_end_seats"
        13 "0013_resolve_session"
        14 "0014_rebuild_pool"
        15 "0015_manage_seats"
        16 "0016_register"
        17 "0017_restore"
        18 "0018_licenses"
        19 "0019_sessions"
        20 "0020_history"
        21 "0021_erase"
        23 "0023_delegation"
        24 "0024_grace"
        25 "0025_not_before"
        26 "0026_rights"
        27 "0027_audit_chain"
        28 "0028_limits"
        29 "0029_access_policy"
        30 "0030_collation"
    })
}

/// Brings a database to the newest schema. `options` log in as whoever owns the cluster (may create roles); the schema belongs to `owner`.
/// Harmless to repeat and to run from several places at once.
///
/// # Errors
/// [`Error::Records`] with the server's words.
pub async fn migrate(options: &PgConnectOptions) -> Result<()> {
    let say = |e: &dyn std::fmt::Display| Error::Records(format!("migration: {e}"));
    let mut connection = PgConnection::connect_with(options).await.map_err(|e| say(&e))?;
    connection.execute(include_str!("../../../migrations/roles.sql")).await.map_err(|e| say(&e))?;
    connection.execute("set role owner").await.map_err(|e| say(&e))?;
    migrator().run(&mut connection).await.map_err(|e| say(&e))?;
    connection.close().await.map_err(|e| say(&e))
}
