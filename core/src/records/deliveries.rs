//! Events on their way to the webhooks of organizations. notify finds which webhooks have something due by explicit
//! policy; everything else is a function of the owner, for one organization.

use super::{connect::Records, row::word};
use crate::{
    Result,
    domain::{
        delivery::DeliveryState,
        event::Event,
        id::{TenantId, WebhookId},
        secret::{Secret, random},
    },
};
use serde_json::Value;
use sqlx::{Row, postgres::PgRow};
use std::time::Duration;
use time::OffsetDateTime;
use uuid::Uuid;

/// Whose deliveries are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TakeFrom {
    /// Those of one webhook, oldest first.
    Webhook(WebhookId),
    /// Those of one event, one for each webhook that wants it.
    Event(Uuid),
}

/// A delivery that was taken: nobody else takes it before [`Records::HOLD`] is over.
#[derive(Clone, Debug)]
pub struct TakenDelivery {
    /// The organization.
    pub tenant: TenantId,
    /// To whom it goes.
    pub webhook: WebhookId,
    /// What it is about. Receivers recognise repetitions by it.
    pub event: Uuid,
    /// The part of its key by which its month is found: when the event happened.
    pub at: OffsetDateTime,
    /// Which try this one is, from 1.
    pub tries: i32,
    /// The address of the webhook. It may carry a secret of the receiver in its query: it is not logged.
    pub url: Secret<String>,
    /// What requests are signed with, sealed.
    pub secret: Secret<String>,
    /// What they are signed with too while the secret is replaced, sealed.
    pub previous_secret: Option<Secret<String>>,
    /// What happened, as `noun.verb`.
    pub kind: String,
    /// The details.
    pub payload: Value,
    /// When it happened.
    pub created_at: OffsetDateTime,
}

impl TakenDelivery {
    /// The event that is sent.
    pub fn sent_event(&self) -> Event {
        let (kind, payload) = (self.kind.clone(), self.payload.clone());
        Event { id: self.event, tenant: self.tenant, kind, created_at: self.created_at, payload }
    }
}

/// What came of one try, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryAttempt {
    /// One word for how it ended. `delivered` and `gone` decide about the delivery; the others are tried again.
    pub outcome: &'static str,
    /// The HTTP status of the answer, if there was one.
    pub status: Option<u16>,
    /// The beginning of the answer's body, if there was one. PostgreSQL keeps 1,000 characters.
    pub answer: Option<String>,
    /// How long it took.
    pub took: Duration,
}

/// Webhooks that one statement looks at. Each is a look into one index of every month there is.
const STEPS: i32 = 1_000;
/// Before every webhook there is.
const START: Uuid = Uuid::nil();

/// Which webhooks have a delivery whose time has come. Every look is one step into one index: to the next webhook behind
/// the last one that has waiting deliveries, and to the first of these by time. "distinct" would read all of them, which
/// for a receiver that has been away for days are many. The times of the events name the months that are looked at: not
/// those to come.
const DUE_WEBHOOKS: &str = "-- due_webhooks
    with recursive waiting (tenant_id, webhook_id, step) as (
      (select d.tenant_id, d.webhook_id, 1 from webhook_deliveries d
       where d.state = 'waiting' and d.webhook_id > $1
         and d.at between now() - interval '90 days' and now() + interval '1 day'
       order by d.webhook_id, d.next_at limit 1)
      union all
      select next.tenant_id, next.webhook_id, w.step + 1 from waiting w cross join lateral (
        select d.tenant_id, d.webhook_id from webhook_deliveries d
        where d.state = 'waiting' and d.webhook_id > w.webhook_id
          and d.at between now() - interval '90 days' and now() + interval '1 day'
        order by d.webhook_id, d.next_at limit 1) next
      where w.step < $2)
    select w.tenant_id, w.webhook_id, first.next_at <= now() as due
    from waiting w cross join lateral (
      select d.next_at from webhook_deliveries d
      where d.state = 'waiting' and d.webhook_id = w.webhook_id
        and d.at between now() - interval '90 days' and now() + interval '1 day'
      order by d.webhook_id, d.next_at limit 1) first
    order by w.webhook_id";

impl Records {
    /// For how long a delivery that was taken belongs to whoever took it. It is longer than a try and what is written of
    /// it may take; after a crash it is due again then.
    pub const HOLD: Duration = Duration::from_secs(60);

    /// Makes an event wait for every active webhook of its organization that wants it. Answers for how many it was new:
    /// an event that comes again changes nothing. `None`: the organization has no active webhook. As [`super::DatabaseRole::Notify`].
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn enqueue_deliveries(&self, event: &Event) -> Result<Option<i32>> {
        self.repeat(|pool| async move {
            let enqueued = sqlx::query_scalar("select enqueue_deliveries($1, $2, $3, $4)");
            let enqueued = enqueued.bind(event.tenant.0).bind(event.id).bind(event.created_at);
            enqueued.bind(event.kind.as_str()).fetch_one(&pool).await
        })
        .await
    }

    /// Webhooks with a delivery whose time has come, at most `limit`, and each of them as likely as any other where there
    /// are more. One statement for each 1,000 webhooks that wait for something. As [`super::DatabaseRole::Notify`].
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn due_webhooks(&self, limit: usize) -> Result<Vec<(TenantId, WebhookId)>> {
        let (mut due, mut after) = (Vec::new(), Some(START));
        while let Some(behind) = after {
            let rows = self
                .repeat(|pool| async move { sqlx::query(DUE_WEBHOOKS).bind(behind).bind(STEPS).fetch_all(&pool).await })
                .await?;
            after = None;
            for row in &rows {
                let (tenant, webhook) = (TenantId(row.try_get("tenant_id")?), WebhookId(row.try_get("webhook_id")?));
                if row.try_get("due")? {
                    due.push((tenant, webhook));
                }
                // Behind the last of a full page there may be more.
                after = (rows.len() >= STEPS as usize).then_some(webhook.0);
            }
        }
        if due.len() > limit {
            let first = usize::from_le_bytes(random()) % due.len();
            due.rotate_left(first);
            due.truncate(limit);
        }
        Ok(due)
    }

    /// Takes up to `limit` deliveries (1 to 50) whose time has come and that nobody else takes, and counts a try of each.
    /// As [`super::DatabaseRole::Notify`].
    ///
    /// # Errors
    /// [`crate::Error::Records`]. Some may have been taken then; they are due again after [`Records::HOLD`].
    pub async fn take_deliveries(&self, tenant: TenantId, from: TakeFrom, limit: i32) -> Result<Vec<TakenDelivery>> {
        let (webhook, event) = match from {
            TakeFrom::Webhook(webhook) => (Some(webhook.0), None),
            TakeFrom::Event(event) => (None, Some(event)),
        };
        let hold = Self::HOLD.as_secs() as i32;
        let rows = self
            .repeat(|pool| async move {
                let taken = sqlx::query(
                    "-- take_deliveries
                     select webhook_id, event_id, at, tries, url, secret, previous_secret, kind, payload, created_at
                     from take_deliveries($1, $2, $3, $4, $5)",
                );
                let taken = taken.bind(tenant.0).bind(webhook).bind(event).bind(limit).bind(hold);
                taken.fetch_all(&pool).await
            })
            .await?;
        Ok(rows.iter().map(|row| delivery(tenant, row)).collect::<sqlx::Result<_>>()?)
    }

    /// Writes down what came of a try. Unless the receiver took it or is gone for good, it is tried again after `next`;
    /// without that it has failed. Where the webhook has another address by now, one that is gone is tried again too, and
    /// no failure counts. Answers the new state; `None`: meanwhile somebody else had taken the delivery, and
    /// nothing was written. As [`super::DatabaseRole::Notify`].
    ///
    /// # Errors
    /// [`crate::Error::Records`]. The delivery is due again after [`Records::HOLD`], unless it was written all the same.
    pub async fn finish_delivery(
        &self,
        delivery: &TakenDelivery,
        attempt: &DeliveryAttempt,
        next: Option<Duration>,
    ) -> Result<Option<DeliveryState>> {
        let whole = |number: u128| i32::try_from(number).unwrap_or(i32::MAX);
        let row = self
            .repeat(|pool| async move {
                let finished = sqlx::query(
                    "-- finish_delivery
                     select finish_delivery($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) as state",
                );
                let finished = finished.bind(delivery.tenant.0).bind(delivery.webhook.0).bind(delivery.event);
                let finished = finished.bind(delivery.at).bind(delivery.tries).bind(delivery.url.reveal());
                let finished = finished.bind(attempt.outcome).bind(attempt.status.map(i32::from));
                let finished = finished.bind(attempt.answer.as_deref()).bind(whole(attempt.took.as_millis()));
                finished.bind(next.map(|next| whole(next.as_secs().into()))).fetch_one(&pool).await
            })
            .await?;
        if row.try_get::<Option<&str>, _>("state")?.is_none() {
            return Ok(None);
        }
        Ok(Some(word(&row, "state")?))
    }
}

fn delivery(tenant: TenantId, row: &PgRow) -> sqlx::Result<TakenDelivery> {
    Ok(TakenDelivery {
        tenant,
        webhook: WebhookId(row.try_get("webhook_id")?),
        event: row.try_get("event_id")?,
        at: row.try_get("at")?,
        tries: row.try_get("tries")?,
        url: Secret::new(row.try_get("url")?),
        secret: Secret::new(row.try_get("secret")?),
        previous_secret: row.try_get::<Option<String>, _>("previous_secret")?.map(Secret::new),
        kind: row.try_get("kind")?,
        payload: row.try_get("payload")?,
        created_at: row.try_get("created_at")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn neither_the_address_nor_the_secret_of_a_webhook_is_printed() {
        let delivery = TakenDelivery {
            tenant: TenantId(Uuid::from_u128(1)),
            webhook: WebhookId(Uuid::from_u128(2)),
            event: Uuid::from_u128(3),
            at: datetime!(2026-11-30 12:00 UTC),
            tries: 1,
            url: Secret::new("https://example.com/hook".into()),
            secret: Secret::new("sealed".into()),
            previous_secret: None,
            kind: "seat.granted".into(),
            payload: Value::Null,
            created_at: datetime!(2026-11-30 12:00:00.5 UTC),
        };
        let printed = format!("{delivery:?}");
        assert!(!printed.contains("example.com") && !printed.contains("sealed"), "{printed}");
    }
}
