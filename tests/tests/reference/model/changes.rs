//! Changes that people make without asking Redis, and losses of Redis: the copy is stale or lost, and the next request
//! rebuilds it.

use super::{Answer, Model, Seat};
use crate::command::Command;

impl Model {
    pub(super) fn change(&mut self) {
        (self.changed, self.warm) = (true, false);
    }

    pub(super) fn resize(&mut self, total: u32) -> Answer {
        if total == self.total {
            return Answer::Changed(false);
        }
        let mut rows = self.seats.values().filter(|seat| !seat.retired).count() as u32;
        for seat in self.seats.values_mut().filter(|seat| seat.retired) {
            if rows < total {
                seat.retired = false;
                rows += 1;
            }
        }
        while rows < total {
            let next = self.seats.keys().last().map_or(0, |no| no + 1);
            self.seats.insert(next, Seat::default());
            rows += 1;
        }
        for seat in self.seats.values_mut().rev().filter(|s| !s.retired && s.holder.is_none() && s.kicked.is_none()) {
            if rows > total {
                seat.retired = true;
                rows -= 1;
            }
        }
        (self.total, self.surplus) = (total, rows - total);
        self.change();
        Answer::Changed(true)
    }

    pub(super) fn set_suspended(&mut self, to: bool) -> Answer {
        let changes = self.suspended != to;
        self.suspended = to;
        if changes {
            self.change();
        }
        Answer::Changed(changes)
    }

    pub(super) fn rotate(&mut self, grace_ms: Option<i64>) -> Answer {
        let until = grace_ms.map_or(0, |grace| self.now + grace);
        self.keys.iter_mut().for_each(|key| *key = until.min(*key));
        self.keys.push(i64::MAX);
        self.change();
        Answer::Changed(true)
    }

    pub(super) fn fault(&mut self, command: &Command) -> Answer {
        match command {
            Command::Pass { ms } => self.now += ms,
            Command::Copy => self.kept = Some(self.copy),
            // Nothing is lost with a key that was not there.
            Command::Lose { key: "c" } => {}
            Command::Lose { key: "z" } => self.lose(!self.copied().is_empty()),
            Command::Lose { key: "s" | "m" } => self.lose(self.copied().iter().any(|seat| seat.holder.is_some())),
            Command::Lose { key: "n" } => self.lose(self.copied().iter().any(|seat| seat.several)),
            Command::Promote => self.lose(true),
            Command::Stale => {
                self.copy = self.kept.unwrap_or(false);
                self.lose(true);
            }
            _ => {
                self.copy = false;
                self.lose(true);
            }
        }
        if let Command::Restart = command {
            self.instances.iter_mut().for_each(|it| it.cut_off = true);
        }
        Answer::Done
    }
}
