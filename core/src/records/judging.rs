//! Alert rules that are due. notify finds which they are by explicit policy; whether something is to be raised or is
//! over, a function of the owner says, one rule at a time.

use super::connect::Records;
use crate::{
    Result,
    domain::id::{AlertRuleId, TenantId},
};
use sqlx::Row;
use time::OffsetDateTime;
use uuid::Uuid;

/// A rule that is to be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DueRule {
    /// The organization.
    pub tenant: TenantId,
    /// The rule.
    pub rule: AlertRuleId,
    /// Since when it is due.
    pub look_at: OffsetDateTime,
}

/// What came of judging one rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Judgement {
    /// Alerts that were raised.
    pub raised: u32,
    /// Alerts that are over.
    pub ended: u32,
}

/// Rules that are due and come behind a place, those that are due for longest first. What is to be looked at in more
/// than two days was written by a clock that was ahead: such a rule is due as well, and comes last.
const DUE: &str = "-- due_alert_rules
    (select tenant_id, rule_id, look_at from alert_rules
     where look_at <= now() and (look_at, rule_id) > ($1, $2) order by look_at, rule_id limit $3)
    union all
    (select tenant_id, rule_id, look_at from alert_rules
     where look_at > now() + interval '2 days' and (look_at, rule_id) > ($1, $2) order by look_at, rule_id limit $3)
    order by look_at, rule_id limit $3";

impl Records {
    /// Rules that are due, at most `limit`, behind the one that was answered last. As
    /// [`super::DatabaseRole::Notify`].
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn due_alert_rules(&self, after: Option<DueRule>, limit: usize) -> Result<Vec<DueRule>> {
        let (look_at, rule) =
            after.map_or((OffsetDateTime::UNIX_EPOCH, Uuid::nil()), |after| (after.look_at, after.rule.0));
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = self
            .repeat(|pool| async move { sqlx::query(DUE).bind(look_at).bind(rule).bind(limit).fetch_all(&pool).await })
            .await?;
        let due = |row: &sqlx::postgres::PgRow| {
            let (tenant, rule) = (TenantId(row.try_get("tenant_id")?), AlertRuleId(row.try_get("rule_id")?));
            Ok(DueRule { tenant, rule, look_at: row.try_get("look_at")? })
        };
        Ok(rows.iter().map(due).collect::<sqlx::Result<_>>()?)
    }

    /// Judges a rule: what is so is raised, what is not any more ends, and both are told, each once. `None`: it is not
    /// due, or somebody else judges it. As [`super::DatabaseRole::Notify`].
    ///
    /// # Errors
    /// [`crate::Error::Records`]. Nothing was raised then, and the rule is still due; or all was, and it is not.
    pub async fn judge_alert_rule(&self, due: DueRule) -> Result<Option<Judgement>> {
        let row = self
            .repeat(|pool| async move {
                let judged = sqlx::query(
                    "-- judge_alert_rule
                     select raised, ended from judge_alert_rule($1, $2)",
                );
                judged.bind(due.tenant.0).bind(due.rule.0).fetch_one(&pool).await
            })
            .await?;
        let count = |column| Ok::<_, sqlx::Error>(row.try_get::<Option<i32>, _>(column)?.map(i32::unsigned_abs));
        Ok(count("raised")?.zip(count("ended")?).map(|(raised, ended)| Judgement { raised, ended }))
    }
}
