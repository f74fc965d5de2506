//! How seats and sessions end otherwise than by their client: people end them, or the reaper finds that their leases
//! are over.

use super::{Answer, Model, Seat, Session};

impl Model {
    /// Every process of the session's seat ends with it; who vouches that the machine is off also lifts the wait of an earlier end. Redis
    /// hears of it at once, and says from when the seat is free.
    pub(super) fn end_session(&mut self, id: usize, force: bool) -> Answer {
        let Session { seat: no, over, kick, .. } = self.sessions[id];
        let waits = self.seats[&no].kicked;
        match over {
            None => self.kick(no, force),
            Some("kicked") if force && kick.is_some() && kick == waits => self.kick(no, true),
            Some("kicked") => {}
            Some(reason) => return Answer::Ended { reason, free_in: None },
        }
        self.warm_up();
        let seat = &self.seats[&no];
        let free = seat.holder.is_none() && !seat.retired;
        Answer::Ended { reason: "kicked", free_in: free.then(|| (seat.end - self.now).max(0)) }
    }

    fn kick(&mut self, no: u32, force: bool) {
        let open: Vec<usize> = self.open(no).map(|(id, _)| id).collect();
        for id in open {
            (self.sessions[id].over, self.sessions[id].kick) = (Some("kicked"), Some(self.kicks));
        }
        self.told += usize::from(self.seats[&no].holder.is_some());
        *self.seat(no) = Seat { kicked: (!force).then_some(self.kicks), ..Seat::default() };
        self.kicks += 1;
        self.change();
    }

    /// These seats are over. Where the pool is draining, the highest of them go for good.
    pub(super) fn vacate(&mut self, mut seats: Vec<u32>, why: &'static str) {
        seats.sort_unstable();
        for no in seats.into_iter().rev() {
            self.end_all(no, why);
            let retired = self.surplus > 0;
            self.surplus -= u32::from(retired);
            let was = std::mem::replace(self.seat(no), Seat { retired, ..Seat::default() });
            self.told += usize::from(was.holder.is_some());
        }
    }

    pub(super) fn sweep(&mut self) -> Answer {
        let kicked = self.seats.values().any(|seat| seat.kicked.is_some() && !seat.retired);
        let seen = !self.sessions.is_empty() || kicked || self.changed;
        if !seen || !self.copy && !kicked && self.held() == 0 {
            return Answer::Swept { seats: 0, sessions: 0 };
        }
        self.warm_up();
        let now = self.now;
        let over: Vec<u32> = self.seats.iter().filter(|(_, s)| s.end > 0 && s.end <= now).map(|(no, _)| *no).collect();
        let seats = over.len();
        self.vacate(over, "expired");
        let lapsed: Vec<usize> = self
            .sessions
            .iter()
            .enumerate()
            .filter(|(_, s)| s.over.is_none() && s.end <= now)
            .map(|(id, _)| id)
            .collect();
        let sessions = lapsed.len() + self.seats.values_mut().map(|seat| std::mem::take(&mut seat.left)).sum::<usize>();
        lapsed.into_iter().for_each(|id| self.sessions[id].over = Some("expired"));
        Answer::Swept { seats, sessions }
    }
}
