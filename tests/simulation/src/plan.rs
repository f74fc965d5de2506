//! A run as text: what it runs on, then one operation to a line. What is saved can be run again.

use crate::{
    operations::Timed,
    proxy::fault::{duration, number},
};
use std::{fmt, str::FromStr, time::Duration};

/// Everything a run is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    pub seed: u64,
    pub setting: Setting,
    pub operations: Vec<Timed>,
}

/// What a run runs on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The lease.
    pub ttl: Duration,
    /// The drain margin.
    pub drain: Duration,
    /// The oldest connection to Redis an instance in this process may use.
    pub connection_age: Duration,
    /// Seats in the beginning.
    pub seats: u32,
    pub machines: usize,
    /// From this number on clients are second processes: client `machines + n` is on machine `n`.
    pub clients: usize,
    /// Instances of acquire, heartbeat and release.
    pub instances: usize,
    /// How many of them are processes of their own.
    pub processes: usize,
    /// By how much the clock of instance 0 is wrong: it is so much behind.
    pub clock_behind: Duration,
    /// Whether client `n` always asks instance `n` modulo their number, and not any.
    pub sticky: bool,
    /// How long it goes on with operations.
    pub length: Duration,
}

impl Setting {
    /// A lease of 6 s; a drain margin of 2 s over connections of at most 1 s; three instances in this process.
    pub fn small(seats: u32, clients: usize, length: Duration) -> Self {
        Self {
            ttl: Duration::from_secs(6),
            drain: Duration::from_secs(2),
            connection_age: Duration::from_secs(1),
            seats,
            machines: clients,
            clients,
            instances: 3,
            processes: 0,
            clock_behind: Duration::ZERO,
            sticky: false,
            length,
        }
    }
}

impl Plan {
    /// A plan of these operations, in the order in which they happen.
    pub fn new(seed: u64, setting: Setting, mut operations: Vec<Timed>) -> Self {
        operations.sort_by_key(|operation| operation.at);
        Self { seed, setting, operations }
    }

    /// The same with more operations, from lines without a head, as scenarios are written.
    ///
    /// # Panics
    /// If a line is no operation.
    #[must_use]
    pub fn with(self, lines: &str) -> Self {
        let lines = lines.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let more = lines.map(|line| line.parse().unwrap_or_else(|problem| panic!("{line}: {problem}")));
        let operations = self.operations.into_iter().chain(more).collect();
        Self::new(self.seed, self.setting, operations)
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Setting {
            ttl,
            drain,
            connection_age,
            seats,
            machines,
            clients,
            instances,
            processes,
            clock_behind,
            sticky,
            length,
        } = &self.setting;
        let ms = |d: &Duration| d.as_millis();
        writeln!(f, "seed {}", self.seed)?;
        writeln!(f, "ttl {}ms\ndrain {}ms\nconnection-age {}ms", ms(ttl), ms(drain), ms(connection_age))?;
        writeln!(f, "seats {seats}\nmachines {machines}\nclients {clients}")?;
        writeln!(f, "instances {instances}\nprocesses {processes}")?;
        writeln!(f, "clock-behind {}ms\nsticky {sticky}\nlength {}ms", ms(clock_behind), ms(length))?;
        self.operations.iter().try_for_each(|operation| writeln!(f, "{operation}"))
    }
}

impl FromStr for Plan {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (mut seed, mut setting) = (0, Setting::small(4, 8, Duration::ZERO));
        let mut operations = Vec::new();
        for (n, line) in text.lines().map(str::trim).enumerate() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let read = || -> Result<(), String> {
                let (word, value) = line.split_once(' ').ok_or_else(|| format!("{line:?} says nothing"))?;
                match word {
                    "at" => operations.push(line.parse()?),
                    "seed" => seed = number(value)?,
                    "ttl" => setting.ttl = duration(value)?,
                    "drain" => setting.drain = duration(value)?,
                    "connection-age" => setting.connection_age = duration(value)?,
                    "seats" => setting.seats = number(value)?,
                    "machines" => setting.machines = number(value)?,
                    "clients" => setting.clients = number(value)?,
                    "instances" => setting.instances = number(value)?,
                    "processes" => setting.processes = number(value)?,
                    "clock-behind" => setting.clock_behind = duration(value)?,
                    "sticky" => setting.sticky = number(value)?,
                    "length" => setting.length = duration(value)?,
                    _ => return Err(format!("no such line: {line}")),
                }
                Ok(())
            };
            let mut read = read;
            read().map_err(|problem| format!("line {}: {problem}", n + 1))?;
        }
        Ok(Self::new(seed, setting, operations))
    }
}
