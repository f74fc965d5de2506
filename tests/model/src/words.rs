//! The words the model counts with.

/// A seat's number.
pub type SeatNo = u8;
/// What occupies a seat: a machine.
pub type Holder = u8;
/// A session's id, drawn fresh for every ask that takes something.
pub type SessionId = u8;
/// A process start.
pub type Attempt = u8;
/// A pool's epoch.
pub type Epoch = u16;
/// The second half of a ticket.
pub type Seq = u16;
/// A Redis node's replication id.
pub type NodeId = u8;
/// A rebuild's nonce: another one than any that is still about.
pub type NonceId = u8;
/// A call under way.
pub type CallId = u16;

/// How far epochs jump after a restore: past anything a run can reach.
pub const RESTORE_JUMP: Epoch = 1000;
