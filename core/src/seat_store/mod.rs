//! Redis: who is alive.
//!
//! Seats are owned by the records; this room only answers fast who was heard from lately. Every decision is one Lua
//! script, atomic inside Redis (docs/PROTOCOL.md, section 3). The head of each script file is its contract, which
//! `script_heads.rs` tests; `prologue.lua` stands in front of those of a pool.
//! Nothing here knows PostgreSQL.
//!
//! * `keys.rs`: the one speller of keys · `scripts.rs`: the one place that runs scripts · `connection.rs`: connections
//!   no older than 30 s
//! * `contact.rs`: what this instance saw of the store's absence
//! * `rate.rs`: limits shared by all instances
//! * `acquire.rs`, `session.rs`, `look.rs`, `reap.rs`, `rebuild.rs`: what the scripts are asked and what they answer

mod acquire;
mod connection;
mod contact;
mod keys;
mod look;
mod rate;
mod reap;
mod rebuild;
mod reply;
#[cfg(test)]
mod script_heads;
mod scripts;
mod session;

pub use acquire::{
    AcquireAnswer, AcquireRefusal, PoolFull, SeatProspect, SilentHolder, TooManyProcesses, ValidateAnswer,
    ValidateReply, WaitReason,
};
pub use connection::ReplicationId;
pub use keys::PoolKey;
pub use look::{SessionLiveness, SessionLookup, SessionSighting};
pub use reap::{ReapedSeats, SeatFree, SessionFree};
pub use rebuild::NonceAnswer;
pub use session::{HeartbeatAnswer, ReleaseAnswer};

use crate::{
    Clock, Result,
    domain::{lease::LeaseTiming, rate::PoolRates},
};

/// An answer of a script that needs a warm copy: either the copy was cold (or stale) under this epoch and nothing was
/// written, or `T`.
#[derive(Clone, Debug, PartialEq)]
pub enum PoolReply<T> {
    /// The copy cannot be trusted; rebuild it. The epoch is that of the copy, 0 if there is none.
    Cold(u64),
    /// The answer.
    Said(T),
}

/// The seat store. Cheap to clone; clones share one connection.
#[derive(Clone)]
pub struct SeatStore {
    connections: connection::RedisConnections,
    timing: LeaseTiming,
    rates: PoolRates,
    clock: Clock,
}

impl SeatStore {
    /// A store at `url` (`redis://host:port`, `redis+unix:///path`). Connects when first asked.
    ///
    /// # Errors
    /// If the URL is none.
    pub fn new(url: &str, id: ReplicationId, timing: LeaseTiming, clock: Clock) -> Result<Self> {
        let contact = contact::StoreContact::new(clock.clone(), &timing);
        Ok(Self {
            connections: connection::RedisConnections::new(url, id, timing.max_connection_age, contact)?,
            timing,
            rates: PoolRates::default(),
            clock,
        })
    }

    /// The same with limits that the scripts of a pool keep; without, there are none.
    #[must_use]
    pub fn limited(self, rates: PoolRates) -> Self {
        Self { rates, ..self }
    }

    /// The limits that the scripts of a pool keep.
    pub fn rates(&self) -> PoolRates {
        self.rates
    }

    /// How long things last.
    pub fn timing(&self) -> &LeaseTiming {
        &self.timing
    }

    /// Whether the store answers now and keeps what it is given (`maxmemory-policy noeviction`). For readiness; nothing
    /// is gated on it.
    ///
    /// # Errors
    /// [`crate::Error::Seats`] with what is wrong.
    pub async fn ready(&self) -> Result<()> {
        self.connections.ping().await
    }
}
