//! Whether the stores that a service needs are there: what its start tries and what `/health/ready` answers.

use license_core::{Error, error::StoreName};
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
}

impl StoreCheck {
    /// A check of one store, under its name; `ask` must come back with an error where the store is away.
    pub fn new<F>(store: StoreName, ask: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = license_core::Result<()>> + Send + 'static,
    {
        Self { name: store.as_str(), store, ask: Arc::new(move || Box::pin(ask())) }
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
