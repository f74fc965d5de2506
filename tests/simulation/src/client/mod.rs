//! Simulated clients: what they send over HTTP, what they are told, and what they believe (docs/PROTOCOL.md, section 5, Client).
//!
//! A lease counts from the send time of the request that was answered, on the run's one monotonic clock. An answer to a request of an
//! earlier generation is dropped; the generation rises on start, on release and on gone. A refusal that carries no statement for this
//! request's nonce counts as no answer.
//!
//! * `process.rs`: what a client does and how it takes an answer · `wire.rs`: one request

mod process;
mod wire;

use crate::{asked::Asked, limits::Beat, operations::Deed, plan::Setting};
use license_core::domain::{id::Holder, key::LicenseKey, lease::LeaseTiming};
use license_tests::{
    load::{Dice, log::BeliefLog},
    world::License,
};
use process::Client;
pub use process::{UNEXPLAINED, cause};
use std::{
    collections::{BTreeMap, HashSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// After this long a client gives an answer up.
pub const PATIENCE: Duration = Duration::from_millis(2500);

/// All clients of a run. Clones are the same.
#[derive(Clone)]
pub struct Clients {
    shared: Arc<Shared>,
    clients: Vec<Arc<Client>>,
}

struct Shared {
    http: reqwest::Client,
    /// Where the ways to the instances begin.
    ports: Vec<u16>,
    sticky: bool,
    /// The license's key now, and the one before with the time from which nobody uses it any more.
    keys: Mutex<(LicenseKey, Option<(LicenseKey, Instant)>)>,
    lease: Duration,
    ttl: Duration,
    log: BeliefLog,
    counts: Mutex<BTreeMap<String, usize>>,
    /// Every answer, as it came: what to read when something was broken.
    trace: Mutex<Vec<String>>,
    /// When staff were told that the license is suspended and Redis knows, on the log's clock.
    suspended: Mutex<Vec<i64>>,
    /// Every heartbeat that was answered.
    beats: Mutex<Vec<Beat>>,
    /// Every question with its answer, and how many there were.
    asked: Mutex<Vec<Asked>>,
    numbers: AtomicU64,
}

impl Clients {
    /// The clients of a setting; those from `machines` on share a machine with one of the first.
    pub fn new(license: &License, timing: &LeaseTiming, ports: Vec<u16>, setting: &Setting, mut dice: Dice) -> Self {
        let _ = license_tests::process::http();
        let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).timeout(PATIENCE).pool_max_idle_per_host(0);
        let shared = Shared {
            http: http.build().unwrap(),
            ports,
            sticky: setting.sticky,
            keys: Mutex::new((license.key.clone(), None)),
            lease: timing.ttl - timing.eps(),
            ttl: timing.ttl,
            log: BeliefLog::default(),
            counts: Mutex::default(),
            trace: Mutex::default(),
            suspended: Mutex::default(),
            beats: Mutex::default(),
            asked: Mutex::default(),
            numbers: AtomicU64::new(1),
        };
        let clients = (0..setting.clients).map(|n| Arc::new(Client::new(license, n, setting.machines, dice.split())));
        Self { clients: clients.collect(), shared: Arc::new(shared) }
    }

    /// Lets a client do something, in a task of its own.
    pub fn act(&self, n: usize, deed: Deed) -> Option<tokio::task::JoinHandle<()>> {
        let (shared, client) = (self.shared.clone(), self.clients.get(n)?.clone());
        Some(tokio::spawn(async move { client.act(&shared, deed).await }))
    }

    /// Switches the machine off on which the client of this label runs: all its processes end, and nobody there believes any more.
    pub fn switch_off(&self, label: &str) -> Option<Holder> {
        let holder = self.clients.iter().find(|client| client.label == label)?.holder();
        self.clients.iter().filter(|client| client.holder() == holder).for_each(|client| client.switch_off());
        self.shared.log.off(holder);
        self.shared.count("machine switched off");
        Some(holder)
    }

    /// Switches it on: processes that wanted a seat begin anew.
    pub fn switch_on(&self, machine: Holder) {
        self.clients.iter().filter(|client| client.holder() == machine).for_each(|client| client.switch_on());
    }

    /// The license has a new key. For two seconds some still use the one before.
    pub fn rekey(&self, key: LicenseKey) {
        let mut keys = self.shared.keys.lock().unwrap();
        let before = std::mem::replace(&mut keys.0, key);
        keys.1 = Some((before, Instant::now() + Duration::from_secs(2)));
        self.shared.count("key rotated");
    }

    /// Staff were told that the license is suspended.
    pub fn suspended(&self) {
        self.shared.suspended.lock().unwrap().push(self.shared.log.at(Instant::now()));
    }

    /// When staff were told so, and every heartbeat that was answered.
    pub fn suspensions(&self) -> (Vec<i64>, Vec<Beat>) {
        (self.shared.suspended.lock().unwrap().clone(), self.shared.beats.lock().unwrap().clone())
    }

    /// Every question that was answered, or given up.
    pub fn asked(&self) -> Vec<Asked> {
        self.shared.asked.lock().unwrap().clone()
    }

    pub fn log(&self) -> &BeliefLog {
        &self.shared.log
    }

    /// How often what happened.
    pub fn counts(&self) -> BTreeMap<String, usize> {
        self.shared.counts.lock().unwrap().clone()
    }

    /// Every answer as it came, a line each: microseconds of the run's clock when it was asked and when it was answered, who, what.
    pub fn trace(&self) -> String {
        self.shared.trace.lock().unwrap().join("\n")
    }

    /// Whether the client's present process was given a seat that it has not given back and was not told to be gone.
    pub fn has_seat(&self, n: usize) -> bool {
        self.clients[n].has_seat()
    }

    /// Clients that want a seat.
    pub fn wanting(&self) -> Vec<usize> {
        (0..self.clients.len()).filter(|n| self.clients[*n].wants()).collect()
    }

    /// How many holders want a seat.
    pub fn wanting_holders(&self) -> usize {
        let wanting = self.wanting().into_iter().map(|n| self.clients[n].holder());
        wanting.collect::<HashSet<_>>().len()
    }

    pub fn len(&self) -> usize {
        self.clients.len()
    }

    pub fn is_empty(&self) -> bool {
        self.clients.is_empty()
    }
}

impl Shared {
    /// A key that is good: shortly after a rotation either.
    fn key(&self, dice: &mut Dice) -> LicenseKey {
        let keys = self.keys.lock().unwrap();
        let before = keys.1.as_ref().filter(|(_, until)| Instant::now() < *until && dice.chance(0.5));
        before.map_or_else(|| keys.0.clone(), |(before, _)| before.clone())
    }

    /// A heartbeat was answered.
    fn beat(&self, sent: Instant, lease: bool) {
        self.beats.lock().unwrap().push((self.log.at(sent), self.log.at(Instant::now()), lease));
    }

    /// A number for a question.
    fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    fn count(&self, what: &str) {
        *self.counts.lock().unwrap().entry(what.to_owned()).or_default() += 1;
    }
}
