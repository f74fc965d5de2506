//! Exporting a person: what an erasure would blank is read, by the same rules (`migrations/0350_export_person.sql`).
//!
//! A request makes short calls one after the other until it has enough rows or no more time, and says where the next
//! one goes on.

use super::{connect::Records, subject::SubjectIdentifiers};
use crate::{
    Result,
    domain::{
        id::{TenantId, UserId},
        secret,
    },
    refusal::UnreadableText,
};
use serde::Deserialize;
use serde_json::Value;
use sqlx::{Row, types::Json};
use std::{
    str::FromStr,
    time::{Duration, Instant},
};
use time::OffsetDateTime;
use uuid::Uuid;

/// How many rows are enough for one answer. The last call of it may bring up to 500 more.
const ENOUGH: usize = 100;
/// For how long one request goes on looking.
const TIME: Duration = Duration::from_secs(2);

/// What is looked through, in this order; the words are those of `history.export_step`.
const STAGES: [&str; 7] = ["things", "sessions", "denials", "events", "deliveries", "mails", "entries"];

/// How far an export has come. It contains no name and no address, and gives access to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExportCursor {
    stage: u8,
    after: Uuid,
}

impl std::fmt::Display for ExportCursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&secret::base64url(&[&[self.stage][..], self.after.as_bytes()].concat()))
    }
}

impl FromStr for ExportCursor {
    type Err = UnreadableText;

    fn from_str(text: &str) -> std::result::Result<Self, UnreadableText> {
        let bytes: Option<[u8; 17]> = secret::from_base64url(text).and_then(|bytes| bytes.try_into().ok());
        let read = bytes
            .filter(|bytes| usize::from(bytes[0]) < STAGES.len())
            .and_then(|bytes| Some(Self { stage: bytes[0], after: Uuid::from_slice(&bytes[1..]).ok()? }));
        read.ok_or(UnreadableText::PageCursor)
    }
}

/// A row in which a person is named, as the function answers it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct ExportedRow {
    /// What it is, such as `session`.
    pub kind: String,
    /// Its id.
    pub id: Uuid,
    /// When it was written.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// What it has of the person.
    pub data: Value,
}

/// A part of an export.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExportedPart {
    /// Rows, also none although there are more parts.
    pub rows: Vec<ExportedRow>,
    /// Where the next part begins; `None`: this was the last.
    pub next: Option<ExportCursor>,
}

impl Records {
    /// The next part of everything in which a person is named who belongs to the organization or left it. `None`: it
    /// never had such a person.
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn export_person(
        &self,
        tenant: TenantId,
        user: UserId,
        cursor: Option<ExportCursor>,
    ) -> Result<Option<ExportedPart>> {
        let began = Instant::now();
        let Some(known) = self.identifiers_of_person(tenant, user).await? else { return Ok(None) };
        let mut part =
            ExportedPart { rows: Vec::new(), next: cursor.or(Some(ExportCursor { stage: 0, after: Uuid::nil() })) };
        while let Some(at) = part.next.filter(|_| part.rows.len() < ENOUGH && began.elapsed() < TIME) {
            part.next = self.export_step(tenant, &known, at, &mut part.rows).await?;
        }
        Ok(Some(part))
    }

    /// Makes one call, and answers where the next one begins.
    async fn export_step(
        &self,
        tenant: TenantId,
        known: &SubjectIdentifiers,
        at: ExportCursor,
        rows: &mut Vec<ExportedRow>,
    ) -> Result<Option<ExportCursor>> {
        let stage = STAGES[usize::from(at.stage)];
        let row = self
            .repeat(|pool| async move {
                let sql = "select items, after from history.export_step($1, $2, $3, $4, $5, $6)";
                let query = sqlx::query(sql).bind(tenant.0).bind(stage).bind(&known.keys).bind(&known.names);
                query.bind(&known.users).bind(at.after).fetch_one(&pool).await
            })
            .await?;
        rows.extend(row.try_get::<Json<Vec<ExportedRow>>, _>("items")?.0);
        Ok(match row.try_get("after")? {
            Some(after) => Some(ExportCursor { after, ..at }),
            None if usize::from(at.stage) + 1 < STAGES.len() => {
                Some(ExportCursor { stage: at.stage + 1, after: Uuid::nil() })
            }
            None => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_back_and_no_other_text_is_one() {
        let cursor = ExportCursor { stage: 6, after: Uuid::max() };
        assert_eq!(cursor.to_string().parse::<ExportCursor>().unwrap(), cursor);
        for wrong in ["", "x", &secret::base64url(&[7; 17]), &secret::base64url(&[0; 16])] {
            assert!(wrong.parse::<ExportCursor>().is_err(), "{wrong}");
        }
    }
}
