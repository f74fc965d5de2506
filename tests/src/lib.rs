//! What the tests share: real stores of their own, the seat protocol over them, and clients that record for how long
//! they relied on their leases.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    missing_docs,
    reason = "test support: a failure is a panic with its place"
)]

pub mod client;
pub mod explain;
pub mod front;
pub mod grant;
pub mod load;
pub mod local;
pub mod managed;
pub mod network;
pub mod outcomes;
pub mod process;
pub mod staff;
pub mod stores;
pub mod tls;
pub mod tokens;
pub mod world;

pub use client::Machine;
pub use world::World;

/// The claims of a token, unverified: for looking at them.
pub fn claims(jws: &str) -> serde_json::Value {
    use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
    let body = jws.split('.').nth(1).expect("a JWS has three parts");
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(body).unwrap()).unwrap()
}
