//! Events waiting to be published.

use super::connect::Records;
use crate::{
    Error, Result,
    domain::{event::Event, id::TenantId},
};
use sqlx::{Row, postgres::PgRow};
use uuid::Uuid;

/// Some waiting events, locked so that no other reaper publishes them at the same time. If this is dropped without
/// [`EventBatch::published`], they stay waiting.
pub struct EventBatch {
    /// The events, oldest first.
    pub events: Vec<Event>,
    transaction: sqlx::Transaction<'static, sqlx::Postgres>,
}

impl Records {
    /// Takes up to `limit` waiting events of all tenants that nobody else is publishing. As
    /// [`super::DatabaseRole::Reaper`].
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn waiting_events(&self, limit: i64) -> Result<EventBatch> {
        let mut transaction = self.repeat(|pool| async move { pool.begin().await }).await?;
        // Publishing may take long, and so may marking, which writes the deliveries to webhooks. With the time limits of
        // other statements the transaction would be ended, and the same events would be published again and again.
        let patience = "-- publish_patiently
            select set_config('idle_in_transaction_session_timeout', '60s', true),
              set_config('statement_timeout', '30s', true), set_config('lock_timeout', '10s', true)";
        sqlx::query(patience).execute(&mut *transaction).await?;
        let rows = sqlx::query(
            "-- waiting_events
             select tenant_id, id, kind, payload, created_at from outbox
             where published_at is null order by id limit $1 for update skip locked",
        )
        .bind(limit)
        .fetch_all(&mut *transaction)
        .await?;
        let events = rows.iter().map(event).collect::<sqlx::Result<_>>()?;
        Ok(EventBatch { events, transaction })
    }
}

impl EventBatch {
    /// Marks all events published. To be called only when every one was accepted; if this fails they are published
    /// again.
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn published(mut self) -> Result<()> {
        let tenants: Vec<Uuid> = self.events.iter().map(|e| e.tenant.0).collect();
        let ids: Vec<Uuid> = self.events.iter().map(|e| e.id).collect();
        let marked: i32 = sqlx::query_scalar("select mark_published($1, $2)")
            .bind(tenants)
            .bind(ids)
            .fetch_one(&mut *self.transaction)
            .await?;
        if marked as usize != self.events.len() {
            tracing::error!(
                marked,
                published = self.events.len(),
                "events that were published are not marked and come again"
            );
        }
        self.transaction.commit().await.map_err(Error::from)
    }
}

fn event(row: &PgRow) -> sqlx::Result<Event> {
    Ok(Event {
        id: row.try_get("id")?,
        tenant: TenantId(row.try_get("tenant_id")?),
        kind: row.try_get("kind")?,
        created_at: row.try_get("created_at")?,
        payload: row.try_get("payload")?,
    })
}
