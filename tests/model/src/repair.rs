//! "Repair from here": faults stop, what was under way dies, the reaper runs. Then everybody alive must have its seat, the seats of the dead
//! must be free, and who comes must be served up to capacity.

use crate::{
    calls::{Answer, Asks, Call, Next, Step, Then},
    client::From,
    faults::Action,
    records::Row,
    rules::Rules,
    time::Time,
    world::{Place, World},
};
use std::collections::{BTreeMap, BTreeSet};

/// What can be stuck.
pub const ENDLESS: &str = "an acquire asks again for ever";
/// What can be stuck.
pub const RESERVED: &str = "L2: what is reserved for a machine is not given to it";
/// What can be stuck.
pub const LOST: &str = "a live client lost its seat";
/// What can be stuck.
pub const HELD_FOR_EVER: &str = "L3: a dead holder's seat is held for ever";
/// What can be stuck.
pub const OPEN_FOR_EVER: &str = "a dead session stays open";
/// What can be stuck.
pub const SURPLUS: &str = "surplus is not retired";
/// What can be stuck.
pub const DRIFT: &str = "Redis and the records drift apart";
/// What can be stuck.
pub const NOT_GIVEN: &str = "L1: a free or expired seat is not given";
/// What can be stuck.
pub const QUARANTINE: &str = "a quarantine is never lifted";
/// What can be stuck.
pub const GHOST: &str = "who was kicked or forgotten believes for ever";

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
        .or_else(|| held_by_nobody(world, rules))
        .or_else(|| amid_changes(world, rules))
}

/// L2: whoever has no seat asks again at once, and is told something; what is reserved for its machine is given.
fn retry_now(world: &World, rules: Rules) -> Option<&'static str> {
    for process in (0..world.processes.len()).filter(|at| world.processes[*at].handle.is_none()) {
        let mut world = told(calm(world, rules), rules);
        match acquire(&mut world, process, rules) {
            None => return Some(ENDLESS),
            Some(Answer::Seat(..)) => {}
            Some(_) if world.primary.copy.h.as_ref().is_some_and(|h| h.opens > world.now) => {}
            Some(_) if world.primary.copy.m.contains_key(&world.processes[process].holder) => {
                return Some(RESERVED);
            }
            Some(_) => {}
        }
    }
    None
}

/// The reaper runs. Who lives keeps its seat, who is dead holds nothing, and both stores agree.
fn with_reaper(world: &World, alive: Alive, rules: Rules) -> Option<&'static str> {
    let mut world = calm(world, rules);
    let (mut kept, mut taken_away) = (BTreeMap::new(), Vec::new());
    for process in 0..world.processes.len() {
        let its = &world.processes[process];
        match its.handle {
            Some(handle) if alive == Alive::Believers && its.believes(world.now) => {
                if world.is_excused(handle.session) {
                    taken_away.push(handle.session);
                } else {
                    kept.insert(process, handle);
                }
            }
            _ => world.happen(Action::Restart { process }, rules, 0),
        }
    }
    for _ in 0..LONG {
        heartbeats(&mut world, rules);
        for _ in 0..2 {
            run(&mut world, Call::new(Asks::Reap(0, false), PATIENCE), rules);
        }
        world.happen(Action::Tick, rules, 0);
    }
    if kept.iter().any(|(process, handle)| world.processes[*process].handle != Some(*handle)) {
        return Some(LOST);
    }
    if world.processes.iter().any(|its| its.handle.is_some_and(|has| taken_away.contains(&has.session))) {
        return Some(GHOST);
    }
    let holders: BTreeSet<_> = kept.keys().map(|process| world.processes[*process].holder).collect();
    let sessions: BTreeSet<_> = kept.values().map(|handle| handle.session).collect();
    left_over(&world, &holders, &sessions).or_else(|| everybody_is_served(&mut world, rules))
}

/// What the dead left behind.
fn left_over(world: &World, holders: &BTreeSet<u8>, sessions: &BTreeSet<u8>) -> Option<&'static str> {
    let records = &world.records;
    if records.seats.iter().filter_map(|row| row.holder).any(|holder| !holders.contains(&holder)) {
        return Some(HELD_FOR_EVER);
    }
    if records.sessions.iter().any(|(id, session)| !session.ended && !sessions.contains(id)) {
        return Some(OPEN_FOR_EVER);
    }
    if records.surplus != holders.len().saturating_sub(records.total) {
        return Some(SURPLUS);
    }
    if records.seats().any(|(_, row)| row.hold_until.is_some()) {
        return Some(QUARANTINE);
    }
    drift(world, holders, sessions)
}

/// Redis knows who lives. It may still list a reservation that nobody ever had written down: the reaper looks only at pools whose records
/// say that somebody was there, and whoever comes next takes what lapsed.
fn drift(world: &World, holders: &BTreeSet<u8>, sessions: &BTreeSet<u8>) -> Option<&'static str> {
    let copy = &world.primary.copy;
    // No copy, nothing that could disagree.
    copy.h.as_ref()?;
    let known: BTreeSet<_> = copy.s.values().map(|entry| entry.holder).collect();
    let counted: BTreeSet<_> = copy.n.keys().map(|(_, session)| *session).collect();
    let is_over = |seat: &u8| copy.z.get(seat).is_none_or(|end| *end <= world.now);
    let mut extra = copy.s.iter().filter(|(_, entry)| !holders.contains(&entry.holder));
    let extra_is_over = extra.all(|(seat, _)| is_over(seat));
    let session_is_over = |session: &u8| copy.n.iter().any(|((_, id), end)| id == session && *end <= world.now);
    let extra_session_is_over = counted.difference(sessions).all(session_is_over);
    let complete = known.is_superset(holders) && counted.is_superset(sessions);
    (!complete || !extra_is_over || !extra_session_is_over).then_some(DRIFT)
}

/// L1: without any reaper, whoever comes alone is served by its own asking, once the leases of the dead are over.
fn without_reaper(world: &World, rules: Rules) -> Option<&'static str> {
    let mut world = told(calm(world, rules), rules);
    for process in 0..world.processes.len() {
        world.happen(Action::Restart { process }, rules, 0);
    }
    (0..world.processes.len()).find_map(|process| alone(world.clone(), process, rules))
}

fn alone(mut world: World, process: usize, rules: Rules) -> Option<&'static str> {
    // The first ask may have the copy rebuilt. The second may come upon a seat that was retired meanwhile and have it rebuilt again: then
    // a quarantine that was served but never lifted begins anew.
    for _ in 0..3 {
        if acquire(&mut world, process, rules).is_none() {
            return Some(ENDLESS);
        }
        if world.processes[process].handle.is_some() {
            return None;
        }
        wait(&mut world, rules);
    }
    Some(NOT_GIVEN)
}

/// L1: a seat the records show as held without an open session is given to whoever asks once the copy was rebuilt.
fn held_by_nobody(world: &World, rules: Rules) -> Option<&'static str> {
    let records = &world.records;
    let opens = records.opens_at > world.now || records.surplus > 0;
    let nobody = |(seat, row): (_, &Row)| row.holder.is_some() && records.open_sessions(seat).next().is_none();
    let process = (0..world.processes.len()).find(|at| world.processes[*at].handle.is_none())?;
    if opens || !records.seats().any(nobody) {
        return None;
    }
    let mut world = calm(world, rules);
    let step = Step::Invalidate(world.records.epoch, Then::Over);
    run(&mut world, Call { step, ..Call::new(Asks::Change, 0) }, rules);
    let answer = acquire(&mut world, process, rules);
    (!matches!(answer, Some(Answer::Seat(..)))).then_some(NOT_GIVEN)
}

/// L1 to L3: whoever comes is served although somebody changes something else all the time.
fn amid_changes(world: &World, rules: Rules) -> Option<&'static str> {
    let mut world = told(calm(world, rules), rules);
    for process in 0..world.processes.len() {
        world.happen(Action::Restart { process }, rules, 0);
    }
    for _ in 0..LONG {
        let before = world.records.set_active(true);
        run(&mut world, Call { step: Step::Invalidate(before, Then::Over), ..Call::new(Asks::Change, 0) }, rules);
        acquire(&mut world, 0, rules);
        if world.processes[0].handle.is_some() {
            return None;
        }
        world.happen(Action::Tick, rules, 0);
    }
    Some(NOT_GIVEN)
}

/// As many machines as there are seats have one after everybody asked.
fn everybody_is_served(world: &mut World, rules: Rules) -> Option<&'static str> {
    if let Some(stuck) = everybody_asks(world, rules) {
        return Some(stuck);
    }
    let holders = |believing: bool| {
        let some = world.processes.iter().filter(|process| !believing || process.believes(world.now));
        some.map(|process| process.holder).collect::<BTreeSet<_>>().len()
    };
    (holders(true) < holders(false).min(world.records.total)).then_some(NOT_GIVEN)
}

fn everybody_asks(world: &mut World, rules: Rules) -> Option<&'static str> {
    heartbeats(world, rules);
    let without = (0..world.processes.len()).filter(|process| world.processes[*process].handle.is_none());
    for process in without.collect::<Vec<_>>() {
        if acquire(world, process, rules).is_none() {
            return Some(ENDLESS);
        }
    }
    None
}

/// Every lease of the dead is over after this.
fn wait(world: &mut World, rules: Rules) {
    for _ in 0..LONG {
        heartbeats(world, rules);
        world.happen(Action::Tick, rules, 0);
    }
}

fn heartbeats(world: &mut World, rules: Rules) {
    for process in 0..world.processes.len() {
        heartbeat(world, process, rules);
    }
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

/// The one thing an acquire may not see, and leaves to the reaper, is a change whose word was lost. It is delivered here.
fn told(mut world: World, rules: Rules) -> World {
    let step = Step::Invalidate(world.records.epoch.saturating_sub(1), Then::Over);
    run(&mut world, Call { step, ..Call::new(Asks::Change, 0) }, rules);
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
