//! Everything that can happen next, faults and changes among it.

use crate::{
    calls::{self, Asks, Call, Next, Step, Then},
    client::From,
    records::Records,
    redis::{Key, Node},
    rules::{Rule, Rules},
    time::{DRAIN, TTL, Time},
    words::{Epoch, SeatNo},
    world::{Place, World},
};
use std::{mem, sync::Arc};

/// One thing that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the fields are what the names say")]
pub enum Action {
    /// Half a lease passes.
    Tick,
    /// A process without a seat asks for one; asked again, it repeats its attempt.
    Acquire {
        process: usize,
        other_instance: bool,
    },
    /// A process shows that it is alive.
    Heartbeat {
        process: usize,
        other_instance: bool,
    },
    /// A process gives its seat back and is over.
    Release {
        process: usize,
        other_instance: bool,
    },
    /// The reaper is sent to the pool.
    Sweep {
        other_instance: bool,
    },
    /// A call does its next step.
    Step {
        call: usize,
        place: Place,
    },
    /// A call dies: a crash, a lost request, a lost answer.
    Die {
        call: usize,
    },
    /// A call goes on twice from here: a request delivered twice, a step repeated because its answer was lost.
    Duplicate {
        call: usize,
    },
    /// A process dies and starts anew.
    Restart {
        process: usize,
    },
    /// The replica is brought up to date.
    Replicate,
    /// The replica becomes the primary; the old one still answers for [`DRAIN`].
    Failover,
    Flush,
    LoseKey {
        key: Key,
    },
    /// The primary's clock is off by this from now on.
    RedisClock {
        skew: Time,
    },
    /// One instance's clock is off by this from now on.
    ServiceClock {
        skew: Time,
    },
    Kick {
        seat: SeatNo,
        force: bool,
    },
    Resize {
        total: usize,
    },
    Suspend,
    Resume,
    Backup,
    /// PostgreSQL is restored to the backup, as docs/OPERATING.md says: every service is stopped meanwhile.
    Restore,
}

/// Kinds of faults and changes, each counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "named after the actions")]
pub enum Fault {
    Sweep,
    Duplicate,
    Restart,
    Failover,
    Flush,
    LoseKey,
    RedisClock,
    ServiceClock,
    Kick,
    ForcedKick,
    Resize,
    Suspend,
    Restore,
}

impl Fault {
    /// How many there are.
    pub const COUNT: usize = 13;
}

impl Action {
    /// As what it is counted.
    pub fn fault(self) -> Option<Fault> {
        Some(match self {
            Self::Sweep { .. } => Fault::Sweep,
            Self::Duplicate { .. } => Fault::Duplicate,
            Self::Restart { .. } => Fault::Restart,
            Self::Failover => Fault::Failover,
            Self::Flush => Fault::Flush,
            Self::LoseKey { .. } => Fault::LoseKey,
            Self::RedisClock { .. } => Fault::RedisClock,
            Self::ServiceClock { .. } => Fault::ServiceClock,
            Self::Kick { force: false, .. } => Fault::Kick,
            Self::Kick { force: true, .. } => Fault::ForcedKick,
            Self::Resize { .. } => Fault::Resize,
            Self::Suspend => Fault::Suspend,
            Self::Restore => Fault::Restore,
            _ => return None,
        })
    }
}

impl World {
    /// Lets one thing happen. `again`: how often a call that begins may ask Redis again.
    pub fn happen(&mut self, action: Action, rules: Rules, again: u8) {
        if let Some(fault) = action.fault() {
            self.spent[fault as usize] = self.spent[fault as usize].saturating_add(1);
        }
        match action {
            Action::Tick => self.tick(),
            Action::Acquire { process, other_instance } => {
                let from = self.from(process);
                self.ask(Asks::Acquire(from), other_instance, again);
            }
            Action::Heartbeat { process, other_instance } => {
                if let Some(handle) = self.processes[process].handle {
                    let from = self.from(process);
                    self.ask(Asks::Heartbeat(from, handle), other_instance, again);
                }
            }
            Action::Release { process, other_instance } => {
                if let Some(handle) = self.processes[process].handle {
                    let from = self.from(process);
                    self.ask(Asks::Release(from, handle), other_instance, again);
                    self.processes[process].let_go();
                    if rules.hold(Rule::FreshAttemptAfterRelease) {
                        self.draw_attempt(process);
                    }
                }
            }
            Action::Sweep { other_instance } => self.ask(Asks::Reap(0, false), other_instance, again),
            Action::Step { call, place } => self.step(call, place, rules),
            Action::Die { call } => {
                self.calls.remove(call);
            }
            Action::Duplicate { call } => {
                let copy = self.calls[call].clone();
                self.begin_call(copy);
            }
            Action::Restart { process } => {
                self.processes[process].let_go();
                self.draw_attempt(process);
            }
            other => self.strike(other, rules),
        }
        self.note_endings();
    }

    /// What happens to the stores, from outside.
    fn strike(&mut self, action: Action, rules: Rules) {
        match action {
            Action::Replicate => self.replica = Arc::new(self.primary.copy.clone()),
            Action::Failover => {
                self.drawn.nodes += 1;
                let promoted = Node { id: self.drawn.nodes, skew: 0, copy: (*self.replica).clone() };
                self.deposed = Some((mem::replace(&mut self.primary, promoted), self.now + DRAIN));
            }
            Action::Flush => self.primary.copy = Default::default(),
            Action::LoseKey { key } => self.primary.lose(key),
            Action::RedisClock { skew } => self.primary.skew = skew,
            Action::ServiceClock { skew } => self.service_skew = skew,
            Action::Kick { seat, force } => self.kick(seat, force, rules),
            Action::Resize { total } => {
                let before = self.records.resize_pool(total, rules);
                self.tell(before);
            }
            Action::Suspend | Action::Resume => {
                let before = self.records.set_active(action == Action::Resume);
                self.tell(before);
            }
            Action::Backup => self.backup = Some(Arc::new(self.records.clone())),
            Action::Restore => self.restore(rules),
            _ => {}
        }
    }

    fn tick(&mut self) {
        self.now += 1;
        for process in &mut self.processes {
            if process.lease_end <= self.now {
                process.lease_end = 0;
            }
        }
        if self.deposed.as_ref().is_some_and(|(_, until)| *until < self.now) {
            self.deposed = None;
        }
    }

    fn from(&self, process: usize) -> From {
        let its = &self.processes[process];
        From { process, generation: its.generation, attempt: its.attempt, sent: self.now }
    }

    fn draw_attempt(&mut self, process: usize) {
        self.drawn.attempts += 1;
        self.processes[process].attempt = self.drawn.attempts;
    }

    fn ask(&mut self, asks: Asks, other_instance: bool, again: u8) {
        self.begin_call(Call { other_instance, ..Call::new(asks, again) });
    }

    fn step(&mut self, at: usize, place: Place, rules: Rules) {
        let mut call = self.calls.remove(at);
        if let Next::To(step) = calls::step(self, &mut call, place, rules) {
            call.step = step;
            self.calls.insert(at, call);
        }
    }

    /// A change was committed; Redis is told next, if its caller lives.
    fn tell(&mut self, before: Epoch) {
        let step = Step::Invalidate(before, Then::Over);
        self.begin_call(Call { asks: Asks::Change, other_instance: false, again: 0, step, id: 0 });
    }

    fn kick(&mut self, seat: SeatNo, force: bool, rules: Rules) {
        let holder = self.records.row(seat).and_then(|row| row.holder);
        let Some((before, kicked)) = self.records.kick_seat(seat, force, self.now, rules) else { return };
        self.excuse(kicked);
        // Somebody vouches that the machine is off: so it is.
        for process in 0..self.processes.len() {
            if force && Some(self.processes[process].holder) == holder {
                self.processes[process].let_go();
                self.draw_attempt(process);
            }
        }
        self.tell(before);
    }

    fn restore(&mut self, rules: Rules) {
        let Some(backup) = self.backup.take() else { return };
        self.calls.clear();
        if rules.hold(Rule::RestoreEmptiesRedis) {
            (self.primary.copy, self.replica, self.deposed) = Default::default();
        }
        if rules.hold(Rule::RestoreOutlastsLeases) {
            for _ in 0..TTL {
                self.tick();
            }
        }
        let before = mem::replace(&mut self.records, Records::clone(&backup));
        self.records.after_restore(self.now, rules);
        let forgotten: Vec<_> = before.sessions.keys().filter(|id| !self.records.is_open(**id)).copied().collect();
        self.excuse(forgotten);
        self.history.told = 0;
        for id in self.records.sessions.iter().filter(|(_, session)| !session.ended).map(|(id, _)| *id) {
            self.history.ended &= !crate::world::bit(id);
        }
    }
}
