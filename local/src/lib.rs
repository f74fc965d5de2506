//! Everything on one machine: a PostgreSQL and a Redis of its own, every service, a demo identity provider, a scheduler
//! and a bus.
//!
//! It is made for trying the server and for small sites. The services are the same code as in the cloud; only addresses
//! and the root key differ.
//!
//! * [`stores`]: PostgreSQL and Redis as children, for this and for tests · [`supervise`]: keeps them running
//! * [`issuer`]: the replacement of the identity provider and of Google's push tokens · [`bus`]: how other processes
//!   publish · `scheduler.rs`: the ticks of the reaper and of notify
//! * `guard.rs`: which requests are answered while the demo identity provider exists
//! * `options.rs` `data.rs` `secrets.rs` `endpoints.rs` `environment.rs`: the command line, the data directory, the
//!   addresses and the variables · `demo.rs`: the first license · `serve.rs`: the functions · `run.rs`: the order of
//!   things · `rotate.rs`: replacing keys · `trial.rs`: `--once`

pub mod bus;
pub mod issuer;
mod mail;
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
