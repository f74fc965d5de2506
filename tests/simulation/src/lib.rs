//! Simulated clients on real stores and real functions, faults from a seeded list of operations, and two checkers after every run.
//!
//! * `proxy/`: an own small TCP proxy that delays, cuts, swallows, repeats and reorders · `nodes.rs`: Redis twice, PostgreSQL once
//! * `fleet.rs`: the functions, in this process or as their own · `client/`: who asks, and what it believes
//! * `staff.rs`: who changes licenses and ends sessions
//! * `operations.rs`: everything that happens, one readable line each · `plan.rs`: a run as text · `mix.rs`: a seed → a run
//! * `asked.rs`, `troubles.rs`, `watch.rs`: what was asked, what was wrong, which copies Redis had, each with its time
//! * `limits.rs`: L4, and `promises/`: L1 to L3, held against a clock
//! * `run.rs`: carries a run out · `keepers.rs`: who carries out the faults of the stores
//! * `internal_errors.rs`: why a function answered with an internal error
//! * `history.rs`: what the records went through · `verdict.rs`: the checkers and the figures

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    missing_docs,
    reason = "test support: a failure is a panic with its place"
)]

pub mod asked;
pub mod client;
pub mod fleet;
pub mod history;
mod internal_errors;
mod keepers;
pub mod limits;
pub mod mix;
pub mod nodes;
pub mod operations;
pub mod plan;
pub mod promises;
pub mod proxy;
pub mod run;
pub mod staff;
pub mod troubles;
pub mod verdict;
pub mod watch;
