//! The receiving end of a push: what came, and who sent it.

pub use crate::envelope::{Envelope, Malformed, Push};
