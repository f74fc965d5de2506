//! What happened, in the form both sides of the wire share: one outbox row, one published message.

use super::id::TenantId;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

/// One event. Published once or more; consumers dedupe by `id`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Unique and ordered by time (UUID version 7).
    pub id: Uuid,
    /// The organization.
    pub tenant: TenantId,
    /// What happened, `noun.verb`: `seat.granted`, `seat.freed`, `usage`, ….
    pub kind: String,
    /// When it was committed.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// The details, by kind (docs/API.md lists them). Never a key, a handle or a token.
    pub payload: serde_json::Value,
}

/// Asks the reaper to look at one of [`BUCKETS`] shares of all pools.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReapBucket {
    /// Which share, below [`BUCKETS`].
    pub bucket: u16,
}

/// Into how many shares a sweep is cut; each is one message.
pub const BUCKETS: u16 = 64;
