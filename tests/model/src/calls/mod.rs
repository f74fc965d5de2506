//! The operations under way. Each is a small machine between atomic steps: a script on Redis, a function in PostgreSQL,
//! an answer that arrives.
//!
//! Between two steps anything may happen to it: it waits for ever, dies, or runs twice. After `core/src/protocol/`.

mod acquire;
mod heartbeat;
mod reap;
mod rebuild;
mod release;

use crate::{
    client::{From, Handle},
    records::{Ending, Snapshot},
    redis::{Claim, Granted, PoolCopy},
    rules::Rules,
    time::Time,
    words::{CallId, Epoch, NonceId},
    world::{Place, World},
};
use std::sync::Arc;

/// An operation under way.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Call {
    /// What is asked.
    pub asks: Asks,
    /// Served by the other instance: its clock may be wrong, and the leases it gives of another length.
    pub other_instance: bool,
    /// How often it may still ask Redis again before its deadline is over.
    pub again: u8,
    /// What it does next.
    pub step: Step,
    /// Which call it is, for people.
    pub id: CallId,
}

/// What a call asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the operations of the protocol")]
pub enum Asks {
    Acquire(From),
    Heartbeat(From, Handle),
    Release(From, Handle),
    /// The reaper's look at the pool, with the epoch it read and whether the pool was worth a rebuild.
    Reap(Epoch, bool),
    /// What a change tells Redis after its commit.
    Change,
}

/// The next atomic step of a call.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Step {
    /// The reaper reads which pools there are.
    Look,
    /// The operation's own script.
    Script,
    /// NONCE, the first step of a rebuild.
    Nonce,
    /// `rebuild_pool`, with the epoch of the copy that NONCE froze.
    RebuildPool(NonceId, Epoch),
    /// LOAD.
    Load(NonceId, Arc<Snapshot>),
    /// REBUILD, with what LOAD made.
    Rebuild(NonceId, Arc<PoolCopy>),
    /// INVALIDATE of a copy proved old.
    Invalidate(Epoch, Then),
    /// `grant_seat`.
    Grant(Granted),
    /// `resolve_session`.
    Resolve(Epoch),
    /// `end_seats`. The flag: RELEASE said LEFT.
    End(Ending, bool),
    /// FREE.
    Free(Epoch, Vec<(Claim, bool)>),
    /// RELEASE of what was fenced. Nobody does that; a mutant does.
    Undo(Handle),
    /// The answer arrives.
    Answer(Answer),
}

/// What follows an INVALIDATE.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "self-evident")]
pub enum Then {
    Again,
    Rebuild,
    Over,
}

/// What a client is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the answers of the protocol")]
pub enum Answer {
    /// With the lease it was given.
    Seat(Handle, Time),
    Alive(Time),
    Gone,
    /// Full, refused, too many: nothing that a client would believe in.
    No,
}

/// What becomes of a call after a step.
pub enum Next {
    /// This step is next.
    To(Step),
    /// Redis is asked again, if there is time.
    Again,
    /// It is over.
    Over,
}

impl Call {
    /// A call that begins.
    pub fn new(asks: Asks, again: u8) -> Self {
        let step = match asks {
            Asks::Reap(..) => Step::Look,
            _ => Step::Script,
        };
        Self { asks, other_instance: false, again, step, id: 0 }
    }

    /// The nonce it rebuilds under.
    pub fn nonce(&self) -> Option<NonceId> {
        match self.step {
            Step::RebuildPool(nonce, _) | Step::Load(nonce, _) | Step::Rebuild(nonce, _) => Some(nonce),
            _ => None,
        }
    }

    /// Whether its next step talks to Redis.
    pub fn asks_redis(&self) -> bool {
        use Step::*;
        matches!(self.step, Script | Nonce | Load(..) | Rebuild(..) | Invalidate(..) | Free(..) | Undo(..))
    }

    /// The process that asked.
    pub fn process(&self) -> Option<usize> {
        match self.asks {
            Asks::Acquire(from) | Asks::Heartbeat(from, _) | Asks::Release(from, _) => Some(from.process),
            Asks::Reap(..) | Asks::Change => None,
        }
    }
}

/// Does a call's next step, whole. Steps on Redis happen at `place`.
pub fn step(world: &mut World, call: &mut Call, place: Place, rules: Rules) -> Next {
    let next = match (&call.step, call.asks) {
        (Step::Nonce, _) => rebuild::nonce(world, call, place, rules),
        (Step::RebuildPool(nonce, frozen), _) => rebuild::rebuild_pool(world, call, (*nonce, *frozen), rules),
        (Step::Load(nonce, read), _) => rebuild::load(world, call, place, (*nonce, read), rules),
        (Step::Rebuild(nonce, built), _) => rebuild::rebuild(world, call, place, (*nonce, built), rules),
        (Step::Invalidate(epoch, then), _) => {
            world.script(place, call, rules).invalidate(*epoch);
            if call.asks == Asks::Change && (place == Place::Primary || world.deposed.is_none()) {
                world.history.told = world.history.told.max(*epoch);
            }
            match then {
                Then::Again => Next::Again,
                Then::Rebuild => Next::To(Step::Nonce),
                Then::Over => Next::Over,
            }
        }
        (Step::Free(epoch, done), _) => {
            world.script(place, call, rules).free(*epoch, done);
            Next::Over
        }
        (_, Asks::Acquire(from)) => acquire::step(world, call, from, place, rules),
        (_, Asks::Heartbeat(from, handle)) => heartbeat::step(world, call, from, handle, place, rules),
        (_, Asks::Release(_, handle)) => release::step(world, call, handle, place, rules),
        (_, Asks::Reap(epoch, held)) => reap::step(world, call, (epoch, held), place, rules),
        (_, Asks::Change) => Next::Over,
    };
    match next {
        Next::Again if call.again == 0 => Next::Over,
        Next::Again => {
            call.again -= 1;
            Next::To(Step::Script)
        }
        next => next,
    }
}
