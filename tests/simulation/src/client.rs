//! Simulated clients: what they send over HTTP, what they are told, and what they believe (docs/PROTOCOL.md, section 5, Client).
//!
//! A lease counts from the send time of the request that was answered, on the run's one monotonic clock. An answer to a request of an
//! earlier generation is dropped; the generation rises on start, on release and on gone. A refusal that carries no statement for this
//! request's nonce counts as no answer.
//!
//! * `process.rs`: what a client does and how it takes an answer · `wire.rs`: one request

mod process;
mod wire;

use crate::{operations::Deed, plan::Setting};
use license_core::domain::lease::Timing;
use license_tests::{
    load::{Dice, log::BeliefLog},
    world::License,
};
use process::Client;
use std::{
    collections::{BTreeMap, HashSet},
    sync::{Arc, Mutex},
    time::Duration,
};

/// After this long a client gives an answer up.
const PATIENCE: Duration = Duration::from_millis(2500);

/// All clients of a run.
pub struct Clients {
    shared: Arc<Shared>,
    clients: Vec<Arc<Client>>,
}

struct Shared {
    http: reqwest::Client,
    /// Where the ways to the instances begin.
    ports: Vec<u16>,
    sticky: bool,
    license: License,
    lease: Duration,
    ttl: Duration,
    log: BeliefLog,
    counts: Mutex<BTreeMap<String, usize>>,
    /// Every answer, as it came: what to read when something was broken.
    trace: Mutex<Vec<String>>,
}

impl Clients {
    /// The clients of a setting; those from `machines` on share a machine with one of the first.
    pub fn new(license: &License, timing: &Timing, ports: Vec<u16>, setting: &Setting, mut dice: Dice) -> Self {
        let _ = license_tests::process::http();
        let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).timeout(PATIENCE).pool_max_idle_per_host(0);
        let shared = Shared {
            http: http.build().unwrap(),
            ports,
            sticky: setting.sticky,
            license: license.clone(),
            lease: timing.ttl - timing.eps(),
            ttl: timing.ttl,
            log: BeliefLog::default(),
            counts: Mutex::default(),
            trace: Mutex::default(),
        };
        let clients = (0..setting.clients).map(|n| Arc::new(Client::new(license, n, setting.machines, dice.split())));
        Self { clients: clients.collect(), shared: Arc::new(shared) }
    }

    /// Lets a client do something, in a task of its own.
    pub fn act(&self, n: usize, deed: Deed) -> Option<tokio::task::JoinHandle<()>> {
        let (shared, client) = (self.shared.clone(), self.clients.get(n)?.clone());
        Some(tokio::spawn(async move { client.act(&shared, deed).await }))
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
    fn count(&self, what: &str) {
        *self.counts.lock().unwrap().entry(what.to_owned()).or_default() += 1;
    }
}
