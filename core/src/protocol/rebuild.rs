//! Rebuilds: a cold or stale copy in Redis is made anew from PostgreSQL under a new epoch.
//!
//! One instance at a time rebuilds a pool. The others wait, and one of them takes over where the rebuilder falls silent
//! (nonce.lua). Within an instance a rebuild is a task of its own. Every request that needs the pool waits for it until
//! its own deadline, and the rebuild continues when they have given up. So a pool whose rebuild takes longer than a
//! request is rebuilt once, and no request begins it again.

use super::{
    deadline::Deadline,
    rebuild_counts::RebuildEnd,
    steps::{FailPoints, Step},
};
use crate::{
    Error, Result,
    domain::{
        id::{PoolId, TenantId},
        secret,
    },
    error::StoreName,
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

/// How often a rebuilder extends its lock: four times in the 2 s after which another instance takes over.
const EXTEND_EVERY: Duration = Duration::from_millis(500);

/// What became of a rebuild: true if the copy is warm, false if PostgreSQL knows no such pool. `None`: it is running.
type RebuildOutcome = Option<Result<bool>>;

/// Rebuilds pools. This instance has at most one task for each pool.
#[derive(Clone)]
pub(crate) struct PoolRebuilds {
    seats: SeatStore,
    records: Records,
    steps: FailPoints,
    running: RunningRebuilds,
}

/// The rebuilds that this instance runs now.
#[derive(Clone, Default)]
struct RunningRebuilds(Arc<Mutex<HashMap<PoolKey, watch::Sender<RebuildOutcome>>>>);

impl RunningRebuilds {
    fn map(&self) -> MutexGuard<'_, HashMap<PoolKey, watch::Sender<RebuildOutcome>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Removes a rebuild from the list when its task ends, in whatever way it ends.
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
    pub(crate) fn new(seats: SeatStore, records: Records, steps: FailPoints) -> Self {
        Self { seats, records, steps, running: RunningRebuilds::default() }
    }

    /// Waits until the copy is warm. False: PostgreSQL knows no such pool.
    pub(crate) async fn ensure_warm(
        &self,
        key: &PoolKey,
        tenant: TenantId,
        pool: PoolId,
        deadline: Deadline,
    ) -> Result<bool> {
        // A rebuild that began before this request came may have failed for a reason that is over. One that began after
        // it is as good as one that this request begins.
        let mut earlier = true;
        loop {
            let (mut receiver, began) = self.join_or_begin(key, tenant, pool);
            // Redis answers at once or fails, so it is PostgreSQL that takes long, asked here or by another instance.
            let outcome = deadline.wait(StoreName::Records, receiver.wait_for(Option::is_some)).await?;
            match outcome.as_deref() {
                Ok(Some(Ok(warm))) => return Ok(*warm),
                _ if earlier && !began => earlier = false,
                Ok(Some(Err(e))) => return Err(e.clone()),
                _ => return Err(Error::Internal("a rebuild ended without a word".into())),
            }
        }
    }

    /// The running rebuild of a pool, or one that begins now (then true).
    fn join_or_begin(&self, key: &PoolKey, tenant: TenantId, pool: PoolId) -> (watch::Receiver<RebuildOutcome>, bool) {
        let (sender, receiver) = watch::channel(None);
        match self.running.map().entry(key.clone()) {
            hash_map::Entry::Occupied(rebuild) => return (rebuild.get().subscribe(), false),
            hash_map::Entry::Vacant(place) => place.insert(sender.clone()),
        };
        // The lock of the list is released by now. A runtime that is shut down drops the task at once, which removes
        // the entry.
        let entry = RebuildEntry { running: self.running.clone(), key: key.clone() };
        let rebuilds = self.clone();
        let task = async move {
            let outcome = rebuilds.rebuild_until_warm(&entry.key, tenant, pool, &sender).await;
            // Before the outcome is sent: a request that finds the copy cold after that begins another rebuild.
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
                        done = self.rebuild(key, tenant, pool, &nonce, frozen) => done,
                        () = self.extend_until_lost(key, &nonce) => Ok(Some(false)),
                    };
                    RebuildEnd::of(&done).add();
                    match done? {
                        None => return Ok(false),
                        Some(true) => return Ok(true),
                        Some(false) => {
                            tracing::info!(license = %key.license, pool = %key.pool, "a rebuild came too late")
                        }
                    }
                }
            }
            // Another instance rebuilds, or was faster. There is nothing to continue for where no request waits here.
            if waiting.receiver_count() == 0 {
                return Err(Error::Deadline(StoreName::Records));
            }
            tokio::time::sleep(draw_pause()).await;
        }
    }

    /// One rebuild. `None`: there is no such pool. False: the nonce was lost, or there is a newer copy.
    async fn rebuild(
        &self,
        key: &PoolKey,
        tenant: TenantId,
        pool: PoolId,
        nonce: &str,
        frozen: u64,
    ) -> Result<Option<bool>> {
        // The order is the proof: PostgreSQL is read after this incarnation of the copy has given its nonce.
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

    /// Extends the lock of the rebuild again and again, and returns when this rebuild has lost it. A call that Redis
    /// did not answer is repeated.
    async fn extend_until_lost(&self, key: &PoolKey, nonce: &str) {
        loop {
            tokio::time::sleep(EXTEND_EVERY).await;
            if matches!(self.seats.extend_rebuild_lock(key, nonce).await, Ok(false)) {
                return;
            }
        }
    }
}

/// 20 to 50 ms, drawn so that instances which wait for one rebuild do not ask again at the same moment.
fn draw_pause() -> Duration {
    Duration::from_millis(20 + u64::from(secret::random::<1>()[0]) * 30 / 255)
}
