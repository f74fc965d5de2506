//! What the start of a service waits for: each of its stores to have answered once. A fresh instance in a cloud may
//! have no way to them for half a minute, and a request that it is sent before would be answered with 503.

use super::check::{StoreCheck, ask_all};
use license_core::error::chain;
use std::{collections::BTreeSet, time::Duration};
use tokio::{sync::watch, time::Instant};

/// Between two tries of a store that has not answered yet.
const PAUSE: Duration = Duration::from_millis(200);
/// How long the answer to `/health/live` waits for the first connections to have been tried.
const FIRST_TRY: Duration = Duration::from_secs(2);

#[derive(Clone, Default)]
struct StartProgress {
    /// Every store was tried once, whatever it answered.
    tried: bool,
    /// The stores that answered once.
    answered: BTreeSet<&'static str>,
}

/// How far the start of a service is.
#[derive(Clone)]
pub(super) struct ServiceStart {
    checks: Vec<StoreCheck>,
    began: Instant,
    patience: Duration,
    progress: watch::Receiver<StartProgress>,
}

impl ServiceStart {
    /// Tries the stores until each answered once, but no longer than `patience`; at least once.
    pub(super) fn begin(checks: Vec<StoreCheck>, patience: Duration) -> Self {
        let (told, progress) = watch::channel(StartProgress::default());
        let start = Self { checks, began: Instant::now(), patience, progress };
        let tries = Self { progress: told.subscribe(), ..start.clone() };
        tokio::spawn(async move {
            loop {
                let missing = tries.missing();
                let answers = ask_all(&missing).await;
                if !tries.progress.borrow().tried {
                    for (store, error) in answers.iter().filter_map(|(store, answer)| Some((store, answer.as_ref().err()?)))
                    {
                        tracing::warn!(store, error = %chain(error), "not reachable at start; requests are answered \
                            with 503 until it is");
                    }
                }
                told.send_modify(|progress| {
                    progress.tried = true;
                    progress.answered.extend(answers.iter().filter(|(_, it)| it.is_ok()).map(|(store, _)| store));
                });
                if tries.missing().is_empty() || tries.began.elapsed() >= tries.patience {
                    return;
                }
                tokio::time::sleep(PAUSE).await;
            }
        });
        start
    }

    /// The stores that have not answered yet.
    fn missing(&self) -> Vec<StoreCheck> {
        let progress = self.progress.borrow();
        self.checks.iter().filter(|check| !progress.answered.contains(check.name())).cloned().collect()
    }

    /// The stores that the start still waits for; none once it was patient for long enough.
    pub(super) fn waits_for(&self) -> Vec<StoreCheck> {
        if self.began.elapsed() >= self.patience { Vec::new() } else { self.missing() }
    }

    /// Comes back when every store was tried once, whatever it answered, or after two seconds: with Redis away an
    /// instance must start all the same.
    pub(super) async fn tried(&mut self) {
        let _ = tokio::time::timeout(FIRST_TRY, self.progress.wait_for(|progress| progress.tried)).await;
    }
}
