//! The services in one process: each is built from the same variables as in the cloud.

use license_core::{Clock, domain::webhook::EndpointRules};
use license_functions::{
    SERVICES,
    edge::{
        config::Environment,
        serve::{Service, StartError},
    },
    services::ServiceInputs,
};
use license_pubsub::bus::LocalBus;
use std::sync::Arc;

/// Builds every function, in the order of [`SERVICES`]. `endpoints`: where webhooks may be.
///
/// # Errors
/// If a variable is wrong or a key cannot be read.
pub(crate) async fn functions(
    env: &Environment,
    clock: &Clock,
    bus: &LocalBus,
    endpoints: EndpointRules,
) -> Result<Vec<Service>, StartError> {
    let mut functions = Vec::new();
    for service in &SERVICES {
        let publisher = Some(Arc::new(bus.clone()) as _);
        functions.push(service.build(ServiceInputs { env, clock: clock.clone(), publisher, endpoints }).await?);
    }
    Ok(functions)
}

/// All services behind one address, which is possible because their paths differ.
pub(crate) fn front(functions: &[Service]) -> Service {
    let router = functions.iter().fold(axum::Router::new(), |all, function| all.merge(function.router.clone()));
    let mut checks = Vec::new();
    for check in functions.iter().flat_map(|function| &function.checks) {
        checks.push(check.clone());
    }
    Service { router, checks }
}
