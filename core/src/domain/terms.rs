//! The terms of a license: they are copied from a plan when the license is made, and can then be edited.

use super::license::{HolderBy, OfflinePolicy};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use time::OffsetDateTime;

/// Feature names and their values.
pub type FeatureValues = Map<String, Value>;

/// What plans and licenses alike say of their holders: a plan hands its policies down to the licenses made from it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HolderPolicies {
    /// The offline policy.
    pub offline_policy: OfflinePolicy,
    /// Hours of grace; 0 unless the policy is `grace`.
    pub grace_hours: u32,
    /// How many heartbeats a holder must have lived through before its tokens carry grace; 0: its first token does.
    pub grace_after_heartbeats: u32,
    /// How many machines beyond the seats may be on unexpired grace; `None`: any number.
    pub grace_beyond_seats: Option<u32>,
    /// What counts as a holder.
    pub holder_by: HolderBy,
    /// Live processes that may share a seat.
    pub processes_per_seat: u32,
}

/// What a plan gives to the licenses made from it. A license keeps what it was given: editing a plan changes no
/// license.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlanTerms {
    /// The tier its licenses are of.
    pub tier: String,
    /// Seats, 1 to [`MAX_SEATS`].
    pub seats: u32,
    /// Days until a license made from it ends; `None` for no end.
    pub trial_days: Option<u32>,
    /// Features.
    pub features: FeatureValues,
    /// The policies of its licenses.
    #[serde(flatten)]
    pub policies: HolderPolicies,
}

/// Everything about a license that staff may edit. Serialized under the names of the records' columns.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LicenseTerms {
    /// The plan it was made from, or last given.
    pub plan: String,
    /// The tier.
    pub tier: String,
    /// Seats of its default pool.
    pub seats: u32,
    /// When its term begins; `None`: it has begun.
    #[serde(with = "time::serde::rfc3339::option")]
    pub not_before: Option<OffsetDateTime>,
    /// When its term ends; `None` for a perpetual one.
    #[serde(with = "time::serde::rfc3339::option")]
    pub expires_at: Option<OffsetDateTime>,
    /// Features.
    pub features: FeatureValues,
    /// Its policies.
    #[serde(flatten)]
    pub policies: HolderPolicies,
    /// Whether a refusal keeps to itself who holds the seats.
    pub hide_holders: bool,
}

/// The largest number of seats of a pool. The rows of all new seats are written within one request; where PostgreSQL is
/// slow, a large pool has to be made in several steps.
pub const MAX_SEATS: u32 = 100_000;

/// An edit of the terms of a license. A field that is `None` leaves its term unchanged.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TermsEdit {
    /// The number of seats of the default pool.
    pub seats: Option<u32>,
    /// The begin of the term; `Some(None)` removes it.
    pub not_before: Option<Option<OffsetDateTime>>,
    /// The end of the term; `Some(None)` removes it.
    pub expires_at: Option<Option<OffsetDateTime>>,
    /// A JSON merge patch (RFC 7396) of the features; null removes a feature.
    pub features: Option<FeatureValues>,
    /// The offline policy.
    pub offline_policy: Option<OfflinePolicy>,
    /// Hours of grace.
    pub grace_hours: Option<u32>,
    /// The number of heartbeats before a holder has grace.
    pub grace_after_heartbeats: Option<u32>,
    /// The number of machines beyond the seats that may be on unexpired grace; `Some(None)` allows any number.
    pub grace_beyond_seats: Option<Option<u32>>,
    /// What counts as a holder.
    pub holder_by: Option<HolderBy>,
    /// Live processes that may share a seat.
    pub processes_per_seat: Option<u32>,
    /// Whether a refusal keeps to itself who holds the seats.
    pub hide_holders: Option<bool>,
}

/// Why the terms of a license or of a plan contradict each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidTerm {
    /// The term would end before it begins; this end of it was edited.
    EndsBeforeItBegins(TermBound),
    /// The offline policy is `grace`, and there are no hours of grace.
    GraceWithoutHours,
    /// There are hours of grace, and the offline policy is another one.
    HoursWithoutGrace,
}

/// One of the two times of a license's term.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TermBound {
    /// `not_before`.
    Begin,
    /// `expires_at`.
    End,
}

impl PlanTerms {
    /// The terms of a license that is made from this plan; `plan` is the name of the plan. The term has no begin and no
    /// end, and refusals may name the holders of the seats.
    #[must_use]
    pub fn into_license(self, plan: String) -> LicenseTerms {
        // Every field by name: one that is new to plans does not compile until it is decided what licenses make of it.
        // `trial_days` end a license, counted from when it is made, which is not known here: who makes it sets its end.
        let Self { tier, seats, trial_days: _, features, policies } = self;
        LicenseTerms { plan, tier, seats, not_before: None, expires_at: None, features, policies, hide_holders: false }
    }
}

impl LicenseTerms {
    /// These terms with the tier, features and policies of a plan. The seats and the term were bought and stay as they
    /// are.
    #[must_use]
    pub fn with_plan(self, name: &str, plan: &PlanTerms) -> Self {
        let given = plan.clone().into_license(name.to_owned());
        // Every field by name: for one that is new it must be decided whether it stays or comes from the plan.
        Self {
            plan: given.plan,
            tier: given.tier,
            seats: self.seats,
            not_before: self.not_before,
            expires_at: self.expires_at,
            features: given.features,
            policies: given.policies,
            hide_holders: self.hide_holders,
        }
    }

    /// The terms after an edit.
    ///
    /// # Errors
    /// [`InvalidTerm`] if the resulting terms would contradict each other.
    pub fn with_edit(self, edit: &TermsEdit) -> Result<Self, InvalidTerm> {
        let mut features = self.features;
        if let Some(patch) = &edit.features {
            apply_merge_patch(&mut features, patch);
        }
        let after = Self {
            seats: edit.seats.unwrap_or(self.seats),
            not_before: edit.not_before.unwrap_or(self.not_before),
            expires_at: edit.expires_at.unwrap_or(self.expires_at),
            features,
            policies: self.policies.with_edit(edit)?,
            hide_holders: edit.hide_holders.unwrap_or(self.hide_holders),
            plan: self.plan,
            tier: self.tier,
        };
        match (after.not_before, after.expires_at) {
            (Some(begin), Some(end)) if end <= begin => {
                let edited = if edit.expires_at.is_some() { TermBound::End } else { TermBound::Begin };
                Err(InvalidTerm::EndsBeforeItBegins(edited))
            }
            _ => Ok(after),
        }
    }
}

impl HolderPolicies {
    /// The policies after an edit.
    fn with_edit(self, edit: &TermsEdit) -> Result<Self, InvalidTerm> {
        let offline_policy = edit.offline_policy.unwrap_or(self.offline_policy);
        // The hours of grace belong to the policy `grace` and are dropped with it.
        let hours_kept = if offline_policy == OfflinePolicy::Grace { self.grace_hours } else { 0 };
        let grace_hours = edit.grace_hours.unwrap_or(hours_kept);
        check_grace_hours(offline_policy, grace_hours)?;
        Ok(Self {
            offline_policy,
            grace_hours,
            grace_after_heartbeats: edit.grace_after_heartbeats.unwrap_or(self.grace_after_heartbeats),
            grace_beyond_seats: edit.grace_beyond_seats.unwrap_or(self.grace_beyond_seats),
            holder_by: edit.holder_by.unwrap_or(self.holder_by),
            processes_per_seat: edit.processes_per_seat.unwrap_or(self.processes_per_seat),
        })
    }
}

/// Checks that a number of hours of grace is possible with an offline policy.
///
/// # Errors
/// [`InvalidTerm`] if it is not.
pub fn check_grace_hours(policy: OfflinePolicy, hours: u32) -> Result<(), InvalidTerm> {
    match (policy, hours) {
        (OfflinePolicy::Grace, 0) => Err(InvalidTerm::GraceWithoutHours),
        (OfflinePolicy::None | OfflinePolicy::Borrow, 1..) => Err(InvalidTerm::HoursWithoutGrace),
        _ => Ok(()),
    }
}

/// Applies a JSON merge patch (RFC 7396).
fn apply_merge_patch(target: &mut FeatureValues, patch: &FeatureValues) {
    for (name, value) in patch {
        match value {
            Value::Null => drop(target.remove(name)),
            Value::Object(patch) => {
                let mut inner = match target.remove(name) {
                    Some(Value::Object(inner)) => inner,
                    _ => Map::new(),
                };
                apply_merge_patch(&mut inner, patch);
                target.insert(name.clone(), inner.into());
            }
            other => drop(target.insert(name.clone(), other.clone())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::license::GRACE_AFTER_HEARTBEATS;
    use serde_json::json;

    fn object(value: &Value) -> FeatureValues {
        value.as_object().unwrap().clone()
    }

    /// The examples of RFC 7396, appendix A, as far as both sides are objects.
    #[test]
    fn a_merge_patch_does_what_the_rfc_says() {
        for (target, patch, result) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
            (json!({"a": "b"}), json!({"a": null}), json!({})),
            (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]})),
            (json!({"a": {"b": "c"}}), json!({"a": {"b": "d", "c": null}}), json!({"a": {"b": "d"}})),
            (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
            (json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1})),
            (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
        ] {
            let mut merged = object(&target);
            apply_merge_patch(&mut merged, &object(&patch));
            assert_eq!(merged, object(&result), "{target} {patch}");
        }
    }

    #[test]
    fn what_an_edit_does_not_name_stays_and_what_contradicts_is_refused() {
        let at = |seconds| OffsetDateTime::from_unix_timestamp(seconds).unwrap();
        let terms = LicenseTerms {
            plan: "team".into(),
            tier: "team".into(),
            seats: 5,
            not_before: Some(at(100)),
            expires_at: None,
            features: object(&json!({ "render": true })),
            policies: HolderPolicies {
                offline_policy: OfflinePolicy::Grace,
                grace_hours: 96,
                grace_after_heartbeats: GRACE_AFTER_HEARTBEATS,
                grace_beyond_seats: None,
                holder_by: HolderBy::Machine,
                processes_per_seat: 32,
            },
            hide_holders: true,
        };
        assert_eq!(terms.clone().with_edit(&TermsEdit::default()), Ok(terms.clone()));
        let online = TermsEdit { offline_policy: Some(OfflinePolicy::None), ..TermsEdit::default() };
        assert_eq!(terms.clone().with_edit(&online).unwrap().policies.grace_hours, 0);
        for (edit, why) in [
            (TermsEdit { grace_hours: Some(1), ..online.clone() }, InvalidTerm::HoursWithoutGrace),
            (TermsEdit { grace_hours: Some(0), ..TermsEdit::default() }, InvalidTerm::GraceWithoutHours),
            (
                TermsEdit { expires_at: Some(Some(at(100))), ..TermsEdit::default() },
                InvalidTerm::EndsBeforeItBegins(TermBound::End),
            ),
        ] {
            assert_eq!(terms.clone().with_edit(&edit), Err(why), "{edit:?}");
        }
        let ends = LicenseTerms { expires_at: Some(at(200)), ..terms };
        let late = TermsEdit { not_before: Some(Some(at(300))), ..TermsEdit::default() };
        assert_eq!(ends.with_edit(&late), Err(InvalidTerm::EndsBeforeItBegins(TermBound::Begin)));
    }
}
