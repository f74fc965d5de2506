//! The rim every service shares: configuration, the bootstrap, layers, problems, extractors and log lines.

pub mod address;
pub mod config;
pub mod connections;
pub mod extract;
pub(crate) mod health;
mod keys;
mod listen;
pub mod problem;
mod pubsub;
pub mod rate;
pub mod layers;
pub mod connection_room;
pub mod security;
mod rare_warning;
pub mod serve;
pub mod staff;
pub mod credential_guesses;
pub mod telemetry;

pub use extract::{BearerCredential, FieldChecks, JsonBody, JsonOrEmpty, QueryParameters};
pub use problem::Problem;

#[cfg(test)]
mod tests;
