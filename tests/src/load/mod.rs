//! Load of simulated processes that record what they relied on.
//!
//! Simulated processes run over several instances in real time. A log records every span of time in which one of them
//! held its lease for valid. The log is compared with both stores, during the run (S4) and after it (S2, S3, S8, S12 of
//! docs/PROTOCOL.md).
//!
//! * `log.rs`: what was believed, on one monotonic clock · `crowd.rs`: who believes · `habits.rs`: how they behave ·
//!   `tally.rs`: what they met
//! * `check.rs`: the log against the records · `drift.rs`: Redis against the records · `leases.rs`: the log against
//!   Redis's leases · `pauses.rs`: how long the machine ran nobody

pub mod check;
pub mod crowd;
pub mod drift;
pub mod habits;
mod leases;
pub mod log;
mod pauses;
pub mod tally;

pub use crowd::Crowd;
pub use habits::{Dice, Habits};
pub use pauses::Pauses;
pub use tally::Group;
