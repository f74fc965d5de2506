//! The scripts, which are put together at compile time, and the only place that runs them.

use super::{SeatStore, keys::PoolKey, reply::ScriptReply};
use crate::Result;
use redis::{ErrorKind, ServerErrorKind, aio::MultiplexedConnection};
use std::sync::LazyLock;

/// Only the scripts of test builds accept a test clock; the others refuse it.
const TEST_BUILD: bool = cfg!(feature = "testing");

/// The script runs while Redis is out of memory: holders keep their seats.
const ALLOW_OOM: &str = "#!lua flags=allow-oom\n";
/// The script does not run while Redis is out of memory: no new holder gets a seat then.
pub(super) const DENY_OOM: &str = "#!lua\n";
/// The script cannot write.
const READ_ONLY: &str = "#!lua flags=no-writes\n";

/// How many arguments stand in front of those of every script of a pool. `prologue.lua` reads them.
pub(super) const PROLOGUE_ARGUMENTS: usize = 5;

/// A script that is called with `KEYS` keys and `ARGUMENTS` arguments of its own, besides what its prologue reads. The
/// head of its file lists both by name.
pub(super) struct SeatScript<const KEYS: usize, const ARGUMENTS: usize> {
    text: String,
    /// The SHA-1 of the text, by which Redis knows a script that it has run before.
    hash: String,
    /// False for a script that only reads: a store that refuses every write answers it all the same.
    writes: bool,
}

impl<const KEYS: usize, const ARGUMENTS: usize> SeatScript<KEYS, ARGUMENTS> {
    fn new(flags: &str, parts: &[&str]) -> Self {
        let text = source(flags, TEST_BUILD, parts);
        let hash = redis::Script::new(&text).get_hash().to_owned();
        Self { text, hash, writes: flags != READ_ONLY }
    }
}

impl<const KEYS: usize, const ARGUMENTS: usize> SeatScript<KEYS, ARGUMENTS> {
    fn call(&self) -> ScriptCall<'_> {
        ScriptCall { text: &self.text, hash: &self.hash, keys: Vec::new(), arguments: Vec::new() }
    }
}

/// A script with the keys and arguments of one call.
pub(super) struct ScriptCall<'a> {
    text: &'a str,
    hash: &'a str,
    keys: Vec<String>,
    arguments: Vec<String>,
}

impl ScriptCall<'_> {
    fn keys<'k>(mut self, keys: impl IntoIterator<Item = &'k String>) -> Self {
        self.keys.extend(keys.into_iter().cloned());
        self
    }

    fn arguments(mut self, arguments: impl IntoIterator<Item = impl ToString>) -> Self {
        self.arguments.extend(arguments.into_iter().map(|argument| argument.to_string()));
        self
    }

    /// Runs the script by its hash, and by its text where Redis does not know it, which is once after a start. The text
    /// is not loaded first, as the client library would do: managed servers refuse `SCRIPT LOAD`, and it would be
    /// another round trip.
    pub(super) async fn run(&self, connection: &mut MultiplexedConnection) -> redis::RedisResult<redis::Value> {
        match self.command("EVALSHA", self.hash).query_async(connection).await {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                self.command("EVAL", self.text).query_async(connection).await
            }
            answer => answer,
        }
    }

    fn command(&self, name: &str, script: &str) -> redis::Cmd {
        let mut command = redis::cmd(name);
        command.arg(script).arg(self.keys.len()).arg(&self.keys).arg(&self.arguments);
        command
    }
}

/// The whole text of a script for a build of that kind.
pub(super) fn source(flags: &str, test_build: bool, parts: &[&str]) -> String {
    format!("{flags}local TEST_BUILD = {test_build}\n{}", parts.concat())
}

/// Each script: its name, how many keys and arguments of its own it is called with, its flags, its prologue, the files
/// it shares with others, and its own file, which comes last. `CONTRACTS` lists them for the tests that read their
/// heads.
macro_rules! scripts {
    ($($name:ident($keys:literal, $arguments:literal) = $flags:ident $($file:literal)+;)*) => {
        $(
            pub(super) static $name: LazyLock<SeatScript<$keys, $arguments>> =
                LazyLock::new(|| SeatScript::new($flags, &[$(include_str!($file)),+]));
        )*

        #[cfg(test)]
        pub(super) const CONTRACTS: &[super::script_heads::Contract] = &[$(super::script_heads::Contract {
            name: stringify!($name),
            keys: $keys,
            arguments: $arguments,
            parts: &[$(include_str!($file)),+],
        }),*];
    };
}

scripts! {
    ACQUIRE(6, 13) = DENY_OOM "prologue.lua" "rate_limit.lua" "lease_length.lua" "acquire_decision.lua" "full_pool.lua"
        "cut_overlong_leases.lua" "begin_minute.lua" "wants.lua" "acquire.lua";
    VALIDATE(0, 3) = READ_ONLY "prologue.lua" "acquire_decision.lua" "full_pool.lua" "validate.lua";
    HEARTBEAT(1, 4) = ALLOW_OOM "prologue.lua" "rate_limit.lua" "lease_length.lua" "heartbeat.lua";
    LOOK_UP_SESSIONS(0, 0) = READ_ONLY "prologue.lua" "look_up_sessions.lua";
    LOOK_UP_SEATS(0, 0) = READ_ONLY "prologue.lua" "look_up_seats.lua";
    LOOK_UP_POOL(0, 1) = READ_ONLY "prologue.lua" "full_pool.lua" "silent_holders.lua" "look_up_pool.lua";
    COUNT_SILENT(0, 1) = READ_ONLY "prologue.lua" "silent_holders.lua" "count_silent.lua";
    RELEASE(0, 2) = ALLOW_OOM "prologue.lua" "release.lua";
    REAP(3, 7) = ALLOW_OOM "prologue.lua" "cut_overlong_leases.lua" "begin_minute.lua" "wants.lua" "reap.lua";
    FREE(0, 2) = ALLOW_OOM "prologue.lua" "begin_minute.lua" "free.lua";
    NONCE(0, 1) = ALLOW_OOM "prologue.lua" "rebuild_lock.lua" "nonce.lua";
    EXTEND_REBUILD_LOCK(0, 1) = ALLOW_OOM "prologue.lua" "rebuild_lock.lua" "extend_rebuild_lock.lua";
    INVALIDATE(0, 1) = ALLOW_OOM "prologue.lua" "rebuild_lock.lua" "invalidate.lua";
    REBUILD(7, 7) = DENY_OOM "prologue.lua" "rebuild_lock.lua" "rebuilt_leases.lua" "begin_minute.lua"
        "rebuild.lua";
    LOAD(4, 4) = DENY_OOM "prologue.lua" "rebuild_lock.lua" "rebuilt_leases.lua" "load.lua";
    // The same for a pool that has holders, who keep their seats also when Redis is full.
    REBUILD_HELD(7, 7) = ALLOW_OOM "prologue.lua" "rebuild_lock.lua" "rebuilt_leases.lua" "begin_minute.lua"
        "rebuild.lua";
    LOAD_HELD(4, 4) = ALLOW_OOM "prologue.lua" "rebuild_lock.lua" "rebuilt_leases.lua" "load.lua";
    // These belong to no pool.
    TAKE_TOKEN(1, 2) = DENY_OOM "rate_prologue.lua" "rate_limit.lua" "take_token.lua";
    TAKE_GUESS_TOKEN(2, 4) = DENY_OOM "rate_prologue.lua" "rate_limit.lua" "take_guess_token.lua";
    EMPTY(0, 0) = ALLOW_OOM "rate_prologue.lua" "empty.lua";
    REFUND_GUESS_TOKEN(2, 1) = DENY_OOM "rate_prologue.lua" "rate_limit.lua" "refund_guess_token.lua";
}

impl SeatStore {
    /// Runs a script that belongs to no pool, with a test clock before its arguments.
    ///
    /// # Errors
    /// [`crate::Error::Seats`] if Redis did not answer.
    pub(super) async fn run_without_pool<const KEYS: usize, const ARGUMENTS: usize>(
        &self,
        script: &SeatScript<KEYS, ARGUMENTS>,
        keys: &[String; KEYS],
        arguments: &[String; ARGUMENTS],
    ) -> Result<ScriptReply> {
        let clock = self.clock.redis_test_ms();
        self.connections.run(script.writes, |_| script.call().keys(keys).arguments([clock]).arguments(arguments)).await
    }

    /// Runs a script on a pool. `further` are the keys it declares besides the pool's six.
    ///
    /// # Errors
    /// [`crate::Error::Seats`] if Redis did not answer. The script may have run all the same; every script can be
    /// repeated.
    pub(super) async fn run<const KEYS: usize, const ARGUMENTS: usize>(
        &self,
        script: &SeatScript<KEYS, ARGUMENTS>,
        pool: &PoolKey,
        further: &[String; KEYS],
        arguments: &[String; ARGUMENTS],
    ) -> Result<ScriptReply> {
        self.run_with_list(script, pool, further, arguments, &[]).await
    }

    /// Runs a script on a pool that takes a list behind its arguments.
    ///
    /// # Errors
    /// As [`SeatStore::run`].
    pub(super) async fn run_with_list<const KEYS: usize, const ARGUMENTS: usize>(
        &self,
        script: &SeatScript<KEYS, ARGUMENTS>,
        pool: &PoolKey,
        further: &[String; KEYS],
        arguments: &[String; ARGUMENTS],
        list: &[String],
    ) -> Result<ScriptReply> {
        self.connections
            .run(script.writes, |id| {
                // The clocks are read for each try: a try after a broken connection has seen the store away.
                let times: [i64; PROLOGUE_ARGUMENTS - 1] = [
                    self.clock.now_ms(),
                    self.connections.held_clock_ms(),
                    self.timing.ttl_ms(),
                    self.clock.redis_test_ms(),
                ];
                let call = script.call().keys(pool.keys().iter().chain(further));
                call.arguments([id]).arguments(times).arguments(arguments).arguments(list)
            })
            .await
    }
}
