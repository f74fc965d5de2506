//! What a run came to: the interval checker, the history checker, the drift between the stores, and the figures.

use crate::{
    asked::Asked,
    client::Clients,
    history::History,
    limits,
    plan::Plan,
    promises::{self, Faults, Kept},
};
use license_tests::{World, load::check};
use std::{
    collections::{BTreeMap, HashSet},
    fmt,
    time::Duration,
};
use uuid::Uuid;

/// The figures of a run, or of several.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    pub runs: usize,
    pub operations: usize,
    /// Operations that were faults, by kind.
    pub faults: BTreeMap<String, usize>,
    /// Requests and connections that a fault of a proxy met.
    pub met: usize,
    /// What clients were told, by kind.
    pub told: BTreeMap<String, usize>,
    /// Spans of belief held against the records.
    pub beliefs: usize,
    /// Most holders that believed at one instant.
    pub most: usize,
    pub sessions: usize,
    pub holder_changes: usize,
    pub epochs: i64,
    /// The longest it took after the faults until everybody up to capacity believed.
    pub served: Duration,
    /// The longest an operation came after its time.
    pub late: Duration,
    /// By how much wall clock and monotonic clock came to differ in one run.
    pub clocks: Duration,
    /// Suspensions that staff were told of, and heartbeats refused after that.
    pub suspensions: (usize, usize),
    /// L1 to L3: how they were kept. What broke them is among the violations.
    pub kept: Kept,
    /// The longest after it that a heartbeat was sent and given a lease all the same.
    pub l4: Duration,
    /// The longest that a seat had a holder and no open session.
    pub abandoned: Duration,
    pub violations: usize,
}

/// What a run came to.
#[derive(Clone, Debug)]
pub struct Verdict {
    pub figures: Figures,
    /// Everything that must not be.
    pub broken: Vec<String>,
    /// Every question of a client that was answered, or given up, as they ended.
    pub asked: Vec<Asked>,
    /// What every client was answered, and everything the records went through; for reading.
    pub trace: String,
}

impl Verdict {
    /// What was broken and how to have it again; `None` if nothing was.
    pub fn report(&self, plan: &Plan) -> Option<String> {
        let all = self.broken.join("\n");
        (!self.broken.is_empty()).then(|| format!("seed {}:\n{all}\n{}", plan.seed, self.kept(plan)))
    }

    /// # Panics
    /// If anything was broken.
    pub fn clean(self, plan: &Plan) -> Figures {
        println!("{}", self.figures);
        assert!(self.broken.is_empty(), "{}", self.report(plan).unwrap_or_default());
        self.figures
    }

    /// Saves a plan that found something, and what was seen.
    fn kept(&self, plan: &Plan) -> String {
        let dir = std::env::temp_dir();
        let file = dir.join(format!("simulation-{}.operations", plan.seed));
        let trace = file.with_extension("trace");
        match std::fs::write(&file, plan.to_string()).and_then(|()| std::fs::write(&trace, &self.trace)) {
            Ok(()) => format!("seen: {}\nagain: ./dev simulate --operations {}", trace.display(), file.display()),
            Err(error) => format!("the operations could not be saved: {error}"),
        }
    }
}

/// Both checkers and the drift, over stores that have settled.
pub async fn reach(
    world: &World,
    clients: &Clients,
    published: &HashSet<Uuid>,
    faults: Option<Faults<'_>>,
    figures: Figures,
) -> Verdict {
    let history = History::read(world).await;
    let resized = history.resized(clients.log());
    let found = check::look_settled(world, clients.log(), Some(&resized)).await;
    let told = history.check(world, published).await;
    let mut broken = found.broken;
    broken.extend(told.broken);
    let (suspended, beats) = clients.suspensions();
    // The longest between two heartbeats that the server asks for.
    let heartbeat = (world.timing.ttl * 32 / 100).as_micros() as i64;
    let clocks = 5_000 + clients.log().clocks_apart();
    let reached = limits::reached(&history.suspended(clients.log()), &suspended, &beats, heartbeat, clocks);
    broken.extend(reached.broken);
    let asked = clients.asked();
    let gathered = |faults: &Faults<'_>| promises::gather(&history, &asked, faults, clients.log(), &world.timing);
    let mut kept = faults.as_ref().map(gathered).map_or_else(Kept::default, |seen| promises::judge(&seen));
    broken.append(&mut kept.broken);
    let beliefs = clients.log().read().0.iter().map(|belief| belief.spans.len()).sum();
    let figures = Figures {
        runs: 1,
        told: clients.counts(),
        beliefs,
        most: found.most,
        sessions: told.sessions,
        holder_changes: told.holder_changes,
        epochs: world.epoch().await,
        clocks: Duration::from_micros(clients.log().clocks_apart().unsigned_abs()),
        violations: broken.len(),
        kept,
        suspensions: (reached.suspensions, reached.refused),
        l4: Duration::from_micros(reached.worst.unsigned_abs()),
        abandoned: Duration::from_micros(history.abandoned().unsigned_abs()),
        ..figures
    };
    let trace = format!("{}\n\n{}", clients.trace(), history.lines(clients.log()));
    Verdict { figures, broken, asked, trace }
}

impl Figures {
    /// The figures of several runs together.
    pub fn add(&mut self, other: &Self) {
        let sum = |into: &mut BTreeMap<String, usize>, from: &BTreeMap<String, usize>| {
            from.iter().for_each(|(name, count)| *into.entry(name.clone()).or_default() += count);
        };
        sum(&mut self.faults, &other.faults);
        sum(&mut self.told, &other.told);
        self.runs += other.runs;
        self.operations += other.operations;
        self.met += other.met;
        self.beliefs += other.beliefs;
        self.most = self.most.max(other.most);
        self.sessions += other.sessions;
        self.holder_changes += other.holder_changes;
        self.epochs += other.epochs;
        self.served = self.served.max(other.served);
        self.late = self.late.max(other.late);
        self.clocks = self.clocks.max(other.clocks);
        self.kept.add(&other.kept);
        self.suspensions.0 += other.suspensions.0;
        self.suspensions.1 += other.suspensions.1;
        self.l4 = self.l4.max(other.l4);
        self.abandoned = self.abandoned.max(other.abandoned);
        self.violations += other.violations;
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |map: &BTreeMap<String, usize>| {
            let all: Vec<String> = map.iter().map(|(name, count)| format!("{name} {count}")).collect();
            all.join(", ")
        };
        let faults: usize = self.faults.values().sum();
        writeln!(
            f,
            "runs {}, operations {}, of them faults {faults}: {}",
            self.runs,
            self.operations,
            list(&self.faults)
        )?;
        writeln!(f, "met by proxy faults: {}", self.met)?;
        writeln!(f, "clients: {}", list(&self.told))?;
        writeln!(
            f,
            "sessions {}, changes of holder {}, epochs {}, beliefs checked {}, most believing at once {}",
            self.sessions, self.holder_changes, self.epochs, self.beliefs, self.most
        )?;
        writeln!(
            f,
            "served after the faults within {:?}; operations at most {:?} late; clocks apart {:?}",
            self.served, self.late, self.clocks
        )?;
        writeln!(f, "{}", self.kept)?;
        let (suspensions, refused) = self.suspensions;
        writeln!(f, "L4 worst {:?}; {suspensions} suspensions, {refused} heartbeats refused after them", self.l4)?;
        writeln!(f, "a seat was held without an open session for {:?} at the longest", self.abandoned)?;
        write!(f, "violations {}", self.violations)
    }
}
