//! The one repair: NONCE → `rebuild_pool` → LOAD → REBUILD, then the call that came upon the cold copy asks again.

use super::{Call, Next, Step};
use crate::{
    records::Snapshot,
    redis::{NonceAnswer, PoolCopy},
    rules::Rules,
    words::{Epoch, NonceId},
    world::{Place, World},
};
use std::sync::Arc;

pub(super) fn nonce(world: &mut World, call: &Call, place: Place, rules: Rules) -> Next {
    let fresh = world.fresh_nonce();
    match world.script(place, call, rules).nonce(fresh) {
        NonceAnswer::Warm => Next::Again,
        NonceAnswer::Nonce(nonce, frozen) => Next::To(Step::RebuildPool(nonce, frozen)),
    }
}

pub(super) fn rebuild_pool(world: &mut World, call: &Call, of: (NonceId, Epoch), rules: Rules) -> Next {
    let (nonce, frozen) = of;
    let (ttl, now) = (world.ttl(call), world.now);
    Next::To(Step::Load(nonce, Arc::new(world.records.rebuild_pool(ttl, frozen, now, rules))))
}

pub(super) fn load(world: &mut World, call: &Call, place: Place, of: (NonceId, &Snapshot), rules: Rules) -> Next {
    let (nonce, read) = of;
    match world.script(place, call, rules).load(nonce, read) {
        Some(built) => Next::To(Step::Rebuild(nonce, Arc::new(built))),
        // LOST: from the beginning, which costs time like any other round.
        None => Next::To(Step::Nonce),
    }
}

pub(super) fn rebuild(world: &mut World, call: &Call, place: Place, of: (NonceId, &PoolCopy), rules: Rules) -> Next {
    let (nonce, built) = of;
    if world.script(place, call, rules).rebuild(nonce, built) { Next::Again } else { Next::To(Step::Nonce) }
}
