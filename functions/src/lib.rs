//! The services, one file each, and [`edge`], what all of them share at their rim.
//!
//! A handler takes the request apart, calls one method of `license-core` and dresses the answer. It knows no rule of its own.
//! Each service has a `State` of the handles it may touch, a `router` of its paths (without layers and health, so that several can be
//! served behind one address), and `service`, which builds both from configuration for the binary of the same name.

pub mod acquire;
pub mod admin;
pub mod document;
pub mod edge;
pub mod heartbeat;
pub mod reaper;
pub mod register;
pub mod release;

mod answer;
mod wiring;
