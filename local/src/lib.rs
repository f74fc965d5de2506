//! One machine: private PostgreSQL and Redis, every function, an issuer, a scheduler and a push bus.

pub mod issuer;
pub mod stores;
pub mod supervise;

mod data;
mod options;
mod secrets;
