//! The management API over HTTP (docs/API.md, "Management").

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure is a panic with its place")]

mod access;
mod audit;
mod desk;
mod idempotency;
mod invitations;
mod joining;
#[path = "../keys/mod.rs"]
mod keys;
mod organizations;
mod people;
mod tokens;
