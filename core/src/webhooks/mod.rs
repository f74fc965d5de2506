//! Webhooks on their way: one request to one endpoint, and what came of it.
//!
//! What is sent, where to, and when it is repeated, is decided elsewhere ([`crate::domain::webhook`]). A customer says
//! where a request goes, so nothing here trusts the address: a request reaches only receivers on the internet, and
//! neither this machine nor the network that it is in (server-side request forgery,
//! <https://cheatsheetseries.owasp.org/cheatsheets/Server_Side_Request_Forgery_Prevention_Cheat_Sheet.html>).

mod names;
mod outcome;
mod sender;
#[cfg(test)]
mod tests;

pub use outcome::{AttemptOutcome, AttemptReport};
pub use sender::{Attempt, SenderSettings, WebhookSender};
