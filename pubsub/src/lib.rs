//! Everything about Pub/Sub: topics and messages, publishing, and what a receiver of pushes must check.
//!
//! * [`Topic`], [`Message`]: what is sent where.
//! * [`Publisher`], with three implementations: `cloud::CloudPublisher` (feature `cloud`); [`bus::LocalBus`], the
//!   in-process bus of one machine, which delivers the same envelope over HTTP as Cloud Pub/Sub does;
//!   [`rest::RestPublisher`], which reaches that bus from another process.
//! * [`push`]: the receiving end. [`push::Envelope`] takes a body apart, [`push::PushCheck`] checks who sent it.
//!
//! Delivery is at least once and in any order, here as in the cloud: receivers must not mind duplicates.

pub mod bus;
#[cfg(feature = "cloud")]
pub mod cloud;
mod envelope;
mod message;
mod publisher;
pub mod push;
pub mod rest;

pub use message::{Message, Topic, TopicNames};
pub use publisher::{PublishError, PublishFuture, Publisher};
