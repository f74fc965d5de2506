//! Both stores with an access token in place of a password, over TLS that trusts their own CA.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests; clippy.toml's exception does not reach helpers")]

#[path = "../keys/mod.rs"]
mod keys;
mod postgres;
mod redis;
mod services;
mod tokens;

use license_core::{
    Clock,
    domain::{lease::LeaseTiming, secret::KeyRing},
    protocol::{ProtocolSettings, SeatProtocol},
    records::Records,
    seat_store::SeatStore,
    signer::{LeaseSigner, SignerSettings},
};
use license_tests::world;

/// What Google's documentation names an account that logs in, as a URL has it.
const ACCOUNT: &str = "acquire@project.iam";

/// An instance of the protocol over these ways to the stores.
async fn instance(seats: SeatStore, records: Records, timing: LeaseTiming, clock: Clock) -> SeatProtocol {
    let signer = LeaseSigner::new(world::root().await, SignerSettings::new(world::ISSUER), clock.clone());
    let (handles, peppers) = (KeyRing::single(vec![1; 32]), Some(world::peppers()));
    SeatProtocol::new(seats, records, signer, ProtocolSettings { timing, clock, handles, peppers })
}
