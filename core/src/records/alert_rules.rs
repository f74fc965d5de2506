//! Alert rules: of what an organization wants to be told.

use super::{
    change::AuditedChange,
    connect::Records,
    page::{ListedRows, PageRequest},
    row::{optional_count, word},
};
use crate::{
    Result,
    domain::{
        access::PersonRole,
        alert::{AlertKind, AlertNumbers},
        id::{AlertRuleId, LicenseId, TenantId},
    },
};
use serde::{Deserialize, Serialize};
use sqlx::{
    AssertSqlSafe, PgConnection, Postgres, Row,
    postgres::{PgArguments, PgRow},
    query::Query,
};
use time::OffsetDateTime;

/// A rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertRuleRow {
    /// The rule.
    pub id: AlertRuleId,
    /// What it watches.
    pub kind: AlertKind,
    /// The license that it is for; `None`: every license.
    pub license: Option<LicenseId>,
    /// What people say of it.
    pub settings: AlertRuleSettings,
    /// Who made it, by the name in the audit log; `registration` if nobody did.
    pub created_by: String,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// Rises with every edit.
    pub version: i64,
}

/// What people say of a rule, and may change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertRuleSettings {
    /// From where on an alert is raised.
    pub numbers: AlertNumbers,
    /// The roles of those who are sent a mail: owners, admins.
    pub mail_roles: Vec<PersonRole>,
    /// What it is for.
    pub description: String,
    /// False: it raises nothing.
    pub enabled: bool,
}

/// Why every open alert of a rule ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RuleEnding {
    /// The rule says something else now.
    Changed,
    /// The rule was disabled.
    Disabled,
    /// The rule was deleted.
    Deleted,
}

impl RuleEnding {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Changed => "rule_changed",
            Self::Disabled => "rule_disabled",
            Self::Deleted => "rule_deleted",
        }
    }
}

const COLUMNS: &str = "rule_id, kind, license_id, percent, minutes, count, days, mail_roles, description, enabled, \
    created_by, created_at, version";

impl Records {
    /// The rules of an organization, the newest first.
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn alert_rules(&self, tenant: TenantId, page: PageRequest) -> Result<ListedRows<AlertRuleRow>> {
        let mut transaction = self.begin(tenant).await?;
        let sql = format!(
            "-- alert_rules
             select {COLUMNS} from alert_rules
             where tenant_id = $1 and rule_id < $2 and deleted_at is null order by rule_id desc limit $3"
        );
        let listed = sqlx::query(AssertSqlSafe(sql)).bind(tenant.0).bind(page.below()).bind(page.fetch());
        let rows = listed.fetch_all(&mut *transaction).await?;
        page.cut(rows, |it: &AlertRuleRow| it.id.0, rule)
    }

    /// A rule. `None`: there is none of that id, or it was deleted.
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn alert_rule(&self, tenant: TenantId, id: AlertRuleId) -> Result<Option<AlertRuleRow>> {
        read(&mut *self.begin(tenant).await?, tenant, id, "").await
    }
}

/// A statement about a rule, whose first nine arguments are the organization, the rule and what people say of it.
fn with_settings(
    sql: String,
    tenant: TenantId,
    id: AlertRuleId,
    settings: &AlertRuleSettings,
) -> Query<'static, Postgres, PgArguments> {
    let AlertRuleSettings { numbers, mail_roles, description, enabled } = settings;
    sqlx::query(AssertSqlSafe(sql))
        .bind(tenant.0)
        .bind(id.0)
        .bind(numbers.percent.map(i64::from))
        .bind(numbers.minutes.map(i64::from))
        .bind(numbers.count.map(i64::from))
        .bind(numbers.days.map(i64::from))
        .bind(roles(mail_roles))
        .bind(description.clone())
        .bind(*enabled)
}

impl AuditedChange<'_> {
    /// How many rules the organization has; no other transaction adds one before the end of this one.
    pub(crate) async fn count_alert_rules_alone(&mut self) -> Result<i64> {
        let tenant = self.tenant().0;
        let sql = "-- add_alert_rule_alone
            select pg_advisory_xact_lock(hashtextextended('alert rules ' || $1::text, 0))";
        sqlx::query(sql).bind(tenant).execute(self.sql()).await?;
        let sql = "-- count_alert_rules
            select count(*) from alert_rules where tenant_id = $1 and deleted_at is null";
        Ok(sqlx::query_scalar(sql).bind(tenant).fetch_one(self.sql()).await?)
    }

    /// Writes a rule, which is judged after the next tick.
    pub(crate) async fn insert_alert_rule(
        &mut self,
        id: AlertRuleId,
        kind: AlertKind,
        license: Option<LicenseId>,
        new: &AlertRuleSettings,
    ) -> Result<AlertRuleRow> {
        let (tenant, by) = (self.tenant(), self.principal().name().to_owned());
        let sql = format!(
            "-- insert_alert_rule
            insert into alert_rules (tenant_id, rule_id, percent, minutes, count, days, mail_roles, description,
              enabled, kind, license_id, created_by)
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) returning {COLUMNS}"
        );
        let made = with_settings(sql, tenant, id, new).bind(kind.as_str()).bind(license.map(|license| license.0));
        let row = made.bind(by).fetch_one(self.sql()).await?;
        Ok(rule(&row)?)
    }

    /// A rule, locked: nobody judges it before the end of this transaction. `None`: there is none of that id, or it was
    /// deleted.
    pub(crate) async fn lock_alert_rule(&mut self, id: AlertRuleId) -> Result<Option<AlertRuleRow>> {
        let tenant = self.tenant();
        read(self.sql(), tenant, id, " for no key update").await
    }

    /// Writes what a rule says now, and has it judged after the next tick.
    pub(crate) async fn update_alert_rule(
        &mut self,
        id: AlertRuleId,
        settings: &AlertRuleSettings,
    ) -> Result<AlertRuleRow> {
        let tenant = self.tenant();
        let sql = format!(
            "-- update_alert_rule
            update alert_rules set percent = $3, minutes = $4, count = $5, days = $6, mail_roles = $7,
              description = $8, enabled = $9, version = version + 1, look_at = now()
            where tenant_id = $1 and rule_id = $2 returning {COLUMNS}"
        );
        let row = with_settings(sql, tenant, id, settings).fetch_one(self.sql()).await?;
        Ok(rule(&row)?)
    }

    /// Writes that a rule is deleted.
    pub(crate) async fn delete_alert_rule(&mut self, id: AlertRuleId) -> Result<()> {
        let tenant = self.tenant().0;
        let sql = "-- delete_alert_rule
            update alert_rules set deleted_at = now(), version = version + 1, look_at = now()
            where tenant_id = $1 and rule_id = $2";
        sqlx::query(sql).bind(tenant).bind(id.0).execute(self.sql()).await?;
        Ok(())
    }

    /// Ends every open alert of a rule that this transaction has locked.
    pub(crate) async fn end_alerts(&mut self, id: AlertRuleId, why: RuleEnding) -> Result<()> {
        let ended = sqlx::query("select end_alerts($1, $2, $3)").bind(self.tenant().0).bind(id.0).bind(why.as_str());
        ended.execute(self.sql()).await?;
        Ok(())
    }
}

async fn read(sql: &mut PgConnection, tenant: TenantId, id: AlertRuleId, lock: &str) -> Result<Option<AlertRuleRow>> {
    let statement = format!(
        "-- alert_rule
         select {COLUMNS} from alert_rules where tenant_id = $1 and rule_id = $2 and deleted_at is null{lock}"
    );
    let row = sqlx::query(AssertSqlSafe(statement)).bind(tenant.0).bind(id.0).fetch_optional(sql).await;
    Ok(row?.map(|row| rule(&row)).transpose()?)
}

fn roles(roles: &[PersonRole]) -> Vec<&'static str> {
    roles.iter().map(|role| role.as_str()).collect()
}

fn rule(row: &PgRow) -> sqlx::Result<AlertRuleRow> {
    let mail_roles = row.try_get::<Vec<String>, _>("mail_roles")?;
    let mail_roles = mail_roles.iter().map(|role| role.parse::<PersonRole>()).collect::<std::result::Result<_, _>>();
    Ok(AlertRuleRow {
        id: AlertRuleId(row.try_get("rule_id")?),
        kind: word(row, "kind")?,
        license: row.try_get::<Option<_>, _>("license_id")?.map(LicenseId),
        settings: AlertRuleSettings {
            numbers: AlertNumbers {
                percent: optional_count(row, "percent")?,
                minutes: optional_count(row, "minutes")?,
                count: optional_count(row, "count")?,
                days: optional_count(row, "days")?,
            },
            mail_roles: mail_roles.map_err(|e| sqlx::Error::Decode(Box::new(e)))?,
            description: row.try_get("description")?,
            enabled: row.try_get("enabled")?,
        },
        created_by: row.try_get("created_by")?,
        created_at: row.try_get("created_at")?,
        version: row.try_get("version")?,
    })
}
