//! A run in words.

use crate::{
    calls::{Answer, Asks, Call, Step},
    faults::Action,
    world::{Place, World},
};
use std::fmt::Write;

/// What is about to happen, in words.
pub fn words(world: &World, action: Action) -> String {
    let other = |other: bool| if other { " (by the other instance)" } else { "" };
    match action {
        Action::Tick => format!("half a lease passes: {}", world.now + 1),
        Action::Acquire { process, other_instance } => {
            format!("{} asks for a seat{}", who(world, process), other(other_instance))
        }
        Action::Heartbeat { process, other_instance } => {
            format!("{} sends a heartbeat{}", who(world, process), other(other_instance))
        }
        Action::Release { process, other_instance } => {
            format!("{} sends a release and is over{}", who(world, process), other(other_instance))
        }
        Action::Sweep { other_instance } => format!("the reaper is sent{}", other(other_instance)),
        Action::Step { call, place } => {
            let call = &world.calls[call];
            let place = match place {
                Place::Deposed if call.asks_redis() => " on the deposed primary",
                _ => "",
            };
            format!("{}: {}{place}", whose(call), step_words(&call.step, call.asks))
        }
        Action::Die { call } => format!("{} dies", whose(&world.calls[call])),
        Action::Duplicate { call } => format!("{} goes on twice", whose(&world.calls[call])),
        Action::Restart { process } => format!("{} is killed and starts anew", who(world, process)),
        Action::Replicate => "the replica is brought up to date".into(),
        Action::Failover => "the replica is promoted".into(),
        Action::Flush => "the primary is flushed".into(),
        Action::LoseKey { key } => format!("the primary loses key {key:?}"),
        Action::RedisClock { skew } => format!("the primary's clock is off by {skew}"),
        Action::ServiceClock { skew } => format!("one instance's clock is off by {skew}"),
        Action::Kick { seat, force } => format!("seat {seat} is kicked{}", if force { " by force" } else { "" }),
        Action::Resize { total } => format!("the pool is resized to {total}"),
        Action::Suspend => "the license is suspended".into(),
        Action::Resume => "the license is resumed".into(),
        Action::Backup => "a backup is taken".into(),
        Action::Restore => "the database is restored to the backup".into(),
    }
}

fn who(world: &World, process: usize) -> String {
    let its = &world.processes[process];
    format!("process {process} (machine {}, attempt {})", its.holder, its.attempt)
}

fn whose(call: &Call) -> String {
    let what = match call.asks {
        Asks::Acquire(from) => format!("acquire of process {}, sent at {}", from.process, from.sent),
        Asks::Heartbeat(from, handle) => {
            format!("heartbeat of process {} for session {}, sent at {}", from.process, handle.session, from.sent)
        }
        Asks::Release(from, handle) => format!("release of process {} for session {}", from.process, handle.session),
        Asks::Reap(..) => "reap".into(),
        Asks::Change => "change".into(),
    };
    let instance = if call.other_instance { ", the other instance" } else { "" };
    format!("call {} ({what}{instance})", call.id)
}

fn step_words(step: &Step, asks: Asks) -> String {
    match step {
        Step::Look => "reads which pools there are".into(),
        Step::Script => match asks {
            Asks::Acquire(_) => "ACQUIRE".into(),
            Asks::Heartbeat(..) => "HEARTBEAT".into(),
            Asks::Release(..) => "RELEASE".into(),
            Asks::Reap(epoch, _) => format!("REAP under epoch {epoch}"),
            Asks::Change => "nothing".into(),
        },
        Step::Nonce => "NONCE".into(),
        Step::RebuildPool(..) => "rebuild_pool".into(),
        Step::Load(nonce, read) => {
            format!("LOAD by nonce {nonce} with epoch {}, after {}", read.pool.epoch, read.previous)
        }
        Step::Rebuild(nonce, built) => {
            let epoch = built.h.as_ref().map_or(0, |h| h.epoch);
            format!("REBUILD by nonce {nonce} with epoch {epoch}")
        }
        Step::Invalidate(epoch, _) => format!("INVALIDATE({epoch})"),
        Step::Grant(granted) => format!(
            "grant_seat of seat {} for session {} under ({}, {})",
            granted.seat, granted.session, granted.epoch, granted.seq
        ),
        Step::Resolve(epoch) => format!("resolve_session under epoch {epoch}"),
        Step::End(ending, _) => format!("end_seats under epoch {}: {}", ending.epoch, claims(ending)),
        Step::Free(epoch, _) => format!("FREE under epoch {epoch}"),
        Step::Undo(_) => "RELEASE of what was fenced".into(),
        Step::Answer(Answer::Seat(handle, _)) => {
            format!("its client hears: seat {}, session {}", handle.seat, handle.session)
        }
        Step::Answer(Answer::Alive(_)) => "its client hears: alive".into(),
        Step::Answer(Answer::Gone) => "its client hears: gone".into(),
        Step::Answer(Answer::No) => "its client hears: no".into(),
    }
}

fn claims(ending: &crate::records::Ending) -> String {
    let one = |claim: &crate::redis::Claim| match claim.session {
        None => format!("seat {} (ticket {})", claim.seat, claim.seq),
        Some(session) => format!("session {session} of seat {} (ticket {})", claim.seat, claim.seq),
    };
    let mut all: Vec<_> = ending.claims.iter().map(one).collect();
    all.extend(ending.released.map(|session| format!("released session {session}")));
    all.join(", ")
}

/// What there is, in a few lines.
pub fn picture(world: &World) -> String {
    let mut text = String::new();
    let beliefs: Vec<_> = world.processes.iter().enumerate().map(|(at, its)| belief(at, its, world.now)).collect();
    let _ = write!(text, "      at {}: {}", world.now, beliefs.join(", "));
    let records = &world.records;
    let rows = records.seats.iter().enumerate().map(|(at, row)| {
        let holder = row.holder.map_or("free".to_owned(), |holder| format!("machine {holder}"));
        let retired = if row.retired { " retired" } else { "" };
        let hold = if row.hold_until.is_some() { " kicked" } else { "" };
        format!("{at} {holder}{retired}{hold} fence {:?}", row.fence)
    });
    let open: Vec<_> = records.sessions.iter().filter(|(_, session)| !session.ended).map(|(id, _)| *id).collect();
    let _ = write!(
        text,
        "\n      records: epoch {}, {}, open sessions {open:?}",
        records.epoch,
        rows.collect::<Vec<_>>().join("; ")
    );
    let copies = [Some(("primary", &world.primary)), world.deposed.as_ref().map(|(node, _)| ("deposed", node))];
    for (name, node) in copies.into_iter().flatten() {
        let Some(h) = &node.copy.h else {
            let _ = write!(text, "\n      {name} {}: empty", node.id);
            continue;
        };
        let stale = if h.stale { ", stale" } else { "" };
        let _ = write!(text, "\n      {name} {}: stamp {}{stale}, epoch {}, seq {}", node.id, h.stamp, h.epoch, h.seq);
        for (seat, end) in &node.copy.z {
            let _ = match node.copy.s.get(seat) {
                None => write!(text, "; seat {seat} free, {end}"),
                Some(entry) => {
                    let state = if entry.ending { 'X' } else { 'L' };
                    let ends: Vec<_> = entry
                        .sessions
                        .iter()
                        .map(|(id, _)| format!("{id} to {}", node.copy.n.get(&(*seat, *id)).unwrap_or(&-1)))
                        .collect();
                    write!(text, "; seat {seat} {state} machine {} to {end} ({})", entry.holder, ends.join(", "))
                }
            };
        }
    }
    text
}

fn belief(at: usize, its: &crate::client::Process, now: crate::time::Time) -> String {
    match its.handle {
        None => format!("process {at} has nothing"),
        Some(handle) if its.believes(now) => {
            format!("process {at} believes in seat {} session {} until {}", handle.seat, handle.session, its.lease_end)
        }
        Some(handle) => format!("process {at} had seat {} session {}", handle.seat, handle.session),
    }
}
