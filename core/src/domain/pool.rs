//! A pool as both stores describe it: what ACQUIRE grants, what a rebuild carries over, and what REAP claims.

use super::{
    id::{Attempt, Holder, PoolId, SeatNo, SessionId, TenantId},
    license::LicenseFacts,
};

/// The lease that Redis has just given a session.
#[derive(Clone, Debug, PartialEq)]
pub struct SeatLease {
    /// Who holds the seat, by the license's policy.
    pub holder: Holder,
    /// What the license says.
    pub facts: LicenseFacts,
    /// How long the lease is, ms: shorter than the setting for a new process on a seat that carries many
    /// (`lease_length.lua`).
    pub lease_ms: i64,
    /// How long the holder has held its seat, ms, which is what grace is earned by; `None` where its tokens carry no
    /// grace (`lease_length.lua`).
    pub held_ms: Option<i64>,
}

/// A seat that ACQUIRE granted. It is only a reservation until PostgreSQL has written it down under its ticket
/// `(epoch, seq)`.
#[derive(Clone, Debug, PartialEq)]
pub struct GrantedSeat {
    /// The organization.
    pub tenant: TenantId,
    /// The pool's id in PostgreSQL.
    pub pool_id: PoolId,
    /// The seat.
    pub seat: SeatNo,
    /// The session.
    pub session: SessionId,
    /// First half of the ticket.
    pub epoch: u64,
    /// Second half of the ticket.
    pub seq: u64,
    /// The seat's sessions that are not ending.
    pub live: Vec<SessionId>,
    /// Lease end (ms) of the holder that lost the seat; 0 if there was none.
    pub displaced_lease_end_ms: i64,
    /// How many seats of the pool are held, this one included.
    pub held: u32,
    /// The session's lease.
    pub lease: SeatLease,
}

/// Everything that Redis must know of a pool, read from PostgreSQL under a new epoch.
#[derive(Clone, Debug, PartialEq)]
pub struct PoolSnapshot {
    /// The new epoch.
    pub epoch: u64,
    /// The epoch of the latest rebuild before this one, by any instance; 0 if there was none, or if PostgreSQL was
    /// restored since. The new copy takes over lease ends and quarantines only from a copy of that epoch.
    pub previous_epoch: u64,
    /// The longest lease that a holder may have, ms: the configured one, or a longer one that was given before the
    /// setting was lowered.
    pub lease_ms: i64,
    /// The organization.
    pub tenant: TenantId,
    /// The pool.
    pub pool_id: PoolId,
    /// The number of seats that the license has in this pool.
    pub seats_total: u32,
    /// The status of the license: `active`, `suspended` or `revoked`.
    pub status: String,
    /// The time since which it has this status, ms.
    pub status_since_ms: i64,
    /// Start of the term, ms; 0 for none.
    pub not_before_ms: i64,
    /// End of the term, ms; 0 for none.
    pub expires_ms: i64,
    /// No seat is given before this time, not even to its present holder, ms; 0 for no such time. It is set when
    /// PostgreSQL was restored to an earlier point in time.
    pub opens_ms: i64,
    /// What counts as a holder: `machine` or `process`.
    pub holder_by: String,
    /// The largest number of live processes on one seat.
    pub processes: u32,
    /// A holder that received its seat after this time has no grace, ms; 0 if every holder may have grace.
    pub grace_before_ms: i64,
    /// `hash:valid_until_ms` of every license key, separated by spaces; 0 for a key without an end.
    pub key_hashes: String,
    /// The product that the license is for.
    pub product: String,
    /// What license tokens say about the license ([`super::license::LicenseFacts`]), as JSON.
    pub facts: String,
    /// Every seat that is not retired.
    pub seats: Vec<RebuiltSeat>,
}

/// A seat as PostgreSQL has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RebuiltSeat {
    /// The seat.
    pub seat: SeatNo,
    /// Its holder, if any.
    pub holder: Option<Holder>,
    /// The time since which the holder has the seat, ms.
    pub since_ms: i64,
    /// Set if the seat was freed by a kick and PostgreSQL has confirmed no holder on it since: the epoch of that kick.
    /// A copy of a later epoch was made with the quarantine of the seat and contains its end.
    pub hold_epoch: Option<u64>,
    /// The label of its newest session.
    pub label: String,
    /// Its open sessions.
    pub sessions: Vec<OpenSession>,
}

/// A session that has not ended according to PostgreSQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenSession {
    /// The session.
    pub session: SessionId,
    /// The attempt (the start of a process) to which the session belongs.
    pub attempt: Attempt,
}

/// The sequence number of a ticket, with the lease end of the seat or session that the ticket ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseClaim {
    /// The sequence number, which is the second half of the ticket.
    pub seq: u64,
    /// The time at which the lease ended, ms; 0 if unknown.
    pub lease_end_ms: i64,
}

/// A claim of REAP or RELEASE on a seat of which no session is live any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeatClaim {
    /// The seat.
    pub seat: SeatNo,
    /// Its ticket and lease end.
    pub claim: LeaseClaim,
}

/// A claim of REAP on a lapsed session whose seat still has other live sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionClaim {
    /// The seat on which the session was.
    pub seat: SeatNo,
    /// The session.
    pub session: SessionId,
    /// Its ticket and lease end.
    pub claim: LeaseClaim,
}
