//! What can be asked of the engine, done to its license and done to its stores.

use proptest::{collection::vec, option, prelude::*};

/// A case: how the license is, and what happens to it.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) license: License,
    pub(crate) commands: Vec<Command>,
}

/// How a license begins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct License {
    pub(crate) seats: u32,
    pub(crate) by_process: bool,
    pub(crate) processes: u32,
    /// Its term ends so much later.
    pub(crate) term_ms: Option<i64>,
}

/// A process of a machine, where it says which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Who {
    pub(crate) machine: u8,
    pub(crate) process: Option<u8>,
}

/// Which of the license's keys is shown.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Key {
    Current,
    /// One that was rotated away, so many rotations ago, if there were as many.
    Old(u8),
    Wrong,
}

/// What is odd about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Odd {
    Nothing,
    Pool,
    Product,
}

/// One command. `at`: which of two instances is asked. Sessions are counted from the newest one given, whatever became of it.
#[derive(Clone, Debug)]
pub(crate) enum Command {
    Acquire {
        at: usize,
        who: Who,
        attempt: u8,
        key: Key,
        odd: Odd,
    },
    Heartbeat {
        at: usize,
        session: usize,
    },
    Release {
        at: usize,
        session: usize,
    },
    Validate {
        at: usize,
        machine: u8,
        key: Key,
    },
    Sweep,
    Pass {
        ms: i64,
    },
    /// An admin ends a session, also one that has ended.
    End {
        session: usize,
        force: bool,
    },
    Resize {
        seats: u32,
    },
    Suspend,
    Resume,
    /// A new key; the old ones stay good for so long, or not at all.
    Rotate {
        grace_ms: Option<i64>,
    },
    /// Redis forgets everything.
    Flush,
    /// Redis loses one key of the pool.
    Lose {
        key: &'static str,
    },
    /// Redis keeps its data and is another primary.
    Promote,
    /// Remembers what Redis knows now, for `Stale`.
    Copy,
    /// A node with the remembered copy is the primary now.
    Stale,
    /// Redis is stopped and started again.
    Restart,
}

/// Around every limit of the protocol: lease 360 s, rebuild lease 405 s, heartbeats, a minute.
const TIMES: [i64; 13] =
    [1, 999, 30_000, 60_000, 105_000, 115_200, 180_000, 359_999, 360_000, 360_001, 404_999, 405_000, 405_001];

fn key() -> impl Strategy<Value = Key> {
    prop_oneof![16 => Just(Key::Current), 2 => (0..2_u8).prop_map(Key::Old), 1 => Just(Key::Wrong)]
}

fn command() -> impl Strategy<Value = Command> {
    let at = || 0..2_usize;
    let who = (0..5_u8, option::weighted(0.8, 0..2_u8)).prop_map(|(machine, process)| Who { machine, process });
    let odd = prop_oneof![20 => Just(Odd::Nothing), 1 => Just(Odd::Pool), 1 => Just(Odd::Product)];
    let session = || prop_oneof![3 => 0..4_usize, 2 => 0..30_usize];
    let pass = prop_oneof![6 => proptest::sample::select(&TIMES[..]), 1 => 1..400_000_i64];
    prop_oneof![
        260 => (at(), who, 0..2_u8, key(), odd)
            .prop_map(|(at, who, attempt, key, odd)| Command::Acquire { at, who, attempt, key, odd }),
        200 => (at(), session()).prop_map(|(at, session)| Command::Heartbeat { at, session }),
        70 => (at(), session()).prop_map(|(at, session)| Command::Release { at, session }),
        40 => (at(), 0..6_u8, key()).prop_map(|(at, machine, key)| Command::Validate { at, machine, key }),
        50 => Just(Command::Sweep),
        130 => pass.prop_map(|ms| Command::Pass { ms }),
        40 => (session(), any::<bool>()).prop_map(|(session, force)| Command::End { session, force }),
        40 => (0..7_u32).prop_map(|seats| Command::Resize { seats }),
        8 => Just(Command::Suspend),
        30 => Just(Command::Resume),
        12 => option::of(proptest::sample::select(&TIMES[..])).prop_map(|grace_ms| Command::Rotate { grace_ms }),
        15 => Just(Command::Flush),
        20 => proptest::sample::select(&["h", "z", "s", "m", "n", "c"][..]).prop_map(|key| Command::Lose { key }),
        8 => Just(Command::Promote),
        10 => Just(Command::Copy),
        8 => Just(Command::Stale),
        1 => Just(Command::Restart),
    ]
}

/// Cases of 20 to 60 commands.
pub(crate) fn case() -> impl Strategy<Value = Case> {
    let term = option::weighted(0.3, 100_000..3_000_000_i64);
    let license = (1..5_u32, any::<bool>(), 1..4_u32, term)
        .prop_map(|(seats, by_process, processes, term_ms)| License { seats, by_process, processes, term_ms });
    (license, vec(command(), 20..=60)).prop_map(|(license, commands)| Case { license, commands })
}
