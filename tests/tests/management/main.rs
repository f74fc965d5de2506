//! The management API over HTTP (docs/API.md, "Management").

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure is a panic with its place")]

mod access;
mod alerts;
mod audit;
mod chain;
mod chain_cost;
mod csv_lists;
mod denials;
mod desk;
mod document;
mod elsewhere;
mod ending_sessions;
mod erased_again;
mod erasures;
mod exports;
mod filters;
mod granted_access;
mod guesses;
mod history;
mod idempotency;
mod invitations;
mod joining;
mod kept_outcomes;
#[path = "../keys/mod.rs"]
mod keys;
mod license_lists;
mod license_names;
mod licenses;
mod licenses_live;
mod mails;
mod matrix;
mod names;
mod organizations;
mod overview;
mod pages;
mod people;
mod plans;
mod portable;
mod projects;
mod rates;
mod rotation;
mod seat;
mod seats;
mod seats_needed;
mod sessions;
mod staff_reads;
mod step_up;
mod tokens;
mod traces;
mod trials;
mod usage;
mod vendor;
mod vendor_tokens;
mod voiding;
mod webhooks;
