//! What the tests stand on: real stores of their own, the moves over them, and clients that know what they believe.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    missing_docs,
    reason = "test support: a failure is a panic with its place"
)]

pub mod client;
pub mod stores;
pub mod world;

pub use client::Machine;
pub use world::World;
