//! Clients that ask without pause (closed loop) or by the clock (open loop), and how long they waited.

use crate::http::Connection;
use hdrhistogram::Histogram;
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

/// How long requests took.
pub(crate) struct Tally {
    /// In nanoseconds, to three digits.
    latency: Histogram<u64>,
    /// Requests answered with another status than hoped for.
    pub(crate) refused: u64,
}

impl Default for Tally {
    fn default() -> Self {
        let latency = Histogram::new_with_bounds(1, 600_000_000_000, 3).expect("sound bounds");
        Self { latency, refused: 0 }
    }
}

impl Tally {
    pub(crate) fn record(&mut self, time: Duration) {
        self.latency.saturating_record(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.latency.add(&other.latency).expect("same bounds");
        self.refused += other.refused;
    }

    pub(crate) fn count(&self) -> u64 {
        self.latency.len()
    }

    /// In milliseconds.
    pub(crate) fn percentile(&self, percent: f64) -> f64 {
        self.latency.value_at_percentile(percent) as f64 / 1e6
    }
}

/// Requests that are sent one after the other, again and again, and the status each must be answered with.
pub(crate) type Requests = Arc<Vec<Vec<u8>>>;

/// So many clients, each sending its next request when it has its answer. Client `n` begins with the n-th request and takes every
/// `clients`-th.
pub(crate) async fn closed(
    address: SocketAddr,
    clients: usize,
    time: Duration,
    requests: &Requests,
    status: u16,
) -> (Tally, Duration) {
    let began = Instant::now();
    let mut set = JoinSet::new();
    for first in 0..clients {
        let requests = Arc::clone(requests);
        set.spawn(async move {
            let mut connection = Connection::open(address).await.expect("the function listens");
            let mut tally = Tally::default();
            let mut at = first % requests.len();
            while began.elapsed() < time {
                let asked = Instant::now();
                let answer = connection.ask(&requests[at]).await.expect("an answer");
                tally.record(asked.elapsed());
                tally.refused += u64::from(answer.status != status);
                at = (at + clients) % requests.len();
            }
            tally
        });
    }
    (gather(set).await, began.elapsed())
}

/// `rate` requests a second whether or not the earlier ones are answered, on at most `clients` connections. Each counts from when it should
/// have been sent, so that one late answer shows in all that waited behind it (coordinated omission).
pub(crate) async fn open(
    address: SocketAddr,
    clients: usize,
    rate: f64,
    time: Duration,
    requests: &Requests,
    status: u16,
) -> (Tally, Duration) {
    let connections = connect(address, clients).await;
    let began = Instant::now() + Duration::from_millis(20);
    let due = move |n: u64| began + Duration::from_secs_f64(n as f64 / rate);
    let (pace, paced) = async_queue(due, began + time);
    let mut set = JoinSet::new();
    for mut connection in connections {
        let (requests, paced) = (Arc::clone(requests), paced.clone());
        set.spawn(async move {
            let mut tally = Tally::default();
            while let Some(n) = next(&paced).await {
                let request = &requests[usize::try_from(n).expect("fits") % requests.len()];
                let answer = connection.ask(request).await.expect("an answer");
                tally.record(due(n).elapsed());
                tally.refused += u64::from(answer.status != status);
            }
            tally
        });
    }
    let tally = gather(set).await;
    let took = began.elapsed();
    pace.join().expect("the pacing thread ends");
    (tally, took)
}

type Paced = Arc<tokio::sync::Mutex<tokio::sync::mpsc::UnboundedReceiver<u64>>>;

async fn next(paced: &Paced) -> Option<u64> {
    paced.lock().await.recv().await
}

/// Numbers 0, 1, 2 … each when it is due. From a thread of its own, since Tokio's timer counts in milliseconds.
fn async_queue(due: impl Fn(u64) -> Instant + Send + 'static, until: Instant) -> (std::thread::JoinHandle<()>, Paced) {
    let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
    let pace = std::thread::spawn(move || {
        let numbers = AtomicU64::new(0);
        loop {
            let n = numbers.fetch_add(1, Ordering::Relaxed);
            let at = due(n);
            if at >= until {
                return;
            }
            std::thread::sleep(at.saturating_duration_since(Instant::now()));
            if sender.send(n).is_err() {
                return;
            }
        }
    });
    (pace, Arc::new(tokio::sync::Mutex::new(receiver)))
}

pub(crate) async fn connect(address: SocketAddr, clients: usize) -> Vec<Connection> {
    let mut connections = Vec::new();
    for _ in 0..clients {
        connections.push(Connection::open(address).await.expect("the function listens"));
    }
    connections
}

pub(crate) async fn gather(mut set: JoinSet<Tally>) -> Tally {
    let mut all = Tally::default();
    while let Some(tally) = set.join_next().await {
        all.add(&tally.expect("a client ends well"));
    }
    all
}
