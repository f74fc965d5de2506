//! One machine: private PostgreSQL and Redis, every function, an issuer, a scheduler and a push bus.
//!
//! What a person tries first, and what a small site runs. The functions are the same code as in the cloud; only
//! addresses and the root key differ.
//!
//! * [`stores`]: PostgreSQL and Redis as children, for this and for tests · [`supervise`]: keeps them running
//! * [`issuer`]: who stands in for the identity provider and for Google · [`bus`]: its door for other processes ·
//!   `scheduler.rs`: the reaper's clock
//! * `guard.rs`: who is let in while the demo issuer exists
//! * `options.rs` `data.rs` `secrets.rs` `endpoints.rs` `environment.rs`: the command line, the data directory, the
//!   addresses and the variables · `demo.rs`: the first license · `serve.rs`: the functions · `run.rs`: the order of
//!   things · `rotate.rs`: replacing keys · `trial.rs`: `--once`

pub mod bus;
pub mod issuer;
pub mod stores;
pub mod supervise;

mod data;
mod demo;
mod endpoints;
mod environment;
mod guard;
mod options;
mod rotate;
mod run;
mod scheduler;
mod secrets;
mod serve;
mod trial;

pub use run::main as run;
