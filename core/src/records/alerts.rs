//! What alert rules raised, as people read it.

use super::{
    connect::Records,
    filtered::{FilterValue, FilteredList, FoundRows, Sought},
    page::{ListedRows, PageRequest, first_id_of},
    row::{optional_count, word},
};
use crate::{
    Result,
    domain::{
        alert::{AlertKind, AlertState},
        id::{AlertId, AlertRuleId, LicenseId, PoolId, TenantId, WebhookId},
    },
};
use sqlx::{AssertSqlSafe, Row, postgres::PgRow};
use time::OffsetDateTime;
use uuid::Uuid;

/// An alert: what a rule raised of one pool, license or webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertRow {
    /// The alert, which events name too.
    pub id: AlertId,
    /// The rule that raised it.
    pub rule: AlertRuleId,
    /// What the rule watches.
    pub kind: AlertKind,
    /// Whether it is over.
    pub state: AlertState,
    /// The license that it is about, or whose pool.
    pub license: Option<LicenseId>,
    /// The license's public number.
    pub number: Option<String>,
    /// The product the license is for.
    pub product: Option<String>,
    /// The pool that it is about.
    pub pool_id: Option<PoolId>,
    /// The pool's name.
    pub pool: Option<String>,
    /// The webhook that it is about.
    pub webhook: Option<WebhookId>,
    /// Since when it was so.
    pub since: OffsetDateTime,
    /// What was counted when it was raised.
    pub value: Option<u32>,
    /// From where on the rule raised it.
    pub threshold: Option<u32>,
    /// The minutes of the rule.
    pub minutes: Option<u32>,
    /// When it was raised.
    pub raised_at: OffsetDateTime,
    /// When it was over.
    pub ended_at: Option<OffsetDateTime>,
    /// Why.
    pub end_reason: Option<String>,
}

/// Which alerts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AlertFilter {
    /// Only those that are open, or over.
    pub state: Option<AlertState>,
    /// Of rules of this kind.
    pub kind: Option<AlertKind>,
    /// Of this license, or of its pools.
    pub license: Option<LicenseId>,
    /// Raised at this time or later …
    pub from: Option<OffsetDateTime>,
    /// … and before this one.
    pub until: Option<OffsetDateTime>,
}

const COLUMNS: &str = "alert_id, rule_id, kind, state, license_id, number, product, pool_id, pool, webhook_id, since, \
    value, threshold, minutes, raised_at, ended_at, end_reason";

const ALERTS: FilteredList = FilteredList {
    name: "-- alerts
",
    columns: COLUMNS,
    table: "alerts",
    id: "alert_id",
    only: "true",
};

impl Records {
    /// Alerts, the last that was raised first. A page of several filters may hold fewer than its limit, also none,
    /// although another follows: it looks through at most [`super::WINDOW`] alerts.
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn alerts(
        &self,
        tenant: TenantId,
        filter: &AlertFilter,
        page: PageRequest,
    ) -> Result<ListedRows<AlertRow>> {
        let below = page.below().min(filter.until.map_or(Uuid::max(), first_id_of));
        let from = filter.from.map_or(Uuid::nil(), first_id_of);
        let mut transaction = self.begin(tenant).await?;
        let FoundRows { rows, looked_through_to } =
            ALERTS.fetch(&mut transaction, tenant, &filter.sought(), [from, below], page).await?;
        let listed = page.cut(rows, |it: &AlertRow| it.id.0, alert)?;
        Ok(ListedRows { next: listed.next.or(looked_through_to), ..listed })
    }

    /// One alert. `None`: there is none of that id, or it is too old.
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn alert(&self, tenant: TenantId, id: AlertId) -> Result<Option<AlertRow>> {
        let mut transaction = self.begin(tenant).await?;
        let sql = format!(
            "-- alert
             select {COLUMNS} from alerts where tenant_id = $1 and alert_id = $2"
        );
        let row = sqlx::query(AssertSqlSafe(sql)).bind(tenant.0).bind(id.0).fetch_optional(&mut *transaction).await?;
        Ok(row.map(|row| alert(&row)).transpose()?)
    }
}

impl AlertFilter {
    fn sought(&self) -> Sought {
        let all = [
            self.license.map(|it| ("license_id", FilterValue::Id(it.0))),
            self.state.map(|it| ("state", FilterValue::Text(it.to_string()))),
            self.kind.map(|it| ("kind", FilterValue::Text(it.to_string()))),
        ];
        all.into_iter().flatten().collect()
    }
}

fn alert(row: &PgRow) -> sqlx::Result<AlertRow> {
    Ok(AlertRow {
        id: AlertId(row.try_get("alert_id")?),
        rule: AlertRuleId(row.try_get("rule_id")?),
        kind: word(row, "kind")?,
        state: word(row, "state")?,
        license: row.try_get::<Option<_>, _>("license_id")?.map(LicenseId),
        number: row.try_get("number")?,
        product: row.try_get("product")?,
        pool_id: row.try_get::<Option<_>, _>("pool_id")?.map(PoolId),
        pool: row.try_get("pool")?,
        webhook: row.try_get::<Option<_>, _>("webhook_id")?.map(WebhookId),
        since: row.try_get("since")?,
        value: optional_count(row, "value")?,
        threshold: optional_count(row, "threshold")?,
        minutes: optional_count(row, "minutes")?,
        raised_at: row.try_get("raised_at")?,
        ended_at: row.try_get("ended_at")?,
        end_reason: row.try_get("end_reason")?,
    })
}
