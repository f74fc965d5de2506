//! What is asked of the stores when somebody scrapes. No request waits for it, and what a scrape finds is kept for ten
//! seconds, so that a scraper that asks all the time costs the stores no more.

use crate::edge::check::StoreCheck;
use license_core::{
    Error, Result,
    error::{StoreName, chain},
    protocol::reap::SeatReaper,
    records::{Records, SeatCounts, WaitingEvents},
    seat_store::SeatStore,
};
use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::{Registry, Unit},
};
use std::{
    collections::BTreeMap,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};

/// How long a reading is kept.
const KEPT: Duration = Duration::from_secs(10);
/// How long one store may take. Prometheus waits ten seconds for a scrape unless it is told otherwise.
const PATIENCE: Duration = Duration::from_secs(3);
/// Pools that have series of their own: those with most held seats. Three series each, so that a scrape stays below a
/// thousand lines of seats however many customers there are; who needs every pool asks the management API.
const MOST_POOLS: u16 = 200;

/// The stores of a process, and what was last read of them.
pub(super) struct StoreReadings {
    records: Vec<Records>,
    seats: Vec<SeatStore>,
    /// Only the reaper may look at all organizations.
    reaper: Option<SeatReaper>,
    last: Mutex<Option<(Instant, Arc<Reading>)>>,
    errors: StoreErrors,
}

/// What the stores said; `None`: that one did not answer, or nobody here may ask it.
#[derive(Default)]
struct Reading {
    seats: Option<SeatCounts>,
    silent: Option<Vec<Option<u32>>>,
    waiting: Option<WaitingEvents>,
}

/// How often each store did not answer a scrape.
#[derive(Default)]
struct StoreErrors {
    records: AtomicU64,
    seats: AtomicU64,
}

impl StoreErrors {
    fn of(&self, store: StoreName) -> &AtomicU64 {
        if store == StoreName::Seats { &self.seats } else { &self.records }
    }

    /// What a store came to; a failure is counted, and is nothing for the scrape to fail by.
    async fn read<T>(&self, store: StoreName, asked: impl Future<Output = Result<T>>) -> Option<T> {
        let answer = timeout(PATIENCE, asked).await.unwrap_or(Err(Error::Deadline(store)));
        let failed = |error: &Error| {
            self.of(store).fetch_add(1, Ordering::Relaxed);
            tracing::debug!(store = store.as_str(), error = %chain(error), "a scrape goes without a store");
        };
        answer.inspect_err(failed).ok()
    }
}

impl StoreReadings {
    pub(super) fn of(checks: &[StoreCheck]) -> Self {
        Self {
            records: checks.iter().filter_map(StoreCheck::records).cloned().collect(),
            seats: checks.iter().filter_map(StoreCheck::seats).cloned().collect(),
            reaper: checks.iter().find_map(StoreCheck::reaper).cloned(),
            last: Mutex::default(),
            errors: StoreErrors::default(),
        }
    }

    /// Registers what is known now. Scrapes that come at the same time share one reading.
    pub(super) async fn register(&self, registry: &mut Registry) {
        let reading = self.reading().await;
        self.register_connections(registry);
        if let Some(waiting) = &reading.waiting {
            register_waiting(registry, *waiting);
        }
        if let Some(counts) = &reading.seats {
            register_seats(registry, counts, reading.silent.as_deref());
        }
        let errors = Family::<[(&str, &str); 1], Counter>::default();
        for store in [StoreName::Records, StoreName::Seats] {
            let count = self.errors.of(store).load(Ordering::Relaxed);
            errors.get_or_create(&[("store", store.as_str())]).inc_by(count);
        }
        registry.register("license_scrape_errors", "Stores that did not answer a scrape in time", errors);
    }

    async fn reading(&self) -> Arc<Reading> {
        let Some(reaper) = &self.reaper else { return Arc::default() };
        let mut last = self.last.lock().await;
        if let Some((at, reading)) = last.as_ref().filter(|(at, _)| at.elapsed() < KEPT) {
            let _ = at;
            return Arc::clone(reading);
        }
        let reading = Arc::new(self.read(reaper).await);
        *last = Some((Instant::now(), Arc::clone(&reading)));
        reading
    }

    async fn read(&self, reaper: &SeatReaper) -> Reading {
        let seats = self.errors.read(StoreName::Records, reaper.seat_counts(MOST_POOLS)).await;
        let waiting = self.errors.read(StoreName::Records, reaper.events_waiting()).await;
        let silent = match &seats {
            Some(counts) => self.errors.read(StoreName::Seats, reaper.count_silent(&counts.pools)).await,
            None => None,
        };
        Reading { seats, silent, waiting }
    }

    /// Connections, of which no store is asked.
    fn register_connections(&self, registry: &mut Registry) {
        let (count, most) =
            (Family::<[(&str, &str); 2], Gauge>::default(), Family::<[(&str, &str); 1], Gauge>::default());
        // Services that log in as the same role are counted together.
        let mut roles: BTreeMap<&str, [i64; 3]> = BTreeMap::new();
        for records in &self.records {
            let now = records.connections();
            let idle = i64::try_from(now.idle).unwrap_or(i64::MAX);
            let sums = roles.entry(records.role().name()).or_default();
            // Both numbers are read while connections come and go.
            for (sum, more) in sums.iter_mut().zip([idle, (i64::from(now.open) - idle).max(0), i64::from(now.most)]) {
                *sum += more;
            }
        }
        const POOL: &str = "db_client_connection_pool_name";
        const STATE: &str = "db_client_connection_state";
        for (role, [idle, used, may]) in roles {
            count.get_or_create(&[(POOL, role), (STATE, "idle")]).set(idle);
            count.get_or_create(&[(POOL, role), (STATE, "used")]).set(used);
            most.get_or_create(&[(POOL, role)]).set(may);
        }
        registry.register("db_client_connection_count", "Connections to PostgreSQL", count);
        registry.register("db_client_connection_max", "Connections to PostgreSQL that there may be", most);
        let (connects, away) = (Counter::<u64>::default(), Gauge::<i64>::default());
        connects.inc_by(self.seats.iter().map(SeatStore::connects).sum());
        away.set(i64::from(self.seats.iter().any(SeatStore::is_away)));
        registry.register("license_redis_connects", "Connections to Redis that were made", connects);
        registry.register("license_redis_away", "1: Redis did not answer the last calls", away);
    }
}

fn register_waiting(registry: &mut Registry, waiting: WaitingEvents) {
    let (count, oldest) = (Gauge::<i64>::default(), Gauge::<f64, AtomicU64>::default());
    count.set(number(waiting.count));
    oldest.set(waiting.oldest.as_secs_f64());
    registry.register("license_outbox_waiting_events", "Events that wait to be published, up to 10,000", count);
    registry.register_with_unit("license_outbox_oldest", "How long the oldest of them waits", Unit::Seconds, oldest);
}

fn register_seats(registry: &mut Registry, counts: &SeatCounts, silent: Option<&[Option<u32>]>) {
    let all = Family::<[(&str, &str); 1], Gauge>::default();
    all.get_or_create(&[("state", "total")]).set(number(counts.total));
    all.get_or_create(&[("state", "used")]).set(number(counts.used));
    let complete = Gauge::<i64>::default();
    complete.set(i64::from(counts.complete));
    let pools = Family::<[(&str, String); 3], Gauge>::default();
    for (at, pool) in counts.pools.iter().enumerate() {
        let silent = silent.and_then(|silent| silent.get(at).copied().flatten()).map(u64::from);
        for (state, seats) in [("total", Some(pool.total)), ("used", Some(pool.used)), ("silent", silent)] {
            let Some(seats) = seats else { continue };
            let labels =
                [("license", pool.license.to_string()), ("pool", pool.pool.to_string()), ("state", state.to_owned())];
            pools.get_or_create(&labels).set(number(seats));
        }
    }
    registry.register("license_seats", "Seats of all pools", all);
    registry.register("license_seats_complete", "0: there are more seats than a scrape counts", complete);
    registry.register("license_pool_seats", "Seats of the pools that are used most", pools);
}

fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
