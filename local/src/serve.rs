//! The functions in one process: each as in the cloud, built from the same variables.

use license_core::Clock;
use license_functions::edge::{
    config::Env,
    serve::{Service, StartError},
};
use license_pubsub::bus::Bus;

/// Builds every function, in the order of [`crate::endpoints::FUNCTIONS`].
///
/// # Errors
/// If a variable is wrong or a key cannot be read.
#[expect(clippy::unnecessary_wraps, reason = "the functions plug in here")]
pub(crate) fn functions(_env: &Env, _clock: &Clock, _bus: &Bus) -> Result<Vec<Service>, StartError> {
    Ok(Vec::new())
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
