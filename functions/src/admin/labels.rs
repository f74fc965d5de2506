//! `external_id` and `metadata` of a request: what the vendor's systems know an organization or a license by. And `name`
//! and `note`: what people call a license.

use super::answer::insufficient_role;
use crate::edge::{FieldChecks, Problem, names};
use license_core::{
    domain::{
        id::InvalidText,
        labels::{LabelsEdit, external_id, metadata_key, metadata_value},
        naming::note,
    },
    records::Caller,
};
use serde_json::Value;
use std::{borrow::Cow, collections::BTreeMap};

/// The labels asked for; what is wrong goes into `fields`.
pub(super) fn labels(fields: &mut FieldChecks, id: Option<&Value>, metadata: Option<&Value>) -> LabelsEdit {
    LabelsEdit {
        external_id: fields.optional("external_id", id, |value| or_null(value, external_id)),
        metadata: fields.optional("metadata", metadata, read_metadata).unwrap_or_default(),
    }
}

/// A name, or null for none.
pub(super) fn name_or_null(value: &Value) -> Result<Option<String>, InvalidText> {
    or_null(value, names::name)
}

/// A note, or null for none.
pub(super) fn note_or_null(value: &Value) -> Result<Option<String>, InvalidText> {
    or_null(value, note)
}

fn or_null(
    value: &Value,
    read: impl FnOnce(&str) -> Result<String, InvalidText>,
) -> Result<Option<String>, InvalidText> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => read(text).map(Some),
        _ => Err(InvalidText("must be a text, or null for none")),
    }
}

/// A merge: null and the empty text take a key away (as Stripe reads them).
fn read_metadata(value: &Value) -> Result<BTreeMap<String, Option<String>>, InvalidText> {
    let pairs = value.as_object().ok_or(InvalidText("must be an object of names and texts"))?;
    let pair = |(key, value): (&String, &Value)| match value {
        Value::Null => Ok((metadata_key(key)?, None)),
        Value::String(text) => Ok((metadata_key(key)?, Some(metadata_value(text)?).filter(|text| !text.is_empty()))),
        _ => Err(InvalidText("must have texts as values, or null to take a key away")),
    };
    pairs.iter().map(pair).collect()
}

/// `key=value` of a query.
pub(super) fn sought_metadata(text: &str) -> Result<(String, String), Cow<'static, str>> {
    let (key, value) = text.split_once('=').ok_or("must be a key and its text, such as order=1234")?;
    Ok((metadata_key(key).map_err(|it| it.to_string())?, metadata_value(value).map_err(|it| it.to_string())?))
}

/// Refuses labels of somebody who is not of the vendor.
pub(super) fn check_vendor(caller: &Caller, labels: &LabelsEdit) -> Result<(), Problem> {
    if labels.is_empty() || caller.principal.is_of_vendor() { Ok(()) } else { Err(insufficient_role("staff")) }
}
