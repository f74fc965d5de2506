//! The next request rebuilds a copy that is not used any more. Leases that the latest copy of this node knew go on;
//! otherwise every holder gets a full lease.

use super::{Model, Seat, TTL};

const REBUILD_LEASE: i64 = TTL + 45_000;
/// Over by any clock: a seat that nobody has a session on.
const OVER: i64 = 1;

impl Model {
    /// Remembers what a copy that is believed says.
    pub(super) fn know(&mut self) {
        if self.warm {
            self.known = Some(self.seats.clone());
        }
    }

    /// Redis lost it, or another node has it: nothing in it counts any more.
    pub(super) fn lose(&mut self, lost: bool) {
        if lost {
            (self.warm, self.known) = (false, None);
        }
    }

    /// The seats as Redis has them, believed or not.
    pub(super) fn copied(&self) -> Vec<&Seat> {
        let seats = if self.warm { Some(&self.seats) } else { self.known.as_ref() };
        seats.into_iter().flat_map(|seats| seats.values()).filter(|seat| !seat.retired).collect()
    }

    pub(super) fn rebuild(&mut self) {
        let full = self.now + REBUILD_LEASE;
        let known = self.known.take();
        for no in self.seats.keys().copied().collect::<Vec<_>>() {
            let open: Vec<usize> = self.open(no).map(|(id, _)| id).collect();
            let before = known.as_ref().map(|seats| seats.get(&no).cloned().unwrap_or_default());
            let seat = self.seat(no);
            (seat.left, seat.several) = (0, open.len() > 1);
            if seat.holder.is_none() {
                let waits =
                    before.filter(|was| was.holder.is_none() && was.end > 0).map_or(full, |was| was.end.min(full));
                seat.end = if seat.kicked.is_some() { waits } else { 0 };
                continue;
            }
            let goes_on = before.is_some_and(|was| was.holder == seat.holder);
            let mut end = OVER;
            for id in open {
                let session = &mut self.sessions[id];
                session.end = if goes_on { session.end.min(full) } else { full };
                end = end.max(session.end);
            }
            self.seat(no).end = end;
        }
        (self.copy, self.warm) = (true, true);
        self.know();
    }

    pub(super) fn warm_up(&mut self) {
        if !self.warm {
            self.rebuild();
        }
    }
}
