//! The bus of one machine, in place of Cloud Pub/Sub: for `license-local` and for tests.
//!
//! It keeps messages in memory only. A message that it accepted and had not delivered when the process ended is lost,
//! so nothing may depend on the delivery that Cloud Pub/Sub would guarantee: the next tick does the work of a lost reap
//! message.

use crate::{
    Message, PublishError, PublishFuture, Publisher, Topic,
    push::{Envelope, PushDelivery},
};
use license_core::{Clock, error::chain};
use reqwest::{Client, StatusCode, Url, header};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::{Semaphore, watch};

/// Gives a fresh bearer token for each push.
pub type TokenSource = Arc<dyn Fn() -> String + Send + Sync>;

/// A receiver of the messages of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// The topic.
    pub topic: Topic,
    /// Where its messages are posted: plain HTTP on this machine.
    pub push_url: String,
}

/// The limits and times of the bus. [`BusLimits::default`] is right for `license-local`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BusLimits {
    /// How many deliveries may wait; more are refused with [`PublishError::Full`].
    pub queue: usize,
    /// How many pushes are under way at once.
    pub concurrency: usize,
    /// How long a receiver may take to answer.
    pub ack_deadline: Duration,
    /// The pause after the first failed delivery; it doubles with every further one …
    pub first_backoff: Duration,
    /// … up to this.
    pub max_backoff: Duration,
    /// After so many failed deliveries the message is given up. At least 1.
    pub attempts: u32,
}

impl Default for BusLimits {
    /// 20 attempts with at most 10 s between them: a receiver may be away for a minute and a half.
    fn default() -> Self {
        Self {
            queue: 10_000,
            concurrency: 8,
            ack_deadline: Duration::from_secs(60),
            first_backoff: Duration::from_millis(10),
            max_backoff: Duration::from_secs(10),
            attempts: 20,
        }
    }
}

/// Why a bus could not be made.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// The address of a subscription is not valid.
    #[error("the bus cannot push to {0:?}: not a plain http:// address")]
    PushUrl(String),
    /// No HTTP client could be made.
    #[error("the bus has no HTTP client")]
    Client(#[from] reqwest::Error),
}

/// [`Publisher`] that delivers by HTTP from within this process. Clones share one queue.
#[derive(Clone)]
pub struct LocalBus {
    inner: Arc<BusInner>,
}

struct BusInner {
    subscriptions: Vec<(Topic, Url)>,
    token: TokenSource,
    limits: BusLimits,
    client: Client,
    clock: Clock,
    posts: Semaphore,
    state: watch::Sender<BusState>,
    dead_letters: AtomicU64,
    abandoned: AtomicU64,
}

#[derive(Clone, Copy, Default)]
struct BusState {
    /// Deliveries accepted and not yet over.
    pending: usize,
    closed: bool,
}

impl LocalBus {
    /// A bus with the default limits. Must be used inside a Tokio runtime; rustls's default crypto provider must be
    /// installed (the HTTP client asks for it even where it never uses TLS).
    ///
    /// # Errors
    /// An address that cannot be pushed to.
    pub fn new(subscriptions: Vec<Subscription>, token: TokenSource) -> Result<Self, BusError> {
        Self::with_limits(subscriptions, token, BusLimits::default())
    }

    /// A bus with other limits.
    ///
    /// # Errors
    /// As [`LocalBus::new`].
    pub fn with_limits(
        subscriptions: Vec<Subscription>,
        token: TokenSource,
        limits: BusLimits,
    ) -> Result<Self, BusError> {
        let address = |Subscription { topic, push_url }| match Url::parse(&push_url) {
            Ok(url) if url.scheme() == "http" => Ok((topic, url)),
            _ => Err(BusError::PushUrl(push_url)),
        };
        let inner = BusInner {
            subscriptions: subscriptions.into_iter().map(address).collect::<Result<_, _>>()?,
            token,
            limits,
            client: client(limits.ack_deadline)?,
            clock: Clock::system(),
            posts: Semaphore::new(limits.concurrency.max(1)),
            state: watch::Sender::default(),
            dead_letters: AtomicU64::new(0),
            abandoned: AtomicU64::new(0),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// How many messages were given up after the last attempt, since the start.
    pub fn dead_letters(&self) -> u64 {
        self.inner.dead_letters.load(Ordering::Relaxed)
    }

    /// Accepts messages as [`Publisher::publish`] does, and tells the ids they got, in their order.
    ///
    /// # Errors
    /// The bus is full or shutting down; none was accepted.
    pub fn accept(&self, topic: Topic, messages: Vec<Message>) -> Result<Vec<String>, PublishError> {
        self.inner.accept(topic, messages)
    }

    /// Waits until everything accepted so far is delivered or given up.
    pub async fn idle(&self) {
        // Cannot fail: the sender is in `self`.
        let _ = self.inner.state.subscribe().wait_for(|state| state.pending == 0).await;
    }

    /// Accepts no more messages, lets pushes that are under way end (at most [`BusLimits::ack_deadline`]) and drops
    /// what waits.
    pub async fn shutdown(&self) {
        self.inner.state.send_modify(|state| state.closed = true);
        self.idle().await;
        let abandoned = self.inner.abandoned.swap(0, Ordering::Relaxed);
        if abandoned > 0 {
            tracing::warn!(abandoned, "the bus stopped before these messages were delivered");
        }
    }
}

impl Publisher for LocalBus {
    /// `Ok` once the messages are accepted in memory, all or none. A topic without subscription takes and forgets them,
    /// as Cloud Pub/Sub does.
    fn publish(&self, topic: Topic, messages: Vec<Message>) -> PublishFuture<'_, Result<(), PublishError>> {
        Box::pin(async move { self.accept(topic, messages).map(drop) })
    }
}

impl BusInner {
    fn accept(self: &Arc<Self>, topic: Topic, messages: Vec<Message>) -> Result<Vec<String>, PublishError> {
        let urls: Vec<&Url> = self.subscriptions.iter().filter(|(of, _)| *of == topic).map(|(_, url)| url).collect();
        let new = messages.len() * urls.len();
        let mut outcome = Ok(());
        self.state.send_if_modified(|state| {
            if state.closed {
                outcome = Err(PublishError::Closed);
            } else if state.pending + new > self.limits.queue {
                outcome = Err(PublishError::Full { waiting: state.pending });
            } else {
                state.pending += new;
            }
            outcome.is_ok()
        });
        outcome?;
        let mut ids = Vec::with_capacity(messages.len());
        for message in messages {
            let push = PushDelivery::new(topic, message, &self.clock);
            ids.push(push.message_id.clone());
            for url in &urls {
                let place = QueuePlace(self.clone());
                tokio::spawn(deliver(place, (*url).clone(), push.clone()));
            }
        }
        Ok(ids)
    }
}

/// The place of one delivery in the queue. It is free again when the delivery is over, however it ends.
struct QueuePlace(Arc<BusInner>);

impl Drop for QueuePlace {
    fn drop(&mut self) {
        self.0.state.send_modify(|state| state.pending -= 1);
    }
}

/// Pushes one message to one receiver until it is acknowledged, given up, or the bus shuts down.
async fn deliver(place: QueuePlace, url: Url, mut push: PushDelivery) {
    let bus = &place.0;
    let mut state = bus.state.subscribe();
    let mut backoff = bus.limits.first_backoff;
    let last = bus.limits.attempts.max(1);
    for attempt in 1..=last {
        let permit = tokio::select! {
            biased;
            _ = state.wait_for(|state| state.closed) => break,
            permit = bus.posts.acquire() => permit,
        };
        push.delivery_attempt = Some(attempt);
        let answer = post(&bus.client, url.clone(), &push, &(bus.token)()).await;
        drop(permit);
        let why = match answer {
            Ok(status) if acknowledges(status) => return,
            Ok(status) => status.to_string(),
            Err(error) => chain(&error).to_string(),
        };
        if attempt == last {
            bus.dead_letters.fetch_add(1, Ordering::Relaxed);
            tracing::error!(url = %url, message_id = push.message_id, attempts = last, why, "a message was given up");
            return;
        }
        tracing::debug!(url = %url, message_id = push.message_id, attempt, why, "a push was not acknowledged");
        tokio::select! {
            _ = state.wait_for(|state| state.closed) => break,
            () = tokio::time::sleep(backoff) => {}
        }
        backoff = (backoff * 2).min(bus.limits.max_backoff);
    }
    bus.abandoned.fetch_add(1, Ordering::Relaxed);
}

/// Whether a status acknowledges a push (<https://cloud.google.com/pubsub/docs/push#receive_push>); any other
/// redelivers.
pub fn acknowledges(status: StatusCode) -> bool {
    matches!(status.as_u16(), 102 | 200 | 201 | 202 | 204)
}

/// Posts one delivery and gives the receiver's answer: to send a message twice, late or out of order, as Cloud Pub/Sub
/// may.
///
/// # Errors
/// An address that is none, or nobody who answers within 60 s.
pub async fn deliver_once(url: &str, push: &PushDelivery, token: &str) -> Result<StatusCode, BusError> {
    let address = Url::parse(url).map_err(|_| BusError::PushUrl(url.to_owned()))?;
    let client = client(BusLimits::default().ack_deadline)?;
    Ok(post(&client, address, push, token).await?)
}

async fn post(client: &Client, url: Url, push: &PushDelivery, token: &str) -> reqwest::Result<StatusCode> {
    let request = client.post(url).bearer_auth(token).header(header::CONTENT_TYPE, "application/json");
    Ok(request.body(Envelope::write(push)).send().await?.status())
}

/// Straight to this machine: no proxy, no redirects (Pub/Sub follows none), and no certificates, which a bare machine
/// may not even have and which the client would otherwise load.
fn client(ack_deadline: Duration) -> reqwest::Result<Client> {
    let builder = Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
    builder.tls_certs_only([]).timeout(ack_deadline).build()
}
