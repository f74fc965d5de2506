//! What attackers send: nothing panics, nothing takes memory without bound, what is parsed prints back to itself, and
//! nothing that was changed is taken for what it was made from. 100,000 cases of each.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure is a panic with its place")]

mod bodies;
mod change;
mod envelope;
mod handle;
mod json;
mod key;
#[path = "../keys/mod.rs"]
mod keys;
mod memory;
#[path = "../property/mod.rs"]
mod property;
mod signed;
mod token;

/// Cases of each property.
const CASES: u32 = 100_000;
