//! Everything that can happen in a run, and how a line of its text spells it.

use crate::proxy::{
    Fault,
    fault::{duration, number},
};
use license_core::protocol::steps::Step;
use std::{fmt, str::FromStr, time::Duration};

/// An operation and when it happens, counted from the beginning of the run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timed {
    pub at: Duration,
    pub what: Operation,
}

/// One thing that happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    Client(usize, Deed),
    /// A fault of one instance's way to somebody, or (`None`) of every instance's.
    Proxy(Way, Option<usize>, Fault),
    Redis(RedisFault),
    Records(RecordsFault),
    Instance(usize, InstanceFault),
    Function(Function, usize, Signal),
    /// Staff end a session of whoever sits on a seat; with force they switch its machine off before, and on after.
    Kick(u32, bool),
    /// A new key; those before are good for so many seconds more, and clients learn of it in the first of them.
    Rotate(u32),
    /// Changes how many live processes may share a seat.
    Processes(u32),
    /// Changes how many seats are sold.
    Resize(u32),
    Suspend,
    Resume,
    /// The reaper's look at the pool, so often, spread over so long.
    Reap(u32, Duration),
    /// Nothing new happens before everything so far has: faults of the stores, and what clients and staff asked for.
    /// Where the order of two operations matters, the times of a plan alone do not keep it on a busy machine; its
    /// clock stands still meanwhile.
    Settle,
    /// Nothing new happens before this client has a seat: it asks for one until then, and the plan's clock stands still.
    Seated(usize),
    /// From now on the list is over as soon as more holders believe than there were seats at first: what must be oversold is
    /// given the time that a busy machine needs, and an idle one does not wait for it.
    EndOversold,
}

/// What a client does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// A new process begins and asks for a seat; an earlier one ends without a word.
    Start,
    /// A heartbeat where it has a seat, else an acquire with the same attempt.
    Ask,
    /// Acquires once more with the same attempt, whatever it has.
    Again,
    /// Asks two instances at once.
    Twice,
    Release,
    /// Gives back the session of the process before the present one.
    ReleaseEarlier,
    Die,
}

/// Whose way to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Clients to an instance.
    Http,
    /// An instance to Redis.
    Redis,
    /// An instance to PostgreSQL.
    Records,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RedisFault {
    Flush,
    /// One key of the pool is lost: `h`, `z`, `s`, `m`, `n` or `c`.
    Forget(String),
    Kill,
    /// After `Kill`: empty, at the same address.
    Start,
    /// Stands still for so long.
    Pause(Duration),
    /// The other node hears nothing for so long.
    Lag(Duration),
    /// The other node takes over; the old one is reachable over old connections until most of the drain margin is over.
    Promote,
    /// The same, and the old one stays reachable for as long as somebody keeps a connection to it.
    PromoteUndrained,
    /// Out of memory for so long.
    Full(Duration),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordsFault {
    Kill,
    /// After `Kill`.
    Start,
    /// Remembers the database as it is now.
    Backup,
    /// Puts the remembered database in place and makes it safe (`after_restore`).
    Restore,
    /// The same without making it safe.
    RestoreUnsafely,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstanceFault {
    /// The next operation that comes to this step dies there.
    Dies(Step),
    /// The next operation that comes to this step stands still there for so long.
    Stalls(Step, Duration),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    Acquire,
    Heartbeat,
    Release,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGKILL; another one is started in its place.
    Kill,
    /// SIGSTOP, and SIGCONT so much later.
    Pause(Duration),
}

/// Words for values that have no other content.
macro_rules! words {
    ($type:ty: $($value:path = $word:literal),+ $(,)?) => {
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $($value => $word),+ })
            }
        }

        impl FromStr for $type {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                match text { $($word => Ok($value),)+ other => Err(format!("{other:?} is not known here")) }
            }
        }
    };
}

words!(Deed: Self::Start = "start", Self::Ask = "ask", Self::Again = "again", Self::Twice = "twice",
    Self::Release = "release", Self::ReleaseEarlier = "release-earlier", Self::Die = "die");
words!(Way: Self::Http = "http", Self::Redis = "redis", Self::Records = "records");
words!(RecordsFault: Self::Kill = "kill", Self::Start = "start", Self::Backup = "backup", Self::Restore = "restore",
    Self::RestoreUnsafely = "restore-unsafely");
words!(Function: Self::Acquire = "acquire", Self::Heartbeat = "heartbeat", Self::Release = "release");

const STEPS: [(Step, &str); 12] = [
    (Step::Acquire, "acquire"),
    (Step::Grant, "grant"),
    (Step::Heartbeat, "heartbeat"),
    (Step::Release, "release"),
    (Step::EndSeats, "end-seats"),
    (Step::Reap, "reap"),
    (Step::ReapUsage, "reap-usage"),
    (Step::ReapWants, "reap-wants"),
    (Step::RecordWants, "record-wants"),
    (Step::RebuildPool, "rebuild-pool"),
    (Step::Change, "change"),
    (Step::Publish, "publish"),
];

fn step_name(step: Step) -> &'static str {
    STEPS.iter().find(|(known, _)| *known == step).map_or("?", |(_, name)| name)
}

fn step(word: &str) -> Result<Step, String> {
    STEPS.iter().find(|(_, name)| *name == word).map(|(step, _)| *step).ok_or_else(|| format!("no such step: {word}"))
}

impl fmt::Display for Timed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at {}ms {}", self.at.as_millis(), self.what)
    }
}

impl FromStr for Timed {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let parts = line.strip_prefix("at ").and_then(|rest| rest.split_once(' '));
        let (at, what) = parts.ok_or_else(|| format!("not \"at 1200ms …\": {line}"))?;
        Ok(Self { at: duration(at)?, what: what.parse()? })
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client(client, deed) => write!(f, "client {client} {deed}"),
            Self::Proxy(way, Some(instance), fault) => write!(f, "proxy {way}#{instance} {fault}"),
            Self::Proxy(way, None, fault) => write!(f, "proxy {way} {fault}"),
            Self::Redis(fault) => write!(f, "redis {fault}"),
            Self::Records(fault) => write!(f, "records {fault}"),
            Self::Instance(instance, InstanceFault::Dies(step)) => {
                write!(f, "instance {instance} dies after {}", step_name(*step))
            }
            Self::Instance(instance, InstanceFault::Stalls(step, time)) => {
                write!(f, "instance {instance} stalls {}ms after {}", time.as_millis(), step_name(*step))
            }
            Self::Function(function, n, Signal::Kill) => write!(f, "function {function}#{n} kill"),
            Self::Function(function, n, Signal::Pause(time)) => {
                write!(f, "function {function}#{n} pause {}ms", time.as_millis())
            }
            Self::Kick(seat, false) => write!(f, "kick seat {seat}"),
            Self::Kick(seat, true) => write!(f, "kick seat {seat} force"),
            Self::Rotate(old_for) => write!(f, "rotate old-for {old_for}s"),
            Self::Processes(most) => write!(f, "edit processes {most}"),
            Self::Resize(seats) => write!(f, "resize {seats}"),
            Self::Suspend => write!(f, "suspend"),
            Self::Resume => write!(f, "resume"),
            Self::Reap(times, over) => write!(f, "reap {times} times over {}ms", over.as_millis()),
            Self::Settle => write!(f, "settle"),
            Self::Seated(client) => write!(f, "seated client {client}"),
            Self::EndOversold => write!(f, "end when oversold"),
        }
    }
}

impl fmt::Display for RedisFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flush => write!(f, "flush"),
            Self::Forget(key) => write!(f, "forget {key}"),
            Self::Kill => write!(f, "kill"),
            Self::Start => write!(f, "start"),
            Self::Pause(time) => write!(f, "pause {}ms", time.as_millis()),
            Self::Lag(time) => write!(f, "lag {}ms", time.as_millis()),
            Self::Promote => write!(f, "promote"),
            Self::PromoteUndrained => write!(f, "promote-undrained"),
            Self::Full(time) => write!(f, "full {}ms", time.as_millis()),
        }
    }
}

impl FromStr for RedisFault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        Ok(match words[..] {
            ["flush"] => Self::Flush,
            ["forget", key] => Self::Forget(key.into()),
            ["kill"] => Self::Kill,
            ["start"] => Self::Start,
            ["pause", time] => Self::Pause(duration(time)?),
            ["lag", time] => Self::Lag(duration(time)?),
            ["promote"] => Self::Promote,
            ["promote-undrained"] => Self::PromoteUndrained,
            ["full", time] => Self::Full(duration(time)?),
            _ => return Err(format!("redis does not {text}")),
        })
    }
}

impl FromStr for Operation {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (first, rest) = text.split_once(' ').unwrap_or((text, ""));
        let words: Vec<&str> = rest.split_whitespace().collect();
        Ok(match (first, &words[..]) {
            ("client", [client, deed]) => Self::Client(number(client)?, deed.parse()?),
            ("proxy", [whose, ..]) => {
                let fault = rest[whose.len()..].trim().parse()?;
                match whose.split_once('#') {
                    Some((way, instance)) => Self::Proxy(way.parse()?, Some(number(instance)?), fault),
                    None => Self::Proxy(whose.parse()?, None, fault),
                }
            }
            ("redis", _) => Self::Redis(rest.parse()?),
            ("records", _) => Self::Records(rest.parse()?),
            ("instance", [instance, "dies", "after", at]) => {
                Self::Instance(number(instance)?, InstanceFault::Dies(step(at)?))
            }
            ("instance", [instance, "stalls", time, "after", at]) => {
                Self::Instance(number(instance)?, InstanceFault::Stalls(step(at)?, duration(time)?))
            }
            ("function", [which, what @ ..]) => {
                let (function, n) = which.split_once('#').ok_or_else(|| format!("not \"heartbeat#2\": {which}"))?;
                let signal = match what {
                    ["kill"] => Signal::Kill,
                    ["pause", time] => Signal::Pause(duration(time)?),
                    _ => return Err(format!("a function is killed or paused: {text}")),
                };
                Self::Function(function.parse()?, number(n)?, signal)
            }
            ("kick", ["seat", seat]) => Self::Kick(number(seat)?, false),
            ("kick", ["seat", seat, "force"]) => Self::Kick(number(seat)?, true),
            ("rotate", ["old-for", time]) => Self::Rotate(number(time.strip_suffix('s').unwrap_or_default())?),
            ("edit", ["processes", most]) => Self::Processes(number(most)?),
            ("resize", [seats]) => Self::Resize(number(seats)?),
            ("suspend", []) => Self::Suspend,
            ("resume", []) => Self::Resume,
            ("reap", [times, "times", "over", over]) => Self::Reap(number(times)?, duration(over)?),
            ("settle", []) => Self::Settle,
            ("seated", ["client", client]) => Self::Seated(number(client)?),
            ("end", ["when", "oversold"]) => Self::EndOversold,
            _ => return Err(format!("no such operation: {text}")),
        })
    }
}

impl Operation {
    /// What it counts as among faults; `None` for what clients, the reaper and people do.
    pub fn fault(&self) -> Option<String> {
        match self {
            Self::Proxy(way, _, fault) => Some(format!("{way} {}", fault.kind())),
            Self::Redis(fault) => Some(format!("redis {}", fault.to_string().split(' ').next().unwrap_or_default())),
            Self::Records(fault) => Some(format!("records {fault}")),
            Self::Instance(_, InstanceFault::Dies(_)) => Some("instance dies".into()),
            Self::Instance(_, InstanceFault::Stalls(..)) => Some("instance stalls".into()),
            Self::Function(_, _, Signal::Kill) => Some("function kill".into()),
            Self::Function(_, _, Signal::Pause(_)) => Some("function pause".into()),
            Self::Client(..) | Self::Kick(..) | Self::Rotate(_) | Self::Processes(_) | Self::Resize(_) => None,
            Self::Suspend | Self::Resume | Self::Reap(..) => None,
            Self::Settle | Self::Seated(_) | Self::EndOversold => None,
        }
    }
}
