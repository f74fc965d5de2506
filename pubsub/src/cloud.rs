//! Cloud Pub/Sub.

use crate::{Message, PublishError, PublishFuture, Publisher, Topic, TopicNames};
use google_cloud_auth::credentials::anonymous;
use google_cloud_gax::retry_policy::RetryPolicyExt;
use google_cloud_pubsub::{client::BasePublisher, model, retry_policy::RetryableErrors};
use license_core::error::ErrorContext;
use std::time::Duration;

/// How many messages one request may carry (<https://cloud.google.com/pubsub/quotas#resource_limits>).
const MOST_AT_ONCE: u32 = 1_000;

/// How long the credentials may take to be prepared. They ask the metadata server of the machine, which is beside it.
const PREPARED_WITHIN: Duration = Duration::from_secs(5);

/// Which server to publish to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PubsubServer {
    /// `pubsub.googleapis.com` with the credentials of the machine (Application Default Credentials). Needs rustls's
    /// default crypto provider to be installed. Their token is renewed in the background; where an idle Cloud Run
    /// instance had no CPU for that, the next publish waits for the renewal.
    Google,
    /// An emulator: `host:port` as in `PUBSUB_EMULATOR_HOST`, plain HTTP and no credentials.
    Emulator(String),
}

/// What a [`CloudPublisher`] needs to know.
#[derive(Clone, Debug)]
pub struct CloudSettings {
    /// Id of the Google Cloud project that holds the topics.
    pub project: String,
    /// Their names.
    pub topics: TopicNames,
    /// The server.
    pub server: PubsubServer,
    /// How long one call of `publish` may try, retries included. The client's own default, ten minutes, would outlive
    /// the request that waits for it.
    pub deadline: Duration,
}

/// [`Publisher`] through `google-cloud-pubsub`.
#[derive(Clone, Debug)]
pub struct CloudPublisher {
    client: BasePublisher,
    project: String,
    topics: TopicNames,
    deadline: Duration,
}

impl CloudPublisher {
    /// Prepares a client: asks for credentials now, and connects to Pub/Sub when it first publishes. Must run inside a Tokio runtime.
    ///
    /// # Errors
    /// Credentials or address make no sense, or the metadata server of the machine takes a question and says nothing for 5 s.
    pub async fn new(settings: CloudSettings) -> Result<Self, ErrorContext> {
        let retries = RetryableErrors.with_time_limit(settings.deadline);
        let mut builder = BasePublisher::builder().with_retry_policy(retries);
        if let PubsubServer::Emulator(host) = &settings.server {
            builder =
                builder.with_endpoint(format!("http://{host}")).with_credentials(anonymous::Builder::new().build());
        }
        let built = tokio::time::timeout(PREPARED_WITHIN, builder.build()).await.map_err(|late| {
            let silent = "no Pub/Sub client was made: its credentials were not there within";
            let look = "look whether the metadata server of this machine (GCE_METADATA_HOST) answers";
            ErrorContext::new(format!("{silent} {PREPARED_WITHIN:?}; {look}"), late)
        })?;
        let client = built.map_err(|e| ErrorContext::new("no Pub/Sub client was made", e))?;
        let CloudSettings { project, topics, deadline, .. } = settings;
        Ok(Self { client, project, topics, deadline })
    }

    async fn send(&self, topic: Topic, messages: Vec<Message>) -> Result<(), PublishError> {
        let name = format!("projects/{}/topics/{}", self.project, self.topics.name(topic));
        let of = messages.len();
        // A publisher of its own for this call: `flush` below then sends and waits for this call's messages only, no
        // batching delay applies, and nothing stays behind when the call is over.
        let publisher = self.client.publisher(&name).set_message_count_threshold(MOST_AT_ONCE).build();
        let sent: Vec<_> = messages.into_iter().map(|message| publisher.publish(into_model(message))).collect();
        let all = async {
            publisher.flush().await;
            let mut failures = Vec::new();
            for one in sent {
                failures.extend(one.await.err());
            }
            failures
        };
        let (missing, reason) = match tokio::time::timeout(self.deadline, all).await {
            Ok(failures) => {
                let missing = failures.len();
                match failures.into_iter().next() {
                    None => return Ok(()),
                    Some(first) => (missing, ErrorContext::new("the server did not take them", first)),
                }
            }
            // What is still under way then ends by the same limit on retries; should it yet arrive, it is a duplicate.
            Err(_) => (of, format!("no answer within {:?}", self.deadline).into()),
        };
        Err(PublishError::Unacknowledged { topic: name, missing, of, reason })
    }
}

impl Publisher for CloudPublisher {
    fn publish(&self, topic: Topic, messages: Vec<Message>) -> PublishFuture<'_, Result<(), PublishError>> {
        Box::pin(async move { if messages.is_empty() { Ok(()) } else { self.send(topic, messages).await } })
    }
}

fn into_model(message: Message) -> model::Message {
    model::Message::new().set_data(message.data).set_attributes(message.attributes)
}
