//! The innermost ring: the types of the domain and their rules.
//!
//! Nothing in this module does I/O, is `async` or uses a client of another system.

pub mod access;
pub mod alert;
pub mod claimant;
pub mod credential;
pub mod delivery;
pub mod demand;
pub mod email;
pub mod event;
pub mod handle;
pub mod id;
pub mod key;
pub mod labels;
pub mod lease;
pub mod license;
pub mod mail;
pub mod name;
pub mod naming;
pub mod network;
pub mod opaque;
pub mod pasted;
pub mod pool;
pub mod rate;
pub mod secret;
pub mod session;
pub mod step_up;
pub mod terms;
pub mod token;
pub mod trial;
pub mod usage;
pub mod want;
pub mod webhook;

mod base32;
