//! How many events of one organization are sent at once.

use license_core::domain::id::TenantId;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Events of one organization that an instance sends at once. Pushes are few (8 on one machine, 80 of an instance on
/// Cloud Run), and those of an organization whose receivers are slow must not take all of them.
const PLACES: usize = 4;
/// How long an event waits for a place. Receivers that answer at once free dozens of places meanwhile.
const PATIENCE: Duration = Duration::from_secs(2);
/// From so many organizations on, those that send nothing are forgotten.
const MANY: usize = 1_000;

/// The places of every organization that sends something now.
#[derive(Clone, Default)]
pub(super) struct OrganizationPlaces(Arc<Mutex<HashMap<TenantId, Arc<Semaphore>>>>);

impl OrganizationPlaces {
    /// A place for one event, which is free again when this is dropped; `None` if none became free in time.
    pub(super) async fn take(&self, tenant: TenantId) -> Option<OwnedSemaphorePermit> {
        let places = self.of(tenant);
        tokio::time::timeout(PATIENCE, places.acquire_owned()).await.ok()?.ok()
    }

    fn of(&self, tenant: TenantId) -> Arc<Semaphore> {
        // Whoever panicked here changed nothing by halves.
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MANY {
            all.retain(|_, places| Arc::strong_count(places) > 1);
        }
        all.entry(tenant).or_insert_with(|| Arc::new(Semaphore::new(PLACES))).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn tenant(number: u128) -> TenantId {
        TenantId(Uuid::from_u128(number))
    }

    #[tokio::test(start_paused = true)]
    async fn an_organization_whose_events_take_long_leaves_the_places_of_others_free() {
        let places = OrganizationPlaces::default();
        let mut held = Vec::new();
        for _ in 0..PLACES {
            held.push(places.take(tenant(1)).await.expect("a place"));
        }
        assert!(places.take(tenant(1)).await.is_none());
        assert!(places.take(tenant(2)).await.is_some());
        held.pop();
        assert!(places.take(tenant(1)).await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn an_event_waits_a_moment_for_a_place() {
        let places = OrganizationPlaces::default();
        let mut held = Vec::new();
        for _ in 0..PLACES {
            held.push(places.take(tenant(1)).await);
        }
        let freed = async {
            tokio::time::sleep(PATIENCE / 2).await;
            held.pop();
        };
        let (taken, ()) = tokio::join!(places.take(tenant(1)), freed);
        assert!(taken.is_some());
    }

    #[tokio::test]
    async fn organizations_that_send_nothing_are_forgotten_and_the_others_are_not() {
        let places = OrganizationPlaces::default();
        let mut held = Vec::new();
        for _ in 0..PLACES {
            held.push(places.take(tenant(0)).await.expect("a place"));
        }
        for number in 1..=MANY as u128 {
            drop(places.take(tenant(number)).await);
        }
        assert!(places.0.lock().unwrap().len() < MANY);
        assert_eq!(places.of(tenant(0)).available_permits(), 0);
    }
}
