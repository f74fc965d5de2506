//! Statements about one organization as an attacker would make them who took a role over, and what PostgreSQL answers.

use license_core::domain::id::SessionId;
use license_tests::world::License;
use sqlx::{AssertSqlSafe, Executor, PgConnection, Row, postgres::PgRow};

/// No right, or row-level security.
pub(super) const DENIED: &str = "42501";
/// A function refuses what it was told.
pub(super) const REFUSED: &str = "22023";

/// A statement about one organization; each `{session}` begins now.
pub(super) fn filled(sql: &str, license: &License) -> String {
    sql.replace("{tenant}", &license.tenant.to_string())
        .replace("{pool}", &license.pool_id.0.to_string())
        .replace("{license}", &license.id.0.to_string())
        .replace("{number}", &license.key.number().to_string())
        .replace("{session}", &SessionId::draw().to_string())
}

pub(super) async fn done(connection: &mut PgConnection, sql: &str, license: &License) -> sqlx::Result<Vec<PgRow>> {
    connection.fetch_all(AssertSqlSafe(filled(sql, license))).await
}

/// The first column of the one row that a statement answers.
pub(super) async fn told<T>(connection: &mut PgConnection, sql: &str, license: &License) -> T
where
    T: for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
{
    done(connection, sql, license).await.unwrap_or_else(|e| panic!("{sql}: {e}"))[0].get(0)
}

/// None of these is done, and PostgreSQL says why by this code.
pub(super) async fn refused(connection: &mut PgConnection, license: &License, code: &str, statements: &[&str]) {
    for sql in statements {
        let error = done(connection, sql, license).await.map(|rows| rows.len()).unwrap_err();
        let found = error.as_database_error().and_then(|e| e.code()).map(|code| code.into_owned());
        assert_eq!(found.as_deref(), Some(code), "{sql}: {error}");
    }
}
