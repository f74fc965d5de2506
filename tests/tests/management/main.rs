//! The management API over HTTP (docs/API.md, "Management").

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure is a panic with its place")]

mod access;
mod desk;
#[path = "../keys/mod.rs"]
mod keys;
mod license_lists;
mod licenses;
mod licenses_live;
mod organizations;
mod people;
mod plans;
