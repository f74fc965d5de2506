//! What every service shares: configuration, the bootstrap, layers, problems, extractors and log lines.

pub(crate) mod accept;
pub mod address;
mod check;
pub mod config;
mod connection_count;
pub mod connection_limit;
pub mod connections;
pub mod context;
pub mod credential_guesses;
pub mod extract;
pub(crate) mod health;
pub mod layers;
pub mod metrics;
pub(crate) mod names;
pub mod pages;
pub mod problem;
mod rare_warning;
pub mod rate;
mod security;
pub mod serve;
mod start;
pub mod telemetry;

pub use extract::{BearerCredential, FieldChecks, JsonBody, JsonOrEmpty, QueryParameters};
pub use problem::Problem;

#[cfg(test)]
mod tests;
