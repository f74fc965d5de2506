//! What a seat is, and one module for each outside system.
//!
//! Three rings, imports only inward:
//!
//! * [`domain`]: words and rules. No I/O, no async, no clients.
//! * [`seat_store`] (Redis, who is alive), [`records`] (PostgreSQL, what is true), [`signer`] (keys), [`identity`] (who
//!   is the person): one module for each outside system. None of them uses another.
//! * [`access_token`]: what the first three show to Google where they are told to.
//! * [`management`]: what people may do, and what is refused ([`refusal`]).
//! * [`protocol`]: acquire, heartbeat, release, reap and their repair paths. The only module that brings the seat
//!   store, the records and the signer together.
//!
//! [`Error`] means "we could not find out"; a refusal is a value of the operation that refuses. Nothing here knows
//! HTTP.

pub mod access_token;
pub mod clock;
pub mod domain;
pub mod error;
pub mod identity;
pub mod management;
pub mod protocol;
pub mod records;
pub mod refusal;
pub mod seat_store;
pub mod signer;
pub mod steps;

pub use clock::Clock;
pub use error::{Error, ProblemCode, Result};
