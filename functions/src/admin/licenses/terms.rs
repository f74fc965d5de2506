//! What requests say of the terms of licenses and plans, read field by field so that one answer names all that are
//! wrong.

use crate::admin::labels::{labels, name_or_null, note_or_null};
use crate::refusals::invalid_term;
use crate::{
    edge::names,
    edge::{FieldChecks, Problem},
};
use license_core::domain::{
    id::InvalidText,
    labels::LabelsEdit,
    license::{GRACE_AFTER_HEARTBEATS, HolderBy, OfflinePolicy},
    naming::NamingEdit,
    terms::{FeatureValues, HolderPolicies, MAX_SEATS, PlanTerms, TermsEdit, check_grace_hours},
};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use std::str::FromStr;
use time::{OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339};
use utoipa::ToSchema;

/// The longest offline grace, in hours: a year.
const MAX_GRACE: u32 = 8760;
/// The most heartbeats that grace may be earned by.
const MAX_HEARTBEATS: u32 = 100;
/// The most processes on a seat.
const MAX_PROCESSES: u32 = 1000;
/// The longest trial, in days: a hundred years.
const MAX_TRIAL: u32 = 36_500;

/// For a field where null says something: `None` only where it is absent.
pub(in crate::admin) fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// Declares the body of a request: the fields given, with those of the policies at `..policies`. Plans and licenses
/// have the same policies, declared here once.
///
/// A field is kept as it came, so that one answer can name all that are wrong; `value_type` says what it must be.
/// (serde cannot take the policies from a struct within the body and also refuse unknown fields, so this is a macro.)
macro_rules! request_with_policies {
    (
        $(#[$about:meta])*
        pub(in crate::admin) struct $name:ident {
            $($(#[$about_before:meta])* $before:ident,)*
            ..policies,
            $($(#[$about_after:meta])* $after:ident,)*
        }
    ) => {
        #[derive(Deserialize, ToSchema)]
        #[serde(deny_unknown_fields)]
        $(#[$about])*
        pub(in crate::admin) struct $name {
            $($(#[$about_before])* pub(in crate::admin) $before: Option<Value>,)*
            /// `none`, `grace` or `borrow`.
            #[schema(value_type = Option<String>)]
            offline_policy: Option<Value>,
            /// Hours a client may go on without contact, with the policy `grace`.
            #[schema(value_type = Option<u32>, maximum = 8760)]
            grace_hours: Option<Value>,
            /// How many heartbeats a holder must have lived through before its tokens carry grace.
            #[schema(value_type = Option<u32>, maximum = 100)]
            grace_after_heartbeats: Option<Value>,
            /// How many machines beyond the seats may be on unexpired grace; null: any number.
            #[serde(default, deserialize_with = "present")]
            #[schema(value_type = Option<u32>, maximum = 100_000)]
            grace_beyond_seats: Option<Value>,
            /// `machine` or `process`.
            #[schema(value_type = Option<String>)]
            holder_by: Option<Value>,
            /// Live processes that may share a seat.
            #[schema(value_type = Option<u32>, minimum = 1, maximum = 1000)]
            processes_per_seat: Option<Value>,
            $($(#[$about_after])* $after: Option<Value>,)*
        }
    };
}

/// Declares the body of a request about one license: the fields given, and after them all terms that staff may set,
/// which its method `terms` reads.
macro_rules! license_request {
    ($(#[$about:meta])* pub(in crate::admin) struct $name:ident { $($given:tt)* }) => {
        request_with_policies! {
            $(#[$about])*
            pub(in crate::admin) struct $name {
                $($given)*
                /// Seats of its default pool.
                #[schema(value_type = Option<u32>, minimum = 1, maximum = 100_000)]
                seats,
                /// When its term begins; null: it has begun.
                #[serde(default, deserialize_with = "present")]
                #[schema(value_type = Option<OffsetDateTime>)]
                not_before,
                /// When its term ends; null: never. A time that is past ends it now.
                #[serde(default, deserialize_with = "present")]
                #[schema(value_type = Option<OffsetDateTime>)]
                expires_at,
                /// A JSON merge patch (RFC 7396) of its features, or of the plan's if one is named: null takes one
                /// away. At most 3 KiB in all.
                #[schema(value_type = Option<Map<String, Value>>)]
                features,
                ..policies,
                /// Whether a refusal for a full pool keeps to itself who holds the seats.
                #[schema(value_type = Option<bool>)]
                hide_holders,
                /// What your own systems know it by: 1 to 200 characters, taken once; null for nothing.
                #[serde(default, deserialize_with = "present")]
                #[schema(value_type = Option<String>, max_length = 200)]
                external_id,
                /// A merge: names with texts, at most 50 keys of 40 characters with texts of 500; null or an empty text
                /// takes a key away.
                #[schema(value_type = Option<Map<String, Value>>)]
                metadata,
            }
        }

        impl $name {
            /// What the vendor's systems know it by; what is wrong goes into `fields`.
            pub(in crate::admin) fn labels(&self, fields: &mut FieldChecks) -> LabelsEdit {
                labels(fields, self.external_id.as_ref(), self.metadata.as_ref())
            }

            /// The terms asked for; what is wrong goes into `fields`.
            pub(in crate::admin) fn terms(&self, fields: &mut FieldChecks) -> TermsEdit {
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
    };
}

license_request! {
    /// A license to make. What is not said is as the plan says.
    #[schema(example = json!({"product": "coditect", "plan": "team", "seats": 25,
        "expires_at": "2027-11-21T00:00:00Z"}))]
    pub(in crate::admin) struct CreateLicense {
        /// A product of the vendor.
        #[schema(required, value_type = String)]
        product,
        /// The plan it takes its tier, seats, term, features and policies from.
        #[schema(required, value_type = String)]
        plan,
    }
}

license_request! {
    /// What to change about a license. What is not named stays as it is.
    ///
    /// Holders and processes that are there stay: more seats are there at once, fewer drain. Without the offline policy
    /// `grace` the hours of grace go too.
    #[schema(example = json!({"seats": 40, "expires_at": "2028-11-21T00:00:00Z",
        "features": {"render": true, "beta": null}}))]
    pub(in crate::admin) struct EditLicense {
        /// Takes tier, features and policies of this plan; other fields of the request are applied after it. Seats and
        /// term stay.
        #[schema(value_type = Option<String>)]
        plan,
        /// What people call it: 1 to 200 characters, none of them a control character; null for nothing.
        #[serde(default, deserialize_with = "present")]
        #[schema(value_type = Option<String>, max_length = 200)]
        name,
        /// What people note about it: 1 to 2,000 characters on one or more lines; null for nothing.
        #[serde(default, deserialize_with = "present")]
        #[schema(value_type = Option<String>, max_length = 2000)]
        note,
    }
}

impl EditLicense {
    /// What people call it and note about it; what is wrong goes into `fields`.
    pub(in crate::admin) fn naming(&self, fields: &mut FieldChecks) -> NamingEdit {
        NamingEdit {
            name: fields.optional("name", self.name.as_ref(), name_or_null),
            note: fields.optional("note", self.note.as_ref(), note_or_null),
        }
    }
}

request_with_policies! {
    /// The whole of a plan. What is not named has its default.
    ///
    /// The defaults: no end, no features, the offline policy `none`, grace after 2 heartbeats for any number of
    /// machines, holders by `machine`, 32 processes on a seat.
    #[schema(example = json!({"tier": "team", "seats": 25, "features": {"render": true},
        "offline_policy": "grace", "grace_hours": 96}))]
    pub(in crate::admin) struct PutPlan {
        /// The tier: 1 to 63 of a-z, 0-9 and -.
        #[schema(required, value_type = String)]
        tier,
        /// Seats.
        #[schema(required, value_type = u32, minimum = 1, maximum = 100_000)]
        seats,
        /// Days until a license made from it ends.
        #[schema(value_type = Option<u32>, minimum = 1, maximum = 36_500)]
        trial_days,
        /// Names and values; at most 3 KiB.
        #[schema(value_type = Option<Map<String, Value>>)]
        features,
        ..policies,
    }
}

impl PutPlan {
    /// The whole plan; `None` if something is wrong, which goes into `fields`.
    pub(in crate::admin) fn terms(&self, fields: &mut FieldChecks) -> Option<PlanTerms> {
        let tier = fields.required("tier", self.tier.as_ref(), |value| names::slug(text(value)));
        let seats = fields.required("seats", self.seats.as_ref(), whole(1, MAX_SEATS));
        let policy = fields.optional("offline_policy", self.offline_policy.as_ref(), word);
        let hours = fields.optional("grace_hours", self.grace_hours.as_ref(), whole(0, MAX_GRACE));
        let read = |given: &Option<Value>, value: bool| given.is_none() || value;
        if read(&self.offline_policy, policy.is_some()) && read(&self.grace_hours, hours.is_some()) {
            let checked = check_grace_hours(policy.unwrap_or(OfflinePolicy::None), hours.unwrap_or(0));
            checked
                .map_err(|why| {
                    let (field, problem) = invalid_term(why);
                    fields.wrong(field, problem);
                })
                .ok();
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
            policies: HolderPolicies {
                offline_policy: policy.unwrap_or(OfflinePolicy::None),
                grace_hours: hours.unwrap_or(0),
                grace_after_heartbeats: after.unwrap_or(GRACE_AFTER_HEARTBEATS),
                grace_beyond_seats: beyond.flatten(),
                holder_by: holder_by.unwrap_or(HolderBy::Machine),
                processes_per_seat: processes.unwrap_or(32),
            },
        })
    }
}

/// The text of a value, empty for anything else.
pub(in crate::admin) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// A whole number in a range.
pub(in crate::admin) fn whole(low: u32, high: u32) -> impl Fn(&Value) -> Result<u32, String> {
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

pub(in crate::admin) fn yes_or_no(value: &Value) -> Result<bool, &'static str> {
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
pub(in crate::admin) fn named(fields: &mut FieldChecks, field: &str, name: &str) -> Option<String> {
    fields.required(field, Some(name), names::slug)
}

/// 422 for an edit that says nothing.
pub(in crate::admin) fn nothing_asked() -> Problem {
    Problem::invalid("body", "names nothing to change")
}
