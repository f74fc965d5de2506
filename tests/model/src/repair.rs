//! "Repair from here": faults stop, what was under way dies, the reaper runs. Then everybody alive must have its seat, the seats of the dead
//! must be free, and who comes must be served up to capacity.

use crate::{
    calls::{Answer, Asks, Call, Next, Step, Then},
    client::From,
    faults::Action,
    rules::Rules,
    time::Time,
    world::{Place, World},
};
use std::collections::{BTreeMap, BTreeSet};

/// Longer than any lease that a wrong clock can have given, and a rebuild's after it.
const LONG: Time = 14;
/// More often than an honest call must ask Redis again.
const PATIENCE: u8 = 8;

/// Who stays alive when the faults stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Alive {
    Believers,
    Nobody,
}

/// What does not come right from here. `None`: all does.
pub fn stuck(world: &World, rules: Rules) -> Option<&'static str> {
    retry_now(world, rules)
        .or_else(|| with_reaper(world, Alive::Believers, rules))
        .or_else(|| with_reaper(world, Alive::Nobody, rules))
        .or_else(|| without_reaper(world, rules))
}

/// L2: whoever has no seat asks again at once, and is told something; what is reserved for its machine is given.
fn retry_now(world: &World, rules: Rules) -> Option<&'static str> {
    for process in (0..world.processes.len()).filter(|at| world.processes[*at].handle.is_none()) {
        let mut world = calm(world, rules);
        match acquire(&mut world, process, rules) {
            None => return Some("an acquire asks again for ever"),
            Some(Answer::Seat(_)) => {}
            Some(_) if world.primary.copy.m.contains_key(&world.processes[process].holder) => {
                return Some("L2: what is reserved for a machine is not given to it");
            }
            Some(_) => {}
        }
    }
    None
}

/// The reaper runs. Who lives keeps its seat, who is dead holds nothing, and both stores agree.
fn with_reaper(world: &World, alive: Alive, rules: Rules) -> Option<&'static str> {
    let mut world = calm(world, rules);
    let mut kept = BTreeMap::new();
    for process in 0..world.processes.len() {
        let its = &world.processes[process];
        let lives = its.believes(world.now) && its.handle.is_some_and(|has| !world.is_excused(has.session));
        match its.handle {
            Some(handle) if lives && alive == Alive::Believers => _ = kept.insert(process, handle),
            _ => world.happen(Action::Restart { process }, rules, 0),
        }
    }
    for _ in 0..LONG {
        for process in kept.keys() {
            heartbeat(&mut world, *process, rules);
        }
        for _ in 0..2 {
            run(&mut world, Call::new(Asks::Reap(0, false), PATIENCE), rules);
        }
        world.happen(Action::Tick, rules, 0);
    }
    if kept.iter().any(|(process, handle)| world.processes[*process].handle != Some(*handle)) {
        return Some("a live client lost its seat");
    }
    let holders: BTreeSet<_> = kept.keys().map(|process| world.processes[*process].holder).collect();
    let sessions: BTreeSet<_> = kept.values().map(|handle| handle.session).collect();
    left_over(&world, &holders, &sessions).or_else(|| everybody_is_served(&mut world, rules))
}

/// What the dead left behind.
fn left_over(world: &World, holders: &BTreeSet<u8>, sessions: &BTreeSet<u8>) -> Option<&'static str> {
    let records = &world.records;
    if records.seats.iter().filter_map(|row| row.holder).any(|holder| !holders.contains(&holder)) {
        return Some("L3: a dead holder's seat is held for ever");
    }
    if records.sessions.iter().any(|(id, session)| !session.ended && !sessions.contains(id)) {
        return Some("a dead session stays open");
    }
    if records.surplus != holders.len().saturating_sub(records.total) {
        return Some("surplus is not retired");
    }
    drift(world, holders, sessions)
}

/// Redis knows who lives. It may still list a reservation that nobody ever had written down: the reaper looks only at pools whose records
/// say that somebody was there, and whoever comes next takes what lapsed.
fn drift(world: &World, holders: &BTreeSet<u8>, sessions: &BTreeSet<u8>) -> Option<&'static str> {
    let copy = &world.primary.copy;
    if copy.h.is_none() {
        return None;
    }
    let known: BTreeSet<_> = copy.s.values().map(|entry| entry.holder).collect();
    let counted: BTreeSet<_> = copy.n.keys().map(|(_, session)| *session).collect();
    let is_over = |seat: &u8| copy.z.get(seat).is_none_or(|end| *end <= world.now);
    let mut extra = copy.s.iter().filter(|(_, entry)| !holders.contains(&entry.holder));
    let extra_is_over = extra.all(|(seat, _)| is_over(seat));
    let session_is_over = |session: &u8| copy.n.iter().any(|((_, id), end)| id == session && *end <= world.now);
    let extra_session_is_over = counted.difference(sessions).all(session_is_over);
    let complete = known.is_superset(holders) && counted.is_superset(sessions);
    (!complete || !extra_is_over || !extra_session_is_over).then_some("Redis and the records drift apart")
}

/// L1: without any reaper, everybody who keeps asking is served up to capacity.
fn without_reaper(world: &World, rules: Rules) -> Option<&'static str> {
    let mut world = calm(world, rules);
    for process in 0..world.processes.len() {
        world.happen(Action::Restart { process }, rules, 0);
    }
    // The one thing an acquire cannot see is a change whose word was lost; it is delivered here.
    let step = Step::Invalidate(world.records.epoch.saturating_sub(1), Then::Over);
    run(&mut world, Call { step, ..Call::new(Asks::Change, 0) }, rules);
    acquire(&mut world, 0, rules);
    for _ in 0..LONG {
        world.happen(Action::Tick, rules, 0);
    }
    everybody_is_served(&mut world, rules)
}

/// Everybody asks, or shows that it is alive. As many machines as there are seats have one.
fn everybody_is_served(world: &mut World, rules: Rules) -> Option<&'static str> {
    for process in 0..world.processes.len() {
        if world.processes[process].handle.is_some() {
            heartbeat(world, process, rules);
        } else if acquire(world, process, rules).is_none() {
            return Some("an acquire asks again for ever");
        }
    }
    let holders = |believing: bool| {
        let some = world.processes.iter().filter(|process| !believing || process.believes(world.now));
        some.map(|process| process.holder).collect::<BTreeSet<_>>().len()
    };
    (holders(true) < holders(false).min(world.records.total)).then_some("L1: a free or expired seat is not given")
}

/// Faults stop: clocks are right, nothing is under way, a suspended license is resumed.
fn calm(world: &World, rules: Rules) -> World {
    let mut world = world.clone();
    world.calls.clear();
    world.deposed = None;
    world.primary.skew = 0;
    world.service_skew = 0;
    if !world.records.active {
        let before = world.records.set_active(true);
        run(&mut world, Call { step: Step::Invalidate(before, Then::Over), ..Call::new(Asks::Change, 0) }, rules);
    }
    world
}

fn acquire(world: &mut World, process: usize, rules: Rules) -> Option<Answer> {
    let its = &world.processes[process];
    let from = From { process, generation: its.generation, attempt: its.attempt, sent: world.now };
    run(world, Call::new(Asks::Acquire(from), PATIENCE), rules)
}

fn heartbeat(world: &mut World, process: usize, rules: Rules) {
    let its = &world.processes[process];
    if let Some(handle) = its.handle {
        let from = From { process, generation: its.generation, attempt: its.attempt, sent: world.now };
        run(world, Call::new(Asks::Heartbeat(from, handle), PATIENCE), rules);
    }
}

/// Runs a call to its end, alone. What it was told.
fn run(world: &mut World, mut call: Call, rules: Rules) -> Option<Answer> {
    let mut told = None;
    // A rebuild that is refused begins again without asking the script: bounded all the same.
    for _ in 0..100 {
        if let Step::Answer(answer) = call.step {
            told = Some(answer);
        }
        match crate::calls::step(world, &mut call, Place::Primary, rules) {
            Next::To(step) => call.step = step,
            _ => break,
        }
    }
    world.note_endings();
    told
}
