//! heartbeat: HEARTBEAT → the answer. Only Redis says yes, only the records say gone.

use super::{Answer, Call, Next, Step, Then};
use crate::{
    client::{From, Handle},
    records::Resolved,
    redis::HeartbeatAnswer,
    rules::{Rule, Rules},
    world::{Place, Sight, World},
};

pub(super) fn step(world: &mut World, call: &Call, from: From, handle: Handle, place: Place, rules: Rules) -> Next {
    match &call.step {
        Step::Script => match world.script(place, call, rules).heartbeat(handle.seat, handle.session) {
            HeartbeatAnswer::Cold => Next::To(Step::Nonce),
            HeartbeatAnswer::Unknown(epoch) => Next::To(Step::Resolve(epoch)),
            HeartbeatAnswer::Refused => Next::To(Step::Answer(Answer::No)),
            HeartbeatAnswer::Alive { late, lease } => {
                if late {
                    world.saw(Sight::LateHeartbeatKept);
                }
                let told = if rules.hold(Rule::TellsTheLeaseThatWasGiven) { lease } else { world.ttl(call) };
                Next::To(Step::Answer(Answer::Alive(told)))
            }
        },
        Step::Resolve(epoch) => match world.records.resolve_session(handle.session, *epoch, rules) {
            Resolved::Gone => Next::To(Step::Answer(Answer::Gone)),
            Resolved::EpochStale => Next::To(Step::Invalidate(*epoch, Then::Again)),
        },
        Step::Answer(Answer::Alive(lease)) => {
            world.processes[from.process].hears_alive(from, handle, *lease, world.now, rules);
            Next::Over
        }
        Step::Answer(Answer::Gone) => {
            if world.processes[from.process].hears_gone(from, handle, world.now, rules) {
                world.told_gone_while_valid(handle.session);
            }
            Next::Over
        }
        _ => Next::Over,
    }
}
