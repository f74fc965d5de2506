//! The seat protocol of docs/PROTOCOL.md as a model that is searched for a way to break it. docs/MODEL.md says how to read and run it.
//!
//! `world.rs`: everything there is · `redis/`: scripts as atomic steps · `records/`: SQL functions as atomic steps · `calls/`: the operations
//! between them · `client.rs`: what processes believe · `faults.rs`: what can happen · `rules.rs`: the protections, each a switch ·
//! `properties.rs`: what must always hold · `repair.rs`: what must become true once faults stop · `walk.rs`: random search ·
//! `play.rs`: directed scenarios · `settings.rs`: the searches · `model.rs`: bounds, and the same for stateright

pub mod calls;
pub mod client;
pub mod faults;
pub mod model;
pub mod play;
pub mod properties;
pub mod records;
pub mod redis;
pub mod repair;
pub mod rules;
pub mod settings;
pub mod time;
pub mod trace;
pub mod walk;
pub mod words;
pub mod world;
