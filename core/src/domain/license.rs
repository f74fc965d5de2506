//! What a license allows: the facts tokens say about it, its status, and who counts as a holder.

use super::{
    access::text_enum,
    id::{InvalidText, LicenseNumber, TenantId},
};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};
use time::OffsetDateTime;

/// What tokens and answers say about a license. Made by the records, carried through Redis as JSON (at most 4 KiB),
/// signed into tokens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LicenseFacts {
    /// The organization.
    pub tenant: TenantId,
    /// The license's public number.
    pub number: LicenseNumber,
    /// The vendor's product this license is for; the audience of its tokens.
    pub product: String,
    /// The tier, as plans name it.
    pub tier: String,
    /// Seats paid for in this pool.
    pub seats_total: u32,
    /// Feature names and their values, as plans and overrides say.
    pub features: serde_json::Map<String, serde_json::Value>,
    /// When the license's term ends; `None` for a perpetual one.
    #[serde(with = "time::serde::rfc3339::option")]
    pub expires_at: Option<OffsetDateTime>,
    /// What the license allows without contact.
    pub offline: OfflineAllowance,
    /// Rises with every change of these facts.
    pub facts_version: u64,
    /// True if a refusal must not say who holds the seats.
    #[serde(default)]
    pub hide_holders: bool,
}

/// What a client may do without contact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfflineAllowance {
    /// The kind of policy.
    pub policy: OfflinePolicy,
    /// Hours of grace beyond the lease; 0 unless the policy is `grace`.
    #[serde(default)]
    pub grace_hours: u32,
    /// How many heartbeats a holder must have lived through before its tokens carry grace.
    #[serde(default = "default_after_heartbeats")]
    pub after_heartbeats: u32,
}

/// How many heartbeats a holder must have lived through before its tokens carry grace, unless its license says
/// otherwise.
pub const GRACE_AFTER_HEARTBEATS: u32 = 2;

/// For a copy in Redis that was made before licenses said so.
fn default_after_heartbeats() -> u32 {
    GRACE_AFTER_HEARTBEATS
}

text_enum! {
    /// The kinds of offline policy.
    OfflinePolicy = "must be none, grace or borrow";
    /// Online only.
    None = "none",
    /// Goes on for a signed number of hours; its seat is free for others meanwhile.
    Grace = "grace",
    /// Seats can be taken along until a date.
    Borrow = "borrow",
}

text_enum! {
    /// What the vendor decided about a license. Whether its term has begun or is over is told by its times.
    Status = "must be active, suspended or revoked";
    /// Gives seats within its term.
    Active = "active",
    /// Gives none until it is resumed.
    Suspended = "suspended",
    /// Gives none any more, for good.
    Revoked = "revoked",
}

text_enum! {
    /// What counts as a holder of a seat.
    HolderBy = "must be machine or process";
    /// All processes of a machine share its seat.
    Machine = "machine",
    /// Each process has a seat of its own.
    Process = "process",
}

impl LicenseFacts {
    /// Until when a client that was last heard of at `at` may go on without contact: its lease or, where it has
    /// `has_earned_grace`, the signed grace; never past the term.
    pub fn offline_until(
        &self,
        at: OffsetDateTime,
        lease_end: OffsetDateTime,
        has_earned_grace: bool,
    ) -> OffsetDateTime {
        let grace = match self.offline.policy {
            OfflinePolicy::Grace if has_earned_grace => at + time::Duration::hours(i64::from(self.offline.grace_hours)),
            OfflinePolicy::Grace | OfflinePolicy::None | OfflinePolicy::Borrow => lease_end,
        };
        let until = grace.max(lease_end);
        self.expires_at.map_or(until, |end| until.min(end))
    }
}

/// Why a license gives no seat now, with the time since when (Unix milliseconds, 0 if unknown).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LicenseRefusal {
    /// The reason.
    pub why: RefusalReason,
    /// Since when.
    pub since_ms: i64,
}

/// The reasons a license gives no seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalReason {
    /// Suspended; may come back.
    Suspended,
    /// Revoked for good.
    Revoked,
    /// Its term is over.
    Expired,
    /// Its term has not begun.
    NotStarted,
}

impl RefusalReason {
    /// The code clients see.
    pub fn code(self) -> crate::ProblemCode {
        match self {
            Self::Suspended => crate::ProblemCode::LicenseSuspended,
            Self::Revoked => crate::ProblemCode::LicenseRevoked,
            Self::Expired => crate::ProblemCode::LicenseExpired,
            Self::NotStarted => crate::ProblemCode::LicenseNotStarted,
        }
    }
}
