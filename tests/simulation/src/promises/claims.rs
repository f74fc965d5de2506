//! Who may keep a seat from somebody who asks: other holders by what they asked, other holders by a rebuild, seats that are held back.

use super::{Change, Question, absence::Hand, case::Case};
use crate::asked::{Told, Verb};
use std::collections::BTreeMap;

/// Why a seat is kept from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// A reservation of which the records know nothing.
    Reserved,
    /// A rebuild that knew nothing of leases gave a full one.
    Rebuilt,
    /// A lease.
    Lease,
}

impl Kind {
    pub(super) fn promise(self) -> &'static str {
        match self {
            Self::Lease => "L1",
            Self::Reserved => "L2",
            Self::Rebuilt => "L3",
        }
    }
}

/// What one holder, or one seat that is held back, may keep from others.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claim {
    pub(super) kind: Kind,
    /// Since when at the latest, and until when.
    pub(super) from: i64,
    pub(super) until: i64,
    /// It may be in the way of who asks.
    pub(super) stands: bool,
}

/// The claims of everybody but who asks, one for each holder and one for each seat that was ever held back.
pub(super) fn of_others(seen: &Case<'_>, asked: &Question, hand: &Hand) -> Vec<Claim> {
    let mut of: BTreeMap<&str, Vec<Claim>> = BTreeMap::new();
    for (holder, questions) in seen.holders().filter(|(holder, _)| *holder != asked.holder) {
        let claims = questions.iter().filter_map(|question| by_question(seen, question, asked, hand));
        of.entry(holder).or_default().extend(claims);
    }
    for rebuild in seen.rebuilds.iter().filter(|rebuild| rebuild.cold && rebuild.at <= asked.answered + seen.clocks) {
        for holder in seen.seated().filter(|holder| *holder != asked.holder) {
            if !seen.has_seat(holder, rebuild.at - seen.clocks, rebuild.at + seen.clocks) {
                continue;
            }
            let until = rebuild.seen.saturating_add(seen.rebuild_lease);
            let left = left(seen, holder, asked).map(|change| change.at + seen.clocks).filter(|at| *at > rebuild.at);
            let none = had_none(seen, holder, rebuild.seen, asked);
            let end = left.chain(none).min();
            of.entry(holder).or_default().push(claim(Kind::Rebuilt, rebuild.seen, until, end, hand));
        }
    }
    let mut claims: Vec<Claim> = of.into_values().filter_map(strongest).collect();
    claims.extend(held_back(seen, asked, hand));
    claims
}

/// What ends at `end` for all to see does not stand; what runs out does so by the clock of who answers.
fn claim(kind: Kind, from: i64, until: i64, end: Option<i64>, hand: &Hand) -> Claim {
    match end.filter(|end| *end <= until) {
        Some(until) => Claim { kind: Kind::Lease, from, until, stands: false },
        None => Claim { kind, from, until, stands: end.is_none() && until > hand.held },
    }
}

/// A claim that stands, of the kind that says most; else the one that ended last.
fn strongest(claims: Vec<Claim>) -> Option<Claim> {
    let standing = claims.iter().filter(|claim| claim.stands).max_by_key(|claim| (claim.kind, claim.from));
    standing.or_else(|| claims.iter().max_by_key(|claim| claim.until)).copied()
}

/// What a question of another holder may have done.
fn by_question(seen: &Case<'_>, question: &Question, asked: &Question, hand: &Hand) -> Option<Claim> {
    let acts = question.acts.filter(|_| question.verb != Verb::Release && question.sent <= asked.answered)?;
    let until = acts.saturating_add(seen.ttl);
    if until <= hand.held.min(asked.sent - 2 * seen.ttl) {
        // Long over, at the latest then: no need to know since when and why.
        return Some(Claim { kind: Kind::Lease, from: acts, until, stands: false });
    }
    let answered = matches!(question.told, Told::Seat | Told::Alive);
    let written = question.verb == Verb::Heartbeat
        || answered
        || seen.has_seat(&question.holder, question.sent - seen.clocks, acts.saturating_add(seen.clocks));
    let kind = if written { Kind::Lease } else { Kind::Reserved };
    let left = left(seen, &question.holder, asked);
    let left = left.filter(|change| undoes(seen, change, question, acts)).map(|change| change.at + seen.clocks);
    let none = had_none(seen, &question.holder, acts, asked);
    let end = left.chain(none).chain(left_out(seen, &question.holder, acts, asked)).min();
    Some(claim(kind, acts, until, end, hand))
}

/// Changes by which a holder left its seat before somebody asked, by a ticket: Redis decided so before. Staff's changes it learns of later.
fn left<'a>(seen: &'a Case<'_>, holder: &'a str, asked: &'a Question) -> impl Iterator<Item = &'a Change> {
    seen.changes.iter().filter(move |change| {
        !change.by_staff && change.before.as_deref() == Some(holder) && change.at + seen.clocks <= asked.sent
    })
}

/// When a holder was told, before somebody asked, that it has no seat, having asked at `from` or later.
fn had_none(seen: &Case<'_>, holder: &str, from: i64, asked: &Question) -> Option<i64> {
    let told = seen
        .of(holder)
        .iter()
        .filter(|other| other.told == Told::Full && other.sent >= from && other.answered <= asked.sent);
    told.filter(|other| !seen.is_deposed(other)).map(|other| other.answered).min()
}

/// When a copy was seen, before somebody asked, that was made from records which did not name a holder any more, or not yet: what it had
/// reserved is not in that copy, and cannot be written down after it.
fn left_out(seen: &Case<'_>, holder: &str, acts: i64, asked: &Question) -> Option<i64> {
    let after = seen.rebuilds.iter().filter(|it| it.at - seen.clocks >= acts && it.seen <= asked.sent);
    let out = after.filter(|it| !seen.has_seat(holder, it.at - seen.clocks, it.at + seen.clocks));
    out.map(|it| it.seen).min()
}

/// Whether a change by which a holder left ended what a question of its had done: the ticket of the change was drawn after it. A reaper may
/// stand still between ticket and change, and a reservation may be made meanwhile: that the question came before must be known.
fn undoes(seen: &Case<'_>, change: &Change, question: &Question, acts: i64) -> bool {
    if change.at < acts {
        return false;
    }
    let seated = |other: &&Question| {
        other.told == Told::Seat && other.sent >= acts && other.answered <= change.at && other.single
    };
    // It was written down itself, so the later change has a later ticket.
    let written = || {
        let within = |(came, _): &(i64, i64)| *came >= question.sent - seen.clocks && *came <= acts + seen.clocks;
        seen.stays(&question.holder).iter().any(within)
    };
    question.verb == Verb::Heartbeat
        || question.single && (question.told == Told::Seat || written())
        || seen.of(&question.holder).iter().any(seated)
}

/// Seats that are held back: until a rebuild lease after the rebuild that learnt of it, and anew with each that knew nothing.
fn held_back(seen: &Case<'_>, asked: &Question, hand: &Hand) -> Vec<Claim> {
    let begun = seen.held_back.iter().filter(|(at, _, back)| *back && *at <= asked.answered + seen.clocks);
    let claim = |(began, seat, _): &(i64, i32, bool)| {
        let lifted = seen.held_back.iter().filter(|(at, of, back)| !back && of == seat && at >= began);
        let lifted = lifted.map(|(at, ..)| *at + seen.clocks).min().filter(|at| *at <= asked.sent);
        let mut ends: Option<(i64, i64)> = None;
        for rebuild in seen.rebuilds.iter().filter(|it| it.at >= *began && it.at <= asked.answered + seen.clocks) {
            // One that knew how long the seat had waited does not let it wait again, also where somebody had reserved it since.
            if ends.is_none() || rebuild.cold {
                ends = Some((rebuild.seen, rebuild.seen.saturating_add(seen.rebuild_lease)));
            }
        }
        // Until a rebuild has learnt of it the old copy answers.
        let (from, until) = ends.unwrap_or((*began, i64::MAX));
        claim(Kind::Lease, from, until, lifted, hand)
    };
    begun.map(claim).collect()
}
