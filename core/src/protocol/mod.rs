//! The moves: section 5 of docs/PROTOCOL.md, one short file each. The only room that brings seats, records and signer
//! together.
//!
//! Every move follows one shape: Redis decides, Postgres confirms, and where they disagree the copy is repaired and
//! Redis asked *again*, until the request's deadline. Nothing is undone by a release: another copy of the same request
//! may already have been answered.
//!
//! `acquire.rs` (and validate) · `heartbeat.rs` · `release.rs` · `reap.rs` · `publish.rs` · `history.rs` · `manage/`:
//! what people ask for · `rebuild.rs`: the one repair · `answer.rs`: what is signed · `guesses.rs`: wrong keys, before
//! the records are asked · `memory.rs`, `deadline.rs`, `steps.rs`: small tools of the moves

pub mod acquire;
mod answer;
mod deadline;
pub mod guesses;
pub mod heartbeat;
pub mod history;
mod keys;
pub mod manage;
pub mod publish;
pub mod reap;
mod rebuild;
pub mod release;
mod ttl_cache;
pub mod validate;

pub use crate::steps;
use crate::{
    Clock,
    domain::{id::SessionId, lease::LeaseTiming, secret::KeyRing},
    records::Records,
    seat_store::SeatStore,
    signer::LeaseSigner,
};
use guesses::GuessMemory;
use rebuild::PoolRebuilds;
use std::sync::Arc;
use steps::FailPoints;
use ttl_cache::TtlCache;

/// Everything the moves of clients (acquire, heartbeat, release, validate) need. Cheap to clone.
#[derive(Clone)]
pub struct SeatProtocol {
    seats: SeatStore,
    records: Records,
    signer: LeaseSigner,
    settings: Arc<ProtocolSettings>,
    rebuilds: PoolRebuilds,
    guesses: GuessMemory,
    gone_sessions: TtlCache<SessionId, String>,
    steps: FailPoints,
}

/// What the moves are told once, at start.
#[derive(Clone, Debug)]
pub struct ProtocolSettings {
    /// How long things last.
    pub timing: LeaseTiming,
    /// The wall clock.
    pub clock: Clock,
    /// Under which session handles are minted.
    pub handles: KeyRing,
    /// Under which license keys are hashed.
    pub peppers: KeyRing,
}

impl SeatProtocol {
    /// The moves over these rooms; `records` as [`crate::records::DatabaseRole::Service`].
    pub fn new(seats: SeatStore, records: Records, signer: LeaseSigner, settings: ProtocolSettings) -> Self {
        let steps = FailPoints::default();
        let clock = settings.clock.clone();
        Self {
            rebuilds: PoolRebuilds::new(seats.clone(), records.clone(), steps.clone()),
            guesses: GuessMemory::new(seats.clone(), clock.clone()),
            seats,
            records,
            signer,
            gone_sessions: TtlCache::new(clock, settings.timing.ttl * 10, 100_000),
            settings: Arc::new(settings),
            steps,
        }
    }

    /// The fail points of these moves.
    pub fn steps(&self) -> &FailPoints {
        &self.steps
    }

    /// What the moves were told.
    pub fn settings(&self) -> &ProtocolSettings {
        &self.settings
    }

    /// The seat store, for limits that belong to no pool.
    pub fn seats(&self) -> &SeatStore {
        &self.seats
    }

    /// The keys that sign.
    pub fn signer(&self) -> &LeaseSigner {
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
