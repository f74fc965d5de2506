//! Pub/Sub as the reaper uses it: publishing to a real server, the bus of one machine from within and from beside, and who may push.

#![allow(clippy::unwrap_used, reason = "tests; clippy.toml's exception does not reach their helper functions")]

mod bus;
mod check;
mod cloud;
mod pstest;
mod rest;

/// The HTTP clients ask for it even where they never use TLS.
fn install_crypto() {
    // Err: another test of this process was first.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}
