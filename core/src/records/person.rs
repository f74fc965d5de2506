//! One person of an organization, as a row of the records says.

use crate::domain::{access::PersonRole, id::UserId};
use serde::{Deserialize, Serialize};
use sqlx::{Row, postgres::PgRow};
use time::OffsetDateTime;

/// A person of an organization.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonRow {
    /// The person; the same in every organization.
    pub id: UserId,
    /// The verified address the person joined with.
    pub email: String,
    /// The name the identity provider gave.
    pub name: Option<String>,
    /// What the person is here.
    pub role: PersonRole,
    /// Rises with every edit.
    pub version: i64,
    /// When the person joined.
    #[serde(with = "time::serde::rfc3339")]
    pub joined_at: OffsetDateTime,
}

/// Reads a person from a row.
pub(super) fn person(row: &PgRow) -> sqlx::Result<PersonRow> {
    let role: String = row.try_get("role")?;
    Ok(PersonRow {
        id: UserId(row.try_get("user_id")?),
        email: row.try_get("email")?,
        name: row.try_get("name")?,
        role: role.parse().map_err(|e| sqlx::Error::Decode(Box::new(e)))?,
        version: row.try_get("version")?,
        joined_at: row.try_get("created_at")?,
    })
}
