//! The license server without its services: what a seat is, who may change what, and one module for each outside
//! system.
//!
//! From the inside out; each module uses only those above it, and docs/ARCHITECTURE.md draws which:
//!
//! * [`domain`]: types and rules. It does no I/O, has no `async` and knows no client library.
//! * [`clock`], [`error`], [`refusal`], [`steps`]: the present time; "the server could not find out" ([`Error`]), with
//!   its cause; why a change is refused, as values; where tests cut an operation.
//! * [`access_token`]: the tokens of the service account, which the next three show to Google where they are told to.
//! * [`seat_store`] (Redis: which holders are alive), [`records`] (PostgreSQL: what is true), [`signer`] (the keys that
//!   sign) and, without an access token, [`identity`] (who a person is). None of them uses another one of them.
//! * [`webhooks`]: one request to the endpoint of a customer. It uses the domain alone.
//! * [`mail`]: one mail, from its template to what a mail server said of it. It uses the domain alone.
//! * [`protocol`]: acquire, validate, heartbeat, release, the sweep, and the repair of copies. It alone uses the seat
//!   store, the records and the signer together.
//! * [`management`]: what people may do to organizations, people, licenses and sessions.
//!
//! A refusal is a value of the operation that refuses. Nothing here knows HTTP.

pub mod access_token;
pub mod clock;
pub mod domain;
pub mod error;
pub mod identity;
pub mod mail;
pub mod management;
pub mod protocol;
pub mod records;
pub mod refusal;
pub mod seat_store;
pub mod signer;
pub mod steps;
pub mod webhooks;

pub use clock::Clock;
pub use error::{Error, ProblemCode, Result};
