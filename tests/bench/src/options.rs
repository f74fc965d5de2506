//! The command line.

use lexopt::{Arg, ValueExt};
use std::{path::PathBuf, time::Duration};

/// Every part, in the order they are measured and told.
pub(crate) const PARTS: [&str; 14] = [
    "heartbeat",
    "acquire",
    "flat",
    "fresh",
    "signing",
    "contention",
    "full",
    "rebuild",
    "reaper",
    "memory",
    "cold",
    "lists",
    "idle",
    "past",
];
/// Of those, the ones that take too long for a run that names none.
const ONLY_WHEN_NAMED: [&str; 1] = ["past"];

/// What to measure.
pub(crate) struct Options {
    pub(crate) parts: Vec<&'static str>,
    pub(crate) quick: bool,
    pub(crate) size: Size,
    /// Where the stores lie; where nothing is said, below `target/`.
    pub(crate) stores: Option<PathBuf>,
}

/// How thoroughly.
pub(crate) struct Size {
    /// For each kind of load, after a warm-up of a quarter of it.
    pub(crate) time: Duration,
    /// In how many turns a load and its limit share that time: a machine's speed changes within a minute, and both should meet it.
    pub(crate) turns: u32,
    /// Seats of large pools.
    pub(crate) seats: &'static [u32],
    /// Starts of each process.
    pub(crate) starts: usize,
    /// For what is measured while nobody asks for anything.
    pub(crate) idle: Duration,
    /// Sessions of a past.
    pub(crate) ended: u64,
}

const WHOLE: Size = Size {
    time: Duration::from_secs(12),
    turns: 4,
    seats: &[10_000, 100_000],
    starts: 10,
    idle: Duration::from_secs(120),
    ended: 10_000_000,
};
const QUICK: Size = Size {
    time: Duration::from_secs(2),
    turns: 1,
    seats: &[10_000],
    starts: 3,
    idle: Duration::from_secs(60),
    ended: 200_000,
};

pub(crate) fn help() -> String {
    format!(
        "./dev bench           measure everything but {} (eleven minutes)\n\
         ./dev bench --quick   the same, shorter and with smaller pools: to see that it works, not to quote\n\
         ./dev bench --only a,b  only these parts, of: {}\n\
         ./dev bench --cold    the same as --only cold\n\
         --stores DIR            where PostgreSQL and Redis keep what they have (past needs 11 GB); if nothing is said, in target/bench\n",
        ONLY_WHEN_NAMED.join(" "),
        PARTS.join(" ")
    )
}

/// `None`: help was asked for.
pub(crate) fn read() -> Result<Option<Options>, lexopt::Error> {
    let (mut parts, mut quick, mut stores) = (unless_named(), false, None);
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("quick") => quick = true,
            Arg::Long("stores") => stores = Some(parser.value()?.into()),
            Arg::Long("cold") => parts = vec!["cold"],
            Arg::Long("only") => parts = chosen(&parser.value()?.string()?)?,
            Arg::Long("help") | Arg::Short('h') => return Ok(None),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Some(Options { parts, quick, size: if quick { QUICK } else { WHOLE }, stores }))
}

/// What is measured where no part is named.
fn unless_named() -> Vec<&'static str> {
    PARTS.into_iter().filter(|part| !ONLY_WHEN_NAMED.contains(part)).collect()
}

/// In the order of [`PARTS`].
fn chosen(names: &str) -> Result<Vec<&'static str>, lexopt::Error> {
    let names: Vec<&str> = names.split(',').collect();
    if let Some(unknown) = names.iter().find(|name| !PARTS.contains(name)) {
        return Err(format!("there is no part {unknown}").into());
    }
    Ok(PARTS.into_iter().filter(|part| names.contains(part)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_measured_in_their_order_and_a_wrong_name_is_refused() {
        assert_eq!(chosen("reaper,heartbeat").unwrap(), ["heartbeat", "reaper"]);
        assert!(chosen("heartbeat,heart").is_err());
    }

    #[test]
    fn a_part_that_takes_long_is_measured_when_it_is_named_and_not_otherwise() {
        assert_eq!(chosen("past").unwrap(), ["past"]);
        assert!(!unless_named().contains(&"past"));
        assert_eq!(unless_named().len() + ONLY_WHEN_NAMED.len(), PARTS.len());
    }
}
