//! Processes that acquire, keep, lose and give back seats over several instances, and write down what they believe.

use super::{
    habits::{Dice, Habits},
    leases::Watch,
    log::{Belief, BeliefLog},
    pauses::Pauses,
    tally::Group,
};
use crate::{Machine, World, client::open, world::License};
use license_core::{
    Error, ProblemCode,
    domain::{handle::SessionHandle, id::SessionId, lease::LeaseTiming},
    protocol::{SeatProtocol, acquire, heartbeat},
};
use std::{
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};
use tokio::{sync::watch, task::JoinSet};

/// All processes of a run.
pub struct Crowd {
    shared: Arc<Shared>,
    license: License,
    dice: Dice,
    tasks: JoinSet<()>,
    stop: watch::Sender<bool>,
}

struct Shared {
    log: BeliefLog,
    timing: LeaseTiming,
    instances: RwLock<Vec<SeatProtocol>>,
    /// How long a process believes an answer, in leases: 1, unless a test wants to see that more is noticed.
    trust: f64,
}

impl Crowd {
    /// An empty crowd over `instances` new instances of a world.
    pub async fn over(world: &World, instances: usize) -> Self {
        Self::watched(world, instances, 1.0).await
    }

    /// The same over one instance, of processes that believe an answer for `trust` times its lease.
    pub async fn trusting(world: &World, trust: f64) -> Self {
        Self::watched(world, 1, trust).await
    }

    /// An empty crowd over these instances, whose leases nobody watches: for worlds with more than one Redis.
    pub fn of(world: &World, instances: Vec<SeatProtocol>) -> Self {
        Self::made(world, instances, 1.0)
    }

    async fn watched(world: &World, instances: usize, trust: f64) -> Self {
        let mut all = Vec::new();
        for _ in 0..instances {
            all.push(world.instance().await);
        }
        let mut crowd = Self::made(world, all, trust);
        crowd.watch_leases(world);
        crowd
    }

    fn made(world: &World, instances: Vec<SeatProtocol>, trust: f64) -> Self {
        let (log, timing, instances) = (BeliefLog::default(), world.timing, RwLock::new(instances));
        Self {
            shared: Arc::new(Shared { log, timing, instances, trust }),
            license: world.license.clone(),
            dice: Dice::printed(),
            tasks: JoinSet::new(),
            stop: watch::channel(false).0,
        }
    }

    /// Holds what processes believe against the leases in Redis, all the time.
    fn watch_leases(&mut self, world: &World) {
        let (watch, shared, mut stop) = (Watch::over(world), self.shared.clone(), self.stop.subscribe());
        let period = world.timing.ttl / 60;
        self.tasks.spawn(async move {
            while tokio::time::timeout(period, stop.wait_for(|stop| *stop)).await.is_err() {
                watch.look(&shared.log).await;
            }
        });
    }

    /// So many machines join, each with one process.
    pub fn join(&mut self, name: &str, members: usize, habits: Habits) -> Group {
        let group = Group::default();
        group.note(|t| t.members = members);
        for n in 0..members {
            let process = Process {
                shared: self.shared.clone(),
                group: group.clone(),
                machine: Machine::new(&self.license, &format!("{name}-{n}")),
                habits,
                dice: self.dice.split(),
                stop: self.stop.subscribe(),
            };
            self.tasks.spawn(process.run());
        }
        group
    }

    /// The same, and waits until every one has its seat.
    pub async fn join_seated(&mut self, name: &str, members: usize, habits: Habits) -> Group {
        let group = self.join(name, members, habits);
        self.until("everybody has a seat", Duration::from_secs(60), || group.tally().answered.len() == members).await;
        group
    }

    /// The reaper looks at the world's pool again and again, whatever the stores answer.
    pub async fn sweep(&mut self, world: &World) {
        let (reaper, period) = (world.reaper.clone(), world.timing.ttl / 6);
        let mut stop = self.stop.subscribe();
        self.tasks.spawn(async move {
            while tokio::time::timeout(period, stop.wait_for(|stop| *stop)).await.is_err() {
                // Stores that are away are what these runs are about; what a sweep leaves undone is looked at in the end.
                for share in reaper.shares().await.unwrap_or_default() {
                    let _ = reaper.sweep(&share).await;
                }
            }
        });
    }

    /// From now on requests go to these instances only.
    pub fn route(&self, instances: Vec<SeatProtocol>) {
        *self.shared.instances.write().unwrap_or_else(PoisonError::into_inner) = instances;
    }

    /// The instances that requests go to.
    pub fn instances(&self) -> Vec<SeatProtocol> {
        self.shared.instances.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn dice(&mut self) -> Dice {
        self.dice.split()
    }

    pub fn log(&self) -> &BeliefLog {
        &self.shared.log
    }

    /// Waits for something that must come true in time, pauses of the machine left out, and tells how long it took.
    ///
    /// # Panics
    /// If it does not, or a process did.
    pub async fn until(&mut self, what: &str, most: Duration, mut condition: impl FnMut() -> bool) -> Duration {
        let (pauses, since) = (Pauses::watch(), Instant::now());
        while !condition() {
            assert!(since.elapsed() < most + pauses.total(), "not within {most:?} and {:?}: {what}", pauses.total());
            tokio::time::sleep(Duration::from_millis(10)).await;
            self.look();
        }
        since.elapsed()
    }

    /// Lets the crowd do as it does for a while.
    pub async fn go_on(&mut self, time: Duration) {
        tokio::time::sleep(time).await;
        self.look();
    }

    fn look(&mut self) {
        while let Some(ended) = self.tasks.try_join_next() {
            ended.expect("no process panics");
        }
    }

    /// Ends every process between two requests. Nobody gives anything back.
    pub async fn stop(&mut self) {
        self.stop.send_replace(true);
        while let Some(ended) = self.tasks.join_next().await {
            ended.expect("no process panics");
        }
    }
}

struct Process {
    shared: Arc<Shared>,
    group: Group,
    machine: Machine,
    habits: Habits,
    dice: Dice,
    stop: watch::Receiver<bool>,
}

/// What a seated process knows.
struct Held {
    handle: SessionHandle,
    /// The lease on the server, as it was told last.
    ttl: Duration,
    /// The longest it has not asked since its lease was asked for.
    mute: Duration,
    /// When its lease was asked for, or when its last request after that had failed: one under way is no silence.
    asked: Instant,
}

/// How a session went on.
enum Next {
    Keep,
    Over,
}

impl Process {
    async fn run(mut self) {
        while let Some(mut held) = self.take().await {
            if self.habits.vanishes {
                return;
            }
            while let Next::Keep = self.step(&mut held).await {}
        }
    }

    /// Asks until there is a seat. `None`: the run is over.
    async fn take(&mut self) -> Option<Held> {
        self.machine = self.machine.restarted();
        loop {
            if *self.stop.borrow() {
                return None;
            }
            let sent = Instant::now();
            let mut held = None;
            for answer in self.ask_acquire().await {
                match answer {
                    Ok(acquire::AcquireOutcome::Seat(seat)) => held = Some(self.seated(&seat, sent)),
                    Ok(
                        acquire::AcquireOutcome::Refused(acquire::AcquireRefusal::Full(_))
                        | acquire::AcquireOutcome::Refused(acquire::AcquireRefusal::TooMany(_)),
                    ) => self.group.note(|t| t.full.push((sent, Instant::now()))),
                    Ok(other) => panic!("a good key is answered {other:?}"),
                    Err(e) => self.group.note(|t| *t.failed_acquires.entry(code(&e)).or_default() += 1),
                }
            }
            if held.is_some() {
                return held;
            }
            self.pause(0.03, 0.08).await;
        }
    }

    fn seated(&self, seat: &acquire::LeasedSeat, sent: Instant) -> Held {
        let belief = Belief {
            session: seat.granted.session,
            holder: self.machine.holder(),
            seat: seat.granted.seat,
            label: self.machine.label.clone(),
            spans: Vec::new(),
        };
        let (ttl, lease) = self.lease(seat.lease.expires_in);
        self.shared.log.seated(&belief, self.machine.attempt, sent, lease);
        self.group.note(|t| {
            t.seats += usize::from(!seat.renewed);
            t.answered.insert(belief.label, sent);
        });
        Held { handle: open(seat), ttl, mute: Duration::ZERO, asked: sent }
    }

    /// One heartbeat later, or whatever the habits do instead.
    async fn step(&mut self, held: &mut Held) -> Next {
        let time = self.dice.between(held.ttl, 0.28, 0.32);
        self.wait(time).await;
        if *self.stop.borrow() {
            return Next::Over;
        }
        if self.dice.chance(self.habits.restart) {
            // It may have stopped rather than ended: its belief stands to its end.
            return Next::Over;
        }
        if self.dice.chance(self.habits.release) {
            self.release(held).await;
            self.pause(0.0, 0.3).await;
            return Next::Over;
        }
        if self.dice.chance(self.habits.silence) {
            self.pause(1.0, 2.0).await;
        }
        self.beat(held).await
    }

    /// Asks until there is an answer.
    async fn beat(&mut self, held: &mut Held) -> Next {
        let session = held.handle.session;
        loop {
            if *self.stop.borrow() {
                return Next::Over;
            }
            held.mute = held.mute.max(held.asked.elapsed());
            let (sent, mut next) = (Instant::now(), None);
            let answers = self.ask_heartbeat(&held.handle).await;
            held.asked = Instant::now();
            for answer in answers {
                match answer {
                    Ok(heartbeat::HeartbeatOutcome::Alive(alive)) => {
                        next = next.or(Some(self.alive(held, sent, alive.lease.expires_in)));
                    }
                    Ok(heartbeat::HeartbeatOutcome::Gone(reason)) => {
                        next = Some(self.gone(held, session, reason.as_str(), sent))
                    }
                    Ok(heartbeat::HeartbeatOutcome::Refused(_)) => {
                        self.shared.log.dropped(session);
                        next = next.or(Some(Next::Keep));
                    }
                    Ok(heartbeat::HeartbeatOutcome::Limited(_)) => panic!("these worlds have no limits"),
                    Err(e) => self.group.note(|t| *t.failed_heartbeats.entry(code(&e)).or_default() += 1),
                }
            }
            if let Some(next) = next {
                return next;
            }
            self.pause(0.03, 0.06).await;
        }
    }

    fn alive(&self, held: &mut Held, sent: Instant, told: u64) -> Next {
        let (ttl, lease) = self.lease(told);
        held.ttl = ttl;
        self.shared.log.extended(held.handle.session, sent, lease);
        (held.mute, held.asked) = (Duration::ZERO, sent);
        self.group.note(|t| {
            t.heartbeats += 1;
            t.answered.insert(self.machine.label.clone(), sent);
        });
        Next::Keep
    }

    fn gone(&self, held: &Held, session: SessionId, reason: &str, sent: Instant) -> Next {
        self.shared.log.gone(session, reason);
        let asked = held.mute.max(sent.elapsed()) < self.shared.timing.ttl / 2;
        self.group.note(|t| if asked { t.lost += 1 } else { t.lapsed += 1 });
        Next::Over
    }

    async fn release(&mut self, held: &Held) {
        // It stops before it says so.
        self.shared.log.dropped(held.handle.session);
        self.group.note(|t| t.released += 1);
        for _ in 0..3 {
            if self.instance().release(&held.handle).await.is_ok() {
                return;
            }
            self.pause(0.03, 0.06).await;
        }
    }

    async fn ask_acquire(&mut self) -> Vec<license_core::Result<acquire::AcquireOutcome>> {
        let (one, other, request) = (self.instance(), self.instance(), self.machine.request());
        if self.dice.chance(self.habits.duplicate) {
            let (a, b) = tokio::join!(one.acquire(&request), other.acquire(&request));
            return vec![a, b];
        }
        vec![one.acquire(&request).await]
    }

    async fn ask_heartbeat(
        &mut self,
        handle: &SessionHandle,
    ) -> Vec<license_core::Result<heartbeat::HeartbeatOutcome>> {
        let (one, other) = (self.instance(), self.instance());
        if self.dice.chance(self.habits.duplicate) {
            let (a, b) = tokio::join!(one.heartbeat(handle, None), other.heartbeat(handle, None));
            return vec![a, b];
        }
        vec![one.heartbeat(handle, None).await]
    }

    fn instance(&mut self) -> SeatProtocol {
        let instances = self.shared.instances.read().unwrap_or_else(PoisonError::into_inner);
        instances[self.dice.below(instances.len())].clone()
    }

    /// The lease on the server and as its holder trusts it, of an answer that told so many seconds. An instance with the world's own setting
    /// tells rounded what it means exactly.
    fn lease(&self, told: u64) -> (Duration, Duration) {
        let timing = self.shared.timing;
        if told == timing.expires_in() {
            return (timing.ttl, (timing.ttl - timing.eps()).mul_f64(self.shared.trust));
        }
        (Duration::from_secs(told + 1), Duration::from_secs(told).mul_f64(self.shared.trust))
    }

    /// Waits for a part of the lease, or until the run is over.
    async fn pause(&mut self, low: f64, high: f64) {
        let time = self.dice.between(self.shared.timing.ttl, low, high);
        self.wait(time).await;
    }

    async fn wait(&mut self, time: Duration) {
        let _ = tokio::time::timeout(time, self.stop.wait_for(|stop| *stop)).await;
    }
}

/// Errors that mean "ask again later", and the end that a fail point makes of an instance; any other fails the test.
fn code(e: &Error) -> &'static str {
    match e.code() {
        _ if matches!(e, Error::Cut(_)) => "cut",
        code @ (ProblemCode::SeatsUnavailable | ProblemCode::RecordsUnavailable) => code.as_str(),
        _ => panic!("a process was answered {e}"),
    }
}
