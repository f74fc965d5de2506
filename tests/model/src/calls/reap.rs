//! reap: the reaper's look at one pool: REAP → `end_seats` → FREE.

use super::{Call, Next, Step, Then};
use crate::{
    records::{Ended, Ending},
    redis::Claims,
    rules::Rules,
    words::Epoch,
    world::{Place, Sight, World},
};

pub(super) fn step(world: &mut World, call: &mut Call, look: (Epoch, bool), place: Place, rules: Rules) -> Next {
    match &call.step {
        Step::Look => match world.records.to_reap(rules) {
            None => Next::Over,
            Some((epoch, held)) => {
                call.asks = super::Asks::Reap(epoch, held);
                Next::To(Step::Script)
            }
        },
        Step::Script => ask(world, call, look, place, rules),
        Step::End(ending, _) => match world.records.end_seats(ending, rules) {
            Ended::EpochStale => Next::To(Step::Invalidate(ending.epoch, Then::Again)),
            Ended::Done(done) => {
                if done.iter().any(|(_, retired)| *retired) {
                    world.saw(Sight::Retired);
                }
                Next::To(Step::Free(ending.epoch, done))
            }
        },
        _ => Next::Over,
    }
}

fn ask(world: &mut World, call: &Call, (epoch, held): (Epoch, bool), place: Place, rules: Rules) -> Next {
    let holders = world.holders_at(place);
    match world.script(place, call, rules).reap(epoch) {
        // No copy, and nobody holds anything: whoever comes next rebuilds.
        Claims::Cold(0) if !held => Next::Over,
        // The records prove every copy below their epoch old; a warm one would not be rebuilt otherwise.
        Claims::Cold(_) => Next::To(Step::Invalidate(epoch.saturating_sub(1), Then::Rebuild)),
        Claims::Reaped(_, claims) if claims.is_empty() => Next::Over,
        Claims::Reaped(epoch, claims) => Next::To(Step::End(Ending { epoch, claims, released: None, holders }, false)),
    }
}
