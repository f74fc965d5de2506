//! The services, one file each, and [`edge`], what all of them share at their rim.
//!
//! A handler takes the request apart, calls one method of `license-core` and dresses the answer. It knows no rule of its own.

pub mod edge;
