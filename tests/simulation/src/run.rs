//! Carries a plan out: stores, functions and clients of its own, every operation at its time, calm, and a verdict.

use crate::{
    asked::slow_answers,
    client::{Clients, PATIENCE},
    fleet::Fleet,
    history, internal_errors,
    keepers::Tasked,
    nodes::{Database, Pair, Ways, address, redis_settings},
    operations::{Deed, Operation, RecordsFault, RedisFault},
    plan::{Plan, Setting},
    promises::Faults,
    proxy::{Proxy, Upstream},
    staff::Staff,
    troubles::Troubles,
    verdict::{self, Figures, Verdict},
    watch::Watch,
};
use license_core::{
    Clock,
    domain::{lease::LeaseTiming, license::Status, terms::TermsEdit},
};
use license_local::stores::PostgresServer;
use license_tests::{
    World,
    load::{Dice, Pauses, check},
    stores,
    world::Shape,
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

/// A machine that is slower than this while clients are served is no excuse any more.
const MOST_SLOW: Duration = Duration::from_secs(60);

/// A run that is under way.
pub struct Run {
    setting: Setting,
    clients: Clients,
    fleet: Fleet,
    ways: Arc<Ways>,
    redis: Tasked<RedisFault, Pair>,
    records: Tasked<RecordsFault, Database>,
    /// What clients ask for.
    asking: JoinSet<()>,
    /// What staff ask for, and whatever else is not waited for.
    aside: JoinSet<()>,
    figures: Figures,
    staff: Staff,
    /// What was wrong with the nodes, and which copies they had.
    nodes: Troubles,
    watch: Watch,
    /// The records were put back to an earlier point.
    restored: bool,
}

/// Carries out a plan and judges it.
pub async fn carry_out(plan: &Plan) -> Verdict {
    let mut run = Run::begin(plan).await;
    run.operations(plan).await;
    run.end().await
}

/// Carries out several plans at the same time, each with threads of its own.
///
/// # Panics
/// If a run does.
pub fn side_by_side(plans: Vec<Plan>) -> Vec<(Plan, Verdict)> {
    let start = |plan: Plan| {
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            let verdict = runtime.block_on(carry_out(&plan));
            runtime.shutdown_timeout(Duration::from_secs(5));
            (plan, verdict)
        })
    };
    let runs: Vec<_> = plans.into_iter().map(start).collect();
    // All of them end before one that panicked ends the process: the others' functions would outlive it.
    let ended: Vec<_> = runs.into_iter().map(std::thread::JoinHandle::join).collect();
    ended.into_iter().map(|run| run.expect("no run panics")).collect()
}

impl Run {
    /// Stores, functions and clients for a plan.
    pub async fn begin(plan: &Plan) -> Self {
        internal_errors::listen();
        let setting = plan.setting.clone();
        let server = stores::own_server().await;
        let timing = LeaseTiming {
            drain: setting.drain,
            max_connection_age: setting.connection_age,
            ..LeaseTiming::with_ttl(setting.ttl)
        };
        let shape = Shape {
            seats: setting.seats,
            timing,
            redis: redis_settings(),
            clock: Clock::system(),
            database: Some(server.superuser()),
            ..Shape::default()
        };
        let world = World::shaped(shape).await;
        history::install(&world).await;
        let ways = Arc::new(lay(&world, &server, setting.instances).await);
        let pair = Pair::new(world, ways.clone()).await;
        let fleet = Fleet::new(&pair.world, &setting, ways.clone()).await;
        let clients = Clients::new(
            &pair.world.license,
            &timing,
            ways.http.iter().map(Proxy::port).collect(),
            &setting,
            Dice::of(plan.seed),
        );
        let (license, peppers) = (pair.world.license.clone(), license_tests::world::peppers());
        let staff = Staff::new(fleet.seat_management.clone(), license, peppers);
        let records = Tasked::records(Database::new(server, ways.clone(), timing.ttl + timing.drain));
        let (nodes, watch) = (pair.troubles.clone(), Watch::begin(&pair.ports(), &pair.world.key("h")));
        let redis = Tasked::redis(pair);
        let (asking, aside, figures, restored) = (JoinSet::new(), JoinSet::new(), Figures::default(), false);
        Self { setting, clients, fleet, ways, redis, records, asking, aside, figures, staff, nodes, watch, restored }
    }

    /// Everything in the plan, each at its time; what waits for others stops the plan's clock.
    pub async fn operations(&mut self, plan: &Plan) {
        let mut began = Instant::now();
        let mut ends_oversold = false;
        for operation in &plan.operations {
            let due = began + operation.at;
            tokio::time::sleep_until(due.into()).await;
            self.figures.late = self.figures.late.max(due.elapsed());
            if ends_oversold && self.clients.log().believing() > self.setting.seats as usize {
                return;
            }
            let reached = Instant::now();
            self.operate(&operation.what).await;
            match operation.what {
                Operation::Settle | Operation::Seated(_) => began += reached.elapsed(),
                Operation::EndOversold => ends_oversold = true,
                _ => {}
            }
        }
        tokio::time::sleep_until((began + self.setting.length).into()).await;
    }

    /// Waits until every fault of the stores has happened, and every question of a client and of staff has ended.
    async fn settle(&mut self) {
        self.redis.caught_up().await;
        self.records.caught_up().await;
        while self.asking.join_next().await.is_some() {}
        while self.aside.join_next().await.is_some() {}
    }

    /// Lets a client ask until it has a seat, once what everybody asked so far has ended.
    ///
    /// # Panics
    /// If it has none for a minute: the list is about somebody who has one.
    async fn seated(&mut self, client: usize) {
        while self.asking.join_next().await.is_some() {}
        let since = Instant::now();
        while !self.clients.has_seat(client) {
            assert!(since.elapsed() < Duration::from_secs(60), "client {client} was not given a seat for a minute");
            self.clients.act(client, Deed::Ask).expect("a client of this run").await.expect("no client panics");
            tokio::time::sleep(self.setting.ttl / 50).await;
        }
    }

    async fn operate(&mut self, what: &Operation) {
        self.figures.operations += 1;
        if let Some(fault) = what.fault() {
            *self.figures.faults.entry(fault).or_default() += 1;
        }
        let staff = self.staff();
        match what {
            Operation::Client(n, deed) => {
                if let Some(asked) = self.clients.act(*n, *deed) {
                    self.asking.spawn(async move { asked.await.expect("no client panics") });
                }
            }
            Operation::Proxy(way, instance, fault) => {
                let ways = match way {
                    crate::operations::Way::Http => &self.ways.http,
                    crate::operations::Way::Redis => &self.ways.redis,
                    crate::operations::Way::Records => &self.ways.records,
                };
                let meant = ways.iter().enumerate().filter(|(n, _)| instance.is_none_or(|wanted| wanted == *n));
                meant.for_each(|(_, way)| way.fault(*fault));
            }
            Operation::Redis(fault) => self.redis.fault(fault.clone()),
            Operation::Records(fault) => {
                self.restored |= matches!(fault, RecordsFault::Restore | RecordsFault::RestoreUnsafely);
                self.records.fault(*fault);
            }
            Operation::Instance(n, fault) => self.fleet.instance_fault(*n, *fault),
            Operation::Function(function, n, signal) => self.fleet.signal(*function, *n, *signal),
            Operation::Reap(times, over) => self.reap(*times, *over),
            // What staff ask for may fail while stores are away.
            Operation::Kick(seat, force) => {
                let (seat, force, clients) = (*seat, *force, self.clients.clone());
                self.beside(async move {
                    if force { staff.end_by_force(seat, &clients).await } else { staff.end(seat).await }
                });
            }
            Operation::Rotate(old_for) => {
                let (old_for, clients) = (*old_for, self.clients.clone());
                self.beside(async move { staff.rotate(old_for, &clients).await });
            }
            Operation::Processes(most) => {
                let edit = TermsEdit { processes_per_seat: Some(*most), ..TermsEdit::default() };
                self.beside(async move {
                    staff.edit(&edit).await;
                });
            }
            Operation::Resize(seats) => {
                let edit = license_tests::staff::seats(*seats);
                self.beside(async move {
                    staff.edit(&edit).await;
                });
            }
            Operation::Suspend => {
                let clients = self.clients.clone();
                self.beside(async move {
                    if staff.decide(Status::Suspended).await {
                        clients.suspended();
                    }
                });
            }
            Operation::Resume => self.beside(async move {
                staff.decide(Status::Active).await;
            }),
            Operation::Settle => self.settle().await,
            Operation::Seated(client) => self.seated(*client).await,
            Operation::EndOversold => {}
        }
        while self.asking.try_join_next().is_some() {}
        while self.aside.try_join_next().is_some() {}
    }

    fn staff(&self) -> Staff {
        self.staff.over(self.fleet.seat_management.clone())
    }

    fn beside(&mut self, what: impl Future<Output = ()> + Send + 'static) {
        self.aside.spawn(what);
    }

    fn reap(&mut self, times: u32, over: Duration) {
        for n in 0..times {
            let (reaper, published) = (self.fleet.reaper.clone(), self.fleet.published.clone());
            self.beside(async move {
                tokio::time::sleep(over * n / times).await;
                Fleet::sweep(reaper, published).await;
            });
        }
    }

    /// Ends the faults, sees that everybody is served, stops everybody and judges.
    pub async fn end(mut self) -> Verdict {
        let mut broken = Vec::new();
        self.ways.heal();
        let mut database = self.records.task_ended().await;
        database.start().await;
        let mut pair = self.redis.task_ended().await;
        pair.calm().await;
        let fresh = Instant::now();
        self.fleet.calm(&pair.world).await;
        self.resumed().await;
        while self.aside.join_next().await.is_some() {}
        // A rebuilder that died is a fault too, and it is over when another instance may take its rebuild over.
        tokio::time::sleep(pair.rebuild_lock_left().await).await;
        broken.extend(self.served(&pair.world).await);
        self.outlast(&pair.world).await;
        check::settle(&pair.world).await;
        let (reaper, published) = (&self.fleet.reaper, &self.fleet.published);
        let last = async || Fleet::sweep(reaper.clone(), published.clone()).await.then_some(());
        answered("the last sweep", last).await;
        if let Some(causes) = internal_errors::unasked() {
            broken.push(format!(
                "internal errors that nobody asked for, of this and other runs of the process: {causes}"
            ));
        }
        self.figures.met = self.ways.met();
        let published = self.fleet.published.lock().unwrap().clone();
        let faults = (!self.restored).then(|| Faults {
            setting: &self.setting,
            http: &self.ways.http,
            redis: &self.ways.redis,
            nodes: self.nodes.clone(),
            copies: self.watch.seen(),
            fresh,
        });
        let mut verdict = verdict::reach(&pair.world, &self.clients, &published, faults, self.figures).await;
        verdict.broken.extend(broken);
        verdict.figures.violations = verdict.broken.len();
        self.fleet.stop().await;
        verdict
    }

    /// The license is active again, if it was suspended.
    async fn resumed(&self) {
        let staff = self.staff();
        answered("the last resume", async || staff.decide(Status::Active).await.then_some(())).await;
    }

    /// Everybody up to capacity is served within `REBUILD_LEASE` and two sweeps; time in which the machine did not run, or
    /// answers were slow, is not counted.
    async fn served(&mut self, world: &World) -> Option<String> {
        let most = world.timing.ttl + world.timing.drain + 2 * (world.timing.ttl / 6);
        let (pauses, calm) = (Pauses::watch(), Instant::now());
        let capacity = world.count("select seats_total::bigint from pools").await as usize;
        let mut turn = 0;
        loop {
            // Counted anew each time: who is told only now that it was kicked does not come back by itself.
            let wanted = capacity.min(self.clients.wanting_holders());
            let now = self.clients.log().believing();
            let took = calm.elapsed();
            let slow = pauses.total().max(slow_answers(&self.clients.asked(), calm)).min(MOST_SLOW);
            if now >= wanted {
                self.figures.served = took;
            }
            // What is under way is waited for: only an answer tells that it was slow.
            if now >= wanted || took > most + slow + PATIENCE {
                let late = now < wanted || took > most + slow;
                return late.then(|| {
                    format!("L3: {now} of {wanted} served {took:?} after the faults, within {most:?} and {slow:?}, {capacity} seats")
                });
            }
            self.turn(&mut turn, world).await;
        }
    }

    /// Clients go on until nothing of before is left: what arrived late reserved a seat for a lease, and no more than that.
    async fn outlast(&mut self, world: &World) {
        let (since, mut turn) = (Instant::now(), 0);
        while since.elapsed() < world.timing.ttl + world.timing.drain {
            self.turn(&mut turn, world).await;
        }
        // What was asked last is answered before the books are closed.
        tokio::time::sleep(world.timing.ttl / 10).await;
    }

    /// A fifth of the clients asks; a tenth of a lease passes between two questions of one client, a sixth between two sweeps.
    async fn turn(&mut self, turn: &mut usize, world: &World) {
        *turn += 1;
        for n in self.clients.wanting().into_iter().filter(|n| n % 5 == *turn % 5) {
            drop(self.clients.act(n, Deed::Ask));
        }
        if turn.is_multiple_of(8) {
            self.reap(1, Duration::ZERO);
        }
        tokio::time::sleep(world.timing.ttl / 50).await;
    }
}

/// Stores that are there again answer; on a busy machine not always the first time.
async fn answered<T>(what: &str, ask: impl AsyncFn() -> Option<T>) -> T {
    let since = Instant::now();
    for tries in 1.. {
        if let Some(answer) = ask().await {
            if tries > 1 {
                println!("{what} was answered the {tries}th time, after {:?}", since.elapsed());
            }
            return answer;
        }
        assert!(since.elapsed() < Duration::from_secs(60), "{what} was not answered for a minute");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    unreachable!("it asks until it is answered")
}

/// Ways from every instance to the stores, and to every instance; the latter lead nowhere yet.
async fn lay(world: &World, server: &PostgresServer, instances: usize) -> Ways {
    let mut ways = Ways { http: Vec::new(), redis: Vec::new(), records: Vec::new() };
    let socket = server.superuser().get_socket().expect("a Unix socket").join(".s.PGSQL.5432");
    for n in 0..instances + 2 {
        ways.redis.push(Proxy::stream(address(&world.redis)).await);
        ways.records.push(Proxy::stream(Upstream::Unix(socket.clone())).await);
        if n < instances {
            ways.http.push(Proxy::http(Upstream::Paths(Default::default())).await);
        }
    }
    ways
}
