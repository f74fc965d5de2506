//! A seed → a plan: clients with habits, and faults of every kind among what they do.

use crate::{
    operations::{Deed, Function, InstanceFault, Operation, RecordsFault, RedisFault, Signal, Timed, Way},
    plan::{Plan, Setting},
    proxy::Fault,
};
use license_core::protocol::steps::Step;
use license_tests::load::Dice;
use std::time::Duration;

/// Not later than this before the end begins something that breaks a whole store.
const QUIET_END: Duration = Duration::from_secs(2);

/// The plan of a seed: clients, faults, staff and sweeps.
pub fn plan(seed: u64, setting: &Setting) -> Plan {
    let mut mix = Mix::new(seed, setting);
    for client in 0..setting.clients {
        let habits = match mix.dice.below(10) {
            0..=2 => STEADY,
            3..=7 => LIVELY,
            _ => WILD,
        };
        mix.client(client, &habits);
    }
    mix.small_faults();
    mix.great_faults();
    mix.people();
    mix.reaper();
    mix.plan(seed)
}

/// Clients and sweeps without faults, for faults that are written down: the first `steady` clients keep their seats.
pub fn crowd(seed: u64, setting: &Setting, steady: usize) -> Plan {
    let mut mix = Mix::new(seed, setting);
    for client in 0..setting.clients {
        mix.client(client, if client < steady { &STEADY } else { &LIVELY });
    }
    mix.reaper();
    mix.plan(seed)
}

struct Mix {
    dice: Dice,
    setting: Setting,
    operations: Vec<Timed>,
}

/// How a client behaves between two questions, each with its probability, and how often it asks, in leases.
struct Habits {
    period: (f64, f64),
    restart: f64,
    release: f64,
    silence: f64,
    death: f64,
    twice: f64,
}

const STEADY: Habits =
    Habits { period: (0.28, 0.32), restart: 0.0, release: 0.0, silence: 0.0, death: 0.0, twice: 0.05 };
const LIVELY: Habits =
    Habits { period: (0.05, 0.15), restart: 0.03, release: 0.06, silence: 0.02, death: 0.01, twice: 0.1 };
const WILD: Habits =
    Habits { period: (0.02, 0.12), restart: 0.08, release: 0.15, silence: 0.03, death: 0.03, twice: 0.2 };

impl Mix {
    fn new(seed: u64, setting: &Setting) -> Self {
        Self { dice: Dice::of(seed), setting: setting.clone(), operations: Vec::new() }
    }

    fn plan(mut self, seed: u64) -> Plan {
        self.operations.retain(|operation| operation.at < self.setting.length);
        Plan::new(seed, self.setting, self.operations)
    }

    fn add(&mut self, at: Duration, what: Operation) {
        self.operations.push(Timed { at, what });
    }

    /// A part of the lease.
    fn part(&mut self, low: f64, high: f64) -> Duration {
        Duration::from_millis(self.dice.between(self.setting.ttl, low, high).as_millis() as u64)
    }

    fn between_ms(&mut self, low: u64, high: u64) -> Duration {
        Duration::from_millis(low + self.dice.below((high - low) as usize) as u64)
    }

    fn client(&mut self, client: usize, habits: &Habits) {
        let mut at = self.part(0.0, 0.5);
        let mut seated = false;
        while at < self.setting.length {
            let deed = |mix: &mut Self, deed| mix.add(at, Operation::Client(client, deed));
            if !seated {
                deed(self, Deed::Start);
                seated = true;
                if self.dice.chance(0.4) {
                    let later = at + self.part(0.02, 0.4);
                    self.add(later, Operation::Client(client, Deed::ReleaseEarlier));
                }
            } else if self.dice.chance(habits.restart) {
                deed(self, Deed::Start);
            } else if self.dice.chance(habits.release) {
                deed(self, Deed::Release);
                seated = false;
                at += self.part(0.0, 0.3);
            } else if self.dice.chance(habits.death) {
                deed(self, Deed::Die);
                seated = false;
                at += self.part(0.3, 1.8);
            } else if self.dice.chance(habits.silence) {
                at += self.part(0.9, 2.0);
                continue;
            } else if self.dice.chance(habits.twice) {
                let both = [Deed::Twice, Deed::Again][self.dice.below(2)];
                deed(self, both);
            } else {
                deed(self, Deed::Ask);
            }
            at += self.part(habits.period.0, habits.period.1);
        }
    }

    /// Faults of one way or one instance: many, and often at once.
    fn small_faults(&mut self) {
        let mut at = Duration::from_secs(1);
        while at < self.setting.length {
            let instance = self.dice.below(self.setting.instances);
            let what = if self.dice.chance(0.3) { self.instance_fault(instance) } else { self.way_fault(instance) };
            self.add(at, what);
            at += self.between_ms(50, 1000);
        }
    }

    fn instance_fault(&mut self, instance: usize) -> Operation {
        const STEPS: [Step; 6] =
            [Step::Acquire, Step::Grant, Step::Heartbeat, Step::Release, Step::EndSeats, Step::RebuildPool];
        const REAPER: [Step; 3] = [Step::Reap, Step::EndSeats, Step::Publish];
        let here = self.setting.instances - self.setting.processes;
        if instance >= here {
            let function = [Function::Acquire, Function::Heartbeat, Function::Release][self.dice.below(3)];
            let signal = if self.dice.chance(0.5) { Signal::Kill } else { Signal::Pause(self.between_ms(100, 7000)) };
            return Operation::Function(function, instance, signal);
        }
        // One beyond the instances is the reaper.
        let (instance, step) = if self.dice.chance(0.15) {
            (self.setting.instances, REAPER[self.dice.below(3)])
        } else {
            (instance, STEPS[self.dice.below(6)])
        };
        let time = self.part(0.05, 1.5);
        let fault = if self.dice.chance(0.5) { InstanceFault::Dies(step) } else { InstanceFault::Stalls(step, time) };
        Operation::Instance(instance, fault)
    }

    fn way_fault(&mut self, instance: usize) -> Operation {
        let way = [Way::Http, Way::Http, Way::Redis, Way::Redis, Way::Records][self.dice.below(5)];
        // The reaper's and the admin's ways too.
        let instance = if way != Way::Http && self.dice.chance(0.2) {
            self.setting.instances + self.dice.below(2)
        } else {
            instance
        };
        let times = 1 + self.dice.below(3) as u32;
        let lasting = self.between_ms(200, 1500);
        let fault = match self.dice.below(8) {
            0 => Fault::Delay { by: self.between_ms(20, 900), lasting },
            1 => Fault::HalfOpen { lasting: self.between_ms(200, 3000) },
            2 => Fault::Cut,
            3 => Fault::DropRequest { times },
            4 => Fault::DropAnswer { times },
            5 => Fault::Late { by: self.between_ms(500, 7000), times },
            // A stream of PostgreSQL belongs to its connection: the same bytes mean nothing on another.
            6 if way != Way::Records => Fault::Duplicate { copies: 2 + self.dice.below(4) as u32, times },
            7 if way == Way::Http => Fault::Reorder { lasting },
            _ => Fault::DropAnswer { times },
        };
        Operation::Proxy(way, Some(instance), fault)
    }

    /// Faults of a whole store: few, one after the other.
    fn great_faults(&mut self) {
        let mut at = self.between_ms(2000, 4000);
        while at + QUIET_END < self.setting.length {
            let over = self.great_fault(at);
            at = over + self.between_ms(1000, 8000);
        }
    }

    /// One of them; answers when it is over.
    fn great_fault(&mut self, at: Duration) -> Duration {
        let redis = Operation::Redis;
        match self.dice.below(13) {
            0 | 1 => self.add(at, redis(RedisFault::Flush)),
            2 | 3 => {
                let key = ["h", "z", "s", "m", "n", "c"][self.dice.below(6)];
                self.add(at, redis(RedisFault::Forget(key.into())));
            }
            4 => {
                let up = at + self.between_ms(50, 3000);
                self.add(at, redis(RedisFault::Kill));
                self.add(up, redis(RedisFault::Start));
                return up;
            }
            5 => {
                let time = self.part(0.1, 1.3);
                self.add(at, redis(RedisFault::Pause(time)));
                return at + time;
            }
            6..=8 => {
                // Most promotions find a copy that has heard nothing for a while.
                let lag = self.between_ms(10, 2500);
                if self.dice.chance(0.8) {
                    self.add(at, redis(RedisFault::Lag(lag + Duration::from_millis(100))));
                }
                self.add(at + lag, redis(RedisFault::Promote));
                if self.dice.chance(0.4) {
                    let back = at + lag + self.between_ms(100, 3000);
                    self.add(back, redis(RedisFault::Promote));
                    return back;
                }
                return at + lag;
            }
            9 => {
                let time = self.between_ms(200, 2000);
                self.add(at, redis(RedisFault::Full(time)));
                return at + time;
            }
            10 | 11 => {
                let up = at + self.between_ms(50, 3000);
                self.add(at, Operation::Records(RecordsFault::Kill));
                self.add(up, Operation::Records(RecordsFault::Start));
                return up;
            }
            _ => {
                let way = [Way::Redis, Way::Records][self.dice.below(2)];
                let lasting = self.between_ms(300, 4000);
                self.add(at, Operation::Proxy(way, None, Fault::HalfOpen { lasting }));
                return at + lasting;
            }
        }
        at
    }

    /// What staff do.
    fn people(&mut self) {
        let mut at = self.between_ms(1000, 5000);
        while at < self.setting.length {
            let seats = self.setting.seats as usize;
            if self.dice.chance(0.2) {
                // The process of the admin function dies once it has committed what is asked next. It comes after the reaper.
                let step = [Step::Change, Step::Change, Step::RebuildPool][self.dice.below(3)];
                self.add(at, Operation::Instance(self.setting.instances + 1, InstanceFault::Dies(step)));
            }
            match self.dice.below(10) {
                0..=2 => {
                    let seat = self.dice.below(seats) as u32;
                    let force = self.dice.chance(0.4);
                    self.add(at, Operation::Kick(seat, force));
                }
                7 => self.add(at, Operation::Rotate(20)),
                8 => {
                    let most = 1 + self.dice.below(4) as u32;
                    self.add(at, Operation::Processes(most));
                }
                3..=5 => {
                    let size = 1 + self.dice.below(2 * seats) as u32;
                    self.add(at, Operation::Resize(size));
                }
                _ => {
                    let back = at + self.part(0.1, 1.4);
                    self.add(at, Operation::Suspend);
                    // Again and again: the first may come while a store is away.
                    for n in 0..4 {
                        self.add(back + self.setting.ttl * n / 4, Operation::Resume);
                    }
                    at = back;
                }
            }
            at += self.between_ms(1500, 7000);
        }
    }

    /// Sweeps: sometimes ten at once, sometimes none for long.
    fn reaper(&mut self) {
        let mut at = self.between_ms(200, 1500);
        while at < self.setting.length {
            let (times, over) = match self.dice.below(6) {
                0 => (10, self.between_ms(0, 50)),
                1 => (3, self.between_ms(100, 2000)),
                _ => (1, Duration::ZERO),
            };
            self.add(at, Operation::Reap(times, over));
            at += self.part(0.05, 0.5);
        }
    }
}
