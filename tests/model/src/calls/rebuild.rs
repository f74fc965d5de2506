//! The one repair: NONCE → `rebuild_pool` → REBUILD, then the call that came upon the cold copy asks again.

use super::{Call, Next, Step};
use crate::{
    records::Snapshot,
    redis::NonceAnswer,
    rules::Rules,
    words::NonceId,
    world::{Place, World},
};
use std::sync::Arc;

pub(super) fn nonce(world: &mut World, call: &Call, place: Place, rules: Rules) -> Next {
    let fresh = world.drawn.nonces + 1;
    match world.script(place, call, rules).nonce(fresh) {
        NonceAnswer::Warm => Next::Again,
        NonceAnswer::Nonce(nonce) => {
            world.drawn.nonces = world.drawn.nonces.max(nonce);
            Next::To(Step::RebuildPool(nonce))
        }
    }
}

pub(super) fn rebuild_pool(world: &mut World, nonce: NonceId) -> Next {
    Next::To(Step::Rebuild(nonce, Arc::new(world.records.rebuild_pool())))
}

pub(super) fn rebuild(
    world: &mut World,
    call: &Call,
    place: Place,
    nonce: NonceId,
    read: &Snapshot,
    rules: Rules,
) -> Next {
    if world.script(place, call, rules).rebuild(nonce, read) {
        return Next::Again;
    }
    // LOST: from the beginning, which costs time like any other round.
    Next::To(Step::Nonce)
}
