//! What people may do with webhooks: make, change, test and delete them, and have events sent again.

use super::{Management, check_version};
use crate::{
    Error,
    domain::{
        id::WebhookId,
        secret::{KeyRing, ShownSecret},
        webhook::{EndpointUrl, WebhookSecret},
    },
    records::{AuditedChange, Caller, PageCursor, ReplaySpan, ReplayedDeliveries, WebhookRow, WebhookSettings},
    refusal::{ChangeRefusal, ChangeResult},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

/// How many webhooks an organization may have (Stripe: 16, GitHub: 20).
const MOST_WEBHOOKS: i64 = 20;

/// A webhook with the secret that its requests are signed with.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct IssuedWebhook {
    /// The webhook.
    pub webhook: WebhookRow,
    /// `whsec_…`, for this one answer.
    pub secret: ShownSecret,
}

/// A test event that was written.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct TestedWebhook {
    /// Its id.
    pub event: Uuid,
}

/// What to change about a webhook; what is `None` stays.
#[derive(Clone, Debug, Default)]
pub struct WebhookEdit {
    /// Another address.
    pub url: Option<EndpointUrl>,
    /// Another description.
    pub description: Option<String>,
    /// Other kinds of events; empty: every kind but `usage`.
    pub kinds: Option<Vec<String>>,
    /// False: nothing is sent; true: again, also if it was paused.
    pub enabled: Option<bool>,
}

impl WebhookEdit {
    fn applied_to(&self, before: &WebhookRow) -> WebhookSettings {
        let mut settings = before.settings();
        if let Some(url) = &self.url {
            settings.url = url.as_str().to_owned();
        }
        if let Some(description) = &self.description {
            settings.description.clone_from(description);
        }
        if let Some(kinds) = &self.kinds {
            settings.kinds.clone_from(kinds);
        }
        settings
    }
}

impl Management {
    /// Makes a webhook and its secret, which is sealed with `keys`.
    ///
    /// # Errors
    /// A refusal, or [`Error::Records`].
    pub async fn create_webhook(
        &self,
        caller: &Caller,
        new: &WebhookSettings,
        keys: &KeyRing,
    ) -> ChangeResult<IssuedWebhook> {
        self.records
            .change(caller, async |change| {
                if change.count_webhooks_alone().await? >= MOST_WEBHOOKS {
                    return Err(ChangeRefusal::TooManyWebhooks.into());
                }
                let (id, secret) = (WebhookId::draw(), WebhookSecret::draw());
                let webhook = change.insert_webhook(id, new, &seal(&secret, keys, id)?).await?;
                change.audit("webhook.created", &id.to_string(), json!(null), describe(&webhook));
                Ok(IssuedWebhook { webhook, secret: secret.shown() })
            })
            .await
    }

    /// Changes a webhook. `version`: only if it still is this one.
    ///
    /// # Errors
    /// A refusal, or [`Error::Records`].
    pub async fn edit_webhook(
        &self,
        caller: &Caller,
        id: WebhookId,
        edit: &WebhookEdit,
        version: Option<i64>,
    ) -> ChangeResult<WebhookRow> {
        self.records
            .change(caller, async |change| {
                let before = change.required_webhook(id).await?;
                check_version(version, before.version)?;
                let settings = edit.applied_to(&before);
                let enabled = edit.enabled.unwrap_or(before.disabled_at.is_none());
                let resume = edit.enabled == Some(true) && !before.is_active();
                let unchanged = settings == before.settings() && enabled == before.disabled_at.is_none();
                if unchanged && !resume {
                    return Ok(before);
                }
                let after = change.update_webhook(id, &settings, enabled, resume).await?;
                change.audit("webhook.edited", &id.to_string(), describe(&before), describe(&after));
                Ok(after)
            })
            .await
    }

    /// Deletes a webhook: nothing is sent to it from the next attempt on.
    ///
    /// # Errors
    /// A refusal, or [`Error::Records`].
    pub async fn delete_webhook(&self, caller: &Caller, id: WebhookId) -> ChangeResult<()> {
        self.records
            .change(caller, async |change| {
                let before = change.required_webhook(id).await?;
                change.delete_webhook(id).await?;
                change.audit("webhook.deleted", &id.to_string(), describe(&before), json!(null));
                Ok(())
            })
            .await
    }

    /// Gives a webhook a new secret. What is sent within `old_valid_for` seconds is signed with the old one too.
    ///
    /// # Errors
    /// A refusal, or [`Error::Records`].
    pub async fn rotate_webhook_secret(
        &self,
        caller: &Caller,
        id: WebhookId,
        old_valid_for: u32,
        keys: &KeyRing,
    ) -> ChangeResult<IssuedWebhook> {
        self.records
            .change(caller, async |change| {
                change.required_webhook(id).await?;
                let secret = WebhookSecret::draw();
                let webhook = change.rotate_webhook_secret(id, &seal(&secret, keys, id)?, old_valid_for).await?;
                let after = json!({ "old_valid_for_in": old_valid_for });
                change.audit("webhook.secret_rotated", &id.to_string(), json!(null), after);
                Ok(IssuedWebhook { webhook, secret: secret.shown() })
            })
            .await
    }

    /// Writes an event of the kind `webhook.test`, which is sent to this webhook alone.
    ///
    /// # Errors
    /// A refusal, or [`Error::Records`].
    pub async fn test_webhook(&self, caller: &Caller, id: WebhookId) -> ChangeResult<TestedWebhook> {
        self.records
            .change(caller, async |change| {
                change.active_webhook(id).await?;
                let event = change.write_event("webhook.test", json!({ "webhook_id": id })).await?;
                change.audit("webhook.tested", &id.to_string(), json!(null), json!({ "event": event }));
                Ok(TestedWebhook { event })
            })
            .await
    }

    /// Has the events of a span sent to a webhook again: at most 1,000, and of the 5,000 that come `after` a place.
    ///
    /// # Errors
    /// A refusal, or [`Error::Records`].
    pub async fn replay_deliveries(
        &self,
        caller: &Caller,
        id: WebhookId,
        span: ReplaySpan,
        after: Option<PageCursor>,
    ) -> ChangeResult<ReplayedDeliveries> {
        self.records
            .change(caller, async |change| {
                change.active_webhook(id).await?;
                let replayed = change.replay_deliveries(id, span, after).await?;
                let (from, until) = (span.from.to_string(), span.until.to_string());
                let what =
                    json!({ "from": from, "to": until, "only_failed": span.only_failed, "events": replayed.events });
                change.audit("webhook.replayed", &id.to_string(), json!(null), what);
                Ok(replayed)
            })
            .await
    }

    /// Has one event sent to a webhook again.
    ///
    /// # Errors
    /// A refusal, or [`Error::Records`].
    pub async fn replay_delivery(
        &self,
        caller: &Caller,
        id: WebhookId,
        event: Uuid,
    ) -> ChangeResult<ReplayedDeliveries> {
        self.records
            .change(caller, async |change| {
                change.active_webhook(id).await?;
                if !change.replay_delivery(id, event).await? {
                    let under_way = change.is_delivery_waiting(id, event).await?;
                    let refusal = if under_way { ChangeRefusal::DeliveryUnderWay } else { ChangeRefusal::NotFound };
                    return Err(refusal.into());
                }
                change.audit("webhook.replayed", &id.to_string(), json!(null), json!({ "event": event }));
                Ok(ReplayedDeliveries { events: 1, next: None })
            })
            .await
    }
}

impl AuditedChange<'_> {
    async fn required_webhook(&mut self, id: WebhookId) -> ChangeResult<WebhookRow> {
        Ok(self.lock_webhook(id).await?.ok_or(ChangeRefusal::NotFound)?)
    }

    async fn active_webhook(&mut self, id: WebhookId) -> ChangeResult<WebhookRow> {
        // Not locked: whoever writes down a try waits for nobody who reads through thousands of events.
        let webhook = self.find_webhook(id).await?.ok_or(ChangeRefusal::NotFound)?;
        if webhook.is_active() { Ok(webhook) } else { Err(ChangeRefusal::WebhookInactive.into()) }
    }
}

fn seal(secret: &WebhookSecret, keys: &KeyRing, id: WebhookId) -> Result<String, Error> {
    secret.seal(keys, id.0).ok_or_else(|| Error::Internal("the secret of a webhook cannot be sealed".into()))
}

/// A webhook as the audit log shows it.
fn describe(webhook: &WebhookRow) -> Value {
    // The path of an address is often a secret: of it the log has what tells two of them apart.
    json!({
        "host": webhook.host(), "url_hash": webhook.url_hash(), "description": webhook.description,
        "events": webhook.kinds, "enabled": webhook.is_active(),
    })
}
