//! One bootstrap for every service: listen at once, try the stores meanwhile, answer, stop in good order.

use super::{
    config::{Environment, ProcessConfig},
    connection_count,
    connection_limit::ConnectionSlots,
    connections::{ClientPatience, accept},
    health,
    layers::LayerSettings,
    metrics, pages, security,
    start::ServiceStart,
    telemetry,
};
use axum::Router;
use license_core::{
    Clock,
    error::{ErrorContext, chain},
};
use std::{future::Future, process::ExitCode, sync::Arc, time::Duration};
use tokio::net::TcpListener;

pub use super::{check::StoreCheck, layers::layers};

/// Cloud Run kills ten seconds after SIGTERM.
const DRAIN: Duration = Duration::from_secs(8);

/// What a service is: its paths, and what it needs to answer them.
pub struct Service {
    /// The function's own router, without layers and health.
    pub router: Router,
    /// Every store this function needs.
    pub checks: Vec<StoreCheck>,
}

/// Why a service did not start or stopped: a sentence, and the cause underneath where there is one. Print it with
/// [`chain`].
pub type StartError = Box<dyn std::error::Error + Send + Sync>;

/// Runs a service until SIGTERM or Ctrl-C: what every binary's `main` calls.
///
/// `build` reads its configuration and makes clients; it must not wait for any store, since the port is already open.
pub fn run(build: impl AsyncFnOnce(&Environment, Clock) -> Result<Service, StartError>) -> ExitCode {
    match start(build) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("This service cannot run: {}", chain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

// One worker: see docs/decisions/2026-11-26-one-worker.md.
#[tokio::main(flavor = "multi_thread", worker_threads = 1)]
async fn start(build: impl AsyncFnOnce(&Environment, Clock) -> Result<Service, StartError>) -> Result<(), StartError> {
    install_tls();
    let env = Environment::process();
    let clock = Clock::system();
    let ProcessConfig { logging, layers, proxies, listen } = ProcessConfig::from_env(&env)?;
    telemetry::init(&logging, clock.clone());
    let settings = LayerSettings::new(&layers, &logging);
    let slots = ConnectionSlots::of_process(proxies);
    let at = listen.socket();
    let listener = TcpListener::bind(at)
        .await
        .map_err(|error| ErrorContext::new(format!("{at} (BIND_ADDRESS and PORT) cannot be listened on"), error))?;
    let service = build(&env, clock).await?;
    let at = listener.local_addr()?;
    tracing::info!(address = %at.ip(), port = at.port(), connections = slots.connections(), "listening");
    serve(listener, app(service, &settings), slots, stop_signal()).await?;
    tracing::info!("stopped");
    Ok(())
}

/// Installs aws-lc-rs as the TLS provider of this process; without it the first https request panics. Twice is fine.
pub fn install_tls() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

/// A service with its health paths, its metrics where it has any, pages for people, whom to tell of a weakness and the layers, and its stores being tried for the first
/// time. Needs a runtime.
pub fn app(service: Service, settings: &LayerSettings) -> Router {
    let start = ServiceStart::begin(service.checks.clone(), settings.start_patience);
    let router = connection_count::counted(service.router, &service.checks);
    let router = router.merge(metrics::router(&service.checks, settings.metrics()));
    let router = router.merge(health::router(service.checks, start));
    let router = router.merge(security::router(settings.security.as_ref())).merge(pages::router(settings.pages()));
    layers(router, settings)
}

/// Serves until `stop` resolves, then lets requests under way finish, at most eight seconds.
///
/// Clients that are slow are waited for as long as [`ClientPatience`] says, and as many of them as there are `slots` for:
/// all listeners of a process share one.
///
/// # Errors
/// None as yet: a listener that fails is tried again.
pub async fn serve(
    listener: TcpListener,
    app: Router,
    slots: Arc<ConnectionSlots>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    serve_with(listener, app, ClientPatience::default(), slots, stop).await;
    Ok(())
}

/// [`serve`] with another patience.
pub async fn serve_with(
    listener: TcpListener,
    app: Router,
    patience: ClientPatience,
    slots: Arc<ConnectionSlots>,
    stop: impl Future<Output = ()> + Send + 'static,
) {
    let under_way = accept(listener, app, patience, slots, stop).await;
    if tokio::time::timeout(DRAIN, under_way.shutdown()).await.is_err() {
        tracing::warn!("requests were still under way eight seconds after the signal to stop");
    }
}

/// Resolves on SIGTERM or Ctrl-C. As process 1 of a container nobody else handles them for us.
pub async fn stop_signal() {
    let interrupt = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    #[cfg(unix)]
    let terminate = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => drop(signal.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    #[cfg(not(unix))]
    let terminate = std::future::pending::<()>();
    tokio::select! { () = interrupt => {}, () = terminate => {} }
}
