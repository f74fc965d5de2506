//! Which words a field may have, for clients whose code is generated (`x-extensible-enum`, Zalando's `RESTful` API
//! Guidelines, rule 112): those that there are now. A later server may have others, so a closed `enum` would be a
//! promise that is not kept.

use crate::edge::metrics::ATTEMPTS;
use license_core::{
    domain::{
        access::{PersonRole, Scope, VendorScope},
        alert::{AlertKind, AlertState},
        delivery::DeliveryState,
        event::EVENT_KINDS,
        session::EndReason,
    },
    records::{ACTIONS, InvitationState},
};
use serde_json::json;
use utoipa::openapi::{
    OpenApi as Document, RefOr,
    extensions::ExtensionsBuilder,
    schema::{ArrayItems, Object, Schema},
};

/// Words, and the fields that have them: a schema and its property; of a list, its items.
struct Words {
    words: Vec<&'static str>,
    fields: &'static [(&'static str, &'static str)],
}

/// Why alerts end.
const END_REASONS: [&str; 9] = [
    "back_to_normal",
    "not_told",
    "license_over",
    "license_not_active",
    "webhook_disabled",
    "webhook_deleted",
    "rule_changed",
    "rule_disabled",
    "rule_deleted",
];
const ACTORS: [&str; 4] = ["person", "token", "staff", "vendor_token"];
/// Of which kinds the rows of a person's export are.
const PERSONAL_KINDS: [&str; 14] = [
    "person",
    "invitation",
    "api_token",
    "project",
    "webhook",
    "alert_rule",
    "license",
    "organization",
    "session",
    "denial",
    "event",
    "delivery",
    "mail",
    "audit_entry",
];
const TERM_CODES: [&str; 4] = ["license_suspended", "license_revoked", "license_expired", "license_not_started"];

fn table() -> Vec<Words> {
    let of = |words: &[&'static str], fields| Words { words: words.to_vec(), fields };
    let roles: Vec<_> = PersonRole::ALL.iter().map(|role| role.as_str()).collect();
    let mut scopes: Vec<_> = Scope::ALL.iter().map(|scope| scope.as_str()).collect();
    scopes.extend(VendorScope::ALL.iter().map(|scope| scope.as_str()));
    scopes.sort_unstable();
    scopes.dedup();
    let reasons = EndReason::ALL.map(EndReason::as_str);
    let invitation_states = InvitationState::ALL.map(InvitationState::as_str);
    let deliveries: Vec<_> = DeliveryState::ALL.iter().map(|state| state.as_str()).collect();
    let rules: Vec<_> = AlertKind::ALL.iter().map(|kind| kind.as_str()).collect();
    let alerts: Vec<_> = AlertKind::ALL.iter().filter(|kind| kind.raises()).map(|kind| kind.as_str()).collect();
    let alert_states: Vec<_> = AlertState::ALL.iter().map(|state| state.as_str()).collect();
    vec![
        of(
            &roles,
            &[
                ("EditPerson", "role"),
                ("EditedPerson", "role"),
                ("Invitation", "role"),
                ("InviteBody", "role"),
                ("MyOrganization", "role"),
                ("Person", "role"),
                ("RegisteredUser", "role"),
            ],
        ),
        of(&scopes, &[("ApiToken", "scopes"), ("CreateApiToken", "scopes")]),
        of(&reasons, &[("Session", "reason"), ("EndedSession", "reason")]),
        of(&[&reasons[..], &["unknown"]].concat(), &[("Problem", "reason")]),
        of(&invitation_states, &[("Invitation", "state")]),
        of(&ACTIONS, &[("AuditEntry", "action"), ("ExportedEntry", "action")]),
        of(&ACTORS, &[("AuditActor", "kind"), ("ExportedEntry", "actor_kind")]),
        of(&["current", "expiring", "expired"], &[("LicenseKey", "state")]),
        of(&PERSONAL_KINDS, &[("PersonalRow", "kind")]),
        of(&["changed", "missing", "added", "cut", "unsealed", "blanked", "rewritten"], &[("AuditFault", "kind")]),
        of(&["live", "silent", "ending", "ended", "unknown"], &[("Session", "state")]),
        of(&["free", "live", "silent", "ending", "waiting", "unknown"], &[("NumberedSeat", "state")]),
        of(&["waiting", "granted", "gave_up", "unknown"], &[("Denial", "state")]),
        of(&["no_seats_available"], &[("Denial", "code")]),
        of(&EVENT_KINDS, &[("Webhook", "events"), ("CreateWebhook", "events"), ("EditWebhook", "events")]),
        of(&["enabled", "disabled", "paused"], &[("Webhook", "status")]),
        of(&deliveries, &[("Delivery", "state")]),
        of(&rules, &[("AlertRule", "kind"), ("CreateAlertRule", "kind")]),
        of(&alerts, &[("Alert", "kind")]),
        of(
            &["owner", "admin"],
            &[("AlertRule", "mail_roles"), ("CreateAlertRule", "mail_roles"), ("EditAlertRule", "mail_roles")],
        ),
        of(&alert_states, &[("Alert", "state")]),
        of(&END_REASONS, &[("Alert", "end_reason")]),
        of(&ATTEMPTS, &[("Attempt", "outcome")]),
        of(&["desktop", "container", "ci"], &[("ClientFacts", "deployment"), ("SessionClient", "deployment")]),
        of(&["minute", "hour", "day"], &[("Usage", "step")]),
        of(
            &["active", "suspended", "revoked"],
            &[("License", "status"), ("LicenseUse", "status"), ("RegisteredLicense", "status")],
        ),
        of(&["active", "suspended", "revoked", "expired", "not_started"], &[("LicenseFacts", "status")]),
        of(&["active"], &[("LicenseStatus", "status")]),
        of(&TERM_CODES, &[("RefusingLicense", "code")]),
        of(&["no_seats_available", "too_many_processes"], &[("ValidLicense", "code")]),
        of(
            &["none", "grace", "borrow"],
            &[
                ("CreateLicense", "offline_policy"),
                ("EditLicense", "offline_policy"),
                ("License", "offline_policy"),
                ("OfflineResponse", "policy"),
                ("Plan", "offline_policy"),
                ("PutPlan", "offline_policy"),
            ],
        ),
        of(
            &["machine", "process"],
            &[
                ("CreateLicense", "holder_by"),
                ("EditLicense", "holder_by"),
                ("License", "holder_by"),
                ("Plan", "holder_by"),
                ("PutPlan", "holder_by"),
            ],
        ),
    ]
}

/// Says of each of these fields which words there are.
pub(super) fn describe(document: &mut Document) {
    for Words { words, fields } in table() {
        for (schema, property) in fields {
            if let Some(field) = field(document, schema, property) {
                let words = ExtensionsBuilder::new().add("x-extensible-enum", json!(words)).build();
                field.extensions.get_or_insert_default().merge(words);
            }
        }
    }
}

/// The field, or what its list consists of.
fn field<'a>(document: &'a mut Document, schema: &str, property: &str) -> Option<&'a mut Object> {
    let RefOr::T(Schema::Object(object)) = document.components.as_mut()?.schemas.get_mut(schema)? else { return None };
    let RefOr::T(field) = object.properties.get_mut(property)? else { return None };
    match field {
        Schema::Object(field) => Some(field),
        Schema::Array(array) => match &mut array.items {
            ArrayItems::RefOrSchema(items) => match &mut **items {
                RefOr::T(Schema::Object(item)) => Some(item),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::document;
    use serde_json::{Value, json};
    use std::collections::BTreeSet;

    fn words(field: &Value) -> Option<BTreeSet<&str>> {
        let said = field.get("x-extensible-enum").or_else(|| field["items"].get("x-extensible-enum"))?;
        Some(said.as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect())
    }

    /// The words between backquotes, if a text lists several: "`a`, `b` or `c`", or "`a`: … · `b`: …".
    fn listed(text: &str) -> BTreeSet<&str> {
        let parts: Vec<&str> = text.split('`').collect();
        let lists = |between: &str| between == ", " || between == " or " || between.contains(" · ");
        if !parts.iter().any(|between| lists(between)) {
            return BTreeSet::new();
        }
        let is_word = |word: &&str| !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c == '_');
        parts.into_iter().skip(1).step_by(2).filter(is_word).collect()
    }

    #[test]
    fn every_field_that_lists_its_words_says_them_to_programs_too() {
        let document = serde_json::to_value(document()).unwrap();
        let (mut said, mut missing) = (0, Vec::new());
        for (schema, object) in document["components"]["schemas"].as_object().unwrap() {
            for (name, field) in object["properties"].as_object().into_iter().flatten() {
                let is_text = [&field["type"], &field["items"]["type"]]
                    .into_iter()
                    .any(|it| *it == json!("string") || *it == json!(["string", "null"]));
                let listed = listed(field["description"].as_str().unwrap_or_default());
                match words(field) {
                    Some(words) => {
                        said += 1;
                        assert!(
                            listed.is_empty() || words.is_subset(&listed),
                            "{schema}.{name}: {listed:?}, {words:?}"
                        );
                    }
                    // What it consists of, which is no word.
                    None if (schema.as_str(), name.as_str()) == ("ExportedEntry", "details") => {}
                    None if is_text && listed.len() > 1 && field.get("format").is_none() => {
                        missing.push(format!("{schema}.{name}: {listed:?}"));
                    }
                    None => {}
                }
            }
        }
        assert_eq!(missing, Vec::<String>::new());
        let fields: usize = super::table().iter().map(|words| words.fields.len()).sum();
        assert_eq!(said, fields, "each field of the table is there");
    }
}
