//! Webhooks: where an organization wants its events to be sent.

use super::{
    change::AuditedChange,
    connect::Records,
    page::{ListedRows, PageRequest},
};
use crate::{
    Result,
    domain::{
        id::{TenantId, WebhookId},
        secret,
    },
};
use serde::{Deserialize, Serialize};
use sqlx::{AssertSqlSafe, PgConnection, Row, postgres::PgRow};
use time::OffsetDateTime;

/// A webhook, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookRow {
    /// The webhook.
    pub id: WebhookId,
    /// Where events are sent.
    pub url: String,
    /// What people say it is for.
    pub description: String,
    /// The kinds of events that it wants; empty: every kind but `usage`.
    pub kinds: Vec<String>,
    /// Who made it, by the name in the audit log.
    pub created_by: String,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// Rises with every edit.
    pub version: i64,
    /// Until when what is sent is signed with the secret before the present one too.
    #[serde(with = "time::serde::rfc3339::option")]
    pub previous_until: Option<OffsetDateTime>,
    /// Since when nothing is sent, because somebody disabled it or it answered that it is gone (410).
    #[serde(with = "time::serde::rfc3339::option")]
    pub disabled_at: Option<OffsetDateTime>,
    /// Since when nothing is sent, because it failed for days.
    #[serde(with = "time::serde::rfc3339::option")]
    pub paused_at: Option<OffsetDateTime>,
    /// Since when every attempt failed.
    #[serde(with = "time::serde::rfc3339::option")]
    pub failing_since: Option<OffsetDateTime>,
}

impl WebhookRow {
    /// Whether events are sent to it.
    pub fn is_active(&self) -> bool {
        self.disabled_at.is_none() && self.paused_at.is_none()
    }

    /// The host of its address, with the port if one is named.
    pub(crate) fn host(&self) -> &str {
        let rest = self.url.split_once("://").map_or("", |(_, rest)| rest);
        rest.split(['/', '?', '#']).next().unwrap_or_default()
    }

    /// What tells its address from others: 64 bits of a hash.
    pub(crate) fn url_hash(&self) -> String {
        secret::base64url(&secret::hash("webhook url", &[self.url.as_bytes()])[..8])
    }

    /// What people said of it.
    pub(crate) fn settings(&self) -> WebhookSettings {
        let (url, description, kinds) = (self.url.clone(), self.description.clone(), self.kinds.clone());
        WebhookSettings { url, description, kinds }
    }
}

/// What people say of a webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookSettings {
    /// Where events shall be sent, as [`crate::domain::webhook::EndpointUrl`] writes it.
    pub url: String,
    /// What it is for.
    pub description: String,
    /// The kinds of events that it shall get; empty: every kind but `usage`.
    pub kinds: Vec<String>,
}

/// Which events of a webhook are sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplaySpan {
    /// Those of this time or later …
    pub from: OffsetDateTime,
    /// … and before this one.
    pub until: OffsetDateTime,
    /// Not those that were delivered.
    pub only_failed: bool,
}

const COLUMNS: &str = "webhook_id, url, description, kinds, created_by, created_at, version, disabled_at, paused_at, \
    failing_since, case when previous_until > now() then previous_until end as previous_until";

impl Records {
    /// The webhooks of an organization, the newest first.
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn webhooks(&self, tenant: TenantId, page: PageRequest) -> Result<ListedRows<WebhookRow>> {
        let mut transaction = self.begin(tenant).await?;
        let sql = format!(
            "-- webhooks
             select {COLUMNS} from webhooks
             where tenant_id = $1 and webhook_id < $2 and deleted_at is null order by webhook_id desc limit $3"
        );
        let listed = sqlx::query(AssertSqlSafe(sql)).bind(tenant.0).bind(page.below()).bind(page.fetch());
        let rows = listed.fetch_all(&mut *transaction).await?;
        page.cut(rows, |it: &WebhookRow| it.id.0, webhook)
    }

    /// A webhook. `None`: there is none of that id, or it was deleted.
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn webhook(&self, tenant: TenantId, id: WebhookId) -> Result<Option<WebhookRow>> {
        read(&mut *self.begin(tenant).await?, tenant, id, "").await
    }
}

impl AuditedChange<'_> {
    /// How many webhooks the organization has; no other transaction adds one before the end of this one.
    pub(crate) async fn count_webhooks_alone(&mut self) -> Result<i64> {
        let tenant = self.tenant().0;
        let sql = "-- add_webhook_alone
            select pg_advisory_xact_lock(hashtextextended('webhooks ' || $1::text, 0))";
        sqlx::query(sql).bind(tenant).execute(self.sql()).await?;
        let sql = "-- count_webhooks
            select count(*) from webhooks where tenant_id = $1 and deleted_at is null";
        Ok(sqlx::query_scalar(sql).bind(tenant).fetch_one(self.sql()).await?)
    }

    /// Writes a webhook; `sealed` is its secret.
    pub(crate) async fn insert_webhook(
        &mut self,
        id: WebhookId,
        new: &WebhookSettings,
        sealed: &str,
    ) -> Result<WebhookRow> {
        let (tenant, by) = (self.tenant().0, self.principal().name().to_owned());
        let sql = format!(
            "-- insert_webhook
            insert into webhooks (tenant_id, webhook_id, url, description, kinds, secret, created_by)
            values ($1, $2, $3, $4, nullif($5::text[], '{{}}'), $6, $7) returning {COLUMNS}"
        );
        let row = sqlx::query(AssertSqlSafe(sql))
            .bind(tenant)
            .bind(id.0)
            .bind(&new.url)
            .bind(&new.description)
            .bind(&new.kinds)
            .bind(sealed)
            .bind(by)
            .fetch_one(self.sql())
            .await?;
        Ok(webhook(&row)?)
    }

    /// A webhook. `None`: there is none of that id, or it was deleted.
    pub(crate) async fn find_webhook(&mut self, id: WebhookId) -> Result<Option<WebhookRow>> {
        let tenant = self.tenant();
        read(self.sql(), tenant, id, "").await
    }

    /// A webhook, locked. `None`: there is none of that id, or it was deleted.
    pub(crate) async fn lock_webhook(&mut self, id: WebhookId) -> Result<Option<WebhookRow>> {
        let tenant = self.tenant();
        read(self.sql(), tenant, id, " for update").await
    }

    /// Writes what a webhook is now: enabled or not, and with `resume` no longer paused, as if it had never failed.
    pub(crate) async fn update_webhook(
        &mut self,
        id: WebhookId,
        settings: &WebhookSettings,
        enabled: bool,
        resume: bool,
    ) -> Result<WebhookRow> {
        let tenant = self.tenant().0;
        let sql = format!(
            "-- update_webhook
            update webhooks set url = $3, description = $4, kinds = nullif($5::text[], '{{}}'), version = version + 1,
              disabled_at = case when not $6 then coalesce(disabled_at, now()) end,
              paused_at = case when not $7 then paused_at end,
              failing_since = case when not $7 and url = $3 then failing_since end
            where tenant_id = $1 and webhook_id = $2 returning {COLUMNS}"
        );
        let row = sqlx::query(AssertSqlSafe(sql))
            .bind(tenant)
            .bind(id.0)
            .bind(&settings.url)
            .bind(&settings.description)
            .bind(&settings.kinds)
            .bind(enabled)
            .bind(resume)
            .fetch_one(self.sql())
            .await?;
        Ok(webhook(&row)?)
    }

    /// Writes that a webhook is deleted. What waits for it is not sent.
    pub(crate) async fn delete_webhook(&mut self, id: WebhookId) -> Result<()> {
        let tenant = self.tenant().0;
        let sql = "-- delete_webhook
            update webhooks set deleted_at = now(), version = version + 1 where tenant_id = $1 and webhook_id = $2";
        sqlx::query(sql).bind(tenant).bind(id.0).execute(self.sql()).await?;
        Ok(())
    }

    /// Gives a webhook a new secret; that before it signs too for so many seconds more.
    pub(crate) async fn rotate_webhook_secret(
        &mut self,
        id: WebhookId,
        sealed: &str,
        old_valid_for: u32,
    ) -> Result<WebhookRow> {
        let tenant = self.tenant().0;
        let sql = format!(
            "-- rotate_webhook_secret
            update webhooks set secret = $3, version = version + 1,
              previous_secret = case when $4 > 0 then secret end,
              previous_until = case when $4 > 0
                then date_trunc('second', now()) + make_interval(secs => $4::double precision) end
            where tenant_id = $1 and webhook_id = $2 returning {COLUMNS}"
        );
        let row = sqlx::query(AssertSqlSafe(sql))
            .bind(tenant)
            .bind(id.0)
            .bind(sealed)
            .bind(i64::from(old_valid_for))
            .fetch_one(self.sql())
            .await?;
        Ok(webhook(&row)?)
    }
}

async fn read(sql: &mut PgConnection, tenant: TenantId, id: WebhookId, lock: &str) -> Result<Option<WebhookRow>> {
    let statement = format!(
        "-- webhook
         select {COLUMNS} from webhooks where tenant_id = $1 and webhook_id = $2 and deleted_at is null{lock}"
    );
    let row = sqlx::query(AssertSqlSafe(statement)).bind(tenant.0).bind(id.0).fetch_optional(sql).await;
    Ok(row?.map(|row| webhook(&row)).transpose()?)
}

fn webhook(row: &PgRow) -> sqlx::Result<WebhookRow> {
    Ok(WebhookRow {
        id: WebhookId(row.try_get("webhook_id")?),
        url: row.try_get("url")?,
        description: row.try_get("description")?,
        kinds: row.try_get::<Option<Vec<String>>, _>("kinds")?.unwrap_or_default(),
        created_by: row.try_get("created_by")?,
        created_at: row.try_get("created_at")?,
        version: row.try_get("version")?,
        previous_until: row.try_get("previous_until")?,
        disabled_at: row.try_get("disabled_at")?,
        paused_at: row.try_get("paused_at")?,
        failing_since: row.try_get("failing_since")?,
    })
}
