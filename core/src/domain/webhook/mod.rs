//! Webhooks: where events may be sent, how they are signed, and when a failed attempt is repeated.
//!
//! Requests are signed as the Standard Webhooks specification says, version 1.0.0:
//! <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>. What sends them is
//! [`crate::webhooks`].

mod address;
mod endpoint;
pub mod schedule;
mod signing;

pub use address::is_public;
pub use endpoint::{EndpointRefusal, EndpointRules, EndpointUrl};
pub use signing::{InvalidWebhookSecret, WebhookSecret, signature_header};
