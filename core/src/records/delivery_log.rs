//! What became of events that were to be sent to a webhook, as people read it, and sending them again.

use super::{
    change::AuditedChange,
    connect::Records,
    filtered::{FilterValue, FilteredList, FoundRows, Sought},
    page::{ListedRows, PageCursor, PageRequest, first_id_of},
    webhooks::ReplaySpan,
};
use crate::{
    Result,
    domain::{
        delivery::DeliveryState,
        event::Event,
        id::{TenantId, WebhookId},
    },
};
use serde::{Deserialize, Serialize};
use sqlx::{Row, postgres::PgRow, types::Json};
use time::OffsetDateTime;
use uuid::Uuid;

/// A delivery: one event for one webhook.
#[derive(Clone, Debug, PartialEq)]
pub struct DeliveryRow {
    /// The event.
    pub event: Uuid,
    /// Its kind.
    pub kind: String,
    /// When it happened.
    pub at: OffsetDateTime,
    /// What became of it.
    pub state: DeliveryState,
    /// How often it was tried since it was last made waiting.
    pub tries: i32,
    /// When it is tried next, while it waits.
    pub next_at: Option<OffsetDateTime>,
    /// When it was delivered or given up.
    pub finished_at: Option<OffsetDateTime>,
    /// Its attempts, the oldest first; of many the last ones.
    pub attempts: Vec<AttemptRow>,
}

/// One attempt of a delivery.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct AttemptRow {
    /// When it ended.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// How, in a word.
    pub outcome: String,
    /// The HTTP status of the answer, if there was one.
    pub status: Option<u16>,
    /// How long it took, in milliseconds.
    pub ms: i64,
    /// The beginning of an answer that was no 2xx; `erased` if an erasure blanked it.
    pub answer: Option<String>,
}

/// Which deliveries of a webhook.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveryFilter {
    /// Only those in this state.
    pub state: Option<DeliveryState>,
    /// Of events of this time or later …
    pub from: Option<OffsetDateTime>,
    /// … and before this one.
    pub until: Option<OffsetDateTime>,
}

/// Events that are sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplayedDeliveries {
    /// How many.
    pub events: i32,
    /// Where this stopped, if there may be more.
    #[serde(default)]
    pub next: Option<PageCursor>,
}

/// An id is drawn while its transaction runs, and `at` is when that began: no transaction lasts an hour.
const DELIVERIES: FilteredList = FilteredList {
    name: "-- deliveries
",
    columns: COLUMNS,
    table: "webhook_deliveries",
    id: "event_id",
    only: "r.at >= began_at($3) - interval '1 hour' and r.at <= began_at($2)",
};

const COLUMNS: &str = "event_id, kind, at, state, tries, next_at, finished_at, attempts";

impl Records {
    /// The deliveries of a webhook, those of the newest events first. With a state, a page may hold fewer than its
    /// limit, also none, although another follows: it looks through at most [`super::WINDOW`] deliveries.
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn deliveries(
        &self,
        tenant: TenantId,
        webhook: WebhookId,
        filter: &DeliveryFilter,
        page: PageRequest,
    ) -> Result<ListedRows<DeliveryRow>> {
        let below = page.below().min(filter.until.map_or(Uuid::max(), first_id_of));
        let from = filter.from.map_or(Uuid::nil(), first_id_of);
        let mut sought: Sought = vec![("webhook_id", FilterValue::Id(webhook.0))];
        sought.extend(filter.state.map(|state| ("state", FilterValue::Text(state.to_string()))));
        let mut transaction = self.begin(tenant).await?;
        let FoundRows { rows, looked_through_to } =
            DELIVERIES.fetch(&mut transaction, tenant, &sought, [from, below], page).await?;
        let listed = page.cut(rows, |it: &DeliveryRow| it.event, delivery)?;
        Ok(ListedRows { next: listed.next.or(looked_through_to), ..listed })
    }

    /// One delivery, and the event that is sent. `None`: none of that event for that webhook, or it is too old.
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn delivery(
        &self,
        tenant: TenantId,
        webhook: WebhookId,
        event: Uuid,
    ) -> Result<Option<(DeliveryRow, Option<Event>)>> {
        let mut transaction = self.begin(tenant).await?;
        let sql = "-- delivery
            select d.event_id, d.kind, d.at, d.state, d.tries, d.next_at, d.finished_at, d.attempts, e.payload
            from webhook_deliveries d
            left join lateral read_event_of_delivery(d.tenant_id, d.webhook_id, d.event_id) e (payload) on true
            where d.tenant_id = $1 and d.webhook_id = $2 and d.event_id = $3";
        let row = sqlx::query(sql).bind(tenant.0).bind(webhook.0).bind(event).fetch_optional(&mut *transaction).await?;
        let Some(row) = row else { return Ok(None) };
        let read = delivery(&row)?;
        let payload: Option<serde_json::Value> = row.try_get("payload")?;
        let event = payload.map(|payload| Event {
            id: read.event,
            tenant,
            kind: read.kind.clone(),
            created_at: read.at,
            payload,
        });
        Ok(Some((read, event)))
    }
}

impl AuditedChange<'_> {
    /// Makes events wait for a webhook again: at most 1,000 of the next 5,000 events of the span.
    pub(crate) async fn replay_deliveries(
        &mut self,
        webhook: WebhookId,
        span: ReplaySpan,
        after: Option<PageCursor>,
    ) -> Result<ReplayedDeliveries> {
        let tenant = self.tenant().0;
        let sql = "-- replay_deliveries
            select replayed, after from replay_deliveries($1, $2, $3, $4, null, $5, $6)";
        let row = sqlx::query(sql)
            .bind(tenant)
            .bind(webhook.0)
            .bind(span.from)
            .bind(span.until)
            .bind(span.only_failed)
            .bind(after.map(|cursor| cursor.0))
            .fetch_one(self.sql())
            .await?;
        let next = row.try_get::<Option<Uuid>, _>("after")?.map(PageCursor);
        Ok(ReplayedDeliveries { events: row.try_get("replayed")?, next })
    }

    /// Makes one event wait for a webhook again. False: the webhook does not want that event, it is due or being sent,
    /// or it is not kept any more.
    pub(crate) async fn replay_delivery(&mut self, webhook: WebhookId, event: Uuid) -> Result<bool> {
        let tenant = self.tenant().0;
        let sql = "-- replay_delivery
            select replayed from replay_deliveries($1, $2, null, null, $3, false, null)";
        let replayed = sqlx::query_scalar::<_, i32>(sql).bind(tenant).bind(webhook.0).bind(event);
        Ok(replayed.fetch_one(self.sql()).await? > 0)
    }

    /// Whether an event waits to be sent to a webhook, or is being sent.
    pub(crate) async fn is_delivery_waiting(&mut self, webhook: WebhookId, event: Uuid) -> Result<bool> {
        let tenant = self.tenant().0;
        let sql = "-- is_delivery_waiting
            select 1 from webhook_deliveries
            where tenant_id = $1 and webhook_id = $2 and event_id = $3 and next_at is not null";
        let waiting = sqlx::query(sql).bind(tenant).bind(webhook.0).bind(event).fetch_optional(self.sql()).await?;
        Ok(waiting.is_some())
    }
}

fn delivery(row: &PgRow) -> sqlx::Result<DeliveryRow> {
    let state = row.try_get::<String, _>("state")?.parse();
    Ok(DeliveryRow {
        event: row.try_get("event_id")?,
        kind: row.try_get("kind")?,
        at: row.try_get("at")?,
        state: state.map_err(|e: crate::domain::id::InvalidText| sqlx::Error::Decode(Box::new(e)))?,
        tries: row.try_get("tries")?,
        next_at: row.try_get("next_at")?,
        finished_at: row.try_get("finished_at")?,
        attempts: row.try_get::<Json<Vec<AttemptRow>>, _>("attempts")?.0,
    })
}
