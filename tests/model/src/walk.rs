//! Random search: walks from the start, each its own seed, so that one walk can be repeated alone.

use crate::{faults::Action, model::Seats, properties, repair, trace, world::World};
use std::time::{Duration, Instant};

/// Steps of a walk. Few get so far; those that do have only refusals left.
const LONGEST: usize = 400;

/// When to stop, and how often to look whether all comes right.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Walks at most.
    pub walks: u64,
    /// Time at most.
    pub time: Duration,
    /// Repair is looked at in one world of so many; 0: never.
    pub repair: u64,
}

/// What a search saw.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Walks.
    pub walks: u64,
    /// Worlds visited, not all of them different.
    pub worlds: u64,
    /// Most steps in one walk.
    pub longest: usize,
    /// Repairs tried.
    pub repairs: u64,
    /// Bits of [`crate::world::Sight`].
    pub seen: u16,
    /// What was broken.
    pub found: Option<Found>,
}

/// A violation.
#[derive(Clone, Debug)]
pub struct Found {
    /// What is broken.
    pub property: &'static str,
    /// Which seed, and which walk of it.
    pub at: (u64, u64),
    /// What happened.
    pub actions: Vec<Action>,
}

/// A walk's dice: splitmix64.
struct Dice(u64);

impl Dice {
    fn new(seed: u64, walk: u64) -> Self {
        let mut dice = Self(seed);
        Self(dice.roll() ^ walk.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.roll() % n
    }
}

/// How likely an action is beside others: calls should get somewhere before the next fault.
fn weight(action: Action) -> u64 {
    match action {
        Action::Step { .. } => 16,
        Action::Acquire { .. } | Action::Heartbeat { .. } => 6,
        Action::Tick => 5,
        Action::Release { .. } | Action::Sweep { .. } => 3,
        _ => 1,
    }
}

/// Walks until a limit is reached or something is broken. `first`: the number of the first walk.
pub fn search(model: &Seats, seed: u64, first: u64, limits: Limits) -> Report {
    let (start, mut report) = (Instant::now(), Report::default());
    while report.walks < limits.walks && report.found.is_none() && start.elapsed() < limits.time {
        walk(model, (seed, first + report.walks), limits.repair, &mut report);
        report.walks += 1;
    }
    report
}

fn walk(model: &Seats, at: (u64, u64), repair: u64, report: &mut Report) {
    let mut dice = Dice::new(at.0, at.1);
    let (mut world, mut actions, mut choices) = (model.start(), Vec::new(), Vec::new());
    while actions.len() < LONGEST {
        choices.clear();
        model.choices(&world, &mut choices);
        let Some(action) = choose(&choices, &mut dice) else { break };
        actions.push(action);
        model.happen(&mut world, action);
        report.worlds += 1;
        let mut broken = properties::broken(&world);
        if broken.is_none() && repair > 0 && dice.below(repair) == 0 {
            report.repairs += 1;
            broken = repair::stuck(&world, model.rules);
        }
        if let Some(property) = broken {
            report.found = Some(Found { property, at, actions: actions.clone() });
            break;
        }
    }
    report.longest = report.longest.max(actions.len());
    report.seen |= world.history.seen;
}

fn choose(choices: &[Action], dice: &mut Dice) -> Option<Action> {
    let total: u64 = choices.iter().map(|action| weight(*action)).sum();
    if total == 0 || choices.iter().all(|action| weight(*action) == 1) {
        return None;
    }
    let mut left = dice.below(total);
    choices.iter().copied().find(|action| {
        let its = weight(*action);
        let here = left < its;
        left = left.saturating_sub(its);
        here
    })
}

impl Found {
    /// The whole run in words.
    pub fn tell(&self, model: &Seats) -> String {
        let (seed, walk) = self.at;
        let mut text = format!("{} (seed {seed}, walk {walk}, {} steps)\n", self.property, self.actions.len());
        let (mut world, mut picture) = (model.start(), String::new());
        for (at, action) in self.actions.iter().enumerate() {
            text += &format!("{:4}. {}\n", at + 1, trace::words(&world, *action));
            model.happen(&mut world, *action);
            let now = trace::picture(&world);
            // Only what has changed.
            for line in now.lines().filter(|line| !picture.contains(line)) {
                text += line;
                text.push('\n');
            }
            picture = now;
        }
        text
    }

    /// The world it ends in.
    pub fn end(&self, model: &Seats) -> World {
        let mut world = model.start();
        for action in &self.actions {
            model.happen(&mut world, *action);
        }
        world
    }
}
