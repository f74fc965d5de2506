//! What may happen within bounds, and the same for stateright.

use crate::{
    calls::{Answer, Step},
    faults::{Action, Fault},
    properties,
    redis::Key,
    repair,
    rules::Rules,
    time::{START, TTL, Time, WRONG},
    words::{Epoch, Holder, Seq, SessionId},
    world::{Place, Sight, World},
};
use stateright::{Model, Property};
use std::hash::{Hash, Hasher};

/// How far a search goes.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// Seats at the start.
    pub seats: usize,
    /// The machine of each process.
    pub holders: Vec<Holder>,
    /// The lease that the other instance gives.
    pub other_ttl: Time,
    /// A seat is crowded as soon as it carries two processes.
    pub crowded: bool,
    /// Ticks from the start.
    pub ticks: Time,
    /// Calls under way at once.
    pub calls: usize,
    /// Sessions drawn.
    pub sessions: SessionId,
    /// How often a call may ask Redis again.
    pub again: u8,
    /// The highest epoch, and the highest ticket on the primary, that are followed up: calls that die and come again raise them for ever.
    pub tickets: (Epoch, Seq),
    /// How often each fault may happen.
    pub faults: [u8; Fault::COUNT],
}

impl Bounds {
    /// Bounds without any fault.
    pub fn new(seats: usize, holders: &[Holder]) -> Self {
        let holders = holders.to_vec();
        Self {
            seats,
            holders,
            other_ttl: TTL,
            crowded: false,
            ticks: 8,
            calls: 3,
            sessions: 6,
            again: 2,
            tickets: (Epoch::MAX, Seq::MAX),
            faults: [0; Fault::COUNT],
        }
    }

    /// With as many of these faults.
    #[must_use]
    pub fn with(mut self, faults: &[(Fault, u8)]) -> Self {
        for (fault, times) in faults {
            self.faults[*fault as usize] = *times;
        }
        self
    }

    /// With two instances that give leases of different lengths.
    #[must_use]
    pub fn with_another_lease(self, other_ttl: Time) -> Self {
        Self { other_ttl, ..self }
    }

    /// With seats that are crowded as soon as they carry two processes.
    #[must_use]
    pub fn of_crowded_seats(self) -> Self {
        Self { crowded: true, ..self }
    }

    /// With so much time and room.
    #[must_use]
    pub fn within(self, ticks: Time, calls: usize, sessions: SessionId) -> Self {
        Self { ticks, calls, sessions, ..self }
    }
}

/// The protocol, or a mutant, within bounds.
#[derive(Clone, Debug)]
pub struct Seats {
    /// Which protections hold.
    pub rules: Rules,
    /// How far to go.
    pub bounds: Bounds,
}

impl Seats {
    /// The world at the start.
    pub fn start(&self) -> World {
        let world = World::new(self.bounds.seats, &self.bounds.holders, self.bounds.other_ttl);
        World { crowded: self.bounds.crowded, ..world }
    }

    /// Everything that may happen next.
    pub fn choices(&self, world: &World, choices: &mut Vec<Action>) {
        if world.now < START + self.bounds.ticks {
            choices.push(Action::Tick);
        }
        self.steps(world, choices);
        if world.calls.len() < self.bounds.calls {
            self.asks(world, choices);
        }
        self.outages(world, choices);
        self.changes(world, choices);
    }

    fn may(&self, world: &World, fault: Fault) -> bool {
        world.spent[fault as usize] < self.bounds.faults[fault as usize]
    }

    fn steps(&self, world: &World, choices: &mut Vec<Action>) {
        let room = world.calls.len() < self.bounds.calls && self.may(world, Fault::Duplicate);
        for (at, call) in world.calls.iter().enumerate() {
            choices.push(Action::Step { call: at, place: Place::Primary });
            if world.deposed.is_some() && call.asks_redis() {
                choices.push(Action::Step { call: at, place: Place::Deposed });
            }
            choices.push(Action::Die { call: at });
            if room {
                choices.push(Action::Duplicate { call: at });
            }
        }
    }

    fn asks(&self, world: &World, choices: &mut Vec<Action>) {
        let instances: &[bool] =
            if world.service_skew == 0 && world.other_ttl == TTL { &[false] } else { &[false, true] };
        for &other_instance in instances {
            for (process, its) in world.processes.iter().enumerate() {
                if its.handle.is_some() {
                    choices.push(Action::Heartbeat { process, other_instance });
                    choices.push(Action::Release { process, other_instance });
                } else if world.drawn.sessions < self.bounds.sessions {
                    choices.push(Action::Acquire { process, other_instance });
                }
            }
            if self.may(world, Fault::Sweep) {
                choices.push(Action::Sweep { other_instance });
            }
        }
    }

    fn outages(&self, world: &World, choices: &mut Vec<Action>) {
        if self.may(world, Fault::Restart) {
            let started = (0..world.processes.len()).filter(|at| world.processes[*at].handle.is_some());
            choices.extend(started.map(|process| Action::Restart { process }));
        }
        if self.may(world, Fault::Failover) {
            if *world.replica != world.primary.copy {
                choices.push(Action::Replicate);
            }
            choices.push(Action::Failover);
        }
        if self.may(world, Fault::Flush) {
            choices.push(Action::Flush);
        }
        if self.may(world, Fault::LoseKey) {
            choices.extend(Key::ALL.map(|key| Action::LoseKey { key }));
        }
        // One wrong clock at a time; putting it right is free.
        let right = world.primary.skew == 0 && world.service_skew == 0;
        for skew in [WRONG, -WRONG] {
            if right && self.may(world, Fault::RedisClock) {
                choices.push(Action::RedisClock { skew });
            }
            if right && self.may(world, Fault::ServiceClock) {
                choices.push(Action::ServiceClock { skew });
            }
        }
        if world.primary.skew != 0 {
            choices.push(Action::RedisClock { skew: 0 });
        }
        if world.service_skew != 0 {
            choices.push(Action::ServiceClock { skew: 0 });
        }
    }

    fn changes(&self, world: &World, choices: &mut Vec<Action>) {
        let held = || world.records.seats().filter(|(_, row)| row.holder.is_some()).map(|(seat, _)| seat);
        if self.may(world, Fault::Kick) {
            choices.extend(held().map(|seat| Action::Kick { seat, force: false }));
        }
        if self.may(world, Fault::ForcedKick) {
            choices.extend(held().map(|seat| Action::Kick { seat, force: true }));
        }
        if self.may(world, Fault::Resize) {
            let totals = (1..=self.bounds.seats + 1).filter(|total| *total != world.records.total);
            choices.extend(totals.map(|total| Action::Resize { total }));
        }
        if world.records.active {
            if self.may(world, Fault::Suspend) {
                choices.push(Action::Suspend);
            }
        } else {
            choices.push(Action::Resume);
        }
        if self.may(world, Fault::Restore) {
            if world.backup.is_none() {
                choices.push(Action::Backup);
            } else {
                choices.push(Action::Restore);
            }
        }
    }

    /// Lets a choice happen.
    pub fn happen(&self, world: &mut World, action: Action) {
        // Putting a clock right is no further fault.
        let free = matches!(action, Action::RedisClock { skew: 0 } | Action::ServiceClock { skew: 0 });
        let spent = world.spent;
        world.happen(action, self.rules, self.bounds.again);
        if free {
            world.spent = spent;
        }
    }
}

impl Model for Seats {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![self.start()]
    }

    fn actions(&self, world: &World, choices: &mut Vec<Action>) {
        self.choices(world, choices);
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        let mut next = world.clone();
        self.happen(&mut next, action);
        // A refusal that is still on its way changes nothing, and which call began first says nothing about what can happen.
        next.calls.retain(|call| call.step != Step::Answer(Answer::No));
        next.calls.sort();
        for (at, call) in next.calls.iter_mut().enumerate() {
            call.id = at as u16 + 1;
        }
        next.drawn.calls = next.calls.len() as u16;
        (next != *world).then_some(next)
    }

    fn within_boundary(&self, world: &World) -> bool {
        let seq = world.primary.copy.h.as_ref().map_or(0, |h| h.seq);
        world.records.epoch <= self.bounds.tickets.0 && seq <= self.bounds.tickets.1
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut all = vec![
            Property::<Self>::always("safety", |_, world| properties::broken(world).is_none()),
            Property::<Self>::always("repair", |model, world| {
                !is_sampled(world) || repair::stuck(world, model.rules).is_none()
            }),
        ];
        all.push(Property::<Self>::sometimes("granted", |_, world| world.has_seen(Sight::Granted)));
        all
    }
}

/// One world in 64, by its hash: looking whether all comes right costs as much as a few hundred steps.
fn is_sampled(world: &World) -> bool {
    let mut hasher = std::hash::DefaultHasher::new();
    world.hash(&mut hasher);
    hasher.finish().is_multiple_of(64)
}
