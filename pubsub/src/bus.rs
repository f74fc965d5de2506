//! The bus of one machine, in place of Cloud Pub/Sub: for `license-local` and for tests.
//!
//! It keeps messages in memory only. A message that it accepted and had not delivered when the process ended is lost,
//! so nothing may depend on the delivery that Cloud Pub/Sub would guarantee: the next tick does the work of a lost reap
//! message, and that of an event for notify too.
//!
//! Each subscription has a queue and pushes of its own, as in Cloud Pub/Sub: a receiver that is slow or away delays no
//! other one.

use crate::{
    Message, PublishError, PublishFuture, Publisher, Topic,
    push::{Envelope, PushDelivery},
};
use license_core::{Clock, error::chain};
use reqwest::{Client, StatusCode, Url, header};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
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
    /// How many deliveries of one subscription may wait. Messages for which no subscription of their topic has room are
    /// refused with [`PublishError::Full`]; where another one has, the full one loses them.
    pub queue: usize,
    /// How many pushes of one subscription are under way at once.
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

/// [`Publisher`] that delivers by HTTP from within this process. Clones share the queues.
#[derive(Clone)]
pub struct LocalBus {
    inner: Arc<BusInner>,
}

struct BusInner {
    queues: Vec<Arc<PushQueue>>,
    token: TokenSource,
    limits: BusLimits,
    client: Client,
    clock: Clock,
    state: watch::Sender<BusState>,
    dead_letters: AtomicU64,
    abandoned: AtomicU64,
}

#[derive(Clone, Copy, Default)]
struct BusState {
    /// Deliveries accepted and not yet over, of all subscriptions.
    pending: usize,
    closed: bool,
}

/// What is pushed to one subscription.
struct PushQueue {
    topic: Topic,
    url: Url,
    /// Its deliveries accepted and not yet over; changed only while the state is.
    pending: AtomicUsize,
    posts: Semaphore,
}

impl PushQueue {
    fn pending(&self) -> usize {
        self.pending.load(Ordering::Relaxed)
    }
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
        let queue = |Subscription { topic, push_url }| match Url::parse(&push_url) {
            Ok(url) if url.scheme() == "http" => {
                let posts = Semaphore::new(limits.concurrency.max(1));
                Ok(Arc::new(PushQueue { topic, url, pending: AtomicUsize::new(0), posts }))
            }
            _ => Err(BusError::PushUrl(push_url)),
        };
        let inner = BusInner {
            queues: subscriptions.into_iter().map(queue).collect::<Result<_, _>>()?,
            token,
            limits,
            client: client(limits.ack_deadline)?,
            clock: Clock::system(),
            state: watch::Sender::default(),
            dead_letters: AtomicU64::new(0),
            abandoned: AtomicU64::new(0),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// How many deliveries were given up since the start: after the last attempt, or because their queue was full.
    pub fn dead_letters(&self) -> u64 {
        self.inner.dead_letters.load(Ordering::Relaxed)
    }

    /// How many deliveries of a topic are accepted and not yet over.
    pub fn pending(&self, topic: Topic) -> usize {
        self.inner.queues.iter().filter(|queue| queue.topic == topic).map(|queue| queue.pending()).sum()
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
        let queues: Vec<&Arc<PushQueue>> = self.queues.iter().filter(|queue| queue.topic == topic).collect();
        // Where events go stands in PostgreSQL once they are accepted. Refused, they would not be marked published, and
        // one receiver that is too slow would hold up the events of everybody.
        let may_drop = topic == Topic::Events;
        let open = self.reserve(&queues, messages.len(), may_drop)?;
        let mut ids = Vec::with_capacity(messages.len());
        for message in messages {
            let push = PushDelivery::new(topic, message, &self.clock);
            ids.push(push.message_id.clone());
            for queue in &open {
                let place = QueuePlace { bus: self.clone(), queue: (*queue).clone() };
                tokio::spawn(deliver(place, push.clone()));
            }
        }
        Ok(ids)
    }

    /// Places for so many messages in each of these queues that has room for all of them; the queues that have. None has:
    /// [`PublishError::Full`], unless they may be dropped.
    fn reserve<'a>(
        &self,
        queues: &[&'a Arc<PushQueue>],
        messages: usize,
        may_drop: bool,
    ) -> Result<Vec<&'a Arc<PushQueue>>, PublishError> {
        let (mut outcome, mut full) = (Ok(Vec::new()), 0);
        self.state.send_if_modified(|state| {
            let has_room = |queue: &&&Arc<PushQueue>| queue.pending() + messages <= self.limits.queue;
            let open: Vec<_> = queues.iter().filter(has_room).copied().collect();
            full = queues.len() - open.len();
            if state.closed {
                outcome = Err(PublishError::Closed);
            } else if open.is_empty() && full > 0 && !may_drop {
                let waiting = queues.iter().map(|queue| queue.pending()).min().unwrap_or_default();
                outcome = Err(PublishError::Full { waiting });
            } else {
                for queue in &open {
                    queue.pending.fetch_add(messages, Ordering::Relaxed);
                }
                state.pending += messages * open.len();
                outcome = Ok(open);
            }
            outcome.is_ok()
        });
        if outcome.is_ok() && full > 0 {
            // Refusing them would let a receiver that is away keep them from the others.
            self.dead_letters.fetch_add((full * messages) as u64, Ordering::Relaxed);
            tracing::warn!(subscriptions = full, messages, "messages were not queued for a receiver that is too slow");
        }
        outcome
    }
}

/// The place of one delivery in its queue. It is free again when the delivery is over, however it ends.
struct QueuePlace {
    bus: Arc<BusInner>,
    queue: Arc<PushQueue>,
}

impl Drop for QueuePlace {
    fn drop(&mut self) {
        self.bus.state.send_modify(|state| {
            self.queue.pending.fetch_sub(1, Ordering::Relaxed);
            state.pending -= 1;
        });
    }
}

/// Pushes one message to one receiver until it is acknowledged, given up, or the bus shuts down.
async fn deliver(place: QueuePlace, mut push: PushDelivery) {
    let (bus, url) = (&place.bus, &place.queue.url);
    let mut state = bus.state.subscribe();
    let mut backoff = bus.limits.first_backoff;
    let last = bus.limits.attempts.max(1);
    for attempt in 1..=last {
        let permit = tokio::select! {
            biased;
            _ = state.wait_for(|state| state.closed) => break,
            permit = place.queue.posts.acquire() => permit,
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
            tracing::error!(%url, message_id = push.message_id, attempts = last, why, "a message was given up");
            return;
        }
        tracing::debug!(%url, message_id = push.message_id, attempt, why, "a push was not acknowledged");
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
