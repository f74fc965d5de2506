//! L1 to L3 of docs/PROTOCOL.md, section 6, held against a clock.
//!
//! What is looked at is every acquire that was answered with a new seat or
//! with "every seat is held". Only what can be known from outside is used: questions and answers of clients, how long
//! each question may have been under way, the history of the records, when a rebuilt copy was first seen in Redis, and
//! when which fault was there.
//!
//! **The argument.** In one copy a holder has one seat, and only four things keep a seat from others: a question of its
//! holder raised its lease less than a `TTL` ago; a rebuild that knew nothing gave its holder a full lease; somebody's
//! reservation is less than a `TTL` old; a seat waits out the lease of who was kicked. For every acquire the other
//! holders are counted of whom one of these *may* be true, by the latest moment at which each of their questions can
//! have reached Redis (`claims.rs`). Where they are fewer than the seats, a seat was free, and since when at the latest
//! is known too. Whatever is in doubt counts as a claim; so what is reported was wrong, and not everything that was
//! wrong is reported.
//!
//! **What is judged.**
//!
//! * L1: where a seat was given back, or its last lease had run out, an acquire sent more than 1 s after that is not
//!   told "full".
//! * L2: a holder that the records name by an acquire whose answer was lost, and that asks again within that lease, is
//!   not told "full". Others are not told "full" because of a reservation that is older than `TTL`, of which the
//!   records know nothing.
//! * L3: nobody is told "full" because of who was silent since a rebuild that knew nothing, longer than `REBUILD_LEASE`
//!   after it.
//!
//! **How the worst times are meant.** L1: the longest after a seat was free that an acquire was sent and told "full".
//! L2: the age of the oldest reservation without which a seat would have been free for somebody who was told "full"; it
//! may reach `TTL`. L3: the same for holders who were silent since a rebuild; it may reach `REBUILD_LEASE`.
//!
//! **What is excused, and why.**
//!
//! * While a deposed primary may answer (the drain margin) nothing is judged: it says "full" of what it knows. If it
//!   was rebuilt last, the new primary has an old copy, and says "full" by that until it is told (section 7); until it
//!   has a later one nothing is judged either.
//! * An instance that saw Redis away lets its clock stand still from when it last heard of it until it has been
//!   answered for a heartbeat's time, at most for a lease (`core/src/seat_store/contact/mod.rs`). Leases and reservations
//!   are held against that clock (`absence.rs`).
//! * An instance whose clock is behind lets no lease run out before its time. By it only seats that were given back are
//!   judged.
//! * Seats are as many as at the rebuild of the copy that may have answered, or fewer: Redis may not have been told
//!   that there are more.
//! * A seat whose session staff ended is held back until a rebuild lease after the rebuild that learnt of it, and by
//!   the old copy until then; anew only with a rebuild that knew nothing.
//! * A run whose records are put back to an earlier point is not judged: nobody sits down for a while then, and the
//!   history has a hole.

mod absence;
mod case;
mod claims;
mod gather;

use crate::asked::{Told, Verb};
use absence::Hand;
use case::Case;
use claims::Kind;
pub use gather::{Faults, gather};
use std::{fmt, time::Duration};

/// L1: a free or expired seat is grantable within this; microseconds.
const GRANTABLE: i64 = 1_000_000;

/// A question, in microseconds of the log's clock.
#[derive(Clone, Debug)]
pub struct Question {
    pub holder: String,
    pub instance: usize,
    pub verb: Verb,
    pub sent: i64,
    pub answered: i64,
    pub told: Told,
    /// The latest that it can have raised a lease or reserved a seat; `None`: it did neither.
    pub acts: Option<i64>,
    /// It reached Redis once, or came again only within one answer.
    pub single: bool,
}

/// A seat changed its holder.
#[derive(Clone, Debug)]
pub struct Change {
    pub at: i64,
    pub before: Option<String>,
    pub after: Option<String>,
    /// Staff ended its session, and Redis learns of it later.
    pub by_staff: bool,
}

/// A rebuild: when the records were read, when its copy was first seen in Redis (never: `i64::MAX`), and whether the
/// copy before was lost.
#[derive(Clone, Copy, Debug)]
pub struct Rebuild {
    pub at: i64,
    pub seen: i64,
    pub cold: bool,
}

/// From when until when an instance (`None`: every one) may have missed an answer of Redis.
#[derive(Clone, Copy, Debug)]
pub struct Absence {
    pub instance: Option<usize>,
    pub from: i64,
    pub until: i64,
}

/// Everything a run is judged by.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub questions: Vec<Question>,
    pub changes: Vec<Change>,
    /// A seat is held back from now on, or no longer.
    pub held_back: Vec<(i64, i32, bool)>,
    /// How many seats are sold from when on, in order.
    pub sizes: Vec<(i64, usize)>,
    pub rebuilds: Vec<Rebuild>,
    pub absences: Vec<Absence>,
    /// When a deposed primary may have answered, or the new one by an old copy.
    pub deposed: Vec<(i64, i64)>,
    /// The instance whose clock is behind.
    pub behind: Option<usize>,
    /// From this number on instances are processes of their own, and any may have been started a moment ago.
    pub processes_from: usize,
    /// When the others were last started anew.
    pub fresh: i64,
    pub ttl: i64,
    pub rebuild_lease: i64,
    /// The longest time between two heartbeats.
    pub heartbeat: i64,
    /// By how much the records' clock and the log's may differ.
    pub clocks: i64,
}

/// How a promise was kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limit {
    /// Answers to acquires that were held against its clock: a seat was due by then, or "full" had no other reason than
    /// what it allows.
    pub judged: usize,
    /// The worst time, in microseconds.
    pub worst: i64,
}

/// How L1 to L3 were kept in a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    pub l1: Limit,
    pub l2: Limit,
    pub l3: Limit,
    /// Holders that asked again for what the records had reserved for them.
    pub again: usize,
    pub broken: Vec<String>,
}

impl Kept {
    fn of(&mut self, kind: Kind) -> &mut Limit {
        match kind {
            Kind::Lease => &mut self.l1,
            Kind::Reserved => &mut self.l2,
            Kind::Rebuilt => &mut self.l3,
        }
    }
}

impl Kept {
    /// Those of several runs together.
    pub fn add(&mut self, other: &Self) {
        for (of, more) in [(&mut self.l1, other.l1), (&mut self.l2, other.l2), (&mut self.l3, other.l3)] {
            of.judged += more.judged;
            of.worst = of.worst.max(more.worst);
        }
        self.again += other.again;
        self.broken.extend(other.broken.iter().cloned());
    }
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let worst = |limit: &Limit| Duration::from_micros(limit.worst.unsigned_abs());
        let Self { l1, l2, l3, again, .. } = self;
        write!(
            f,
            "L1 worst {:?} (judged {}); L2 worst {:?} (judged {}, asked again {again}); L3 worst {:?} (judged {})",
            worst(l1),
            l1.judged,
            worst(l2),
            l2.judged,
            worst(l3),
            l3.judged
        )
    }
}

/// Judges every acquire of a run.
pub fn judge(seen: &Seen) -> Kept {
    let (seen, mut kept) = (&Case::new(seen), Kept::default());
    let asked = seen.questions.iter().filter(|asked| asked.verb == Verb::Acquire);
    for asked in asked.filter(|asked| matches!(asked.told, Told::Seat | Told::Full)) {
        if !seen.is_deposed(asked) {
            again(seen, asked, &mut kept);
            free(seen, asked, &mut kept);
        }
    }
    kept
}

/// Whether a seat must have been free for somebody, and what it was told.
fn free(seen: &Case<'_>, asked: &Question, kept: &mut Kept) {
    let full = asked.told == Told::Full;
    if !full && seen.has_seat(&asked.holder, asked.sent - seen.clocks, asked.sent + seen.clocks) {
        return; // It had one, whoever else has.
    }
    let hand = Hand::of(seen, asked);
    let claims = claims::of_others(seen, asked, &hand);
    let (mut stand, mut over): (Vec<_>, Vec<_>) = claims.into_iter().partition(|claim| claim.stands);
    let seats = seen.seats(asked);
    if stand.len() >= seats {
        if full {
            for kind in [Kind::Reserved, Kind::Rebuilt] {
                // The youngest of these that must have been in the way; the others alone do not fill the house.
                stand.sort_by_key(|claim| std::cmp::Reverse(claim.from));
                let others = stand.iter().filter(|claim| claim.kind != kind).count();
                let needed = (seats - others.min(seats)).checked_sub(1);
                let oldest = needed.and_then(|n| stand.iter().filter(|claim| claim.kind == kind).nth(n));
                if let Some(claim) = oldest {
                    let limit = kept.of(kind);
                    limit.judged += 1;
                    limit.worst = limit.worst.max(hand.held.saturating_sub(claim.from));
                }
            }
        }
        return;
    }
    over.sort_by_key(|claim| std::cmp::Reverse(claim.until));
    let Some(last) = over.get(seats - stand.len() - 1) else {
        let since = seen.rebuilds.iter().map(|rebuild| rebuild.seen).filter(|at| *at <= asked.sent).max();
        let since = since.filter(|since| full && asked.sent - since > GRANTABLE + seen.clocks);
        if since.is_some() {
            kept.broken.push(format!("L1: {asked:?}: a seat was never anybody's"));
        }
        return;
    };
    kept.of(last.kind).judged += 1;
    if !full {
        return;
    }
    let age = asked.sent - hand.let_go(last.until).max(last.until);
    let (limit, worst) = match last.kind {
        Kind::Lease => (GRANTABLE, age),
        Kind::Reserved => (0, seen.ttl + age),
        Kind::Rebuilt => (0, seen.rebuild_lease + age),
    };
    let of = kept.of(last.kind);
    of.worst = of.worst.max(worst);
    if age > limit + seen.clocks {
        let (name, stand, until) = (last.kind.promise(), stand.len(), last.until);
        kept.broken.push(format!(
            "{name}: {asked:?} was told full {age} us after a seat was free ({until}); {stand} of {seats} may be held"
        ));
    }
}

/// Whether a holder asked again for what the records had reserved for it, and what it was told.
fn again(seen: &Case<'_>, asked: &Question, kept: &mut Kept) {
    let Some(since) = seen.seated_throughout(asked) else { return };
    let own = || seen.of(&asked.holder).iter().copied();
    let made = |other: &&Question| {
        let acts = other.acts.is_some_and(|acts| acts >= since - seen.clocks);
        other.verb == Verb::Acquire && other.sent <= since + seen.clocks && acts
    };
    let known = |other: &Question| other.told == Told::Seat && other.answered <= asked.sent;
    // The lease counts at the earliest from when it was asked for.
    let Some(raised) = own().filter(made).map(|other| other.sent).min() else { return };
    let left = own().any(|other| {
        other.verb == Verb::Release && other.sent <= asked.answered && other.acts.unwrap_or(i64::MAX) >= raised
    });
    if own().filter(made).any(known) || left || asked.answered >= raised + seen.ttl {
        return;
    }
    kept.again += 1;
    if asked.told == Told::Full {
        kept.broken.push(format!("L2: {asked:?} was told full, and had a seat in the records since {since}"));
    }
}

impl Seen {
    fn is_deposed(&self, asked: &Question) -> bool {
        self.deposed.iter().any(|(from, until)| asked.answered >= *from && asked.sent <= *until)
    }

    /// As many seats as any copy that can have answered knew at the least.
    fn seats(&self, asked: &Question) -> usize {
        let known = self.rebuilds.iter().filter(|rebuild| rebuild.seen <= asked.sent).map(|rebuild| rebuild.at).max();
        let from = known.map_or(i64::MIN, |at| at - self.clocks);
        let begun = self.sizes.iter().rposition(|(at, _)| *at <= from).unwrap_or(0);
        let till = asked.answered + self.clocks;
        self.sizes[begun..].iter().filter(|(at, _)| *at <= till).map(|(_, seats)| *seats).min().unwrap_or(0)
    }
}
