//! Redis: which holders were heard from recently.
//!
//! PostgreSQL owns the seats. This module only answers quickly which of their holders are alive. Every decision is one
//! Lua script, which Redis runs atomically (docs/PROTOCOL.md, section 3). The head of each script file is its contract
//! and is tested by `script_heads.rs`; `prologue.lua` stands in front of every script of a pool. Nothing in this module
//! knows PostgreSQL.
//!
//! * `keys.rs`: the only file that spells keys
//! * `scripts.rs`: the only place that runs scripts
//! * `address.rs`: where Redis is, and what a connection shows it
//! * `connection.rs`: connections, none of them older than 30 s
//! * `contact/`: the absences of Redis that this instance saw
//! * `rate.rs`: limits that all instances share
//! * `acquire.rs`, `session.rs`, `look_up.rs`, `look_up_pool.rs`, `look_up_seats.rs`, `silent.rs`, `reap.rs`, `rebuild.rs`: the arguments and the answers of the scripts
//! * `reply.rs`: how an answer is read

mod acquire;
mod address;
mod connection;
mod contact;
mod keys;
mod look_up;
mod look_up_pool;
mod look_up_seats;
mod rate;
mod reap;
mod rebuild;
mod reply;
#[cfg(test)]
mod script_heads;
mod scripts;
mod session;
mod silent;

pub use acquire::{
    AcquireAnswer, AcquireRefusal, PoolFull, SeatProspect, SilentHolder, TooManyProcesses, ValidateAnswer,
    ValidateReply, WaitReason,
};
pub use address::RedisAddress;
pub use connection::ReplicationId;
pub use keys::PoolKey;
pub use look_up::{SessionLiveness, SessionLookup, SessionSighting};
pub use look_up_pool::PoolLookup;
pub use look_up_seats::{SeatCondition, SeatSighting, SeatsLookup};
pub use reap::{PoolRecords, ReapedSeats, SeatToFree, SessionToFree, ToldWants};
pub use rebuild::NonceAnswer;
pub use session::{HeartbeatAnswer, ReleaseAnswer};

use crate::{
    Clock, Result,
    domain::{lease::LeaseTiming, rate::PoolRates},
};

/// What a script that needs a warm copy of its pool answers.
#[derive(Clone, Debug, PartialEq)]
pub enum PoolReply<T> {
    /// The copy is cold or stale and must be rebuilt. The script wrote nothing.
    NeedsRebuild {
        /// The epoch of the copy; 0 if there is none.
        epoch: u64,
    },
    /// The copy is warm, and this is the answer.
    Answer(T),
}

/// The copies of pools in Redis. Cheap to clone; clones share one connection.
#[derive(Clone)]
pub struct SeatStore {
    connections: connection::RedisConnections,
    timing: LeaseTiming,
    rates: PoolRates,
    clock: Clock,
}

impl SeatStore {
    /// A store at `url` (`redis://host:port`, `redis+unix:///path`). It connects with the first call.
    ///
    /// # Errors
    /// If the text is not a Redis URL.
    pub fn new(url: &str, id: ReplicationId, timing: LeaseTiming, clock: Clock) -> Result<Self> {
        Ok(Self::at(RedisAddress::new(url, None, None)?, id, timing, clock))
    }

    /// The same at an address that may want TLS and access tokens.
    pub fn at(address: RedisAddress, id: ReplicationId, timing: LeaseTiming, clock: Clock) -> Self {
        let contact = contact::StoreContact::new(clock.clone(), &timing);
        let connections = connection::RedisConnections::new(address, id, timing.max_connection_age, contact);
        Self { connections, timing, rates: PoolRates::default(), clock }
    }

    /// The same store with limits that the scripts of a pool keep. Without this call there are none.
    #[must_use]
    pub fn with_rates(self, rates: PoolRates) -> Self {
        Self { rates, ..self }
    }

    /// The limits that the scripts of a pool keep.
    pub fn rates(&self) -> PoolRates {
        self.rates
    }

    /// How many connections this instance made so far. None lives longer than 30 s, so an instance that is asked all the
    /// time makes two a minute.
    pub fn connects(&self) -> u64 {
        self.connections.connects()
    }

    /// Whether Redis did not answer this instance's last calls, or answered them with errors. Redis is not asked; false
    /// before the first call.
    pub fn is_away(&self) -> bool {
        self.connections.is_away()
    }

    /// How long things last.
    pub fn timing(&self) -> &LeaseTiming {
        &self.timing
    }

    /// Forgets everything that Redis knows (empty.lua), as after a restore of the database: copies then speak of seats
    /// that were given out since the point of the restore.
    ///
    /// # Errors
    /// [`crate::Error::Seats`] if Redis did not answer.
    pub async fn empty(&self) -> Result<()> {
        let reply = self.run_without_pool(&scripts::EMPTY, &[], &[]).await?;
        if reply.is("EMPTY") { Ok(()) } else { Err(reply.unknown()) }
    }

    /// Whether the store answers now and keeps what it is given (`maxmemory-policy noeviction`). Only readiness asks
    /// this; no operation depends on it.
    ///
    /// # Errors
    /// [`crate::Error::Seats`] with what is wrong.
    pub async fn ready(&self) -> Result<()> {
        self.connections.check_ready().await
    }
}
