//! The clock by which an instance may have judged leases: it stands still from an absence of Redis until a while after it
//! (`core/src/seats/contact.rs`).

use super::{Question, Seen};

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
    pub(super) fn of(seen: &Seen, asked: &Question) -> Self {
        let mut hand = Self { held: asked.sent, stood: Vec::new() };
        if seen.behind == Some(asked.instance) {
            hand.held = i64::MIN;
            return hand;
        }
        hand.held = hand.held.min(waiting(seen, asked));
        let its = |of: Option<usize>| of.is_none_or(|instance| instance == asked.instance);
        let mut absences: Vec<_> = seen.absences.iter().filter(|absence| its(absence.instance)).collect();
        absences.sort_by_key(|absence| absence.from);
        for absence in absences.iter().filter(|absence| absence.from <= asked.answered) {
            let since = since(seen, asked, absence.from);
            // It is over when the instance is answered again, whoever asked it.
            let heard = seen.questions.iter().filter(|other| {
                other.instance == asked.instance
                    && other.verb == asked.verb
                    && other.told.is_heard()
                    && other.sent >= absence.until
            });
            let over = heard.map(|other| other.answered).min().unwrap_or(i64::MAX);
            // Where it was away again meanwhile it takes longer, at most a lease.
            let calm = over.saturating_add(seen.heartbeat);
            let again = absences.iter().any(|other| other.until > absence.until && other.from < calm);
            let until = if again { over.saturating_add(seen.ttl) } else { calm };
            if until >= asked.sent {
                hand.held = hand.held.min(since);
            } else {
                hand.stood.push((since, until));
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

/// Since when an instance at the earliest takes Redis for away that was missed at `from`: since it last heard of it, at most a lease.
fn since(seen: &Seen, asked: &Question, from: i64) -> i64 {
    let earliest = from - seen.ttl;
    if asked.instance >= seen.processes_from {
        return earliest;
    }
    // An instance that was started anew has heard nothing of before.
    let born = if from >= seen.fresh { seen.fresh } else { i64::MIN };
    let heard = seen.questions.iter().filter(|other| {
        other.instance == asked.instance && other.told.is_heard() && other.sent >= born && other.answered <= from
    });
    heard.map(|other| other.sent).max().unwrap_or(earliest).max(earliest)
}
