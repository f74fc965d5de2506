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
    /// (lease_length.lua).
    pub lease_ms: i64,
    /// How long the holder has held its seat, ms, which is what grace is earned by; `None` where its tokens carry no
    /// grace (lease_length.lua).
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
    /// The epoch of the rebuild before this one, by any instance; 0 if there was none, or the records were restored
    /// since. A rebuild keeps what a copy knows only where the copy has this epoch.
    pub previous_epoch: u64,
    /// The longest lease that a client may have, ms: that of the setting, or a longer one that was given before the
    /// setting was lowered.
    pub lease_ms: i64,
    /// The organization.
    pub tenant: TenantId,
    /// The pool.
    pub pool_id: PoolId,
    /// Seats paid for.
    pub seats_total: u32,
    /// `active`, `suspended` or `revoked`.
    pub status: String,
    /// Since when, ms.
    pub status_since_ms: i64,
    /// Start of the term, ms; 0 for none.
    pub not_before_ms: i64,
    /// End of the term, ms; 0 for none.
    pub expires_ms: i64,
    /// No seat is granted before this time, not even to a holder, ms; 0 for none. Set when the records were restored to
    /// an earlier point.
    pub opens_ms: i64,
    /// `machine` or `process`.
    pub holder_by: String,
    /// Live processes a seat may carry.
    pub processes: u32,
    /// A holder that has held its seat since later than this has no grace, ms; 0: every holder may have some.
    pub grace_before_ms: i64,
    /// `hash:valid_until_ms` of every key, space-separated; 0 for "no end".
    pub key_hashes: String,
    /// The product the license is for.
    pub product: String,
    /// What tokens say about the license, as JSON.
    pub facts: String,
    /// Every seat not retired.
    pub seats: Vec<RebuiltSeat>,
}

/// A seat, as PostgreSQL knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RebuiltSeat {
    /// The seat.
    pub seat: SeatNo,
    /// Its holder, if any.
    pub holder: Option<Holder>,
    /// Since when, ms.
    pub since_ms: i64,
    /// The epoch of a kick that freed the seat, where no holder has been written down on it since. A copy of a later
    /// epoch was made with the quarantine and knows when it is over.
    pub hold_epoch: Option<u64>,
    /// The label of its newest session.
    pub label: String,
    /// Its open sessions.
    pub sessions: Vec<OpenSession>,
}

/// A session that is open in PostgreSQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenSession {
    /// The session.
    pub session: SessionId,
    /// The process start it belongs to.
    pub attempt: Attempt,
}

/// The second half of a ticket, with the lease end of what it ends (ms, 0 if unknown).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseClaim {
    /// Second half of the ticket.
    pub seq: u64,
    /// When the lease ended.
    pub lease_end_ms: i64,
}

/// A seat that is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeatClaim {
    /// The seat.
    pub seat: SeatNo,
    /// Its claim.
    pub claim: LeaseClaim,
}

/// A session that lapsed on a seat which lives on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionClaim {
    /// The seat it was on.
    pub seat: SeatNo,
    /// The session.
    pub session: SessionId,
    /// Its claim.
    pub claim: LeaseClaim,
}
