//! The operations on seats, each of them one short file: section 5 of docs/PROTOCOL.md. This is the only module that
//! uses Redis, PostgreSQL and the signer together.
//!
//! Every operation has the same form. Redis decides, and PostgreSQL confirms. Where they disagree the copy in Redis is
//! repaired, and Redis is asked again until the deadline of the request. No operation is undone by a release, because
//! another copy of the same request may already have been answered.
//!
//! * `acquire.rs`, `validate.rs`, `heartbeat.rs`, `release.rs`: the operations of clients
//! * `keys.rs`: how acquire and validate judge license keys
//! * `guesses.rs`: limits on wrong keys, before PostgreSQL is asked
//! * `answer.rs`: what is signed
//! * `rebuild.rs`: the repair of a copy in Redis · `rebuild_counts.rs`: how rebuilds ended
//! * `reap.rs`, `publish.rs`, `history.rs`: the operations of the reaper · `watch.rs`: what it knows of seats, for
//!   metrics
//! * `ttl_cache.rs`, `deadline.rs`: small tools of the operations

pub mod acquire;
mod answer;
pub(crate) mod deadline;
pub mod guesses;
pub mod heartbeat;
pub mod history;
mod keys;
pub mod publish;
pub mod reap;
pub(crate) mod rebuild;
pub mod rebuild_counts;
pub mod release;
mod ttl_cache;
pub mod validate;
pub mod watch;

pub use crate::steps;
use crate::{
    Clock,
    domain::{id::SessionId, lease::LeaseTiming, secret::KeyRing, session::GoneReason},
    records::Records,
    seat_store::SeatStore,
    signer::LeaseSigner,
};
use guesses::GuessMemory;
use rebuild::PoolRebuilds;
use std::sync::Arc;
use steps::FailPoints;
use ttl_cache::TtlCache;

/// The operations of clients: acquire, validate, heartbeat and release. Cheap to clone.
#[derive(Clone)]
pub struct SeatProtocol {
    seats: SeatStore,
    records: Records,
    signer: LeaseSigner,
    settings: Arc<ProtocolSettings>,
    rebuilds: PoolRebuilds,
    guesses: GuessMemory,
    gone_sessions: TtlCache<SessionId, GoneReason>,
    steps: FailPoints,
}

/// The settings of the operations, which are read once, at start.
#[derive(Clone, Debug)]
pub struct ProtocolSettings {
    /// How long things last.
    pub timing: LeaseTiming,
    /// The system clock.
    pub clock: Clock,
    /// The keys under which session handles are minted.
    pub handles: KeyRing,
    /// The peppers under which license keys are hashed. `None`: these operations are given no license key, as those of
    /// heartbeat.
    pub peppers: Option<KeyRing>,
}

impl SeatProtocol {
    /// Operations that use these stores and this signer; `records` connects as
    /// [`crate::records::DatabaseRole::Service`].
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

    /// The fail points of these operations.
    pub fn steps(&self) -> &FailPoints {
        &self.steps
    }

    /// The settings of the operations.
    pub fn settings(&self) -> &ProtocolSettings {
        &self.settings
    }

    /// The copies in Redis, for limits that belong to no pool.
    pub fn seats(&self) -> &SeatStore {
        &self.seats
    }

    /// The records, as the service's role.
    pub fn records(&self) -> &Records {
        &self.records
    }

    /// The keys that sign.
    pub fn signer(&self) -> &LeaseSigner {
        &self.signer
    }
}
