//! Whether the stores that a service needs are there: what its start tries and what `/health/ready` answers.

use license_core::Error;
use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

/// How long one store may take to answer `/health/ready`.
const STORE_PATIENCE: Duration = Duration::from_secs(2);

type CheckAnswer = Pin<Box<dyn Future<Output = license_core::Result<()>> + Send>>;

/// A question to a store that the service needs. Asking it also opens the first connection.
#[derive(Clone)]
pub struct StoreCheck {
    name: &'static str,
    ask: Arc<dyn Fn() -> CheckAnswer + Send + Sync>,
}

impl StoreCheck {
    /// A check named after the store (`seats`, `records`, …); `ask` must come back with an error where the store is
    /// away.
    pub fn new<F>(name: &'static str, ask: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = license_core::Result<()>> + Send + 'static,
    {
        Self { name, ask: Arc::new(move || Box::pin(ask())) }
    }

    async fn asked(&self) -> license_core::Result<()> {
        tokio::time::timeout(STORE_PATIENCE, (self.ask)()).await.unwrap_or_else(|_| Err(self.silent()))
    }

    fn silent(&self) -> Error {
        match self.name {
            "seats" => Error::Deadline("seats"),
            _ => Error::Deadline("records"),
        }
    }
}

/// Asks every store at once. Each answers under its name, in the order of `checks`.
pub(super) async fn ask_all(checks: &[StoreCheck]) -> Vec<(&'static str, license_core::Result<()>)> {
    let asked: Vec<_> =
        checks.iter().cloned().map(|check| (check.name, tokio::spawn(async move { check.asked().await }))).collect();
    let mut answers = Vec::new();
    for (name, answer) in asked {
        answers.push((name, answer.await.unwrap_or_else(|error| Err(Error::Internal(error.to_string())))));
    }
    answers
}
