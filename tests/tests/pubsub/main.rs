//! Pub/Sub as the reaper uses it: publishing to a real server, the bus of one machine in this process and from another,
//! and which pushes are accepted.

#![allow(clippy::unwrap_used, reason = "tests; clippy.toml's exception does not reach their helper functions")]

mod bus;
mod check;
mod cloud;
mod pstest;
mod rest;

use license_core::domain::{
    event::SweepShare,
    id::{PoolId, TenantId},
};
use uuid::Uuid;

/// A share that can be told from others.
fn share(n: u128) -> SweepShare {
    SweepShare { pools: vec![(TenantId(Uuid::from_u128(n)), PoolId(Uuid::from_u128(n)))] }
}

/// The data of a message that asks for the seventh of them, as it is sent.
const DATA_OF_7: &str = "eyJwb29scyI6W1siMDAwMDAwMDAtMDAwMC0wMDAwLTAwMDAtMDAwMDAwMDAwMDA3IiwiMDAwMDAwMDAtMDAwMC0wMDAwLTAwMDAtMDAwMDAwMDAwMDA3Il1dfQ==";

/// The HTTP clients ask for it even where they never use TLS.
fn install_crypto() {
    // Err: another test of this process was first.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}
