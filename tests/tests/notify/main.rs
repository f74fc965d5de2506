//! notify: which pushes are accepted, what a receiver gets, and what is written of it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure is a panic with its place")]

mod alerts;
mod deliveries;
mod endpoint;
mod judge;
#[path = "../keys/mod.rs"]
mod keys;
mod mails;
mod pushed;
mod reports;
mod smtp;
