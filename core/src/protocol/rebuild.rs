//! The one repair: a cold or stale copy is rebuilt from the records under a new epoch.
//!
//! Of all instances one rebuilds a pool at a time, and the others wait, or take over where it falls silent (nonce.lua).
//! Within an instance a rebuild is a task of its own: every request that needs the pool waits for it, each until its
//! own deadline, and it goes on when they have given up. So a pool that takes longer than a request is rebuilt once,
//! and not begun again by every request.

use super::{
    deadline::Deadline,
    steps::{FailPoints, Step},
};
use crate::{
    Error, Result,
    domain::{
        id::{PoolId, TenantId},
        secret,
    },
    records::Records,
    seat_store::{NonceAnswer, PoolKey, SeatStore},
};
use std::{
    collections::{HashMap, hash_map},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::watch;
use tracing::Instrument;

/// How often a rebuilder says that it goes on: four times in the 2 s after which another would take over.
const EXTEND_EVERY: Duration = Duration::from_millis(500);

/// What became of a rebuild: true once the copy is warm, false where the records know no such pool. `None`: under way.
type RebuildOutcome = Option<Result<bool>>;

/// Rebuilds pools, each by one task of this instance at a time.
#[derive(Clone)]
pub(super) struct PoolRebuilds {
    seats: SeatStore,
    records: Records,
    steps: FailPoints,
    running: RunningRebuilds,
}

#[derive(Clone, Default)]
struct RunningRebuilds(Arc<Mutex<HashMap<PoolKey, watch::Sender<RebuildOutcome>>>>);

impl RunningRebuilds {
    fn map(&self) -> MutexGuard<'_, HashMap<PoolKey, watch::Sender<RebuildOutcome>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes a rebuild out of the list when its task ends, however that is.
struct RebuildEntry {
    running: RunningRebuilds,
    key: PoolKey,
}

impl Drop for RebuildEntry {
    fn drop(&mut self) {
        self.running.map().remove(&self.key);
    }
}

impl PoolRebuilds {
    pub(super) fn new(seats: SeatStore, records: Records, steps: FailPoints) -> Self {
        Self { seats, records, steps, running: RunningRebuilds::default() }
    }

    /// Returns once the copy is warm. False: the records know no such pool.
    pub(super) async fn ensure_warm(
        &self,
        key: &PoolKey,
        tenant: TenantId,
        pool: PoolId,
        deadline: Deadline,
    ) -> Result<bool> {
        // What went wrong with a rebuild that began before this request came may go well now. One that began after it
        // is as good as its own.
        let mut earlier = true;
        loop {
            let (mut receiver, began) = self.join_or_begin(key, tenant, pool);
            // Redis answers at once, or fails by itself: what takes so long is the records, asked here or by another
            // instance.
            let outcome = deadline.wait("records", receiver.wait_for(Option::is_some)).await?;
            match outcome.as_deref() {
                Ok(Some(Ok(warm))) => return Ok(*warm),
                _ if earlier && !began => earlier = false,
                Ok(Some(Err(e))) => return Err(e.clone()),
                _ => return Err(Error::Internal("a rebuild ended without a word".into())),
            }
        }
    }

    /// The rebuild under way, or one that begins now (then true).
    fn join_or_begin(&self, key: &PoolKey, tenant: TenantId, pool: PoolId) -> (watch::Receiver<RebuildOutcome>, bool) {
        let (sender, receiver) = watch::channel(None);
        match self.running.map().entry(key.clone()) {
            hash_map::Entry::Occupied(rebuild) => return (rebuild.get().subscribe(), false),
            hash_map::Entry::Vacant(place) => place.insert(sender.clone()),
        };
        // The list is free again: a runtime that is being shut down drops the task at once, and that takes the entry
        // out.
        let entry = RebuildEntry { running: self.running.clone(), key: key.clone() };
        let rebuilds = self.clone();
        let task = async move {
            let outcome = rebuilds.rebuild_until_warm(&entry.key, tenant, pool, &sender).await;
            // Before it is told: who finds the copy cold after this begins another.
            drop(entry);
            sender.send_replace(Some(outcome));
        };
        tokio::spawn(task.in_current_span());
        (receiver, true)
    }

    async fn rebuild_until_warm(
        &self,
        key: &PoolKey,
        tenant: TenantId,
        pool: PoolId,
        waiting: &watch::Sender<RebuildOutcome>,
    ) -> Result<bool> {
        loop {
            match self.seats.request_nonce(key).await? {
                NonceAnswer::Warm => return Ok(true),
                NonceAnswer::Wait => {}
                NonceAnswer::Nonce { nonce, frozen } => {
                    let done = tokio::select! {
                        done = self.rebuild(key, tenant, pool, &nonce, frozen) => done?,
                        () = self.extend_until_lost(key, &nonce) => Some(false),
                    };
                    match done {
                        None => return Ok(false),
                        Some(true) => return Ok(true),
                        Some(false) => {
                            tracing::info!(license = %key.license, pool = %key.pool, "a rebuild came too late")
                        }
                    }
                }
            }
            // Somebody else is at it, or was faster. Where nobody waits here any more there is nothing to go on for.
            if waiting.receiver_count() == 0 {
                return Err(Error::Deadline("records"));
            }
            tokio::time::sleep(draw_pause()).await;
        }
    }

    /// One rebuild. `None`: no such pool. False: the nonce was lost, or a newer copy stands.
    async fn rebuild(
        &self,
        key: &PoolKey,
        tenant: TenantId,
        pool: PoolId,
        nonce: &str,
        frozen: u64,
    ) -> Result<Option<bool>> {
        // The order is the proof: the records are read after this incarnation of the copy gave its nonce.
        let Some(snapshot) = self.records.rebuild_pool(tenant, pool, frozen, self.seats.timing()).await? else {
            return Ok(None);
        };
        self.steps.done(Step::RebuildPool).await?;
        let rebuilt = self.seats.rebuild(key, nonce, &snapshot).await?;
        if rebuilt {
            tracing::info!(license = %key.license, pool = %key.pool, epoch = snapshot.epoch, "pool rebuilt");
        }
        Ok(Some(rebuilt))
    }

    /// Says again and again that the rebuild goes on; ends when it is no longer ours. What Redis does not hear is said
    /// again.
    async fn extend_until_lost(&self, key: &PoolKey, nonce: &str) {
        loop {
            tokio::time::sleep(EXTEND_EVERY).await;
            if matches!(self.seats.extend_rebuild_lock(key, nonce).await, Ok(false)) {
                return;
            }
        }
    }
}

/// 20 to 50 ms, so that instances which wait for one rebuild do not come back together.
fn draw_pause() -> Duration {
    Duration::from_millis(20 + u64::from(secret::random::<1>()[0]) * 30 / 255)
}
