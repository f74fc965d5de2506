//! Publishing by the plain REST call of Cloud Pub/Sub.
//!
//! A service that runs as a process of its own beside `license-local` publishes to the bus of `license-local` by this
//! call, without the client of Cloud Pub/Sub, which is large.
//! <https://cloud.google.com/pubsub/docs/reference/rest/v1/projects.topics/publish>

use crate::{Message, PublishError, PublishFuture, Publisher, Topic, TopicNames};
use base64::{Engine, engine::general_purpose::STANDARD};
use license_core::{domain::secret::Secret, error::ErrorContext};
use reqwest::Client;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, time::Duration};

/// How many messages one request may carry (<https://cloud.google.com/pubsub/quotas#resource_limits>).
const MOST_AT_ONCE: usize = 1_000;
/// How much of an answer is repeated in an error.
const EXCERPT: usize = 200;

/// What a [`RestPublisher`] needs to know.
#[derive(Clone, Debug)]
pub struct RestSettings {
    /// The server, without a slash at its end: plain HTTP on this machine.
    pub url: String,
    /// Id of the project that holds the topics.
    pub project: String,
    /// Their names.
    pub topics: TopicNames,
    /// The secret by which the server accepts publishers; it is sent as a bearer token.
    pub token: Secret<String>,
    /// How long one request may take. There are no retries in here: what a push asked for is asked again with the push.
    pub deadline: Duration,
}

/// [`Publisher`] by REST.
#[derive(Clone, Debug)]
pub struct RestPublisher {
    settings: RestSettings,
    client: Client,
}

/// The body of the call.
#[derive(Serialize, Deserialize)]
pub struct PublishRequest {
    /// What to publish.
    pub messages: Vec<RestMessage>,
}

/// One message in it.
#[derive(Serialize, Deserialize)]
pub struct RestMessage {
    /// The body as base64 (RFC 4648, section 4).
    #[serde(default)]
    data: String,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
}

/// The answer: one id for each message, in their order.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PublishResponse {
    /// The ids the server gave.
    pub message_ids: Vec<String>,
}

impl From<&Message> for RestMessage {
    fn from(message: &Message) -> Self {
        Self { data: STANDARD.encode(&message.data), attributes: message.attributes.clone() }
    }
}

impl TryFrom<RestMessage> for Message {
    type Error = base64::DecodeError;

    fn try_from(wire: RestMessage) -> Result<Self, Self::Error> {
        Ok(Self { data: STANDARD.decode(wire.data)?, attributes: wire.attributes })
    }
}

impl RestPublisher {
    /// Prepares a client; connects when it first publishes. rustls's default crypto provider must be installed (the
    /// HTTP client asks for it even where it never uses TLS).
    ///
    /// # Errors
    /// No HTTP client could be made.
    pub fn new(settings: RestSettings) -> reqwest::Result<Self> {
        // Straight to this machine: no proxy, no redirects with our token, and no certificates, which a bare machine
        // may not have.
        let builder = Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
        let client = builder.tls_certs_only([]).timeout(settings.deadline).build()?;
        Ok(Self { settings, client })
    }

    async fn send(&self, topic: Topic, messages: &[Message]) -> Result<(), PublishError> {
        let RestSettings { url, project, topics, token, .. } = &self.settings;
        let name = format!("projects/{project}/topics/{}", topics.name(topic));
        let body = PublishRequest { messages: messages.iter().map(RestMessage::from).collect() };
        let call = self.client.post(format!("{url}/v1/{name}:publish")).bearer_auth(token.reveal()).json(&body);
        let (missing, reason) = match acknowledged(call).await {
            Ok(ids) if ids == messages.len() => return Ok(()),
            Ok(ids) => (messages.len().saturating_sub(ids), format!("{ids} ids came back").into()),
            Err(reason) => (messages.len(), reason),
        };
        Err(PublishError::Unacknowledged { topic: name, missing, of: messages.len(), reason })
    }
}

/// Without the address: the topic says where.
fn unanswered(error: reqwest::Error) -> ErrorContext {
    ErrorContext::new("the server did not answer", error.without_url())
}

/// How many messages the server says it has taken.
async fn acknowledged(call: reqwest::RequestBuilder) -> Result<usize, ErrorContext> {
    let answer = call.send().await.map_err(unanswered)?;
    let status = answer.status();
    let text = answer.text().await.map_err(unanswered)?;
    let said = || text.chars().take(EXCERPT).collect::<String>();
    if !status.is_success() {
        return Err(format!("{status}: {}", said()).into());
    }
    let ids: PublishResponse =
        serde_json::from_str(&text).map_err(|error| ErrorContext::new(format!("no list of ids: {}", said()), error))?;
    Ok(ids.message_ids.len())
}

impl Publisher for RestPublisher {
    fn publish(&self, topic: Topic, messages: Vec<Message>) -> PublishFuture<'_, Result<(), PublishError>> {
        Box::pin(async move {
            for some in messages.chunks(MOST_AT_ONCE) {
                self.send(topic, some).await?;
            }
            Ok(())
        })
    }
}
