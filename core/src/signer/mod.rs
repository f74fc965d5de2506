//! Keys that sign: the root (Cloud KMS or a local file) and the short-lived instance key it certifies.
//!
//! The root signs certificates only, at most two per instance and day; tokens are signed in memory (docs/PROTOCOL.md,
//! section 8).

pub mod delegated;
pub mod kms;
pub mod local;

pub use crate::domain::token::{PublicKeySet, RootKey};
pub use delegated::{InstanceKey, LeaseSigner, SignerSettings};

use crate::Result;
use std::pin::Pin;

/// A future behind a pointer, so that a trait of futures can be a `dyn`.
pub type SigningFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The key clients pin. Two implementations: [`kms::KmsRoot`] and [`local::LocalRoot`].
pub trait RootSigner: Send + Sync + 'static {
    /// The public keys clients pin: the current one first, then the next if one is configured.
    ///
    /// # Errors
    /// [`crate::Error::Signer`] if they could not be had.
    fn public_keys(&self) -> SigningFuture<'_, Result<Vec<RootKey>>>;

    /// The current key's RSASSA-PKCS1-v1_5 signature with SHA-256 (RS256) over `message`.
    ///
    /// # Errors
    /// [`crate::Error::Signer`] if the key could not be asked, or what came back was damaged.
    fn sign<'a>(&'a self, message: &'a [u8]) -> SigningFuture<'a, Result<Vec<u8>>>;
}
