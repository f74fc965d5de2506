//! reaper: sweeps seats nobody is heard from and publishes what happened. Takes only authenticated pushes.

use crate::{
    edge::{
        Problem,
        config::{BusConfig, Environment, PubSubConfig, ReaperConfig},
        context::traceparent,
        metrics::{count_published, count_sweep},
        serve::{Service, StartError, StoreCheck},
    },
    received::{acknowledged, received},
    services::ServiceInputs,
    wiring,
};
use axum::{
    Router,
    extract::{Request, State},
    response::{IntoResponse, Response},
    routing::post,
};
use license_core::{
    Clock, Error,
    domain::event::{Event, SweepShare},
    error::chain,
    identity::IdentityVerifier,
    protocol::{history, publish, reap::SeatReaper},
    records::DatabaseRole,
};
use license_pubsub::{
    Message, Publisher, Topic,
    push::{PushCheck, PushDelivery},
    rest::{self, RestPublisher},
};
use std::{sync::Arc, time::Duration};

/// The PostgreSQL role that the service connects as.
pub(crate) const ROLE: DatabaseRole = DatabaseRole::Reaper;

/// What the reaper may touch.
#[derive(Clone)]
pub struct ReaperService {
    /// The reaper's operations.
    pub reaper: SeatReaper,
    /// Where shares and events go.
    pub publisher: Arc<dyn Publisher>,
    /// Who may push.
    pub push: PushCheck,
}

/// `POST /tick`: begin a sweep, if there is anything to do. `POST /reap`: one share of it.
pub fn router(service: ReaperService) -> Router {
    Router::new().route("/tick", post(tick)).route("/reap", post(reap)).with_state(service)
}

/// Shares of one request to Pub/Sub, which takes 10 MB: these have at most four.
const BATCH: usize = 100;

async fn tick(State(service): State<ReaperService>, request: Request) -> Result<Response, Response> {
    received(&service.push, request, |_| Ok(())).await?;
    let asked = asked(&service).await;
    count_sweep(asked.as_ref().ok().copied());
    match asked {
        Ok(true) => Ok(acknowledged("sent")),
        Ok(false) => Ok(acknowledged("idle")),
        Err(error) => Err(Problem::from(error).into_response()),
    }
}

/// One question to the records, and a message for each share of what there is to do. One that failed halfway comes
/// again and asks for some shares twice, which is looking twice. True if there was anything to do.
async fn asked(service: &ReaperService) -> Result<bool, Error> {
    let shares = service.reaper.shares().await?;
    let trace = traceparent();
    let message = |share: &SweepShare| Message::reap(share).of_trace(trace.as_deref());
    for batch in shares.chunks(BATCH) {
        let sent = service.publisher.publish(Topic::Reap, batch.iter().map(message).collect()).await;
        sent.map_err(|error| Error::events("the shares of a sweep were not published", error))?;
    }
    // What is over is no hurry: what could not be done now is done at a later tick.
    if let Err(error) = history::take_due_steps(service.reaper.records()).await {
        tracing::warn!(error = %chain(&error), "the history was not kept");
    }
    Ok(!shares.is_empty())
}

async fn reap(State(service): State<ReaperService>, request: Request) -> Result<Response, Response> {
    let share = received(&service.push, request, PushDelivery::share).await?;
    swept(&service, &share).await.map_err(|error| Problem::from(error).into_response())
}

async fn swept(service: &ReaperService, share: &SweepShare) -> Result<Response, Error> {
    let report = service.reaper.sweep(share).await;
    let unpublished = |error| Error::events("events were not published", error);
    let send = |events: &[Event]| {
        let (messages, publisher) = (messages(events), Arc::clone(&service.publisher));
        async move { publisher.publish(Topic::Events, messages).await.map_err(unpublished) }
    };
    // Events wait for whoever comes first: one share that cannot be swept does not keep them.
    let published = publish::drain(service.reaper.records(), service.reaper.steps(), send).await;
    count_published(*published.as_ref().unwrap_or(&0));
    let (report, published) = (report?, published?);
    if report.seats + report.sessions + published > 0 {
        let (seats, sessions) = (report.seats, report.sessions);
        tracing::info!(pools = report.pools, seats, sessions, published, "swept");
    }
    // Not acknowledged, the message comes again and the pools that failed get their look.
    match report.failed {
        0 => Ok(acknowledged("swept")),
        failed => Err(Error::Seats(format!("{failed} of {} pools could not be swept", report.pools).into())),
    }
}

fn messages(events: &[Event]) -> Vec<Message> {
    let trace = traceparent();
    let message = |event: &Event| {
        let unwritable = |error: serde_json::Error| {
            tracing::error!(id = %event.id, error = %chain(&error), "an event \
            that can never be published was dropped")
        };
        let message = Message::event(event).map_err(unwritable).ok()?;
        Some(message.of_trace(trace.as_deref()))
    };
    events.iter().filter_map(message).collect()
}

/// The service from configuration. It publishes to the bus of a `license-local` where one is named, else to Cloud
/// Pub/Sub.
///
/// # Errors
/// A sentence that names the variable that is wrong.
pub async fn service(env: &Environment, clock: Clock) -> Result<Service, StartError> {
    service_from(ServiceInputs::new(env, clock)).await
}

/// The service from its row of the table: over the publisher that is given, or else over the one that the variables
/// name.
pub(crate) async fn service_from(inputs: ServiceInputs<'_>) -> Result<Service, StartError> {
    let ServiceInputs { env, clock, publisher, .. } = inputs;
    let ReaperConfig { stores, push, publish } = ReaperConfig::from_env(env)?;
    let publisher = match publisher {
        Some(publisher) => publisher,
        None => configured_publisher(publish).await?,
    };
    let tokens = wiring::access_tokens(&stores.token_source, &clock);
    let seats = wiring::seats(&stores.redis, stores.timing, &tokens, clock.clone())?;
    let records = wiring::records(&stores.records, ROLE, &tokens)?;
    let reaper = SeatReaper::new(seats, records, stores.timing);
    let push = PushCheck { verifier: IdentityVerifier::new(push.trust, clock), email: push.email };
    let check = StoreCheck::of_reaper(reaper.clone());
    Ok(Service { router: router(ReaperService { reaper, publisher, push }), checks: vec![check] })
}

async fn configured_publisher(mut config: PubSubConfig) -> Result<Arc<dyn Publisher>, StartError> {
    match config.bus.take() {
        Some(bus) => Ok(Arc::new(local_bus_publisher(config, bus)?)),
        None => cloud_publisher(config).await,
    }
}

/// How long one publish may take; Pub/Sub waits longer for the push that asked for it.
const PATIENCE: Duration = Duration::from_secs(20);

fn local_bus_publisher(config: PubSubConfig, bus: BusConfig) -> Result<RestPublisher, StartError> {
    let PubSubConfig { project, topics, .. } = config;
    let BusConfig { url, token } = bus;
    Ok(RestPublisher::new(rest::RestSettings { url, project, topics, token, deadline: PATIENCE })?)
}

#[cfg(feature = "cloud")]
async fn cloud_publisher(config: PubSubConfig) -> Result<Arc<dyn Publisher>, StartError> {
    use license_pubsub::cloud::{CloudPublisher, CloudSettings, PubsubServer};
    let PubSubConfig { project, topics, emulator, .. } = config;
    let server = emulator.map_or(PubsubServer::Google, PubsubServer::Emulator);
    Ok(Arc::new(CloudPublisher::new(CloudSettings { project, topics, server, deadline: PATIENCE }).await?))
}

#[cfg(not(feature = "cloud"))]
async fn cloud_publisher(_: PubSubConfig) -> Result<Arc<dyn Publisher>, StartError> {
    Err("PUBSUB_BUS_URL is not set, and this reaper was built without the client for Cloud Pub/Sub. \
        Beside license-local, read its .local/env; in the cloud, build with --features cloud."
        .into())
}
