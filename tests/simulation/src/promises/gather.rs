//! What a run is judged by, from what was written down while it went on.

use super::{Absence, Change, Question, Rebuild, Seen};
use crate::{
    asked::{Asked, Passages, Told, Verb},
    history::{History, Row},
    plan::Setting,
    proxy::Proxy,
    troubles::{Kind, Trouble, Troubles},
    watch::Copies,
};
use license_core::domain::lease::LeaseTiming;
use license_tests::load::log::BeliefLog;
use std::time::Instant;

/// What went on around the functions.
pub struct Faults<'a> {
    pub setting: &'a Setting,
    /// The ways from clients, and to Redis, by instance.
    pub http: &'a [Proxy],
    pub redis: &'a [Proxy],
    pub nodes: Troubles,
    /// Which epoch's copy was first seen when.
    pub copies: Copies,
    /// When the functions in this process were replaced.
    pub fresh: Instant,
}

/// What was sent has arrived by then, though nobody waits for it.
const ARRIVES: i64 = 50_000;

/// Everything a run is judged by.
pub fn gather(history: &History, asked: &[Asked], faults: &Faults<'_>, log: &BeliefLog, timing: &LeaseTiming) -> Seen {
    let rows = |kind: &'static str| history.rows().iter().filter(move |row| row.kind == kind);
    let at = |row: &Row| log.from_unix_us(row.at);
    let micros = |time: std::time::Duration| time.as_micros() as i64;
    let nodes = faults.nodes.read();
    let change = |row: &Row| Change {
        at: at(row),
        before: row.before.clone(),
        after: row.after.clone(),
        by_staff: history.is_peoples(row),
    };
    let mut held_back: Vec<(i64, i32, bool)> =
        rows("held back").filter_map(|row| Some((at(row), row.seat?, true))).collect();
    held_back.extend(rows("lifted").filter_map(|row| Some((at(row), row.seat?, false))));
    let mut sizes = vec![(i64::MIN, faults.setting.seats as usize)];
    sizes.extend(rows("pool").filter_map(|row| Some((at(row), row.after.as_deref()?.parse().ok()?))));
    let questions: Vec<Question> = asked.iter().map(|asked| question(asked, faults, &nodes, log)).collect();
    let absences = absences(&questions, faults, &nodes, log);
    Seen {
        questions,
        changes: rows("holder").map(change).collect(),
        held_back,
        sizes,
        rebuilds: rebuilds(rows("rebuilt").map(|row| (at(row), epoch(row))), faults, &nodes, log),
        absences,
        deposed: deposed(&nodes, rows("rebuilt").map(|row| (at(row), epoch(row))), faults, log),
        behind: (!faults.setting.clock_behind.is_zero()).then_some(0),
        processes_from: faults.setting.instances - faults.setting.processes,
        fresh: log.at(faults.fresh),
        ttl: micros(timing.ttl),
        rebuild_lease: micros(timing.ttl + timing.drain),
        heartbeat: micros(timing.heartbeat) * 32 / 30,
        clocks: 5_000 + log.clocks_apart(),
    }
}

/// Troubles of a kind as spans of the log's clock.
fn spans<'a>(troubles: &'a [Trouble], kind: Kind, log: &'a BeliefLog) -> impl Iterator<Item = (i64, i64)> + 'a {
    let of = troubles.iter().filter(move |trouble| trouble.kind == kind);
    of.map(|trouble| span(trouble, log))
}

fn span(trouble: &Trouble, log: &BeliefLog) -> (i64, i64) {
    (log.at(trouble.from), trouble.until.map_or(i64::MAX, |until| log.at(until)))
}

fn epoch(rebuilt: &Row) -> i64 {
    rebuilt.after.as_deref().and_then(|epoch| epoch.parse().ok()).unwrap_or(0)
}

/// When a deposed primary may have answered, or the new one by a copy that the deposed one's last rebuild made old.
fn deposed(
    nodes: &[Trouble],
    rebuilds: impl Iterator<Item = (i64, i64)>,
    faults: &Faults<'_>,
    log: &BeliefLog,
) -> Vec<(i64, i64)> {
    let rebuilds: Vec<(i64, i64)> = rebuilds.collect();
    let deposed = |trouble: &Trouble| {
        let Kind::Deposed(new) = trouble.kind else { return None };
        let (from, until) = span(trouble, log);
        let last = rebuilds.iter().filter(|(at, _)| *at <= until).map(|(_, epoch)| *epoch).max().unwrap_or(0);
        let there = faults.copies.iter().filter(|((epoch, port), _)| *port == new && *epoch >= last);
        let known = there.map(|(_, (seen, _))| log.at(*seen)).min().unwrap_or(i64::MAX);
        Some((from, until.max(known)))
    };
    nodes.iter().filter_map(deposed).collect()
}

/// A question, and until when it may have done something.
fn question(asked: &Asked, faults: &Faults<'_>, nodes: &[Trouble], log: &BeliefLog) -> Question {
    let (sent, answered) = (log.at(asked.sent), log.at(asked.answered));
    let way = faults.redis[asked.instance].troubles().read();
    let passage = faults.http.iter().map(Proxy::passages).find_map(|passages: &Passages| passages.of(asked.number));
    let acts = passage.map(|(_, ended)| ended.map_or(i64::MAX, |ended| log.at(ended).saturating_add(ARRIVES)));
    // What it sent to Redis may have been late on its way, and a node that stood still took it up when it went on.
    let late: Vec<(i64, i64)> = spans(&way, Kind::Late, log).filter(|(from, _)| *from >= sent).collect();
    let stood: Vec<(i64, i64)> = spans(nodes, Kind::Away, log).collect();
    let during = |spans: &[(i64, i64)], acts: i64| {
        let during = spans.iter().filter(|(from, until)| *from <= acts && *until >= sent);
        during.map(|(_, until)| *until).max().map_or(acts, |until| acts.max(until))
    };
    let acts = acts.map(|acts| during(&stood, during(&late, acts)));
    let once = passage.is_some_and(|(copies, _)| copies == 1);
    let single = once && !late.iter().chain(&stood).any(|(from, until)| *from <= answered && *until >= sent);
    // Who was told that it has no seat, or no lease, has none of this question.
    let refused = single
        && match asked.verb {
            Verb::Acquire | Verb::Heartbeat => matches!(asked.told, Told::Full | Told::Refused | Told::Other),
            Verb::Release => false,
        };
    Question {
        holder: asked.holder.clone(),
        instance: asked.instance,
        verb: asked.verb,
        sent,
        answered,
        told: asked.told,
        acts: acts.filter(|_| !refused),
        single,
    }
}

/// Rebuilds in order. One knew nothing where a copy may have been lost since the one before, the one before never came to Redis, or
/// bore another stamp: a node that was started anew changes its id once more when the other first follows it.
fn rebuilds(
    rows: impl Iterator<Item = (i64, i64)>,
    faults: &Faults<'_>,
    nodes: &[Trouble],
    log: &BeliefLog,
) -> Vec<Rebuild> {
    // While there are two primaries either may have been rebuilt, and the other knows nothing of it.
    let several = nodes.iter().filter(|trouble| matches!(trouble.kind, Kind::Deposed(_)));
    let several = several.map(|trouble| span(trouble, log));
    let lost: Vec<(i64, i64)> = spans(nodes, Kind::Lost, log).chain(several).collect();
    let mut before: Option<(i64, Option<&str>)> = None;
    let rebuild = |(at, epoch): (i64, i64)| {
        let mut came = faults.copies.range((epoch, 0)..=(epoch, u16::MAX));
        let seen = faults.copies.range((epoch, 0)..).map(|(_, (seen, _))| log.at(*seen)).min().unwrap_or(i64::MAX);
        let stamp = came.next().map(|(_, (_, stamp))| stamp.as_str());
        let cold = before.is_none_or(|(earlier, of)| {
            let another = of.is_none() || stamp.is_some_and(|stamp| of != Some(stamp));
            another || lost.iter().any(|(from, until)| *from <= seen && *until >= earlier)
        });
        before = Some((at, stamp));
        Rebuild { at, seen, cold }
    };
    rows.map(rebuild).collect()
}

/// When instances may have missed an answer: by a fault, or as a client was told.
fn absences(asked: &[Question], faults: &Faults<'_>, nodes: &[Trouble], log: &BeliefLog) -> Vec<Absence> {
    let absence = |instance: Option<usize>| move |(from, until): (i64, i64)| Absence { instance, from, until };
    let mut all: Vec<Absence> = spans(nodes, Kind::Away, log).map(absence(None)).collect();
    for (instance, way) in faults.redis.iter().enumerate() {
        all.extend(spans(&way.troubles().read(), Kind::Away, log).map(absence(Some(instance))));
    }
    let away = asked.iter().filter(|asked| asked.told == Told::Away);
    all.extend(away.map(|asked| absence(Some(asked.instance))((asked.sent, asked.answered))));
    all
}
