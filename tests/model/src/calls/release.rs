//! release: RELEASE → `end_seats` → FREE. Nobody waits for its answer here: the process is over.

use super::{Call, Next, Step, Then};
use crate::{
    client::Handle,
    records::{Ended, Ending},
    redis::{Claim, ReleaseAnswer},
    rules::{Rule, Rules},
    world::{Place, World},
};

pub(super) fn step(world: &mut World, call: &Call, handle: Handle, place: Place, rules: Rules) -> Next {
    match &call.step {
        Step::Script => ask(world, call, handle, place, rules),
        Step::End(ending, left) => end(world, ending, *left, handle, place, rules),
        _ => Next::Over,
    }
}

fn ask(world: &mut World, call: &Call, handle: Handle, place: Place, rules: Rules) -> Next {
    let holders = world.holders_at(place);
    let end = |epoch, claims, left| {
        let ending = Ending { epoch, claims, released: Some(handle.session), holders };
        Next::To(Step::End(ending, left))
    };
    match world.script(place, call, rules).release(handle.seat, handle.session) {
        ReleaseAnswer::Cold => Next::To(Step::Nonce),
        ReleaseAnswer::NotHeld(_) if !rules.hold(Rule::NotHeldIsEndedById) => {
            world.answers_release(place, handle.session);
            Next::Over
        }
        ReleaseAnswer::NotHeld(epoch) => end(epoch, Vec::new(), false),
        ReleaseAnswer::Left(epoch) => end(epoch, Vec::new(), true),
        ReleaseAnswer::Vacated(epoch, seq) => end(epoch, vec![Claim { seat: handle.seat, seq, session: None }], false),
    }
}

fn end(world: &mut World, ending: &Ending, left: bool, handle: Handle, place: Place, rules: Rules) -> Next {
    let vacated = !ending.claims.is_empty();
    match world.records.end_seats(ending, rules) {
        Ended::EpochStale => {
            let again = if vacated { Rule::VacatedIsDoneAgain } else { Rule::LeftIsDoneAgain };
            if rules.hold(again) {
                return Next::To(Step::Invalidate(ending.epoch, Then::Again));
            }
            world.answers_release(place, handle.session);
            Next::Over
        }
        Ended::Done(mut done) => {
            // FREE comes before the answer, but may fail: everything that counts is done.
            world.answers_release(place, handle.session);
            if left {
                done.push((Claim { seat: handle.seat, seq: 0, session: Some(handle.session) }, false));
            }
            if done.is_empty() { Next::Over } else { Next::To(Step::Free(ending.epoch, done)) }
        }
    }
}
