//! The fields of licenses and plans, read one by one so that one answer names all that are wrong.

use crate::{
    edge::names,
    edge::{FieldChecks, Problem},
};
use license_core::domain::{
    id::InvalidText,
    license::{GRACE_AFTER_HEARTBEATS, HolderBy, OfflinePolicy},
    terms::{FeatureValues, MAX_SEATS, PlanTerms, TermsEdit, check_grace_hours},
};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use std::str::FromStr;
use time::{OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339};

/// The longest offline grace, in hours: a year.
const MAX_GRACE: u32 = 8760;
/// The most heartbeats that grace may be earned by.
const MAX_HEARTBEATS: u32 = 100;
/// The most processes on a seat.
const MAX_PROCESSES: u32 = 1000;
/// The longest trial, in days: a hundred years.
const MAX_TRIAL: u32 = 36_500;

/// For a field where null says something: `None` only where it is absent.
pub(super) fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// What a request says of a license's terms, unread.
#[derive(Default)]
pub(super) struct AskedTerms {
    pub(super) seats: Option<Value>,
    pub(super) not_before: Option<Value>,
    pub(super) expires_at: Option<Value>,
    pub(super) features: Option<Value>,
    pub(super) offline_policy: Option<Value>,
    pub(super) grace_hours: Option<Value>,
    pub(super) grace_after_heartbeats: Option<Value>,
    pub(super) grace_beyond_seats: Option<Value>,
    pub(super) holder_by: Option<Value>,
    pub(super) processes_per_seat: Option<Value>,
    pub(super) hide_holders: Option<Value>,
}

impl AskedTerms {
    /// The edit; what is wrong goes into `fields`.
    pub(super) fn read(&self, fields: &mut FieldChecks) -> TermsEdit {
        TermsEdit {
            seats: fields.optional("seats", self.seats.as_ref(), whole(1, MAX_SEATS)),
            not_before: fields.optional("not_before", self.not_before.as_ref(), time),
            expires_at: fields.optional("expires_at", self.expires_at.as_ref(), time),
            features: fields.optional("features", self.features.as_ref(), features),
            offline_policy: fields.optional("offline_policy", self.offline_policy.as_ref(), word),
            grace_hours: fields.optional("grace_hours", self.grace_hours.as_ref(), whole(0, MAX_GRACE)),
            grace_after_heartbeats: fields.optional(
                "grace_after_heartbeats",
                self.grace_after_heartbeats.as_ref(),
                whole(0, MAX_HEARTBEATS),
            ),
            grace_beyond_seats: fields.optional("grace_beyond_seats", self.grace_beyond_seats.as_ref(), or_any),
            holder_by: fields.optional("holder_by", self.holder_by.as_ref(), word),
            processes_per_seat: fields.optional(
                "processes_per_seat",
                self.processes_per_seat.as_ref(),
                whole(1, MAX_PROCESSES),
            ),
            hide_holders: fields.optional("hide_holders", self.hide_holders.as_ref(), yes_or_no),
        }
    }
}

/// What a request says of a plan, unread.
pub(super) struct AskedPlan {
    pub(super) tier: Option<Value>,
    pub(super) seats: Option<Value>,
    pub(super) trial_days: Option<Value>,
    pub(super) features: Option<Value>,
    pub(super) offline_policy: Option<Value>,
    pub(super) grace_hours: Option<Value>,
    pub(super) grace_after_heartbeats: Option<Value>,
    pub(super) grace_beyond_seats: Option<Value>,
    pub(super) holder_by: Option<Value>,
    pub(super) processes_per_seat: Option<Value>,
}

impl AskedPlan {
    /// The whole plan; `None` if something is wrong, which goes into `fields`.
    pub(super) fn read(&self, fields: &mut FieldChecks) -> Option<PlanTerms> {
        let tier = fields.required("tier", self.tier.as_ref(), |value| names::slug(text(value)));
        let seats = fields.required("seats", self.seats.as_ref(), whole(1, MAX_SEATS));
        let policy = fields.optional("offline_policy", self.offline_policy.as_ref(), word);
        let hours = fields.optional("grace_hours", self.grace_hours.as_ref(), whole(0, MAX_GRACE));
        let read = |given: &Option<Value>, value: bool| given.is_none() || value;
        if read(&self.offline_policy, policy.is_some()) && read(&self.grace_hours, hours.is_some()) {
            let checked = check_grace_hours(policy.unwrap_or(OfflinePolicy::None), hours.unwrap_or(0));
            checked.map_err(|(field, problem)| fields.wrong(field, problem)).ok();
        }
        let after =
            fields.optional("grace_after_heartbeats", self.grace_after_heartbeats.as_ref(), whole(0, MAX_HEARTBEATS));
        let beyond = fields.optional("grace_beyond_seats", self.grace_beyond_seats.as_ref(), or_any);
        let trial_days = fields.optional("trial_days", self.trial_days.as_ref(), whole(1, MAX_TRIAL));
        let given = fields.optional("features", self.features.as_ref(), features);
        let holder_by = fields.optional("holder_by", self.holder_by.as_ref(), word);
        let processes =
            fields.optional("processes_per_seat", self.processes_per_seat.as_ref(), whole(1, MAX_PROCESSES));
        Some(PlanTerms {
            tier: tier?,
            seats: seats?,
            trial_days,
            features: given.unwrap_or_default(),
            offline_policy: policy.unwrap_or(OfflinePolicy::None),
            grace_hours: hours.unwrap_or(0),
            grace_after_heartbeats: after.unwrap_or(GRACE_AFTER_HEARTBEATS),
            grace_beyond_seats: beyond.flatten(),
            holder_by: holder_by.unwrap_or(HolderBy::Machine),
            processes_per_seat: processes.unwrap_or(32),
        })
    }
}

/// The text of a value, empty for anything else.
pub(super) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// A whole number in a range.
pub(super) fn whole(low: u32, high: u32) -> impl Fn(&Value) -> Result<u32, String> {
    move |value| {
        let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
        let fits = number.filter(|number| (low..=high).contains(number));
        fits.ok_or_else(|| format!("must be a whole number from {low} to {high}"))
    }
}

/// A number of machines, or null for any.
fn or_any(value: &Value) -> Result<Option<u32>, String> {
    if value.is_null() {
        return Ok(None);
    }
    whole(0, MAX_SEATS)(value).map(Some).map_err(|problem| format!("{problem}, or null for any number"))
}

pub(super) fn yes_or_no(value: &Value) -> Result<bool, &'static str> {
    value.as_bool().ok_or("must be true or false")
}

fn word<T: FromStr<Err = InvalidText>>(value: &Value) -> Result<T, InvalidText> {
    text(value).parse()
}

/// A time to the second, or null for none. Tokens and leases know no finer one.
fn time(value: &Value) -> Result<Option<OffsetDateTime>, &'static str> {
    if value.is_null() {
        return Ok(None);
    }
    let at = OffsetDateTime::parse(text(value), &Rfc3339).ok().and_then(|at| at.checked_to_offset(UtcOffset::UTC));
    let at = at.filter(|at| (2000..=9999).contains(&at.year())).and_then(|at| at.replace_nanosecond(0).ok());
    at.map(Some).ok_or("must be a time such as 2027-01-31T12:00:00Z between the years 2000 and 9999, or null for none")
}

fn features(value: &Value) -> Result<FeatureValues, &'static str> {
    let features = value.as_object().ok_or("must be an object of names and values")?;
    // PostgreSQL keeps every character but this one.
    if nul(value) { Err("must not contain the character U+0000") } else { Ok(features.clone()) }
}

fn nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(values) => values.iter().any(nul),
        Value::Object(values) => values.iter().any(|(name, value)| name.contains('\0') || nul(value)),
        _ => false,
    }
}

/// The names in the path of a PUT are checked like fields: it makes what is not there.
pub(super) fn named(fields: &mut FieldChecks, field: &str, name: &str) -> Option<String> {
    fields.required(field, Some(name), names::slug)
}

/// 422 for an edit that says nothing.
pub(super) fn nothing_asked() -> Problem {
    Problem::invalid("body", "names nothing to change")
}
