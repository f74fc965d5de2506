//! notify: sends events to the webhooks of organizations, and judges what is to be told of. Takes only authenticated pushes.
//!
//! What is to be sent stands in PostgreSQL, and so does when it is tried again: a push that is lost or repeated changes
//! nothing but the time. A receiver that fails is therefore no error of a push.
//!
//! `judging.rs`: what alert rules raise · `delivering.rs`: one try · `turns.rs`: everything whose time has come, so that no receiver keeps the others waiting ·
//! `places.rs`: how many events of one organization are sent at once

mod delivering;
mod judging;
mod places;
mod turns;

pub use delivering::{Deliverer, DeliveryTally};

use crate::{
    edge::{
        Problem,
        config::{Environment, NotifyConfig},
        serve::{Service, StartError, StoreCheck},
    },
    received::{acknowledged, received},
    services::ServiceInputs,
    wiring::{self, access_tokens},
};
use axum::{
    Router,
    extract::{Request, State},
    response::{IntoResponse, Response},
    routing::post,
};
use license_core::{
    Clock, Error,
    domain::event::Event,
    error::chain,
    identity::IdentityVerifier,
    records::{DatabaseRole, TakeFrom},
    webhooks::{SenderSettings, WebhookSender},
};
use license_pubsub::push::{PushCheck, PushDelivery};
use places::OrganizationPlaces;

/// The PostgreSQL role that the service connects as.
pub(crate) const ROLE: DatabaseRole = DatabaseRole::Notify;

/// Deliveries of one event that are tried at once.
const AT_ONCE: i32 = 50;

/// What notify may touch.
#[derive(Clone)]
pub struct NotifyService {
    deliverer: Deliverer,
    push: PushCheck,
    places: OrganizationPlaces,
}

impl NotifyService {
    /// The service over what sends and what checks who pushes.
    pub fn new(deliverer: Deliverer, push: PushCheck) -> Self {
        Self { deliverer, push, places: OrganizationPlaces::default() }
    }
}

/// `POST /events`: one event, to the webhooks that want it. `POST /due`: every alert rule and every delivery whose time has
/// come.
///
/// The second is pushed by the topic `tick`. Its path is another one than the reaper's, so that each path belongs to one
/// service, in metrics as behind one address.
pub fn router(service: NotifyService) -> Router {
    Router::new().route("/events", post(events)).route("/due", post(due)).with_state(service)
}

async fn events(State(service): State<NotifyService>, request: Request) -> Result<Response, Response> {
    let event = received(&service.push, request, PushDelivery::event).await?;
    sent(&service, &event).await.map_err(|error| Problem::from(error).into_response())
}

/// The event as rows, and then the first try of each. What is not tried now is due, and is tried after the next tick.
async fn sent(service: &NotifyService, event: &Event) -> Result<Response, Error> {
    let records = service.deliverer.records();
    // Most organizations have no webhook.
    if records.enqueue_deliveries(event).await?.is_none() {
        return Ok(acknowledged("idle"));
    }
    // Receivers that are slow use up the places of their own organization alone.
    let Some(_place) = service.places.take(event.tenant).await else { return Ok(acknowledged("later")) };
    let mut tally = DeliveryTally::default();
    loop {
        let taken = records.take_deliveries(event.tenant, TakeFrom::Event(event.id), AT_ONCE).await?;
        let were_all = taken.len() < AT_ONCE as usize;
        tally.add(service.deliverer.deliver(taken).await?);
        if were_all {
            return Ok(told(tally));
        }
    }
}

async fn due(State(service): State<NotifyService>, request: Request) -> Result<Response, Response> {
    received(&service.push, request, |_| Ok(())).await?;
    // What it raises is sent by the push of its event. If nobody can say which rules are due, what is to be sent is sent.
    let judged = judging::judge_due(service.deliverer.records()).await;
    let tally = service.deliverer.deliver_due().await;
    judged.and(tally).map(told).map_err(|error| Problem::from(error).into_response())
}

fn told(tally: DeliveryTally) -> Response {
    let DeliveryTally { delivered, refused } = tally;
    if delivered + refused > 0 {
        tracing::info!(delivered, refused, "deliveries tried");
    }
    match (delivered, refused) {
        (0, 0) => acknowledged("idle"),
        (_, 0) => acknowledged("delivered"),
        _ => acknowledged("refused"),
    }
}

/// The service from configuration, for receivers on the internet.
///
/// # Errors
/// A sentence that names the variable that is wrong.
pub async fn service(env: &Environment, clock: Clock) -> Result<Service, StartError> {
    service_from(ServiceInputs::new(env, clock)).await
}

/// The service from its row of the table.
pub(crate) async fn service_from(inputs: ServiceInputs<'_>) -> Result<Service, StartError> {
    let ServiceInputs { env, clock, endpoints, .. } = inputs;
    let NotifyConfig { records, token_source, push, webhook_keys, proxy } = NotifyConfig::from_env(env)?;
    let records = wiring::records(&records, ROLE, &access_tokens(&token_source, &clock))?;
    let proxy = proxy.map(|proxy| proxy.reveal().clone());
    let sender = WebhookSender::new(SenderSettings { proxy, ..SenderSettings::new(endpoints) });
    // A machine may have no certificate authorities. Nobody there has to do without the other services for it.
    let sender = sender.inspect_err(|error| tracing::error!(error = %chain(error), "nothing is sent to webhooks")).ok();
    let push = PushCheck { verifier: IdentityVerifier::new(push.trust, clock.clone()), email: push.email };
    let check = StoreCheck::of_records(records.clone());
    let deliverer = Deliverer::new(records, sender, webhook_keys, endpoints, clock);
    Ok(Service { router: router(NotifyService::new(deliverer, push)), checks: vec![check] })
}
