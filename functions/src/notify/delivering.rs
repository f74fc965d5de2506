//! One try of a delivery, from its row to what is written of it.

use crate::edge::metrics::count_attempt;
use license_core::{
    Clock, Error, Result,
    domain::{
        delivery::DeliveryState,
        id::WebhookId,
        secret::{KeyRing, Secret, random},
        webhook::{EndpointRules, EndpointUrl, WebhookSecret, schedule, signature_header},
    },
    records::{DeliveryAttempt, Records, TakenDelivery},
    webhooks::{Attempt, AttemptOutcome, WebhookSender},
};
use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::task::JoinSet;

/// Tries deliveries. Clones share everything.
#[derive(Clone)]
pub struct Deliverer(Arc<DelivererInner>);

struct DelivererInner {
    records: Records,
    sender: Option<WebhookSender>,
    keys: KeyRing,
    rules: EndpointRules,
    clock: Clock,
    /// The webhooks that a line was written about.
    named: Mutex<HashSet<WebhookId>>,
}

/// How many deliveries were tried, and with what success.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeliveryTally {
    /// Those that the receiver took.
    pub delivered: usize,
    /// Those that it did not take.
    pub refused: usize,
}

impl DeliveryTally {
    pub(super) fn add(&mut self, other: Self) {
        self.delivered += other.delivered;
        self.refused += other.refused;
    }

    pub(super) fn tried(self) -> usize {
        self.delivered + self.refused
    }
}

/// Why nothing was sent: the outcome of the attempt, and what a person reads in the log.
type Unsendable = (&'static str, String);

/// A request that can be sent.
struct PreparedRequest<'a> {
    sender: &'a WebhookSender,
    url: EndpointUrl,
    secret: WebhookSecret,
    previous: Option<WebhookSecret>,
    body: Vec<u8>,
}

impl Deliverer {
    /// Tries deliveries of these records. `sender`: `None` where there could be none, and every try fails; `keys`: what
    /// secrets are sealed with; `rules`: which receivers are allowed.
    pub fn new(
        records: Records,
        sender: Option<WebhookSender>,
        keys: KeyRing,
        rules: EndpointRules,
        clock: Clock,
    ) -> Self {
        Self(Arc::new(DelivererInner { records, sender, keys, rules, clock, named: Mutex::default() }))
    }

    pub(super) fn records(&self) -> &Records {
        &self.0.records
    }

    /// Tries all of these at once, and writes down what came of each.
    ///
    /// # Errors
    /// [`Error::Records`], once all are over: what could not be written down is sent again.
    pub async fn deliver(&self, taken: Vec<TakenDelivery>) -> Result<DeliveryTally> {
        let mut tries = JoinSet::new();
        for delivery in taken {
            let deliverer = self.clone();
            tries.spawn(async move { deliverer.attempt(&delivery).await });
        }
        let (mut tally, mut failure) = (DeliveryTally::default(), None);
        while let Some(ended) = tries.join_next().await {
            match ended {
                Ok(Ok(true)) => tally.delivered += 1,
                Ok(Ok(false)) => tally.refused += 1,
                Ok(Err(error)) => failure = Some(error),
                Err(error) => failure = Some(Error::internal("a delivery was not brought to its end", error)),
            }
        }
        failure.map_or(Ok(tally), Err)
    }

    /// One try. True if the receiver took it.
    async fn attempt(&self, delivery: &TakenDelivery) -> Result<bool> {
        let attempt = match self.prepare(delivery) {
            Ok(request) => self.send(delivery, request).await,
            Err((outcome, why)) => {
                self.name_once(delivery.webhook, &why);
                DeliveryAttempt { outcome, status: None, answer: None, took: Duration::ZERO }
            }
        };
        let tries = delivery.tries.unsigned_abs();
        let next = schedule::next_delay(tries, f64::from(u32::from_le_bytes(random())) / f64::from(u32::MAX));
        let state = self.records().finish_delivery(delivery, &attempt, next).await?;
        let (webhook, outcome, status) = (delivery.webhook, attempt.outcome, attempt.status);
        count_attempt(outcome);
        match state {
            Some(DeliveryState::Delivered) => {}
            Some(state) => {
                tracing::debug!(%webhook, outcome, status, tries, state = state.as_str(), "a delivery was not taken");
            }
            None => tracing::debug!(%webhook, outcome, "a delivery was tried by somebody else meanwhile"),
        }
        Ok(attempt.outcome == "delivered")
    }

    /// What is needed for a request, or why there can be none.
    fn prepare(&self, delivery: &TakenDelivery) -> std::result::Result<PreparedRequest<'_>, Unsendable> {
        let missing =
            || ("no_client", "this service has no HTTP client for webhooks, as it said at its start".to_owned());
        let sender = self.0.sender.as_ref().ok_or_else(missing)?;
        // The rules may be stricter than when the webhook was registered.
        let url = EndpointUrl::parse(delivery.url.reveal(), self.0.rules);
        let url = url.map_err(|refusal| ("not_allowed", format!("its URL {refusal}")))?;
        let unseal = |sealed: &Secret<String>| {
            let secret = WebhookSecret::unseal(&self.0.keys, delivery.webhook.0, sealed.reveal());
            secret.ok_or_else(|| ("secret_unreadable", "its secret was sealed with another WEBHOOK_KEY".to_owned()))
        };
        let secret = unseal(&delivery.secret)?;
        let previous = delivery.previous_secret.as_ref().map(unseal).transpose()?;
        let body = delivery.sent_event().webhook_body().into_bytes();
        Ok(PreparedRequest { sender, url, secret, previous, body })
    }

    async fn send(&self, delivery: &TakenDelivery, request: PreparedRequest<'_>) -> DeliveryAttempt {
        let PreparedRequest { sender, url, secret, previous, body } = request;
        let (id, timestamp_unix_seconds) = (delivery.event.to_string(), self.0.clock.now_seconds());
        let signature = signature_header(&secret, previous.as_ref(), &id, timestamp_unix_seconds, &body);
        let attempt = Attempt { url: &url, id: &id, timestamp_unix_seconds, signature: &signature, body: &body };
        let report = sender.send(&attempt).await;
        let (outcome, status) = (report.outcome.as_str(), report.outcome.status());
        let answer = match report.outcome {
            AttemptOutcome::Refused { body, .. } => Some(body),
            _ => None,
        };
        DeliveryAttempt { outcome, status, answer, took: Duration::from_millis(report.took_ms.unsigned_abs()) }
    }

    /// Says what is wrong with a webhook, once for each: it is tried again and again.
    fn name_once(&self, webhook: WebhookId, why: &str) {
        /// More are not remembered: then they are said again.
        const MOST: usize = 10_000;
        // Whoever panicked here changed nothing by halves.
        let mut named = self.0.named.lock().unwrap_or_else(PoisonError::into_inner);
        if named.len() >= MOST {
            named.clear();
        }
        if named.insert(webhook) {
            tracing::error!(%webhook, why, "nothing can be sent to a webhook");
        }
    }
}
