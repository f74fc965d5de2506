//! Stands in for the crate `webpki-roots`, which lists Mozilla's public certificate authorities, and lists none.
//!
//! `sqlx` adds that list to whatever CA it is given, and with `sslmode=verify-ca` no name is compared: whoever has a
//! certificate for any domain of the world could then pass for PostgreSQL, and would be handed the access token. No
//! setting leaves the list out, so `Cargo.toml` at the root puts this crate in its place (`[patch.crates-io]`). TLS to
//! a store trusts `DATABASE_CA` or `REDIS_CA` and nothing else: docs/decisions/2026-11-28-stores-trust-their-own-ca.md.

use rustls_pki_types::TrustAnchor;

/// Nobody.
pub const TLS_SERVER_ROOTS: &[TrustAnchor<'static>] = &[];
