//! What a license allows: the facts that tokens state about it, its status, and what counts as a holder of a seat.

use super::{
    access::text_enum,
    id::{InvalidText, LicenseNumber, TenantId},
};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};
use time::OffsetDateTime;

/// The facts that tokens and answers state about a license. They are read from PostgreSQL, stored in Redis as JSON (at
/// most 4 KiB) and signed as part of tokens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LicenseFacts {
    /// The organization.
    pub tenant: TenantId,
    /// The license's public number.
    pub number: LicenseNumber,
    /// The vendor's product that this license is for; the audience of its tokens.
    pub product: String,
    /// The tier, under the name that plans give it.
    pub tier: String,
    /// The number of seats that the license has in this pool.
    pub seats_total: u32,
    /// Feature names and their values, from the plan and the edits of this license.
    pub features: serde_json::Map<String, serde_json::Value>,
    /// The end of the license's term; `None` for a perpetual license.
    #[serde(with = "time::serde::rfc3339::option")]
    pub expires_at: Option<OffsetDateTime>,
    /// What the license allows its clients without contact to the server.
    pub offline: OfflineAllowance,
    /// A number that rises with every change of these facts.
    pub facts_version: u64,
    /// True if a refusal must not name the holders of the seats.
    #[serde(default)]
    pub hide_holders: bool,
}

/// What a client may do without contact to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfflineAllowance {
    /// The kind of policy.
    pub policy: OfflinePolicy,
    /// Hours of grace beyond the lease; 0 unless the policy is `grace`.
    #[serde(default)]
    pub grace_hours: u32,
    /// The number of heartbeat periods for which a holder must have held its seat before its tokens contain grace.
    #[serde(default = "default_after_heartbeats")]
    pub after_heartbeats: u32,
}

/// The default of [`OfflineAllowance::after_heartbeats`], for a license that does not set another number.
pub const GRACE_AFTER_HEARTBEATS: u32 = 2;

/// The default for a copy in Redis that was made before licenses had this field.
fn default_after_heartbeats() -> u32 {
    GRACE_AFTER_HEARTBEATS
}

text_enum! {
    /// The kinds of offline policy.
    OfflinePolicy = "must be none, grace or borrow";
    /// A client works only while its lease holds.
    None = "none",
    /// A client may go on for a signed number of hours after its lease; its seat is meanwhile free for others.
    Grace = "grace",
    /// A seat stays held for its holder until an agreed date.
    Borrow = "borrow",
}

text_enum! {
    /// What the vendor decided about a license. It does not say whether the term has begun or is over; that follows
    /// from the times of the license.
    Status = "must be active, suspended or revoked";
    /// The license gives seats within its term.
    Active = "active",
    /// The license gives no seats until it is resumed.
    Suspended = "suspended",
    /// The license never gives seats again.
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
    /// The time until which a client that had contact at `at` may go on without contact: the end of its lease or, if it
    /// `has_earned_grace`, the end of the signed grace; never later than the end of the term.
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

/// The reason for which a license gives no seat now, and the time since which it does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LicenseRefusal {
    /// The reason.
    pub why: RefusalReason,
    /// The time since which the reason holds, in Unix milliseconds; 0 if unknown.
    pub since_ms: i64,
}

/// The reasons for which a license gives no seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalReason {
    /// The license is suspended and may be resumed.
    Suspended,
    /// The license is revoked and stays so.
    Revoked,
    /// The term of the license is over.
    Expired,
    /// The term of the license has not begun.
    NotStarted,
}

impl RefusalReason {
    /// The code of the refusal in the answer to a client.
    pub fn code(self) -> crate::ProblemCode {
        match self {
            Self::Suspended => crate::ProblemCode::LicenseSuspended,
            Self::Revoked => crate::ProblemCode::LicenseRevoked,
            Self::Expired => crate::ProblemCode::LicenseExpired,
            Self::NotStarted => crate::ProblemCode::LicenseNotStarted,
        }
    }
}
