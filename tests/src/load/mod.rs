//! Load that remembers what it believed.
//!
//! Simulated processes run over several instances in real time; a log has every moment at which one of them held its
//! lease for valid; that log is checked against both stores, meanwhile (S4) and afterwards (S2, S3, S8, S12 of
//! docs/PROTOCOL.md).
//!
//! * `log.rs`: what was believed, on one monotonic clock · `crowd.rs`: who believes · `habits.rs`: how they behave ·
//!   `tally.rs`: what they met
//! * `check.rs`: the log against the records · `drift.rs`: Redis against the records · `leases.rs`: the log against
//!   Redis's leases

pub mod check;
pub mod crowd;
pub mod drift;
pub mod habits;
mod leases;
pub mod log;
pub mod tally;

pub use crowd::Crowd;
pub use habits::{Dice, Habits};
pub use tally::Group;
