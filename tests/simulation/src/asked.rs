//! What clients asked and were answered, and until when each question may still have done something: a request can outlive who sent it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Numbers a request on its way, so that its copies are known as one question.
pub const NUMBER: &str = "x-ask";
/// How long a function may go on with a request whose connection ended: the deadline, and one question to Redis that was asked before it.
const GOES_ON: Duration = Duration::from_secs(8);

/// What takes longer is slow.
const SLOW: Duration = Duration::from_millis(250);

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    Acquire,
    Heartbeat,
    Release,
}

/// What was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// An acquire has a seat.
    Seat,
    /// Every seat is held.
    Full,
    /// A heartbeat has a lease.
    Alive,
    /// Something else that Redis was asked for: suspended, or too many processes.
    Refused,
    /// Something that an instance may know by itself.
    Other,
    /// The server could not.
    Away,
    /// Nothing.
    Nothing,
}

impl Told {
    /// Whether Redis answered the instance.
    pub fn is_heard(self) -> bool {
        matches!(self, Self::Seat | Self::Full | Self::Alive | Self::Refused)
    }
}

/// A question, its answer as the client had it, and its way.
#[derive(Clone, Debug)]
pub struct Asked {
    pub number: u64,
    pub holder: String,
    pub instance: usize,
    pub verb: Verb,
    pub sent: Instant,
    pub answered: Instant,
    pub told: Told,
}

/// How long, since a moment, clients waited for answers that took longer than an idle machine needs, whether they came or
/// were given up. Time in which several waited is counted once.
pub fn slow_answers(asked: &[Asked], since: Instant) -> Duration {
    let slow = asked.iter().filter(|asked| asked.sent >= since && asked.answered - asked.sent > SLOW);
    let mut spans: Vec<(Instant, Instant)> = slow.map(|asked| (asked.sent, asked.answered)).collect();
    spans.sort_unstable();
    let (mut total, mut counted) = (Duration::ZERO, since);
    for (sent, answered) in spans {
        total += answered.saturating_duration_since(sent.max(counted));
        counted = counted.max(answered);
    }
    total
}

/// The way of one question to its function.
#[derive(Clone, Copy, Debug)]
pub struct Passage {
    /// How often it was sent on.
    pub copies: usize,
    under_way: usize,
    ended: Instant,
}

/// The ways of all questions. Clones are the same.
#[derive(Clone, Default)]
pub struct Passages(Arc<Mutex<HashMap<u64, Passage>>>);

/// A question that a function works on; dropped unanswered, the function may go on with it.
pub struct UnderWay {
    passages: Passages,
    number: u64,
    answered: bool,
}

impl Passages {
    /// A question is sent on, now or later.
    pub fn begin(&self, number: u64) -> UnderWay {
        let ended = Instant::now();
        let mut all = self.all();
        let passage = all.entry(number).or_insert(Passage { copies: 0, under_way: 0, ended });
        passage.copies += 1;
        passage.under_way += 1;
        UnderWay { passages: self.clone(), number, answered: false }
    }

    /// How often a question was sent on, and when the last of its copies was done with; `None` while one is not. `None`: it never was.
    pub fn of(&self, number: u64) -> Option<(usize, Option<Instant>)> {
        let passage = *self.all().get(&number)?;
        Some((passage.copies, (passage.under_way == 0).then_some(passage.ended)))
    }

    fn all(&self) -> MutexGuard<'_, HashMap<u64, Passage>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl UnderWay {
    /// The function is done with it.
    pub fn done(mut self) {
        self.answered = true;
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let ended = Instant::now() + if self.answered { Duration::ZERO } else { GOES_ON };
        if let Some(passage) = self.passages.all().get_mut(&self.number) {
            passage.under_way -= 1;
            passage.ended = passage.ended.max(ended);
        }
    }
}
