//! License tokens, refusals and certificates: their claims, the bytes that are signed, and the offline verification
//! that clients do (docs/PROTOCOL.md, section 8).
//!
//! All three are JWS in compact form (RFC 7515). The root key (RSA-4096, pinned by clients) signs a certificate for an
//! instance's Ed25519 key; that key signs tokens and refusals. Nothing in this module does I/O or has private keys.

mod claims;
mod jwk;
mod jws;
pub(crate) mod pem;
mod verify;

pub use claims::{CertificateClaims, ConfirmationClaim, RefusalClaims, TokenClaims};
pub use jwk::{InstanceJwk, PublicKeySet, RootKey};
pub use jws::JwsKind;
pub(crate) use jws::{assemble, signing_input};
pub use verify::{ExpectedRefusal, ExpectedToken, TokenCheck, VerifyError, verify, verify_refusal};

/// The longest life of a certificate in seconds.
pub const MAX_CERTIFICATE_LIFE: i64 = 24 * 3600;

/// The life of a refusal in seconds.
pub const REFUSAL_LIFE: i64 = 60;
