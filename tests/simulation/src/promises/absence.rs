//! The clock by which an instance may have judged leases: it stands still from an absence of Redis until a while after it
//! (`core/src/seat_store/contact/mod.rs`).

use super::{Absence, Question, Seen, case::Case};
use crate::asked::Verb;

/// An answer of Redis is overdue after this.
const OVERDUE: i64 = 250_000;

/// The hand of an instance's clock as it may have stood when it answered.
pub(super) struct Hand {
    /// The earliest that it can have shown.
    pub(super) held: i64,
    /// When it stood still before that: since which time, and until when.
    stood: Vec<(i64, i64)>,
}

impl Hand {
    /// The hand when a question was answered.
    pub(super) fn of(seen: &Case<'_>, asked: &Question) -> Self {
        let mut hand = Self { held: asked.sent, stood: Vec::new() };
        if seen.behind == Some(asked.instance) {
            hand.held = i64::MIN;
            return hand;
        }
        hand.held = hand.held.min(waiting(seen, asked));
        for stood in seen.stood(asked.instance).iter().filter(|stood| stood.from <= asked.answered) {
            if stood.until >= asked.sent {
                hand.held = hand.held.min(stood.since);
            } else {
                hand.stood.push((stood.since, stood.until));
            }
        }
        hand
    }

    /// When what ended at `end` was over by this clock too; before that it stood still, from before the end.
    pub(super) fn let_go(&self, end: i64) -> i64 {
        self.stood.iter().filter(|(since, _)| *since < end).map(|(_, until)| *until).max().unwrap_or(i64::MIN)
    }
}

/// While an answer is overdue, what is asked carries the clock of when the wait began.
fn waiting(seen: &Seen, asked: &Question) -> i64 {
    let its = |other: &&Question| {
        other.instance == asked.instance && (other.verb == asked.verb || other.instance < seen.processes_from)
    };
    let under_way = |other: &&Question| {
        let until = other.acts.unwrap_or(other.answered).max(other.answered);
        other.sent < asked.sent && until >= asked.sent
    };
    let first = seen.questions.iter().filter(its).filter(under_way).map(|other| other.sent).min();
    let heard = seen.questions.iter().filter(its).filter(|other| other.told.is_heard() && other.answered <= asked.sent);
    let since = first.unwrap_or(asked.sent).max(heard.map(|other| other.sent).max().unwrap_or(i64::MIN));
    if asked.answered - since > OVERDUE { since } else { asked.sent }
}

/// An absence as an instance that is asked for seats may have seen it: from when it began, since when the clock then stood still, and until when.
pub(super) struct Stood {
    from: i64,
    since: i64,
    until: i64,
}

/// All absences that an instance may have seen.
pub(super) fn stood(seen: &Seen, instance: usize) -> Vec<Stood> {
    let its = seen.absences.iter().filter(|absence| absence.instance.is_none_or(|of| of == instance));
    let span = |absence: &Absence| {
        // It is over when the instance is answered again, whoever asked it.
        let heard = seen.questions.iter().filter(|other| {
            other.instance == instance
                && other.verb == Verb::Acquire
                && other.told.is_heard()
                && other.sent >= absence.until
        });
        let over = heard.map(|other| other.answered).min().unwrap_or(i64::MAX);
        (absence.from, since(seen, instance, absence.from), over)
    };
    let all: Vec<(i64, i64, i64)> = its.map(span).collect();
    let away: Vec<(i64, i64)> = all.iter().map(|(_, since, over)| (*since, *over)).collect();
    let counts = |(from, since, over)| Stood { from, since, until: counts_until(seen, over, &away) };
    all.into_iter().map(counts).collect()
}

/// Until when an absence counts that was over then: until Redis has answered for a heartbeat's time, at most a lease later.
fn counts_until(seen: &Seen, over: i64, away: &[(i64, i64)]) -> i64 {
    let mut others: Vec<(i64, i64)> = away.iter().copied().filter(|(_, until)| *until > over).collect();
    others.sort_unstable();
    // Time that it was away again does not count.
    let (mut at, mut left) = (over, seen.heartbeat);
    for (since, until) in others {
        if since > at {
            if since - at >= left {
                break;
            }
            left -= since - at;
        }
        at = at.max(until);
    }
    at.saturating_add(left).min(over.saturating_add(seen.ttl))
}

/// Since when an instance at the earliest takes Redis for away that was missed at `from`: since it last heard of it, at most a lease.
fn since(seen: &Seen, instance: usize, from: i64) -> i64 {
    let earliest = from - seen.ttl;
    if instance >= seen.processes_from {
        return earliest;
    }
    // An instance that was started anew has heard nothing of before.
    let born = if from >= seen.fresh { seen.fresh } else { i64::MIN };
    let heard = seen.questions.iter().filter(|other| {
        other.instance == instance && other.told.is_heard() && other.sent >= born && other.answered <= from
    });
    heard.map(|other| other.sent).max().unwrap_or(earliest).max(earliest)
}
