//! What people may do with alert rules: make, change and delete them.

use super::{Management, check_version};
use crate::{
    domain::{
        access::PersonRole,
        alert::{AlertKind, AlertNumber},
        id::{AlertRuleId, LicenseId},
    },
    records::{AlertRuleRow, AlertRuleSettings, AuditedChange, Caller, RuleEnding},
    refusal::{ChangeRefusal, ChangeResult},
};
use serde_json::{Value, json};

/// How many rules an organization may have.
const MOST_RULES: i64 = 50;

/// What to change about a rule; what is `None` stays.
#[derive(Clone, Debug, Default)]
pub struct AlertRuleEdit {
    /// Other numbers, of those that the rule's kind has.
    pub numbers: Vec<(AlertNumber, u32)>,
    /// The roles of those who are sent a mail.
    pub mail_roles: Option<Vec<PersonRole>>,
    /// Another description.
    pub description: Option<String>,
    /// False: it raises nothing, and what it raised ends.
    pub enabled: Option<bool>,
}

impl AlertRuleEdit {
    fn applied_to(&self, before: &AlertRuleSettings) -> AlertRuleSettings {
        let mut settings = before.clone();
        for (number, value) in &self.numbers {
            *settings.numbers.get_mut(*number) = Some(*value);
        }
        if let Some(roles) = &self.mail_roles {
            settings.mail_roles.clone_from(roles);
        }
        if let Some(description) = &self.description {
            settings.description.clone_from(description);
        }
        settings.enabled = self.enabled.unwrap_or(settings.enabled);
        settings
    }
}

impl Management {
    /// Makes a rule of this kind, for one license or for all. Its numbers must be those of its kind.
    ///
    /// # Errors
    /// A refusal, or [`crate::Error::Records`].
    pub async fn create_alert_rule(
        &self,
        caller: &Caller,
        kind: AlertKind,
        license: Option<LicenseId>,
        new: &AlertRuleSettings,
    ) -> ChangeResult<AlertRuleRow> {
        self.records
            .change(caller, async |change| {
                if change.count_alert_rules_alone().await? >= MOST_RULES {
                    return Err(ChangeRefusal::TooManyAlertRules.into());
                }
                if !change.has_licenses(license.as_slice()).await? {
                    return Err(ChangeRefusal::UnknownLicenseOfRule.into());
                }
                let rule = change.insert_alert_rule(AlertRuleId::draw(), kind, license, new).await?;
                change.audit("alert_rule.created", &rule.id.to_string(), json!(null), describe(&rule));
                Ok(rule)
            })
            .await
    }

    /// Changes a rule. If its numbers change or it is disabled, what it raised ends. `version`: only if it still is
    /// this one.
    ///
    /// # Errors
    /// A refusal, or [`crate::Error::Records`].
    pub async fn edit_alert_rule(
        &self,
        caller: &Caller,
        id: AlertRuleId,
        edit: &AlertRuleEdit,
        version: Option<i64>,
    ) -> ChangeResult<AlertRuleRow> {
        self.records
            .change(caller, async |change| {
                let before = change.required_alert_rule(id).await?;
                check_version(version, before.version)?;
                let settings = edit.applied_to(&before.settings);
                if settings == before.settings {
                    return Ok(before);
                }
                // Told to those who were told before.
                if !settings.enabled {
                    change.end_alerts(id, RuleEnding::Disabled).await?;
                } else if settings.numbers != before.settings.numbers {
                    change.end_alerts(id, RuleEnding::Changed).await?;
                }
                let after = change.update_alert_rule(id, &settings).await?;
                change.audit("alert_rule.edited", &id.to_string(), describe(&before), describe(&after));
                Ok(after)
            })
            .await
    }

    /// Deletes a rule. What it raised ends.
    ///
    /// # Errors
    /// A refusal, or [`crate::Error::Records`].
    pub async fn delete_alert_rule(&self, caller: &Caller, id: AlertRuleId) -> ChangeResult<()> {
        self.records
            .change(caller, async |change| {
                let before = change.required_alert_rule(id).await?;
                change.end_alerts(id, RuleEnding::Deleted).await?;
                change.delete_alert_rule(id).await?;
                change.audit("alert_rule.deleted", &id.to_string(), describe(&before), json!(null));
                Ok(())
            })
            .await
    }
}

impl AuditedChange<'_> {
    async fn required_alert_rule(&mut self, id: AlertRuleId) -> ChangeResult<AlertRuleRow> {
        Ok(self.lock_alert_rule(id).await?.ok_or(ChangeRefusal::NotFound)?)
    }
}

/// A rule as the audit log shows it.
fn describe(rule: &AlertRuleRow) -> Value {
    let AlertRuleSettings { numbers, mail_roles, description, enabled } = &rule.settings;
    json!({
        "kind": rule.kind, "license_id": rule.license, "percent": numbers.percent, "minutes": numbers.minutes,
        "count": numbers.count, "days": numbers.days, "mail_roles": mail_roles, "description": description,
        "enabled": enabled,
    })
}
