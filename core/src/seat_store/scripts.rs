//! The scripts, put together at compile time, and the one place that runs them.

use super::{SeatStore, keys::PoolKey, reply::ScriptReply};
use crate::Result;
use std::sync::LazyLock;

/// A test clock is taken only by scripts of test builds; the others refuse it.
const TEST_BUILD: bool = cfg!(feature = "testing");

/// Runs while Redis is out of memory: who holds a seat keeps it.
const ALLOW_OOM: &str = "#!lua flags=allow-oom\n";
/// Does not: who holds none gets none then.
const DENY_OOM: &str = "#!lua\n";
/// Writes nothing, whatever happens.
const READ_ONLY: &str = "#!lua flags=no-writes\n";

/// A script, and whether it may write: one that only reads is answered also by a store that refuses everything else.
pub(super) struct SeatScript {
    text: redis::Script,
    writes: bool,
}

impl SeatScript {
    fn new(header: &str, parts: &[&str]) -> Self {
        Self { text: redis::Script::new(&source(header, TEST_BUILD, parts)), writes: header != READ_ONLY }
    }
}

/// The whole text of a script for a build of that kind.
fn source(header: &str, test_build: bool, parts: &[&str]) -> String {
    format!("{header}local TEST_BUILD = {test_build}\n{}{}", include_str!("prologue.lua"), parts.concat())
}

macro_rules! scripts {
    ($($name:ident = $header:ident $($file:literal)+;)*) => {$(
        pub(super) static $name: LazyLock<SeatScript> = LazyLock::new(|| SeatScript::new($header, &[$(include_str!($file)),+]));
    )*};
}

scripts! {
    ACQUIRE = DENY_OOM "turn.lua" "trust.lua" "decide.lua" "room.lua" "tame.lua" "acquire.lua";
    VALIDATE = READ_ONLY "decide.lua" "room.lua" "validate.lua";
    HEARTBEAT = ALLOW_OOM "turn.lua" "trust.lua" "heartbeat.lua";
    LOOK = READ_ONLY "look.lua";
    RELEASE = ALLOW_OOM "release.lua";
    REAP = ALLOW_OOM "tame.lua" "reap.lua";
    FREE = ALLOW_OOM "free.lua";
    NONCE = ALLOW_OOM "rebuilder.lua" "nonce.lua";
    KEEP = ALLOW_OOM "rebuilder.lua" "keep.lua";
    INVALIDATE = ALLOW_OOM "rebuilder.lua" "invalidate.lua";
    REBUILD = DENY_OOM "rebuilder.lua" "loader.lua" "rebuild.lua";
    LOAD = DENY_OOM "rebuilder.lua" "loader.lua" "load.lua";
    // The same for a pool with holders: they keep their seats also when Redis is full.
    REBUILD_HELD = ALLOW_OOM "rebuilder.lua" "loader.lua" "rebuild.lua";
    LOAD_HELD = ALLOW_OOM "rebuilder.lua" "loader.lua" "load.lua";
}

/// These stand alone: they belong to no pool.
pub(super) static RATE: LazyLock<SeatScript> = LazyLock::new(|| alone(include_str!("rate.lua")));
pub(super) static GUESS: LazyLock<SeatScript> = LazyLock::new(|| alone(include_str!("guess.lua")));
pub(super) static RIGHT: LazyLock<SeatScript> = LazyLock::new(|| alone(include_str!("right.lua")));

fn alone(text: &str) -> SeatScript {
    let parts = [include_str!("turn.lua"), text].concat();
    SeatScript {
        text: redis::Script::new(&format!("{DENY_OOM}local TEST_BUILD = {TEST_BUILD}\n{parts}")),
        writes: true,
    }
}

impl SeatStore {
    /// Runs a script that belongs to no pool, with its keys and a test clock behind its arguments.
    ///
    /// # Errors
    /// [`crate::Error::Seats`] if Redis did not answer.
    pub(super) async fn run_alone(
        &self,
        script: &SeatScript,
        keys: &[String],
        arguments: &[String],
    ) -> Result<ScriptReply> {
        let clock = self.clock.redis_test_ms();
        self.connections
            .run(script.writes, |_| {
                let mut call = script.text.prepare_invoke();
                call.key(keys).arg(arguments).arg(clock);
                call
            })
            .await
    }

    /// Runs a script on a pool. `further` are keys it declares besides the pool's six.
    ///
    /// # Errors
    /// [`crate::Error::Seats`] if Redis did not answer. The script may have run all the same: every one can be repeated.
    pub(super) async fn run(
        &self,
        script: &SeatScript,
        pool: &PoolKey,
        further: &[String],
        arguments: &[String],
    ) -> Result<ScriptReply> {
        self.connections
            .run(script.writes, |id| {
                // Read for each try: one that follows a broken connection has seen the store away.
                let times = [
                    self.clock.now_ms(),
                    self.connections.held_clock_ms(),
                    self.timing.ttl_ms(),
                    self.clock.redis_test_ms(),
                ];
                let mut call = script.text.prepare_invoke();
                for key in pool.keys().iter().chain(further) {
                    call.key(key);
                }
                call.arg(id).arg(&times).arg(arguments);
                call
            })
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_for_production_says_so_to_its_scripts() {
        assert!(source(DENY_OOM, false, &["x"]).starts_with("#!lua\nlocal TEST_BUILD = false\n"));
    }
}
