//! The moves: section 5 of docs/PROTOCOL.md, one short file each. The only room that brings seats, records and signer together.
//!
//! Every move follows one shape: Redis decides, Postgres confirms, and where they disagree the copy is repaired and Redis asked *again*,
//! until the request's deadline. Nothing is undone by a release: another copy of the same request may already have been answered.
//!
//! `acquire.rs` (and validate) · `heartbeat.rs` · `release.rs` · `reap.rs` · `publish.rs` · `history.rs` · `manage/`: what people ask for
//! `rebuild.rs`: the one repair · `answer.rs`: what is signed · `guesses.rs`: wrong keys, before the records are asked · `memory.rs`, `deadline.rs`, `steps.rs`: small tools of the moves

pub mod acquire;
mod answer;
mod deadline;
pub mod guesses;
pub mod heartbeat;
pub mod history;
pub mod manage;
mod memory;
pub mod publish;
pub mod reap;
mod rebuild;
pub mod release;
pub mod steps;
pub mod validate;

use crate::{
    Clock,
    domain::{id::SessionId, lease::Timing, secret::KeyRing},
    records::Records,
    seats::Seats,
    signer::Signer,
};
use guesses::Guesses;
use memory::Memory;
use rebuild::Rebuilds;
use std::sync::Arc;
use steps::Steps;

/// Everything the moves of clients (acquire, heartbeat, release, validate) need. Cheap to clone.
#[derive(Clone)]
pub struct Moves {
    seats: Seats,
    records: Records,
    signer: Signer,
    settings: Arc<Settings>,
    rebuilds: Rebuilds,
    guesses: Guesses,
    gone: Memory<SessionId, String>,
    steps: Steps,
}

/// What the moves are told once, at start.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How long things last.
    pub timing: Timing,
    /// The wall clock.
    pub clock: Clock,
    /// Under which session handles are minted.
    pub handles: KeyRing,
    /// Under which license keys are hashed.
    pub peppers: KeyRing,
}

impl Moves {
    /// The moves over these rooms; `records` as [`crate::records::Role::Service`].
    pub fn new(seats: Seats, records: Records, signer: Signer, settings: Settings) -> Self {
        let steps = Steps::default();
        let clock = settings.clock.clone();
        Self {
            rebuilds: Rebuilds::new(seats.clone(), records.clone(), steps.clone()),
            guesses: Guesses::new(seats.clone(), clock.clone()),
            seats,
            records,
            signer,
            gone: Memory::new(clock, settings.timing.ttl * 10, 100_000),
            settings: Arc::new(settings),
            steps,
        }
    }

    /// The fail points of these moves.
    pub fn steps(&self) -> &Steps {
        &self.steps
    }

    /// What the moves were told.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The seat store, for limits that belong to no pool.
    pub fn seats(&self) -> &Seats {
        &self.seats
    }

    /// The keys that sign.
    pub fn signer(&self) -> &Signer {
        &self.signer
    }

    /// Whether Redis answers, for readiness.
    ///
    /// # Errors
    /// [`crate::Error::Seats`].
    pub async fn seats_ready(&self) -> crate::Result<()> {
        self.seats.ready().await
    }

    /// Whether Postgres answers, for readiness.
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn records_ready(&self) -> crate::Result<()> {
        self.records.ready().await
    }
}
