//! acquire: ACQUIRE → `grant_seat` → the answer.

use super::{Answer, Call, Next, Step, Then};
use crate::{
    client::{From, Handle},
    records::{Grant, GrantOutcome},
    redis::{AcquireAnswer, Ask, Granted},
    rules::{Rule, Rules},
    world::{Place, Sight, World},
};

pub(super) fn step(world: &mut World, call: &Call, from: From, place: Place, rules: Rules) -> Next {
    match &call.step {
        Step::Script => ask(world, call, from, place, rules),
        Step::Grant(granted) => write(world, call, from, granted, rules),
        Step::Undo(handle) => {
            world.script(place, call, rules).release(handle.seat, handle.session);
            Next::Again
        }
        Step::Answer(Answer::Seat(handle, lease)) => {
            if world.processes[from.process].hears_seat(from, *handle, *lease, world.now, rules) {
                world.saw_grant(from.process);
            }
            Next::Over
        }
        _ => Next::Over,
    }
}

fn ask(world: &mut World, call: &Call, from: From, place: Place, rules: Rules) -> Next {
    let session = world.drawn.sessions + 1;
    let holder = world.processes[from.process].holder;
    let ask = Ask { holder, attempt: from.attempt, session };
    match world.script(place, call, rules).acquire(ask) {
        AcquireAnswer::Cold => Next::To(Step::Nonce),
        AcquireAnswer::Refused | AcquireAnswer::Full => Next::To(Step::Answer(Answer::No)),
        AcquireAnswer::Granted(granted) => {
            if granted.renewed {
                world.saw(Sight::Repeated);
            } else {
                world.drawn.sessions = session;
            }
            Next::To(Step::Grant(granted))
        }
    }
}

fn write(world: &mut World, call: &Call, from: From, granted: &Granted, rules: Rules) -> Next {
    let holder = world.processes[from.process].holder;
    let suspended = !world.records.active && !world.records.sessions.contains_key(&granted.session);
    let (outcome, did) = world.records.grant_seat(Grant { holder, attempt: from.attempt, decided: granted }, rules);
    if did.joined {
        world.saw(Sight::Joined);
    }
    if did.moved {
        world.saw(Sight::Moved);
    }
    world.history.given_while_suspended |= suspended && outcome == GrantOutcome::Ok;
    let handle = Handle { seat: granted.seat, session: granted.session };
    let told = if rules.hold(Rule::TellsTheLeaseThatWasGiven) { granted.lease } else { world.ttl(call) };
    let prove = Next::To(Step::Invalidate(granted.epoch, Then::Again));
    match outcome {
        GrantOutcome::Ok => Next::To(Step::Answer(Answer::Seat(handle, told))),
        GrantOutcome::Fenced if !rules.hold(Rule::NothingIsUndone) => Next::To(Step::Undo(handle)),
        GrantOutcome::Fenced => Next::Again,
        GrantOutcome::Ended if !rules.hold(Rule::EndedProvesTheCopyWrong) => Next::Again,
        GrantOutcome::Ended | GrantOutcome::EpochStale | GrantOutcome::Refused => prove,
    }
}
