//! Directed scenarios: a list of steps, played once under the protocol and once under a mutant.

use crate::{
    calls::{Asks, Step},
    faults::Action,
    model::{Bounds, Seats},
    properties, repair,
    rules::{Rule, Rules},
    trace,
    words::{CallId, SeatNo},
    world::{Place, World},
};

/// How often a call of a scenario may ask Redis again.
const AGAIN: u8 = 6;

/// A scenario as it is played.
pub struct Play {
    rules: Rules,
    /// How things stand.
    pub world: World,
    broken: Vec<&'static str>,
    told: Vec<String>,
}

/// Plays a scenario under the protocol as it is built (and nothing asked of people done), where nothing may break, and without one protection, where all of `breaks` must.
///
/// # Panics
/// If it is otherwise; with the whole run in words.
pub fn guards(rule: Rule, bounds: &Bounds, breaks: &[&str], scenario: impl Fn(&mut Play)) {
    guards_alone(rule, &[], bounds, breaks, scenario);
}

/// The same where other protections would hold as well: it is played without those, so that it is seen what this one does.
///
/// # Panics
/// As [`guards`].
pub fn guards_alone(rule: Rule, also: &[Rule], bounds: &Bounds, breaks: &[&str], scenario: impl Fn(&mut Play)) {
    let base = also.iter().fold(Rules::built(), |rules, rule| rules.without(*rule));
    compare(base, base.without(rule), bounds, breaks, scenario);
}

/// The same for what is asked of people: nothing may break if they do it, and if they do not all of `breaks` does.
///
/// # Panics
/// As [`guards`].
pub fn guards_what_people_do(rule: Rule, bounds: &Bounds, breaks: &[&str], scenario: impl Fn(&mut Play)) {
    compare(Rules::built().with(rule), Rules::built(), bounds, breaks, scenario);
}

fn compare(with: Rules, without: Rules, bounds: &Bounds, breaks: &[&str], scenario: impl Fn(&mut Play)) {
    let kept = Play::run(with, bounds, &scenario);
    assert!(kept.broken.is_empty(), "the protocol itself breaks {:?}\n{}", kept.broken, kept.told.join("\n"));
    let mutant = Play::run(without, bounds, &scenario);
    for property in breaks {
        let (told, broken) = (mutant.told.join("\n"), &mutant.broken);
        assert!(broken.contains(property), "{property:?} holds without the protection too; broken: {broken:?}\n{told}");
    }
    assert!(!breaks.is_empty(), "a scenario says what breaks");
}

impl Play {
    fn run(rules: Rules, bounds: &Bounds, scenario: impl Fn(&mut Self)) -> Self {
        let world = Seats { rules, bounds: bounds.clone() }.start();
        let mut play = Self { rules, world, broken: Vec::new(), told: Vec::new() };
        scenario(&mut play);
        play
    }

    /// Lets one thing happen.
    pub fn happen(&mut self, action: Action) {
        self.told.push(trace::words(&self.world, action));
        self.world.happen(action, self.rules, AGAIN);
        self.told.push(trace::picture(&self.world));
        for property in properties::ALWAYS {
            if !(property.holds)(&self.world) {
                self.note(property.name);
            }
        }
    }

    fn note(&mut self, property: &'static str) {
        if !self.broken.contains(&property) {
            self.broken.push(property);
            self.told.push(format!("   >>> {property}"));
        }
    }

    /// Half a lease passes, so many times.
    pub fn wait(&mut self, ticks: usize) {
        for _ in 0..ticks {
            self.happen(Action::Tick);
        }
    }

    /// Faults stop here: what does not come right?
    pub fn must_come_right(&mut self) {
        if let Some(property) = repair::stuck(&self.world, self.rules) {
            self.note(property);
        }
    }

    /// Whoever asks now must get a seat at once.
    pub fn must_get_a_seat(&mut self, process: usize) {
        self.acquire(process);
        if !self.world.processes[process].believes(self.world.now) {
            self.note(repair::NOT_GIVEN);
        }
    }

    /// Whoever asks for its lease now must be given it.
    pub fn must_keep_its_seat(&mut self, process: usize) {
        self.heartbeat(process);
        if !self.world.processes[process].believes(self.world.now) {
            self.note(repair::LOST);
        }
    }

    // --- calls -------------------------------------------------------------------------------------------------------------------

    /// A process asks for a seat; nothing is done yet.
    pub fn asks_for_seat(&mut self, process: usize) -> CallId {
        self.begin(Action::Acquire { process, other_instance: false })
    }

    /// A process sends a heartbeat; nothing is done yet.
    pub fn sends_heartbeat(&mut self, process: usize) -> CallId {
        self.begin(Action::Heartbeat { process, other_instance: false })
    }

    /// A process sends a release; nothing is done yet.
    pub fn sends_release(&mut self, process: usize) -> CallId {
        self.begin(Action::Release { process, other_instance: false })
    }

    /// The reaper is sent; nothing is done yet.
    pub fn sends_reaper(&mut self) -> CallId {
        self.begin(Action::Sweep { other_instance: false })
    }

    /// What begins a call; its number.
    pub fn begin(&mut self, action: Action) -> CallId {
        let before = self.world.drawn.calls;
        self.happen(action);
        if self.world.drawn.calls == before { 0 } else { self.world.drawn.calls }
    }

    /// A copy of a call goes on beside it.
    pub fn duplicate(&mut self, call: CallId) -> CallId {
        match self.at(call) {
            Some(call) => self.begin(Action::Duplicate { call }),
            None => 0,
        }
    }

    fn at(&self, call: CallId) -> Option<usize> {
        self.world.calls.iter().position(|of| of.id == call)
    }

    /// A call does its next step, if it is not over: mutants end earlier or later than the protocol.
    pub fn step(&mut self, call: CallId) {
        self.step_at(call, Place::Primary);
    }

    /// A call does its next step, on the deposed primary if it talks to Redis.
    pub fn step_on_deposed(&mut self, call: CallId) {
        self.step_at(call, Place::Deposed);
    }

    fn step_at(&mut self, call: CallId, place: Place) {
        if let Some(call) = self.at(call) {
            self.happen(Action::Step { call, place });
        }
    }

    /// A call goes on until its next step is like this.
    pub fn until(&mut self, call: CallId, is: impl Fn(&Step) -> bool) {
        while let Some(at) = self.at(call)
            && !is(&self.world.calls[at].step)
        {
            self.step(call);
        }
    }

    /// A call goes on to its end.
    pub fn finish(&mut self, call: CallId) {
        self.until(call, |_| false);
    }

    /// A call goes on to its end, on the deposed primary where it talks to Redis.
    pub fn finish_on_deposed(&mut self, call: CallId) {
        while self.at(call).is_some() {
            self.step_on_deposed(call);
        }
    }

    /// A call dies where it is.
    pub fn dies(&mut self, call: CallId) {
        if let Some(call) = self.at(call) {
            self.happen(Action::Die { call });
        }
    }

    // --- whole operations --------------------------------------------------------------------------------------------------------

    /// A process asks for a seat and hears the answer.
    pub fn acquire(&mut self, process: usize) {
        let call = self.asks_for_seat(process);
        self.finish(call);
    }

    /// A process sends a heartbeat and hears the answer.
    pub fn heartbeat(&mut self, process: usize) {
        let call = self.sends_heartbeat(process);
        self.finish(call);
    }

    /// The same over a connection to the deposed primary.
    pub fn heartbeat_on_deposed(&mut self, process: usize) {
        let call = self.sends_heartbeat(process);
        self.finish_on_deposed(call);
    }

    /// A process gives its seat back.
    pub fn release(&mut self, process: usize) {
        let call = self.sends_release(process);
        self.finish(call);
    }

    /// The reaper looks at the pool.
    pub fn sweep(&mut self) {
        let call = self.sends_reaper();
        self.finish(call);
    }

    // --- changes and faults ------------------------------------------------------------------------------------------------------

    /// A change is committed and Redis told.
    pub fn change(&mut self, action: Action) {
        let call = self.begin(action);
        self.finish(call);
    }

    /// A change is committed; whoever did it dies before Redis is told.
    pub fn change_untold(&mut self, action: Action) {
        let call = self.begin(action);
        if self.world.calls.last().is_some_and(|last| last.asks == Asks::Change) {
            self.dies(call);
        }
    }

    /// A seat is kicked and Redis told.
    pub fn kick(&mut self, seat: SeatNo) {
        self.change(Action::Kick { seat, force: false });
    }

    /// The replica is brought up to date, then promoted.
    pub fn fail_over(&mut self) {
        self.happen(Action::Replicate);
        self.happen(Action::Failover);
    }

    /// The primary loses everything.
    pub fn flush(&mut self) {
        self.happen(Action::Flush);
    }
}

/// The step before the records are asked to write down a grant.
pub fn grant(step: &Step) -> bool {
    matches!(step, Step::Grant(_))
}

/// The step before the records are asked to write down an end.
pub fn end(step: &Step) -> bool {
    matches!(step, Step::End(..))
}

/// The step before FREE.
pub fn free(step: &Step) -> bool {
    matches!(step, Step::Free(..))
}

/// The step before a client hears.
pub fn answer(step: &Step) -> bool {
    matches!(step, Step::Answer(_))
}

/// Just before the records are read for a rebuild.
pub fn read(step: &Step) -> bool {
    matches!(step, Step::RebuildPool(..))
}

/// The step before REBUILD.
pub fn rebuild(step: &Step) -> bool {
    matches!(step, Step::Rebuild(..))
}

/// The step before LOAD.
pub fn load(step: &Step) -> bool {
    matches!(step, Step::Load(..))
}
