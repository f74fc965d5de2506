//! What must hold at every moment. The numbers are those of section 6 of docs/PROTOCOL.md.

use crate::{redis::Node, rules::Rules, world::World};
use std::collections::BTreeSet;

/// Something that holds in every world.
pub struct Always {
    /// Its number and what it says.
    pub name: &'static str,
    /// Whether it holds.
    pub holds: fn(&World) -> bool,
}

/// S1.
pub const ROWS: &str = "S1: rows not retired are seats and surplus";
/// S2.
pub const OVERSOLD: &str = "S2: no more believing holders than seats";
/// S3.
pub const BELIEVER: &str = "S3: who believes has an open session, and its holder the seat";
/// S8.
pub const WRONGLY_GONE: &str = "S8: nobody is told gone while its lease is valid";
/// S9, the seat.
pub const TWO_SEATS: &str = "S9: a holder has one seat at most";
/// S9, the session.
pub const TWO_SESSIONS: &str = "S9: an attempt has one session at most";
/// S10.
pub const REOPENED: &str = "S10: an ended session never becomes active again";
/// The sentence under `sessions` in section 4.
pub const STRANGER: &str = "an open session's holder is its seat's";

/// What section 5 says of release.
pub const RELEASED: &str = "a release that was answered has ended its session in both stores";
/// What section 5 says of suspend.
pub const SUSPENDED: &str = "a suspended license gives no seat";
/// L4.
pub const UNHEARD: &str = "L4: a change that Redis was told of is in every copy believed since";

/// All of them.
pub const ALWAYS: &[Always] = &[
    Always { name: ROWS, holds: rows_are_seats_and_surplus },
    Always { name: OVERSOLD, holds: |world| believing_holders(world) <= world.records.seats().count() },
    Always { name: BELIEVER, holds: who_believes_is_written_down },
    Always { name: WRONGLY_GONE, holds: |world| !world.history.wrongly_gone },
    Always { name: TWO_SEATS, holds: one_seat_each },
    Always { name: TWO_SESSIONS, holds: one_session_each },
    Always { name: REOPENED, holds: |world| !world.history.reopened },
    Always { name: RELEASED, holds: |world| !world.history.released_in_vain },
    Always { name: SUSPENDED, holds: |world| !world.history.given_while_suspended },
    Always { name: UNHEARD, holds: changes_told_are_known },
    Always { name: STRANGER, holds: sessions_are_of_their_seats_holder },
];

/// The first property that fails.
pub fn broken(world: &World) -> Option<&'static str> {
    ALWAYS.iter().find(|property| !(property.holds)(world)).map(|property| property.name)
}

fn rows_are_seats_and_surplus(world: &World) -> bool {
    world.records.seats().count() == world.records.total + world.records.surplus
}

fn believing_holders(world: &World) -> usize {
    let believing = world.processes.iter().filter(|process| process.believes(world.now));
    believing.map(|process| process.holder).collect::<BTreeSet<_>>().len()
}

fn who_believes_is_written_down(world: &World) -> bool {
    world.processes.iter().filter(|process| process.believes(world.now)).all(|process| {
        process.handle.is_none_or(|handle| {
            let holder = world.records.row(handle.seat).and_then(|row| row.holder);
            let written = world.records.is_open(handle.session) && holder == Some(process.holder);
            written || world.is_excused(handle.session)
        })
    })
}

fn changes_told_are_known(world: &World) -> bool {
    let Node { id, copy, .. } = &world.primary;
    let newer = copy.h.as_ref().is_none_or(|h| h.epoch > world.history.told);
    newer || !copy.is_believed_by(*id, Rules::all())
}

fn one_seat_each(world: &World) -> bool {
    let held: Vec<_> = world.records.seats.iter().filter_map(|row| row.holder).collect();
    held.iter().collect::<BTreeSet<_>>().len() == held.len()
}

fn one_session_each(world: &World) -> bool {
    let open = || world.records.sessions.values().filter(|session| !session.ended);
    open().map(|session| (session.holder, session.attempt)).collect::<BTreeSet<_>>().len() == open().count()
}

fn sessions_are_of_their_seats_holder(world: &World) -> bool {
    let mut open = world.records.sessions.values().filter(|session| !session.ended);
    open.all(|session| world.records.row(session.seat).is_some_and(|row| row.holder == Some(session.holder)))
}
