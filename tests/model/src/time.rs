//! Time, in ticks of half a lease: the smallest step at which anything in the protocol changes its mind.

/// A moment or a duration, in ticks. On every clock 0 lies long before the start.
pub type Time = i8;

/// What true time is when a run begins: late enough that a clock that is [`WRONG`] is still above 0.
pub const START: Time = 10;
/// A client's and a session's lease.
pub const TTL: Time = 2;
/// The lease of a new process on a crowded seat.
pub const FIRST: Time = 1;
/// How long a deposed primary can still be reached.
pub const DRAIN: Time = 1;
/// The lease of every holder after a rebuild.
pub const REBUILD_LEASE: Time = TTL + DRAIN;
/// How far off a wrong clock is: more than any lease.
pub const WRONG: Time = 4;
/// How far above Redis's clock the service's may push a lease. At least [`WRONG`], as two hours are more than one.
pub const LATER_AT_MOST: Time = 5;
