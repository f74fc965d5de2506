//! Columns of a row as the types of the domain.

use sqlx::{Row, postgres::PgRow};

/// A column that holds one of a few words, or an identifier with a spelling of its own.
pub(super) fn word<T>(row: &PgRow, column: &str) -> sqlx::Result<T>
where
    T: std::str::FromStr<Err: std::error::Error + Send + Sync + 'static>,
{
    row.try_get::<String, _>(column)?.parse().map_err(|e| sqlx::Error::Decode(Box::new(e)))
}

/// A column of type `integer` that is never negative.
pub(super) fn count(row: &PgRow, column: &str) -> sqlx::Result<u32> {
    Ok(row.try_get::<i32, _>(column)? as u32)
}

/// The same where it may be null.
pub(super) fn optional_count(row: &PgRow, column: &str) -> sqlx::Result<Option<u32>> {
    Ok(row.try_get::<Option<i32>, _>(column)?.map(|count| count as u32))
}
