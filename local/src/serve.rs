//! The functions in one process: each as in the cloud, built from the same variables.

use license_core::Clock;
use license_functions::{
    acquire, admin,
    edge::{
        config::Environment,
        serve::{Service, StartError},
    },
    heartbeat, reaper, register, release,
};
use license_pubsub::bus::LocalBus;
use std::sync::Arc;

/// Builds every function, in the order of [`crate::endpoints::FUNCTIONS`].
///
/// # Errors
/// If a variable is wrong or a key cannot be read.
pub(crate) async fn functions(env: &Environment, clock: &Clock, bus: &LocalBus) -> Result<[Service; 6], StartError> {
    Ok([
        acquire::service(env, clock.clone()).await?,
        heartbeat::service(env, clock.clone()).await?,
        release::service(env, clock.clone()).await?,
        register::service(env, clock.clone()).await?,
        admin::service(env, clock.clone()).await?,
        reaper::service_with(env, clock.clone(), Arc::new(bus.clone()))?,
    ])
}

/// All functions behind one address: their paths differ.
pub(crate) fn front(functions: &[Service]) -> Service {
    let router = functions.iter().fold(axum::Router::new(), |all, function| all.merge(function.router.clone()));
    let mut checks = Vec::new();
    for check in functions.iter().flat_map(|function| &function.checks) {
        checks.push(check.clone());
    }
    Service { router, checks }
}
