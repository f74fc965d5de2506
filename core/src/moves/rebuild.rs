//! The one repair: a cold or stale copy is rebuilt from the records under a new epoch.

use super::{
    deadline::Deadline,
    steps::{Step, Steps},
};
use crate::{
    Result,
    domain::{
        id::{PoolId, TenantId},
        secret,
    },
    records::Records,
    seats::{NonceAnswer, PoolKey, Seats},
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

/// Rebuilds pools, each by one caller of this instance at a time.
#[derive(Clone)]
pub(super) struct Rebuilds {
    seats: Seats,
    records: Records,
    steps: Steps,
    under_way: Arc<Mutex<HashMap<PoolKey, Weak<tokio::sync::Mutex<()>>>>>,
}

impl Rebuilds {
    pub(super) fn new(seats: Seats, records: Records, steps: Steps) -> Self {
        Self { seats, records, steps, under_way: Arc::default() }
    }

    /// Returns once the copy is warm. False: the records know no such pool.
    pub(super) async fn warm(&self, key: &PoolKey, tenant: TenantId, pool: PoolId, deadline: Deadline) -> Result<bool> {
        let turn = self.turn(key);
        let _mine = turn.lock().await;
        loop {
            // Redis answers at once, or fails by itself: what takes so long is the records, asked here or by another instance.
            deadline.check("records")?;
            match self.seats.nonce(key).await? {
                NonceAnswer::Warm => return Ok(true),
                NonceAnswer::Wait => tokio::time::sleep(draw_wait()).await,
                NonceAnswer::Nonce(nonce) => {
                    // The order is the proof: the records are read after this incarnation of the copy gave its nonce.
                    let Some(snapshot) = self.records.rebuild_pool(tenant, pool).await? else { return Ok(false) };
                    self.steps.done(Step::RebuildPool).await?;
                    if self.seats.rebuild(key, &nonce, &snapshot).await? {
                        tracing::info!(license = %key.license, pool = %key.pool, epoch = snapshot.epoch, "pool rebuilt");
                        return Ok(true);
                    }
                }
            }
        }
    }

    fn turn(&self, key: &PoolKey) -> Arc<tokio::sync::Mutex<()>> {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turn) = under_way.get(key).and_then(Weak::upgrade) {
            return turn;
        }
        under_way.retain(|_, turn| turn.strong_count() > 0);
        let turn = Arc::default();
        under_way.insert(key.clone(), Arc::downgrade(&turn));
        turn
    }
}

/// 20 to 50 ms, so that instances which wait for one rebuild do not come back together.
fn draw_wait() -> Duration {
    Duration::from_millis(20 + u64::from(secret::random::<1>()[0]) * 30 / 255)
}
