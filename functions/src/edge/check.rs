//! Whether the stores that a service needs are there: what its start tries and what `/health/ready` answers.

use license_core::{Error, error::StoreName, protocol::reap::SeatReaper, records::Records, seat_store::SeatStore};
use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

/// How long one store may take to answer `/health/ready`.
const STORE_PATIENCE: Duration = Duration::from_secs(2);

type CheckAnswer = Pin<Box<dyn Future<Output = license_core::Result<()>> + Send>>;

/// A question to a store that the service needs. Asking it also opens the first connection.
#[derive(Clone)]
pub struct StoreCheck {
    name: &'static str,
    /// Whose code a client sees where nobody answers in time.
    store: StoreName,
    ask: Arc<dyn Fn() -> CheckAnswer + Send + Sync>,
    /// Whose connections are counted.
    records: Option<Records>,
    /// Whose connects are counted.
    seats: Option<SeatStore>,
    /// Who may count the seats and events of all organizations.
    reaper: Option<SeatReaper>,
}

impl StoreCheck {
    /// A check of one store, under its name; `ask` must come back with an error where the store is away.
    pub fn new<F>(store: StoreName, ask: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = license_core::Result<()>> + Send + 'static,
    {
        let ask: Arc<dyn Fn() -> CheckAnswer + Send + Sync> = Arc::new(move || Box::pin(ask()));
        Self { name: store.as_str(), store, ask, records: None, seats: None, reaper: None }
    }

    /// The check of Redis.
    pub fn of_seats(seats: SeatStore) -> Self {
        let asked = seats.clone();
        let check = Self::new(StoreName::Seats, move || {
            let seats = asked.clone();
            async move { seats.ready().await }
        });
        Self { seats: Some(seats), ..check }
    }

    /// The check of PostgreSQL, whose connections are counted in the log.
    pub fn of_records(records: Records) -> Self {
        let asked = records.clone();
        let check = Self::new(StoreName::Records, move || {
            let records = asked.clone();
            async move { records.ready().await }
        });
        check.counting(records)
    }

    /// The same with connections that are counted in the log.
    #[must_use]
    pub fn counting(self, records: Records) -> Self {
        Self { records: Some(records), ..self }
    }

    /// The check of the reaper, which can do nothing without either store. Its connections are counted, and whoever
    /// scrapes is told of the seats and events of all organizations.
    pub fn of_reaper(reaper: SeatReaper) -> Self {
        let asked = reaper.clone();
        let check = Self::of_both(move || {
            let reaper = asked.clone();
            async move { reaper.ready().await }
        });
        let (records, seats) = (reaper.records().clone(), reaper.seats().clone());
        Self { seats: Some(seats), reaper: Some(reaper), ..check.counting(records) }
    }

    /// Who may count the seats and events of all organizations.
    pub(super) fn reaper(&self) -> Option<&SeatReaper> {
        self.reaper.as_ref()
    }

    /// Whose connects are counted in the log.
    pub(super) fn seats(&self) -> Option<&SeatStore> {
        self.seats.as_ref()
    }

    /// Whose connections are counted in the log.
    pub(super) fn records(&self) -> Option<&Records> {
        self.records.as_ref()
    }

    /// One check of both stores, named `stores`, for a service that can do nothing without either.
    pub fn of_both<F>(ask: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = license_core::Result<()>> + Send + 'static,
    {
        Self { name: "stores", ..Self::new(StoreName::Records, ask) }
    }

    /// What it is called in answers.
    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    /// Whose code a client sees where it does not answer.
    pub(super) fn store(&self) -> StoreName {
        self.store
    }

    async fn asked(&self) -> license_core::Result<()> {
        let answer = tokio::time::timeout(STORE_PATIENCE, (self.ask)()).await;
        answer.unwrap_or(Err(Error::Deadline(self.store)))
    }
}

/// Asks every store at once. Each answers under its name, in the order of `checks`.
pub(super) async fn ask_all(checks: &[StoreCheck]) -> Vec<(&'static str, license_core::Result<()>)> {
    let asked: Vec<_> =
        checks.iter().cloned().map(|check| (check.name, tokio::spawn(async move { check.asked().await }))).collect();
    let mut answers = Vec::new();
    for (name, answer) in asked {
        answers.push((
            name,
            answer.await.unwrap_or_else(|error| Err(Error::internal("a store could not be asked", error))),
        ));
    }
    answers
}
