//! The moves.
pub mod steps;
