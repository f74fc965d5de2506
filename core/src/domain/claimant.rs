//! Who asks for a seat.

use super::id::{Attempt, Holder, Hw};

/// The process start that asks for a seat, and the machine it runs on. It is made once, from the request; Redis and
/// PostgreSQL borrow it.
#[derive(Clone, Debug)]
pub struct Claimant {
    /// The holder if the license counts machines.
    pub holder_by_machine: Holder,
    /// The holder if the license counts processes; `None` if the client did not say which instance it is.
    pub holder_by_process: Option<Holder>,
    /// The machine's public hash.
    pub hw: Hw,
    /// The process start; a retry repeats it.
    pub attempt: Attempt,
    /// The name that people are shown: a hostname, for example.
    pub label: String,
    /// What the client said about itself. It is kept with the session.
    pub client: serde_json::Value,
    /// The product that the client names, if it names one. A license for another product gives it no seat.
    pub product: Option<String>,
}
