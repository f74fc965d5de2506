//! All licenses of an organization with the use of them now.

use crate::{
    Result,
    domain::id::{PoolId, TenantId},
    management::{SeatManagement, looking::looked},
    records::{LicenseInShort, ListedRows, PageRequest, PoolInShort},
    seat_store::{PoolKey, PoolLookup, PoolReply},
};
use std::collections::HashMap;
use tokio::task::JoinSet;

/// A pool and the use of it now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolUse {
    /// As the records have it.
    pub pool: PoolInShort,
    /// The use of it; `None` where Redis could not be asked, or has forgotten a pool that somebody uses.
    pub now: Option<PoolLookup>,
}

impl SeatManagement {
    /// The licenses of an organization with the use of their pools, the newest first. Redis is only looked at, at all
    /// pools of the page at once: nothing is rebuilt.
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn overview(&self, tenant: TenantId, page: PageRequest) -> Result<ListedRows<LicenseInShort<PoolUse>>> {
        let ListedRows { items, next } = self.records.overview(tenant, page).await?;
        let mut uses = self.uses(tenant, &items).await?;
        let items = items.into_iter().map(|license| {
            let LicenseInShort { id, number, product, plan, tier, status, expires_at, pools } = license;
            let pools = pools.into_iter().map(|pool| PoolUse { now: uses.remove(&pool.id), pool }).collect();
            LicenseInShort { id, number, product, plan, tier, status, expires_at, pools }
        });
        Ok(ListedRows { items: items.collect(), next })
    }

    /// What is known of the use of the pools of these licenses.
    async fn uses(
        &self,
        tenant: TenantId,
        licenses: &[LicenseInShort<PoolInShort>],
    ) -> Result<HashMap<PoolId, PoolLookup>> {
        let mut asked = JoinSet::new();
        for license in licenses {
            for pool in &license.pools {
                let key = PoolKey { license: license.number, pool: pool.name.clone() };
                let (seats, pool) = (self.seats.clone(), pool.clone());
                asked.spawn(async move { (looked(seats.look_up_pool(&key)).await, pool) });
            }
        }
        let (mut uses, mut forgotten) = (HashMap::new(), Vec::new());
        while let Some(answer) = asked.join_next().await {
            match answer {
                // A copy of an earlier epoch has not heard of a change.
                Ok((Some(PoolReply::Answer(look)), pool)) if look.epoch >= pool.epoch => {
                    uses.insert(pool.id, look);
                }
                Ok((Some(PoolReply::NeedsRebuild { .. }), pool)) if pool.never_used => {
                    uses.insert(pool.id, PoolLookup::default());
                }
                Ok((Some(PoolReply::NeedsRebuild { .. }), pool)) => forgotten.push(pool.id),
                _ => {}
            }
        }
        // Redis keeps nothing of a pool that was not used for a day.
        let idle = self.records.idle_pools(tenant, &forgotten).await?;
        uses.extend(idle.into_iter().map(|id| (id, PoolLookup::default())));
        Ok(uses)
    }
}
