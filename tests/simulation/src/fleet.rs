//! The functions: some in this process, some as processes of their own, each behind its own ways.

use crate::{
    internal_errors,
    nodes::Ways,
    operations::{Function as Name, InstanceFault, Signal},
    plan::Setting,
    proxy::Upstream,
    troubles::Kind,
};
use axum::{
    Router,
    http::{HeaderName, HeaderValue},
    middleware::map_response,
    response::Response,
};
use license_core::{
    Clock,
    domain::event::Event,
    management::SeatManagement,
    protocol::{SeatProtocol, publish, reap::SeatReaper},
    records::{DatabaseRole, Records},
    seat_store::SeatStore,
};
use license_functions::{
    acquire,
    edge::{
        config::{LayersConfig, LogConfig},
        connection_limit::ConnectionSlots,
        layers::LayerSettings,
        rate::{ByAddress, NamedLimit},
        serve::{self, layers},
    },
    heartbeat, release,
};
use license_tests::{
    World,
    process::{self, Function},
};
use rustix::process::{Pid, Signal as Unix, kill_process};
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use std::{
    collections::{BTreeMap, HashSet},
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
    time::Duration,
};
use tempfile::TempDir;
use tokio::{
    net::TcpListener,
    sync::{OnceCell, watch},
    task::JoinHandle,
};
use uuid::Uuid;

const NAMES: [(Name, &str); 3] =
    [(Name::Acquire, "acquire"), (Name::Heartbeat, "heartbeat"), (Name::Release, "release")];

/// How long after it goes on a process that was stopped may find that it was not answered.
const GOES_ON: Duration = Duration::from_secs(2);

/// One root key file for all processes that this one starts: making one takes seconds.
static ROOT: OnceCell<TempDir> = OnceCell::const_new();

/// Marks an answer of a process that died: clients pass it over.
pub const DEAD: HeaderName = HeaderName::from_static("x-dead");

/// An operation that was cut at a step ends as an internal error, and a process that dies says nothing.
fn silent_if_dead(mut answer: Response) -> Response {
    if answer.status().as_u16() == 500 {
        internal_errors::answered();
        answer.headers_mut().insert(DEAD, HeaderValue::from_static("1"));
    }
    answer
}

/// Everything that answers.
pub struct Fleet {
    ways: Arc<Ways>,
    instances: Vec<Instance>,
    pub seat_management: SeatManagement,
    pub reaper: SeatReaper,
    /// Events that were published.
    pub published: Arc<Mutex<HashSet<Uuid>>>,
    clock_behind: Duration,
    dir: TempDir,
}

enum Instance {
    Here { protocol: Box<SeatProtocol>, stop: watch::Sender<bool>, serving: JoinHandle<()> },
    Processes { functions: BTreeMap<&'static str, Function>, variables: BTreeMap<String, String> },
}

impl Fleet {
    /// Starts the instances of a setting. The ways must lead to the stores already.
    pub async fn new(world: &World, setting: &Setting, ways: Arc<Ways>) -> Self {
        let here = setting.instances - setting.processes;
        let mut fleet = Self {
            seat_management: admin(world, &ways, setting.instances),
            reaper: reaper(world, &ways, setting.instances + 1),
            instances: Vec::new(),
            published: Arc::default(),
            clock_behind: setting.clock_behind,
            dir: tempfile::tempdir().unwrap(),
            ways,
        };
        for n in 0..setting.instances {
            let instance = if n < here { fleet.here(world, n).await } else { fleet.processes(world, n).await };
            fleet.instances.push(instance);
        }
        fleet
    }

    async fn here(&self, world: &World, n: usize) -> Instance {
        let behind = if n == 0 { self.clock_behind.as_millis() as i64 } else { 0 };
        let clock = Clock::system_behind_ms(behind);
        let protocol = world.instance_over(&redis_url(&self.ways, n), database(&self.ways, n), clock).await;
        let router = acquire::router(acquire::AcquireService {
            protocol: protocol.clone(),
            unknown_key_limit: ByAddress::new(NamedLimit::off(), 0),
        })
        .merge(heartbeat::router(heartbeat::HeartbeatService { protocol: protocol.clone() }))
        .merge(release::router((&protocol).into()));
        let logging = LogConfig { filter: "error".into(), text: false, project: None };
        let app = layers(router, &LayerSettings::new(&LayersConfig::default(), &logging));
        let app = Router::new().fallback_service(app).layer(map_response(async |answer| silent_if_dead(answer)));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        self.ways.http[n].repoint(Upstream::Tcp(listener.local_addr().unwrap()), None);
        let (stop, mut stopping) = watch::channel(false);
        let serving = tokio::spawn(async move {
            let stop = async move { drop(stopping.wait_for(|stop| *stop).await) };
            serve::serve(listener, app, ConnectionSlots::of_process(0), stop).await.unwrap();
        });
        Instance::Here { protocol: Box::new(protocol), stop, serving }
    }

    async fn processes(&self, world: &World, n: usize) -> Instance {
        let root = ROOT.get_or_init(|| async { tempfile::tempdir().unwrap() }).await;
        let mut variables = process::variables(world, root.path()).await;
        let database = format!("postgres://nobody@127.0.0.1:{}/license?sslmode=disable", self.ways.records[n].port());
        variables.insert("REDIS_URL".into(), redis_url(&self.ways, n));
        variables.insert("DATABASE_URL".into(), database);
        let mut functions = BTreeMap::new();
        for (_, name) in NAMES {
            functions.insert(name, Function::start(name, &variables, self.dir.path()).await);
        }
        self.ways.http[n].repoint(paths(&functions), None);
        Instance::Processes { functions, variables }
    }

    /// Lets something happen to an instance in this process; others have no such points.
    pub fn instance_fault(&self, n: usize, fault: InstanceFault) {
        let steps = match self.instances.get(n) {
            Some(Instance::Here { protocol, .. }) => protocol.steps(),
            None if n == self.instances.len() => self.reaper.steps(),
            None => {
                // Nobody of the clients is answered by it.
                if let InstanceFault::Dies(step) = fault {
                    self.seat_management.steps().cut(step);
                }
                return;
            }
            Some(Instance::Processes { .. }) => return,
        };
        match fault {
            InstanceFault::Dies(step) => steps.cut(step),
            InstanceFault::Stalls(step, time) => {
                let held = steps.hold(step);
                tokio::spawn(async move {
                    // Dropped, it lets the operation go on: also one that comes to the step only later.
                    tokio::time::sleep(time).await;
                    drop(held);
                });
            }
        }
    }

    /// Signals a function that is a process of its own. A killed one is replaced at once, by one that finds the stores as they are.
    pub fn signal(&mut self, name: Name, n: usize, signal: Signal) {
        let word = NAMES.iter().find(|(known, _)| *known == name).expect("every function has a name").1;
        let Some(Instance::Processes { functions, variables }) = self.instances.get_mut(n) else { return };
        let pid = functions.get(word).and_then(|f| Pid::from_raw(f.id() as i32)).expect("it runs");
        match signal {
            Signal::Kill => {
                kill_process(pid, Unix::KILL).expect("it is killed");
                functions.insert(word, Function::launch(word, variables, self.dir.path()));
                self.ways.http[n].repoint(paths(functions), None);
            }
            Signal::Pause(time) => {
                kill_process(pid, Unix::STOP).expect("it is stopped");
                // What it had asked Redis has been waited for too long when it goes on.
                self.ways.redis[n].troubles().lasting(Kind::Away, time + GOES_ON);
                tokio::spawn(async move {
                    tokio::time::sleep(time).await;
                    let _ = kill_process(pid, Unix::CONT);
                });
            }
        }
    }

    /// Does what a tick finds to do, share by share, and publishes what waits. Stores that are away are what runs are about.
    pub async fn sweep(reaper: SeatReaper, published: Arc<Mutex<HashSet<Uuid>>>) -> bool {
        let Ok(shares) = reaper.shares().await else { return false };
        let mut swept = true;
        for share in shares {
            swept &= reaper.sweep(&share).await.is_ok();
        }
        let publish = |events: &[Event]| {
            published.lock().unwrap().extend(events.iter().map(|event| event.id));
            async { Ok(()) }
        };
        swept && publish::drain(reaper.records(), reaper.steps(), publish).await.is_ok()
    }

    /// Replaces everything that may still die or stand still at some step.
    pub async fn calm(&mut self, world: &World) {
        for n in 0..self.instances.len() {
            if let Instance::Here { stop, .. } = &self.instances[n] {
                stop.send_replace(true);
                self.instances[n] = self.here(world, n).await;
            }
        }
        self.reaper = reaper(world, &self.ways, self.instances.len() + 1);
        self.seat_management = admin(world, &self.ways, self.instances.len());
    }

    /// Ends all instances.
    pub async fn stop(self) {
        for instance in self.instances {
            if let Instance::Here { stop, serving, .. } = instance {
                stop.send_replace(true);
                serving.abort();
            }
        }
    }
}

fn paths(functions: &BTreeMap<&'static str, Function>) -> Upstream {
    let address = |f: &Function| -> SocketAddr { f.url.trim_start_matches("http://").parse().expect("an address") };
    Upstream::Paths(functions.iter().map(|(name, function)| (*name, address(function))).collect())
}

fn redis_url(ways: &Ways, n: usize) -> String {
    format!("redis://127.0.0.1:{}", ways.redis[n].port())
}

fn database(ways: &Ways, n: usize) -> PgConnectOptions {
    let options = PgConnectOptions::new_without_pgpass().host("127.0.0.1").port(ways.records[n].port());
    options.database(license_local::stores::DATABASE).ssl_mode(PgSslMode::Disable)
}

fn seats(world: &World, ways: &Ways, n: usize) -> SeatStore {
    SeatStore::new(&redis_url(ways, n), world.replication_id, world.timing, Clock::system()).unwrap()
}

fn admin(world: &World, ways: &Ways, n: usize) -> SeatManagement {
    SeatManagement::new(seats(world, ways, n), Records::with(database(ways, n), DatabaseRole::Admin, 4))
}

fn reaper(world: &World, ways: &Ways, n: usize) -> SeatReaper {
    SeatReaper::new(seats(world, ways, n), Records::with(database(ways, n), DatabaseRole::Reaper, 4), world.timing)
}
