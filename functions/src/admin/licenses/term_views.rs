//! Licenses and plans as answers show them.

use license_core::records::{LicenseRow, PlanRow};
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

/// Declares an answer made from a row: each field with its type and its value, with those of the policies at
/// `..policies of` the row. Plans and licenses have the same policies, declared here once.
///
/// (utoipa would describe policies in a struct of their own as a schema of their own, so this is a macro.)
macro_rules! view_with_policies {
    (
        $(#[$about:meta])*
        pub(in crate::admin) struct $name:ident from $row:ident: $row_type:ty {
            $($(#[$about_before:meta])* $before:ident: $type_before:ty = $value_before:expr,)*
            ..policies of $policies:expr,
            $($(#[$about_after:meta])* $after:ident: $type_after:ty = $value_after:expr,)*
        }
    ) => {
        #[derive(Serialize, ToSchema)]
        $(#[$about])*
        pub(in crate::admin) struct $name {
            $($(#[$about_before])* $before: $type_before,)*
            /// `none`, `grace` or `borrow`.
            offline_policy: &'static str,
            /// Hours a client may go on without contact; 0 unless the policy is `grace`.
            grace_hours: u32,
            /// How many heartbeats a holder must have lived through before its tokens carry grace: a quarter of a lease
            /// for each. 0: at once.
            grace_after_heartbeats: u32,
            /// How many machines beyond the seats may be on unexpired grace; beyond that tokens carry none. Null: any
            /// number.
            #[schema(required)]
            grace_beyond_seats: Option<u32>,
            /// `machine` or `process`.
            holder_by: &'static str,
            /// Live processes that may share a seat.
            processes_per_seat: u32,
            $($(#[$about_after])* $after: $type_after,)*
        }

        impl From<$row_type> for $name {
            fn from($row: $row_type) -> Self {
                Self {
                    offline_policy: $policies.offline_policy.as_str(),
                    grace_hours: $policies.grace_hours,
                    grace_after_heartbeats: $policies.grace_after_heartbeats,
                    grace_beyond_seats: $policies.grace_beyond_seats,
                    holder_by: $policies.holder_by.as_str(),
                    processes_per_seat: $policies.processes_per_seat,
                    $($before: $value_before,)*
                    $($after: $value_after,)*
                }
            }
        }
    };
}

view_with_policies! {
    /// A license: what was agreed, and what the vendor decided about it.
    #[schema(example = json!({"id": "01a1fc28-9b31-70be-8112-4bfdb0eab109", "number": "752KJY5EZQ1CW",
        "product": "coditect", "plan": "team", "tier": "team", "status": "active",
        "status_since": "2026-11-21T03:31:22.221389Z", "seats_total": 25, "not_before": null,
        "expires_at": "2027-11-21T00:00:00Z",
        "features": {"render": true}, "offline_policy": "grace", "grace_hours": 96, "grace_after_heartbeats": 2,
        "grace_beyond_seats": null, "holder_by": "machine", "processes_per_seat": 32,
        "hide_holders": false, "facts_version": 3, "created_at": "2026-11-21T03:31:22.221389Z",
        "external_id": "sub_1MowQVLkdIwHu7ix", "metadata": {"order": "6735"},
        "name": "Render farm", "note": "Paid by the department of design."}))]
    pub(in crate::admin) struct License from row: LicenseRow {
        /// Stays the same for good.
        id: Uuid = row.id.0,
        /// The public number, which its keys begin with.
        number: String = row.number.to_string(),
        /// The product it is for.
        product: String = row.product,
        /// The plan it was made from, or last given.
        plan: String = row.terms.plan,
        /// The tier.
        tier: String = row.terms.tier,
        /// `active`, `suspended` or `revoked`: what the vendor decided. Its times tell whether its term is over.
        status: &'static str = row.status.as_str(),
        /// Since when it is that.
        #[serde(with = "time::serde::rfc3339")]
        status_since: OffsetDateTime = row.status_since,
        /// Seats of its default pool.
        seats_total: u32 = row.terms.seats,
        /// When its term begins; null: it has begun.
        #[serde(with = "time::serde::rfc3339::option")]
        #[schema(required)]
        not_before: Option<OffsetDateTime> = row.terms.not_before,
        /// When its term ends; null: never.
        #[serde(with = "time::serde::rfc3339::option")]
        #[schema(required)]
        expires_at: Option<OffsetDateTime> = row.terms.expires_at,
        /// Names and values, signed into every token.
        features: Map<String, Value> = row.terms.features,
        ..policies of row.terms.policies,
        /// Whether a refusal for a full pool keeps to itself who holds the seats.
        hide_holders: bool = row.terms.hide_holders,
        /// Rises with every change of what tokens say.
        facts_version: i64 = row.facts_version,
        /// When it was made.
        #[serde(with = "time::serde::rfc3339")]
        created_at: OffsetDateTime = row.created_at,
        /// What the vendor's own systems know it by; null for nothing. The vendor sets it.
        #[schema(required)]
        external_id: Option<String> = row.labels.external_id,
        /// What else the vendor's own systems wrote beside it: names with texts.
        metadata: BTreeMap<String, String> = row.labels.metadata,
        /// What its people call it; null for nothing.
        #[schema(required)]
        name: Option<String> = row.naming.name,
        /// What its people note about it; null for nothing.
        #[schema(required)]
        note: Option<String> = row.naming.note,
    }
}

view_with_policies! {
    /// A plan: what a license made from it begins with. Editing a plan changes no license that is there.
    #[schema(example = json!({"plan": "team", "tier": "team", "seats": 25, "trial_days": null,
        "features": {"render": true},
        "offline_policy": "grace", "grace_hours": 96, "grace_after_heartbeats": 2,
        "grace_beyond_seats": null, "holder_by": "machine", "processes_per_seat": 32}))]
    pub(in crate::admin) struct Plan from row: PlanRow {
        /// Its name, for good.
        plan: String = row.name,
        /// The tier its licenses are of.
        tier: String = row.terms.tier,
        /// Their seats.
        seats: u32 = row.terms.seats,
        /// Days until they end; null: never.
        #[schema(required)]
        trial_days: Option<u32> = row.terms.trial_days,
        /// Names and values, signed into every token.
        features: Map<String, Value> = row.terms.features,
        ..policies of row.terms.policies,
    }
}
